"""Writing rules from several places, and through failures: nothing lost, nothing twice, no id used again."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest

from processor.kafka.errors import TransactionAborted, TransactionUncertain
from processor.kafka.transaction import TransactionalProducer
from processor.rules import (
    Applied,
    Change,
    Create,
    Delete,
    NameTaken,
    RevisionConflict,
    RuleSnapshot,
    RuleStore,
    RuleTooLarge,
    StoreUnavailable,
    Update,
    Writer,
)
from processor.settings import Settings
from tests.support.brokers import Broker, free_port
from tests.support.records import Record, produce, read_all
from tests.support.rules import KEY, draft, record, rules_settings
from tests.support.topics import create_topic

Open = Callable[..., RuleStore]


@pytest.fixture
def settings(broker: Broker, prefix: str) -> Settings:
    """Settings for a rule topic that is there."""
    create_topic(broker.bootstrap, f"{prefix}trigger-rules", 1, {"cleanup.policy": "compact"})
    return rules_settings(broker.bootstrap, prefix, KEY)


@pytest.fixture
def open_store(settings: Settings) -> Iterator[Open]:
    """Opens stores, each with clients of its own."""
    stores: list[RuleStore] = []

    def open_one(limits: tuple[int, int] = (1_000, 1_000_000)) -> RuleStore:
        writer = Writer.of(settings, "tests")
        writer = Writer(writer.keys, writer.by, writer.now, writer.new_uid, limits)
        stores.append(RuleStore(settings, writer, timeout=timedelta(seconds=30)))
        return stores[-1]

    yield open_one
    for store in stores:
        store.close()


def names(store: RuleStore) -> dict[int, str]:
    return {rule_id: rule.name for rule_id, rule in store.read().rules.items()}


def one(applied: Sequence[Applied]) -> Applied:
    (only,) = applied
    return only


def test_a_write_is_answered_with_id_and_revision_and_read_back(open_store: Open, settings: Settings) -> None:
    store, other = open_store(), open_store()

    applied = one(store.apply([Create(draft("a", action_secret="plain"))]))

    assert (applied.action, applied.id, applied.name) == ("created", 1, "a")
    for reader in (store, other):
        snapshot = reader.read()
        assert snapshot.rules[1].name == "a"
        assert snapshot.offsets[1] == applied.offset
        assert (snapshot.next_id, dict(snapshot.unsealed), len(snapshot.rules[1].uid)) == (2, {}, 26)


def test_rule_next_id_and_write_id_are_one_transaction(
    open_store: Open, settings: Settings, broker: Broker
) -> None:
    open_store().apply([Create(draft("a")), Create(draft("b"))])

    records = read_all(broker.bootstrap, settings.topics.rules)

    assert [(r.key, r.value and r.value[:12]) for r in records] == [
        (b"_table", b'{"next_id":3'),
        (b"1", b'{"id":1,"uid'),
        (b"2", b'{"id":2,"uid'),
    ]
    assert len({r.header("write-id") for r in records}) == 1


@pytest.mark.real_kafka
def test_three_writers_at_once_lose_nothing_and_share_no_id(open_store: Open) -> None:
    applied: list[Applied] = []
    failures: list[Exception] = []

    def write(store: RuleStore, number: int) -> None:
        try:
            for count in range(100):
                applied.append(one(store.apply([Create(draft(f"{number}-{count}"))])))  # noqa: PERF401
        except Exception as failure:  # noqa: BLE001  (asserted to be none)
            failures.append(failure)

    writers = [threading.Thread(target=write, args=(open_store(), number)) for number in range(3)]
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join(120)

    assert not failures
    assert not any(thread.is_alive() for thread in writers)
    assert len({one.id for one in applied}) == 300
    assert len({one.offset for one in applied}) == 300
    snapshot = open_store().read()
    assert {rule_id: rule.name for rule_id, rule in snapshot.rules.items()} == {
        one.id: one.name for one in applied
    }
    assert snapshot.offsets == {one.id: one.offset for one in applied}


@pytest.mark.real_kafka
def test_a_fenced_writer_decides_again_on_what_the_other_wrote_without_alarm(
    open_store: Open, caplog: pytest.LogCaptureFixture
) -> None:
    mine, other = open_store(), open_store()
    mine.apply([Create(draft("first"))])
    seen: list[list[str]] = []

    def plan(snapshot: RuleSnapshot) -> Sequence[Change]:
        seen.append([rule.name for rule in snapshot.rules.values()])
        if len(seen) == 1:
            other.apply([Create(draft("between"))])
        return [Create(draft("last"))]

    applied = one(mine.transact(plan))

    assert seen == [["first"], ["first", "between"]]
    assert applied.id == 3
    assert names(other) == {1: "first", 2: "between", 3: "last"}
    assert not [entry for entry in caplog.records if entry.levelno >= logging.WARNING]


@pytest.mark.real_kafka
def test_an_expectation_fails_when_the_other_was_quicker(open_store: Open) -> None:
    mine, other = open_store(), open_store()
    revision = one(mine.apply([Create(draft("a"))])).offset
    other.apply([Update(1, draft("a", description="theirs"))])

    with pytest.raises(RevisionConflict):
        mine.apply([Update(1, draft("a", description="mine"), expect=revision)])

    assert mine.read().rules[1].description == "theirs"
    assert one(mine.apply([Update(1, draft("a"), expect=mine.read().offsets[1])])).action == "updated"


class _Unreliable:
    """Stands in for TransactionalProducer.write: the first call fails in a given way, later ones work."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, failure: Exception, *, written: bool) -> None:
        self.calls = 0
        real = TransactionalProducer.write

        def write(producer: TransactionalProducer, *arguments: Any, **options: Any) -> None:
            self.calls += 1
            if self.calls > 1:
                real(producer, *arguments, **options)
                return
            if written:
                real(producer, *arguments, **options)
            raise failure

        monkeypatch.setattr(TransactionalProducer, "write", write)


