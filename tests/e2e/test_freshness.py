"""A rule is in force when its write is acknowledged: fires for the next event, and for none after a delete.

Each round writes, waits for the acknowledgement and appends an event at once, to another partition each
time, while three matchers share them. What fired is compared in the end, when every event has been judged.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from confluent_kafka import Producer

from processor.rules import Create, Delete, RuleStore, Update, Writer
from processor.rules.schema import RuleDraft
from tests.support.brokers import Broker
from tests.support.matching import TARGET, MatcherSite, Place, event
from tests.support.processes import Spawn, run_tocsin
from tests.support.records import Record

pytestmark = pytest.mark.real_kafka

PARTITIONS = 6


@dataclass(frozen=True)
class Size:
    """Rounds through a kept store, and through the command line."""

    stored: int
    commanded: int


sizes = pytest.mark.parametrize(
    "size",
    [
        pytest.param(Size(20, 1), id="tenth"),
        pytest.param(Size(200, 10), id="whole", marks=pytest.mark.soak),
    ],
)


@dataclass(frozen=True)
class Hand:
    """One way to write a rule of this name that fires for events of the source of the same name."""

    create: Callable[[str], int]
    """Answers the rule's id."""
    disable: Callable[[str, int], None]
    delete: Callable[[int], None]


def fields(name: str, *, enabled: bool = True) -> dict[str, object]:
    return {
        "name": name,
        "enabled": enabled,
        "filter_source": [name],
        "action_type": "webhook",
        "action_target": TARGET,
    }


@pytest.fixture
def open_transaction(broker: Broker, prefix: str) -> Producer:
    """Somebody else's transaction on the rule topic, not ended yet: what stands behind it can't be read."""
    producer = Producer({"bootstrap.servers": broker.bootstrap, "transactional.id": f"{prefix}somebody"})
    producer.init_transactions(30)
    producer.begin_transaction()
    return producer


@pytest.fixture
def site(broker: Broker, prefix: str) -> Iterator[MatcherSite]:
    with MatcherSite(broker.bootstrap, prefix, partitions=PARTITIONS) as site:
        yield site


@pytest.fixture
def kept_store(site: MatcherSite) -> Iterator[Hand]:
    """One store for all writes, as a server keeps it."""
    with RuleStore(site.model, Writer.of(site.model, "tests"), timeout=timedelta(seconds=30)) as store:

        def create(name: str) -> int:
            (applied,) = store.apply([Create(RuleDraft.model_validate(fields(name)))])
            assert applied.id is not None
            return applied.id

        def disable(name: str, rule_id: int) -> None:
            store.apply([Update(rule_id, RuleDraft.model_validate(fields(name, enabled=False)))])

        def delete(rule_id: int) -> None:
            store.apply([Delete(b"%d" % rule_id)])

        yield Hand(create, disable, delete)


@pytest.fixture
def command_line(site: MatcherSite, tmp_path: Path) -> Hand:
    """`tocsin rules apply` and `delete`, a process for each."""
    file = tmp_path / "rule.json"
    settings = site.settings()

    def tocsin(*arguments: str) -> str:
        code, out, log = run_tocsin("rules", *arguments, directory=tmp_path, settings=settings)
        assert code == 0, log
        return out

    def create(name: str) -> int:
        file.write_text(json.dumps(fields(name)))
        (row,) = json.loads(tocsin("apply", "-f", str(file), "-o", "json"))
        return int(row["id"])

    def disable(name: str, rule_id: int) -> None:
        file.write_text(json.dumps(fields(name, enabled=False)))
        tocsin("apply", "-f", str(file))

    def delete(rule_id: int) -> None:
        tocsin("delete", str(rule_id))

    return Hand(create, disable, delete)


@sizes
def test_rules_act_from_the_acknowledgement_of_their_write_on(
    site: MatcherSite, spawn: Spawn, kept_store: Hand, command_line: Hand, size: Size
) -> None:
    for matcher in [site.start(spawn) for _ in range(3)]:
        matcher.wait_ready()
    hands = [kept_store] * size.stored + [command_line] * size.commanded
    must_fire: set[tuple[Place, int]] = set()
    must_not: set[tuple[Place, int]] = set()

    for number, hand in enumerate(hands):
        name = f"rule-{number}"

        def append(name: str = name, partition: int = number % PARTITIONS) -> Place:
            return site.append_at_once(Record(event(source=name), partition=partition))

        rule_id = hand.create(name)
        place = append()
        # An event that waits when the next version is written may be judged by either.
        site.wait_jobs([place])
        must_fire.add((place, rule_id))
        if number % 2:
            hand.disable(name, rule_id)
            must_not.add((append(), rule_id))
        hand.delete(rule_id)
        must_not.add((append(), rule_id))

    site.wait_drained()
    fired = site.fired()
    assert set(fired) & must_not == set()
    assert sorted(fired) == sorted(must_fire)
    print(f"{len(must_fire)} events fired their rule at once, {len(must_not)} no longer did")


def test_events_wait_for_an_acknowledged_rule_that_cannot_be_read_yet(
    site: MatcherSite, spawn: Spawn, open_transaction: Producer
) -> None:
    matcher = site.start(spawn).wait_ready()
    open_transaction.produce(site.topics.rules, key=b"99", value=b"{}")
    open_transaction.flush(30)
    site.put_rule(1)

    place = site.append_at_once(event())
    line = matcher.wait_log("events wait for the rule table")
    (end,) = site.cluster.end_offsets(site.positions(site.topics.rules)).values()
    assert f"offset {end}" in line
    status, checks = matcher.get("/readyz")
    assert (status, matcher.get("/healthz")[0]) == (503, 200), checks
    assert "events wait for the rule table" in checks
    assert site.fired() == []

    open_transaction.abort_transaction(30)
    site.wait_jobs([place])
    matcher.wait_ready()
    assert site.fired() == [(place, 1)]
