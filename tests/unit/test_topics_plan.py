"""What topics must be, and what is done to those that are not."""

from collections.abc import Mapping
from typing import Any

import pytest

from processor.kafka.topics import (
    ENVELOPE,
    EVENT_LIMIT,
    Actual,
    Step,
    missing_event_topics,
    plan,
    wanted_topics,
)
from processor.settings import Settings

DAY = 86_400_000


def settings(**groups: Mapping[str, Any]) -> Settings:
    return Settings.model_validate({"topics": {"prefix": "p.", "partitions": 4}, **groups})


def as_wanted(given: Settings) -> dict[str, Actual]:
    """A cluster in which everything is as it should be."""
    found = {"event-log": Actual("id-of-event-log", 3, {"max.message.bytes": "1000000"})}
    for spec in wanted_topics(given, found):
        found[spec.name] = Actual(f"id-of-{spec.name}", spec.partitions, dict(spec.config))
    return found


def changed(found: dict[str, Actual], name: str, config: Mapping[str, str], partitions: int = 0) -> None:
    old = found[name]
    found[name] = Actual(old.id, partitions or old.partitions, {**old.config, **config})


def steps(given: Settings, found: Mapping[str, Actual]) -> dict[str, Step]:
    return {step.spec.name: step for step in plan(wanted_topics(given, found), found)}


def test_an_empty_cluster_gets_every_topic_of_this_version() -> None:
    given = settings(sender={"retry_schedule": ["1m", "10m", "1m"]})

    made = {step.spec.name: step for step in plan(wanted_topics(given, {}), {})}

    assert all(step.create and step.wrong for step in made.values())
    config = {name: step.spec.config for name, step in made.items()}
    limit = str(EVENT_LIMIT + ENVELOPE)
    job = {
        "cleanup.policy": "delete",
        "retention.ms": str(30 * DAY),
        "retention.bytes": "-1",
        "max.message.bytes": limit,
    }
    retry = {**job, "message.timestamp.type": "LogAppendTime"}
    table = {
        "cleanup.policy": "compact",
        "delete.retention.ms": str(7 * DAY),
        "max.compaction.lag.ms": str(7 * DAY),
    }
    assert config == {
        "p.trigger-rules": table,
        "p.webhook-jobs.retry.5s": retry,
        "p.webhook-jobs.retry.1m": retry,
        "p.webhook-jobs.retry.10m": retry,
        "p.webhook-jobs": job,
        "p.webhook-jobs.dead": {**job, "retention.ms": str(90 * DAY)},
        "p.webhook-deliveries": {
            "cleanup.policy": "delete",
            "retention.ms": str(7 * DAY),
            "retention.bytes": "-1",
        },
        "p.events.dead": job,
        "p.log-scan-rules": table,
        "p.scanner-status": table,
    }
    partitions = {name: step.spec.partitions for name, step in made.items()}
    assert partitions.pop("p.trigger-rules") == 1
    assert partitions.pop("p.events.dead") == 1
    assert partitions.pop("p.log-scan-rules") == 1
    assert partitions.pop("p.scanner-status") == 1
    assert set(partitions.values()) == {4}


def test_the_wanted_topics_are_those_that_the_settings_count_as_outputs() -> None:
    given = settings()

    assert {spec.name for spec in wanted_topics(given, {})} == set(given.output_topics)


def test_nothing_is_done_to_topics_as_they_should_be() -> None:
    given = settings()

    for step in steps(given, as_wanted(given)).values():
        assert not step.wrong
        assert (step.create, step.findings, step.partitions, step.config) == (False, (), None, None)


def test_retry_topics_are_made_and_grown_before_the_job_topic() -> None:
    order = [spec.name for spec in wanted_topics(settings(), {})]

    assert order.index("p.webhook-jobs") > max(i for i, name in enumerate(order) if ".retry." in name)


@pytest.mark.parametrize(
    ("topic", "config", "repair"),
    [
        ("p.trigger-rules", {"cleanup.policy": "delete"}, {"cleanup.policy": "compact"}),
        ("p.trigger-rules", {"cleanup.policy": "compact,delete"}, {"cleanup.policy": "compact"}),
        ("p.webhook-jobs", {"cleanup.policy": "compact"}, {"cleanup.policy": "delete"}),
        (
            "p.webhook-jobs.retry.5s",
            {"message.timestamp.type": "CreateTime"},
            {"message.timestamp.type": "LogAppendTime"},
        ),
        (
            "p.webhook-jobs.dead",
            {"max.message.bytes": "1048588"},
            {"max.message.bytes": str(EVENT_LIMIT + ENVELOPE)},
        ),
    ],
)
def test_what_a_guarantee_rests_on_is_repaired(
    topic: str, config: dict[str, str], repair: dict[str, str]
) -> None:
    given = settings()
    found = as_wanted(given)
    changed(found, topic, config)

    step = steps(given, found)[topic]

    assert step.config == repair
    assert step.wrong
    assert [finding.remedy for finding in step.findings] == ["apply"]
    assert [name for name, other in steps(given, found).items() if other.wrong] == [topic]