def test_a_write_whose_answer_was_lost_is_found_and_not_made_twice(
    open_store: Open, monkeypatch: pytest.MonkeyPatch, settings: Settings, broker: Broker
) -> None:
    unreliable = _Unreliable(monkeypatch, TransactionUncertain("the answer was lost"), written=True)
    store = open_store()

    applied = one(store.apply([Create(draft("a"))]))

    assert unreliable.calls == 1
    assert (applied.id, store.read().offsets[1]) == (1, applied.offset)
    assert [r.key for r in read_all(broker.bootstrap, settings.topics.rules)] == [b"_table", b"1"]


@pytest.mark.parametrize("failure", [TransactionUncertain("no answer"), TransactionAborted("for a reason")])
def test_a_write_that_did_not_happen_is_made_again(
    open_store: Open,
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
    broker: Broker,
    failure: Exception,
) -> None:
    unreliable = _Unreliable(monkeypatch, failure, written=False)
    store = open_store()

    assert one(store.apply([Create(draft("a"))])).id == 1

    assert unreliable.calls == 2
    assert [r.key for r in read_all(broker.bootstrap, settings.topics.rules)] == [b"_table", b"1"]


def test_no_id_is_used_again_after_delete_and_restart(open_store: Open) -> None:
    first = open_store()
    first.apply([Create(draft("a")), Create(draft("b"))])
    first.apply([Delete(b"2")])
    first.close()

    second = open_store()

    assert one(second.apply([Create(draft("c"))])).id == 3
    assert names(second) == {1: "a", 3: "c"}


def test_plain_producers_are_served_beside_the_store(
    open_store: Open, settings: Settings, broker: Broker
) -> None:
    store = open_store()
    store.apply([Create(draft("a"))])
    produce(
        broker.bootstrap,
        settings.topics.rules,
        [
            Record(record("plain", action_secret="open"), b"40"),
            Record(b"broken", b"7"),
            Record(record(), b"x"),
        ],
    )

    snapshot = store.read()

    assert {rule_id: rule.uid == "" for rule_id, rule in snapshot.rules.items()} == {1: False, 40: True}
    assert snapshot.unsealed == {40: ("action_secret",)}
    assert set(snapshot.invalid) == {b"7", b"x"}
    with pytest.raises(NameTaken):
        store.apply([Create(draft("plain"))])
    assert one(store.apply([Create(draft("b"))])).id == 41
    applied = store.apply([Delete(b"7"), Delete(b"x"), Update(40, draft("plain", action_secret="***"))])
    assert [(done.action, done.id) for done in applied] == [
        ("deleted", 7),
        ("deleted", None),
        ("updated", 40),
    ]
    assert not store.read().invalid
    assert not store.read().unsealed


