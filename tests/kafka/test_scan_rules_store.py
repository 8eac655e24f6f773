"""Writing scan rules on a real broker: a deletion and all it takes along are one transaction."""

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from processor.rules.building import Create, Delete, Writer
from processor.scanning.changes import ScanChange
from processor.scanning.live import LiveScanRules
from processor.scanning.store import ScanRuleStore
from processor.scanning.table import ScanSnapshot
from processor.settings import Settings
from tests.support.brokers import Broker
from tests.support.records import read_all
from tests.support.rules import rules_settings
from tests.support.scan_rules import draft
from tests.support.topics import create_topic
from tests.support.waiting import wait_until

WORKLOADS = 12
ROUNDS = 6


@pytest.fixture
def settings(broker: Broker, prefix: str) -> Settings:
    """Settings for a scan rule topic that is there."""
    create_topic(broker.bootstrap, f"{prefix}log-scan-rules", 1, {"cleanup.policy": "compact"})
    return rules_settings(broker.bootstrap, prefix)


@pytest.fixture
def store(settings: Settings) -> Iterator[ScanRuleStore]:
    with ScanRuleStore(settings, Writer.of(settings, "tests"), timeout=timedelta(seconds=30)) as opened:
        yield opened


def family(number: int) -> list[ScanChange]:
    """A global rule and one that overrides it for each workload."""
    name = f"oom-{number}"
    return [
        Create(draft(name)),
        *(Create(draft("mine", workload=f"{number}-{n}", overrides=name)) for n in range(WORKLOADS)),
    ]


def sizes(snapshot: ScanSnapshot) -> set[int]:
    """For each global rule the number of rules that override it; and for an override without one, -1."""
    globals_ = [rule.id for rule in snapshot.rules.values() if rule.workload is None]
    found = {len(snapshot.overriding(rule_id)) for rule_id in globals_}
    strays = [rule for rule in snapshot.rules.values() if rule.workload and rule.overrides not in globals_]
    return found | ({-1} if strays else set())


def test_no_reader_ever_sees_half_of_a_family_that_comes_or_goes(
    store: ScanRuleStore, settings: Settings
) -> None:
    live = LiveScanRules(settings, "tests")
    seen: set[int] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            seen.update(sizes(live.snapshot()))

    live.start()
    watching = threading.Thread(target=watch)
    watching.start()
    try:
        for number in range(ROUNDS):
            created = store.apply(family(number))
            assert len(created) == WORKLOADS + 1
            wait_until(lambda: live.applied() is not None, 10.0, "the table is whole")
            [deleted, *along] = store.apply([Delete(created[0].key)])
            assert (deleted.id, deleted.along) == (created[0].id, False)
            assert {one.id for one in along} == {one.id for one in created[1:]}
            assert all(one.along and one.offset is not None for one in along)
            end = max(one.offset or 0 for one in (deleted, *along)) + 1
            assert live.wait_applied(end, 10.0)
            assert not live.snapshot().rules
    finally:
        over.set()
        watching.join(10)
        live.stop()

    assert seen <= {WORKLOADS}
    assert seen == {WORKLOADS}, "the watcher has seen every family whole, or it proves nothing"


def test_all_records_of_a_deletion_are_of_one_transaction(
    store: ScanRuleStore, settings: Settings, broker: Broker
) -> None:
    created = store.apply(family(1))
    store.apply([Delete(created[0].key)])

    records = read_all(broker.bootstrap, settings.topics.scan_rules)
    gone = [record for record in records if record.value is None]
    assert len(gone) == WORKLOADS + 1
    assert len({record.header("write-id") for record in gone}) == 1
    # One behind the other, with no marker of a transaction's end between them.
    assert [record.offset - gone[0].offset for record in gone] == list(range(WORKLOADS + 1))
    assert gone[0].key == created[0].key


def test_two_stores_take_turns_and_keep_ids_and_names_unique(settings: Settings) -> None:
    stores = [
        ScanRuleStore(settings, Writer.of(settings, f"w{n}"), timeout=timedelta(seconds=30)) for n in range(2)
    ]

    def write(store: ScanRuleStore, n: int) -> None:
        for number in range(10):
            store.apply([Create(draft(f"r-{n}-{number}"))])

    threads = [threading.Thread(target=write, args=(store, n)) for n, store in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    snapshot = stores[0].read()
    for store in stores:
        store.close()

    assert sorted(rule.name for rule in snapshot.rules.values()) == sorted(
        f"r-{n}-{number}" for n in range(2) for number in range(10)
    )
    assert list(snapshot.rules) == list(range(1, 21))
