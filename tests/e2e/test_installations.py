"""Installations side by side, and topics that change under a running matcher."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.brokers import Broker
from tests.support.matching import MatcherSite, event, expected_job_id
from tests.support.processes import Spawn, run_tocsin
from tests.support.records import Record
from tests.support.topics import create_topic, delete_topic, grow_topic


@pytest.fixture
def site(broker: Broker, prefix: str) -> Iterator[MatcherSite]:
    with MatcherSite(broker.bootstrap, prefix, partitions=2) as site:
        yield site


def test_two_prefixes_on_one_cluster_do_not_touch_each_other(
    broker: Broker, prefix: str, spawn: Spawn
) -> None:
    """Both read the same event topic; each has its own rules, groups and jobs."""
    shared: dict[str, Any] = {"event_topics": [f"{prefix}one.event-log"]}
    with (
        MatcherSite(broker.bootstrap, f"{prefix}one.") as one,
        MatcherSite(broker.bootstrap, f"{prefix}two.", matcher=shared) as two,
    ):
        one.put_rule(1)
        two.put_rule(2)
        for matcher in [one.start(spawn), two.start(spawn, **shared)]:
            matcher.wait_ready()
        places = [one.append_at_once(event()) for _ in range(20)]
        one.wait_jobs(places)
        two.wait_jobs(places)
        one.delete_rule(1)
        last = one.append_at_once(event())
        two.wait_jobs([last])

        assert sorted(one.fired()) == [(place, 1) for place in places]
        assert sorted(two.fired()) == [(place, 2) for place in [*places, last]]


@pytest.mark.real_kafka
def test_events_of_an_added_partition_are_all_matched(site: MatcherSite, spawn: Spawn) -> None:
    """Those as well that were appended before any matcher knew of the partition."""
    site.put_rule(1)
    site.start(spawn, start_from="latest").wait_ready()
    site.wait_jobs([site.append_at_once(Record(event(), partition=0))])

    grow_topic(site.bootstrap, site.event_topic, 3)
    places = site.append([Record(event(), partition=2) for _ in range(50)])
    site.wait_jobs(places)
    assert len(site.fired()) == 51


@pytest.mark.real_kafka
def test_a_rule_topic_that_was_made_again_is_read_anew_while_events_wait(
    site: MatcherSite, spawn: Spawn
) -> None:
    site.put_rule(1)
    site.put_rule(2)
    matcher = site.start(spawn).wait_ready()
    site.wait_jobs([site.append_at_once(event())])

    delete_topic(site.bootstrap, site.topics.rules)
    create_topic(site.bootstrap, site.topics.rules, 1, {"cleanup.policy": "compact"})
    site.put_rule(3)
    matcher.wait_log("table is read again from its start")
    place = site.append_at_once(event())
    site.wait_jobs([place])
    assert {(p, rule) for p, rule in site.fired() if p == place} == {(place, 3)}


@pytest.mark.real_kafka
def test_an_event_topic_that_was_made_again_is_read_from_its_start(site: MatcherSite, spawn: Spawn) -> None:
    site.put_rule(1)
    matcher = site.start(spawn).wait_ready()
    old = site.topic_id()
    first = site.append([event() for _ in range(30)])
    site.wait_jobs(first)

    delete_topic(site.bootstrap, site.event_topic)
    create_topic(site.bootstrap, site.event_topic, 2)
    matcher.wait_log("leaving the group|topic was made again")
    again = site.append([event() for _ in range(40)])
    site.wait_for(lambda: len(site.jobs()) >= 70, 40, "70 jobs")
    site.wait_drained()
    ids = {
        expected_job_id(topic_id, place, 1)
        for topic_id, places in ((old, first), (site.topic_id(), again))
        for place in places
    }
    assert {job.header("tocsin-job-id") for job in site.jobs()} == ids
    assert len(site.jobs()) == 70


@pytest.mark.parametrize("start_from", ["latest", "earliest", "time"])
def test_a_new_group_begins_where_the_settings_say(site: MatcherSite, spawn: Spawn, start_from: str) -> None:
    site.put_rule(1)
    # An hour ago: the broker deletes what is older than the topic's retention at any moment.
    moment = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    ms = int(moment.timestamp() * 1000)
    before = site.append([Record(event(), partition=n, timestamp_ms=ms - 1_000) for n in (0, 1)])
    since = site.append([Record(event(), partition=n, timestamp_ms=ms) for n in (0, 1)])
    setting = moment.isoformat() if start_from == "time" else start_from
    site.start(spawn, start_from=setting).wait_ready()
    after = site.append([Record(event(), partition=n) for n in (0, 1)])

    expected = {"latest": after, "earliest": [*before, *since, *after], "time": [*since, *after]}[start_from]
    site.wait_jobs(expected)
    site.wait_drained()
    assert sorted(place for place, _ in site.fired()) == sorted(expected)


def test_several_event_topics_are_read_by_one_matcher(broker: Broker, prefix: str, spawn: Spawn) -> None:
    with MatcherSite(broker.bootstrap, prefix, event_topics=("a", "b")) as site:
        site.put_rule(1)
        site.start(spawn).wait_ready()
        places = [site.append_at_once(event(), topic) for topic in site.event_topics]
        site.wait_jobs(places)
        assert sorted(place for place, _ in site.fired()) == sorted(places)


def test_at_least_once_is_a_choice(site: MatcherSite, spawn: Spawn) -> None:
    site.put_rule(1)
    matcher = site.start(spawn, guarantee="at_least_once").wait_ready()
    places = site.append([event() for _ in range(200)])
    site.wait_jobs(places)
    site.wait_drained()
    assert matcher.stop() == 0
    assert sorted(place for place, _ in site.fired()) == sorted(places)


@pytest.mark.parametrize("wrong", ["missing", "not compacted"])
def test_unfit_topics_end_the_matcher_with_the_command_that_mends_them(
    broker: Broker, prefix: str, site: MatcherSite, spawn: Spawn, wrong: str, tmp_path: Any
) -> None:
    delete_topic(site.bootstrap, site.topics.rules)
    if wrong == "not compacted":
        kept = {"delete.retention.ms": "604800000", "max.compaction.lag.ms": "604800000"}
        create_topic(site.bootstrap, site.topics.rules, 1, {"cleanup.policy": "delete", **kept})
    matcher = site.start(spawn)
    assert matcher.wait() == 1
    (line,) = [line for line in matcher.log().splitlines() if site.topics.rules in line]
    assert "tocsin topics apply" in line
    assert "Traceback" not in matcher.log()

    code, _, log = run_tocsin("topics", "apply", directory=tmp_path, settings=site.settings())
    assert code == 0, log
    site.start(spawn).wait_ready()