@pytest.mark.parametrize(
    ("topic", "config"),
    [
        ("p.webhook-jobs", {"retention.ms": str(7 * DAY)}),
        ("p.webhook-jobs", {"retention.bytes": "1000000"}),
        ("p.webhook-jobs.retry.1h", {"retention.ms": "1000"}),
        ("p.trigger-rules", {"delete.retention.ms": "60000"}),
        ("p.trigger-rules", {"max.compaction.lag.ms": str(2**63 - 1)}),
    ],
)
def test_what_may_lose_jobs_or_rules_is_reported_and_left_alone(topic: str, config: dict[str, str]) -> None:
    given = settings()
    found = as_wanted(given)
    changed(found, topic, config)

    step = steps(given, found)[topic]

    assert step.wrong
    assert step.config is None
    assert [finding.remedy for finding in step.findings] == ["person"]
    assert str(step.findings[0]).startswith(next(iter(config)))


@pytest.mark.parametrize("topic", ["p.webhook-jobs.dead", "p.webhook-deliveries", "p.events.dead"])
def test_how_long_history_is_kept_is_the_operators_decision(topic: str) -> None:
    given = settings()
    found = as_wanted(given)
    changed(found, topic, {"retention.ms": str(DAY)})

    step = steps(given, found)[topic]

    assert not step.wrong
    assert [str(f) for f in step.findings if f.remedy == "none"]


@pytest.mark.parametrize(
    "config",
    [{"retention.ms": "-1"}, {"retention.ms": str(365 * DAY)}, {"max.message.bytes": "50000000"}],
)
def test_more_than_asked_for_is_fine(config: dict[str, str]) -> None:
    given = settings()
    found = as_wanted(given)
    changed(found, "p.webhook-jobs.dead", config)

    assert not steps(given, found)["p.webhook-jobs.dead"].findings


def test_outputs_take_the_largest_event_with_its_envelope() -> None:
    given = settings(matcher={"event_topics": ["a", "b", "missing"]})
    found = {
        "a": Actual("1", 1, {"max.message.bytes": "5000000"}),
        "b": Actual("2", 1, {"max.message.bytes": "100"}),
    }

    limits = {
        s.name: s.config["max.message.bytes"] for s in wanted_topics(given, found) if s.vital and s.grows
    }

    assert set(limits.values()) == {str(5_000_000 + ENVELOPE)}
    assert len(limits) == 1 + len(given.sender.tiers)


def test_a_job_topic_with_a_larger_limit_raises_where_jobs_go_from_there() -> None:
    given = settings()
    found = as_wanted(given)
    changed(found, "p.webhook-jobs", {"max.message.bytes": "9000000"})

    found_steps = steps(given, found)

    assert found_steps["p.webhook-jobs.retry.5s"].config == {"max.message.bytes": "9000000"}
    assert found_steps["p.webhook-jobs.dead"].config == {"max.message.bytes": "9000000"}
    assert not found_steps["p.events.dead"].wrong


def test_partitions_are_added_but_never_taken_away() -> None:
    found = as_wanted(settings())

    grown = steps(settings(topics={"prefix": "p.", "partitions": 6}), found)
    assert {name: step.partitions for name, step in grown.items()} == {
        "p.trigger-rules": None,
        "p.events.dead": None,
        "p.log-scan-rules": None,
        "p.scanner-status": None,
        **{name: 6 for name in grown if "webhook" in name},
    }

    shrunk = steps(settings(topics={"prefix": "p.", "partitions": 2}), found)
    assert not any(step.wrong or step.partitions for step in shrunk.values())
    assert "never taken away" in str(shrunk["p.webhook-deliveries"].findings[0])


def test_jobs_and_retries_all_get_the_largest_number_of_partitions_among_them() -> None:
    given = settings()
    found = as_wanted(given)
    changed(found, "p.webhook-jobs", {}, partitions=9)

    found_steps = steps(given, found)

    assert {step.partitions for name, step in found_steps.items() if ".retry." in name} == {9}
    assert found_steps["p.webhook-jobs"].partitions is None
    assert found_steps["p.webhook-deliveries"].partitions is None


def test_a_rule_table_with_several_partitions_is_nothing_that_apply_could_mend() -> None:
    given = settings()
    found = as_wanted(given)
    changed(found, "p.trigger-rules", {}, partitions=3)

    step = steps(given, found)["p.trigger-rules"]

    assert step.wrong
    assert step.partitions is None
    assert [finding.remedy for finding in step.findings] == ["person"]


def test_a_setting_that_the_broker_does_not_know_is_not_wrong() -> None:
    given = settings()
    found = as_wanted(given)
    found["p.trigger-rules"] = Actual("id", 1, {"cleanup.policy": "compact"})

    assert not steps(given, found)["p.trigger-rules"].wrong


def test_event_topics_are_missed_but_never_planned() -> None:
    given = settings(matcher={"event_topics": ["a", "b"]})
    found = {"b": Actual("1", 1, {})}

    assert missing_event_topics(given, found) == ["a"]
    assert not {"a", "b"} & {spec.name for spec in wanted_topics(given, found)}


def test_a_finding_reads_as_a_sentence() -> None:
    given = settings()
    found = as_wanted(given)
    changed(found, "p.webhook-jobs", {"retention.ms": str(7 * DAY)})

    finding = steps(given, found)["p.webhook-jobs"].findings[0]

    assert str(finding) == "retention.ms is 604800000 (7d), should be 2592000000 (30d) or more"