def test_a_large_write_comes_in_several_transactions_and_is_whole_in_the_end(
    open_store: Open, settings: Settings, broker: Broker
) -> None:
    store = open_store(limits=(10, 1_000_000))

    applied = store.apply([Create(draft(f"r{number}")) for number in range(35)])

    assert [done.id for done in applied] == list(range(1, 36))
    assert len({done.offset for done in applied}) == 35
    writes = {record.header("write-id") for record in read_all(broker.bootstrap, settings.topics.rules)}
    assert len(writes) == 4


def test_a_plan_for_a_large_write_is_asked_for_the_rest_after_each_transaction(open_store: Open) -> None:
    store = open_store(limits=(10, 1_000_000))
    asked: list[int] = []

    def plan(snapshot: RuleSnapshot) -> Sequence[Change]:
        rest = [Create(draft(f"r{number}")) for number in range(25) if f"r{number}" not in snapshot.by_name]
        asked.append(len(rest))
        return rest

    assert len(store.transact(plan)) == 25
    assert asked == [25, 15, 5]


def test_of_a_write_that_is_refused_nothing_is_written(open_store: Open) -> None:
    store = open_store()
    store.apply([Create(draft("a"))])

    with pytest.raises(NameTaken):
        store.apply([Create(draft("b")), Create(draft("a"))])

    assert names(store) == {1: "a"}
    assert one(store.apply([Create(draft("b"))])).id == 2


def test_a_rule_too_large_for_the_topic_is_named_and_the_store_goes_on(broker: Broker, prefix: str) -> None:
    create_topic(
        broker.bootstrap,
        f"{prefix}trigger-rules",
        1,
        {"cleanup.policy": "compact", "max.message.bytes": "2000"},
    )
    settings = rules_settings(broker.bootstrap, prefix)
    with RuleStore(settings, Writer.of(settings, "tests"), timeout=timedelta(seconds=30)) as store:
        with pytest.raises(RuleTooLarge, match=r"rule 'large' is larger than .*trigger-rules takes"):
            store.apply([Create(draft("small")), Create(draft("large", description="x" * 3_000))])

        assert names(store) == {}
        store.apply([Create(draft("small"))])
        assert names(store) == {1: "small"}


def test_several_threads_share_one_store(open_store: Open) -> None:
    store = open_store()
    threads = [
        threading.Thread(target=store.apply, args=([Create(draft(f"r{number}"))],)) for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert sorted(names(store).values()) == [f"r{number}" for number in range(8)]


def test_a_missing_topic_is_said_at_once_with_the_remedy(broker: Broker, prefix: str) -> None:
    settings = rules_settings(broker.bootstrap, prefix)

    for use in (RuleStore.read, lambda store: store.apply([Create(draft("a"))])):
        with (
            RuleStore(settings, Writer.of(settings, "tests")) as store,
            pytest.raises(StoreUnavailable, match="is missing: run `tocsin topics apply`"),
        ):
            use(store)


def test_a_topic_that_would_lose_rules_is_not_written_to(broker: Broker, prefix: str) -> None:
    create_topic(broker.bootstrap, f"{prefix}trigger-rules", 1, {"cleanup.policy": "delete"})
    settings = rules_settings(broker.bootstrap, prefix)

    with (
        RuleStore(settings, Writer.of(settings, "tests")) as store,
        pytest.raises(StoreUnavailable, match=r"cleanup\.policy is delete: run `tocsin topics apply`"),
    ):
        store.apply([Create(draft("a"))])


def test_without_a_broker_it_says_so_when_the_time_is_over() -> None:
    settings = rules_settings(f"127.0.0.1:{free_port()}", "nobody.")

    for use in (RuleStore.read, lambda store: store.apply([Create(draft("a"))])):
        with (
            RuleStore(settings, Writer.of(settings, "tests"), timeout=timedelta(seconds=1)) as store,
            pytest.raises(StoreUnavailable, match="no broker answered in time"),
        ):
            use(store)


def test_a_kept_store_works_again_after_a_broker_restart(own_broker: Broker, prefix: str) -> None:
    create_topic(own_broker.bootstrap, f"{prefix}trigger-rules", 1, {"cleanup.policy": "compact"})
    settings = rules_settings(own_broker.bootstrap, prefix)
    with RuleStore(settings, Writer.of(settings, "tests"), timeout=timedelta(seconds=60)) as store:
        store.apply([Create(draft("before"))])

        own_broker.restart()

        assert one(store.apply([Create(draft("after"))])).id == 2
        assert names(store) == {1: "before", 2: "after"}
