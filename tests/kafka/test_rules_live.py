"""The live table: what a role sees of the rule topic while it is written to."""

import logging
from collections.abc import Iterator

import pytest
from prometheus_client import Gauge

from processor.observability.metrics import Metrics
from processor.rules import Change, Create, Delete, LiveRules, RuleStore, Update, Writer
from processor.settings import Settings
from tests.support.brokers import Broker
from tests.support.records import Record, produce
from tests.support.rules import KEY, draft, record, rules_settings
from tests.support.topics import create_topic, delete_topic
from tests.support.waiting import wait_until


@pytest.fixture
def settings(broker: Broker, prefix: str) -> Settings:
    create_topic(broker.bootstrap, f"{prefix}trigger-rules", 1, {"cleanup.policy": "compact"})
    return rules_settings(broker.bootstrap, prefix, KEY)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics("0")


@pytest.fixture
def live(settings: Settings, metrics: Metrics) -> Iterator[LiveRules]:
    rules = LiveRules(settings, "tests", metrics)
    yield rules
    rules.stop()


def write(broker: Broker, settings: Settings, *records: tuple[bytes, bytes | None]) -> int:
    """As a plain producer; the offset behind the last one."""
    places = produce(broker.bootstrap, settings.topics.rules, [Record(value, key) for key, value in records])
    return places[-1][1] + 1


def sample(gauge: Gauge) -> float:
    (family,) = gauge.collect()
    return float(family.samples[0].value)


def invalid_lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str, int]]:
    """(message, rule, offset) of what the table reported."""
    found = [
        getattr(r, "fields", {}) | {"message": r.message} for r in caplog.records if r.name.endswith("live")
    ]
    return [(fields["message"], fields["rule"], fields["offset"]) for fields in found]


def test_before_it_has_read_to_the_end_the_table_is_not_whole(live: LiveRules) -> None:
    assert live.applied() is None
    assert live.state()[2] is not None
    assert not live.wait_applied(0, 0.0)


def test_a_write_that_was_acknowledged_is_there_as_soon_as_its_offset_is(
    live: LiveRules, settings: Settings
) -> None:
    live.start()
    with RuleStore(settings, Writer.of(settings, "tests")) as store:
        steps: list[tuple[Change, dict[int, str]]] = [
            (Create(draft("a")), {1: "a"}),
            (Create(draft("b")), {1: "a", 2: "b"}),
            (Update(1, draft("c")), {1: "c", 2: "b"}),
            (Delete(b"2"), {1: "c"}),
        ]
        end = 0
        for change, expected in steps:
            offset = store.apply([change])[0].offset
            assert offset is not None
            end = offset + 1
            assert live.wait_applied(end, 10.0)
            assert {rule_id: rule.name for rule_id, rule in live.snapshot().rules.items()} == expected

        wait_until(lambda: (live.applied() or 0) > end, 10.0, "the end is behind the commit marker")


def test_each_invalid_or_unsealed_version_is_logged_once_and_counted(
    live: LiveRules, settings: Settings, broker: Broker, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    end = write(
        broker,
        settings,
        (b"1", b"mended before anybody looked"),
        (b"1", record("a")),
        (b"2", b"broken"),
        (b"3", record("c", action_secret="hunter2-very-secret")),
    )
    live.start()
    assert live.wait_applied(end, 10.0)
    for _ in range(3):
        live.snapshot()
    assert live.applied() is not None

    assert invalid_lines(caplog) == [("invalid rule", "2", 2), ("rule with an unsealed secret", "3", 3)]
    counts = {status: sample(metrics.rules[status]) for status in ("valid", "invalid", "unsealed")}
    assert counts == {"valid": 2, "invalid": 1, "unsealed": 1}

    assert live.wait_applied(write(broker, settings, (b"2", b"still broken")), 10.0)
    live.snapshot()
    assert invalid_lines(caplog)[2:] == [("invalid rule", "2", 4)]
    assert "hunter2" not in caplog.text
    assert sample(metrics.rules_offset) >= 5


@pytest.mark.real_kafka
def test_a_topic_made_again_is_noticed_and_its_old_rules_are_gone(
    live: LiveRules, settings: Settings, broker: Broker
) -> None:
    live.start()
    assert live.wait_applied(write(broker, settings, (b"1", record("old")), (b"2", record("older"))), 10.0)
    old_id = live.state()[0]
    delete_topic(broker.bootstrap, settings.topics.rules)
    create_topic(broker.bootstrap, settings.topics.rules, 1, {"cleanup.policy": "compact"})
    write(broker, settings, (b"3", record("new")))

    live.suspect()

    def seen() -> bool:
        return live.applied() is not None and [r.name for r in live.snapshot().rules.values()] == ["new"]

    wait_until(seen, 30.0, lambda: f"{live.state()} {live.snapshot().rules}")
    assert live.state()[0] != old_id
