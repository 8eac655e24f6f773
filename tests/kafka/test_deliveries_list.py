"""`tocsin deliveries list` and `release` against a broker."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from processor.jobs import JobHeaders
from processor.rules.releases import read_releases
from tests.support.brokers import Broker
from tests.support.commands import Commands
from tests.support.deliveries import audit_value
from tests.support.installation import Installation, Job, now_ms
from tests.support.processes import Spawn
from tests.support.records import Record, produce, read_all
from tests.support.topics import grow_topic
from tests.support.waiting import wait_until

HOUR = 3_600_000


class Site(Installation):
    """An installation whose audit trail is written by hand."""

    def audited(self, job: Job, attempt: int, outcome: str, hours_ago: float = 0, **more: Any) -> None:
        at = now_ms() - int(hours_ago * HOUR)
        rule = JobHeaders.decode(job.record.headers).rule_id
        fields = {"started_at_ms": at, "rule_name": f"rule-{rule}", **more}
        value = audit_value(JobHeaders.decode(job.record.headers), attempt, outcome, **fields)
        record = Record(value, job.id.encode(), timestamp_ms=at)
        produce(self.bootstrap, self.topics.deliveries, [record])


@pytest.fixture
def site(broker: Broker, prefix: str) -> Iterator[Site]:
    with Site(broker.bootstrap, prefix, topics={"partitions": 3}) as site:
        yield site


@pytest.fixture
def deliveries(site: Site, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Commands:
    return Commands("deliveries", site.settings(), capsys, tmp_path)


def seen(records: list[dict[str, Any]]) -> list[tuple[str, int, str]]:
    return [(record["job_id"], record["attempt"], record["outcome"]) for record in records]


def test_records_are_listed_newest_last_and_filtered(site: Site, deliveries: Commands) -> None:
    a, b, c = site.job(7), site.job(8), site.job(7)
    site.audited(a, 1, "failed", 30)
    site.audited(b, 1, "failed", 3)
    site.audited(a, 2, "delivered", 2)
    site.audited(c, 1, "deferred", 1, error="paused")

    def listed(*arguments: str) -> list[tuple[str, int, str]]:
        return seen(deliveries.json("list", *arguments))

    first, second, third, fourth = (
        (a.id, 1, "failed"),
        (b.id, 1, "failed"),
        (a.id, 2, "delivered"),
        (c.id, 1, "deferred"),
    )
    assert listed() == [second, third, fourth]
    assert listed("--since", "2d") == [first, second, third, fourth]
    assert listed("--since", "90m") == [fourth]
    assert listed("--job", a.id) == [first, third]
    assert listed("--job", a.id, "--since", "5h") == [third]
    assert listed("--rule", "8") == [second]
    assert listed("--rule", "rule-7", "--since", "2d") == [first, third, fourth]
    assert listed("--outcome", "failed", "--outcome", "deferred") == [second, fourth]
    assert listed("--rule", "9") == []
    assert listed("--limit", "2") == [third, fourth]
    assert [warning["records"] for warning in deliveries.warnings()] == [1]
    assert listed("--limit", "0", "--since", "2d") == [first, second, third, fourth]


def test_a_record_is_whole_in_json_and_readable_in_the_table(site: Site, deliveries: Commands) -> None:
    job = site.job(7)
    site.audited(job, 2, "failed", status=503, error="HTTP 503\x1b[2J", next_attempt_at_ms=1_795_428_000_000)

    (record,) = deliveries.json("list")
    assert record == json.loads(read_all(site.bootstrap, site.topics.deliveries)[0].value or b"")

    head, line = deliveries.run("list").splitlines()
    assert head.split()[:5] == ["TIME", "JOB", "ID", "RULE", "ATTEMPT"]
    assert f"  {job.id}  rule-7  2        failed" in line
    assert "2026-11-23T10:00:00Z" in line
    assert line.endswith("HTTP 503\\x1b[2J")


def test_bad_records_cost_a_warning_each_and_not_the_command(site: Site, deliveries: Commands) -> None:
    job = site.job(7)
    topic = site.topics.deliveries
    newer = Record(b"{}", b"k", [("tocsin-format", b"2")])
    produce(site.bootstrap, topic, [Record(b"garbage", b"x"), None, newer])
    site.audited(job, 1, "delivered")

    assert seen(deliveries.json("list")) == [(job.id, 1, "delivered")]
    warnings = deliveries.warnings()
    assert {w["message"] for w in warnings} == {"an audit record can't be read"}
    assert len(warnings) == 3
    assert all(w["at"].startswith(topic) and w["reason"] for w in warnings)


def test_following_goes_on_with_what_comes_also_in_new_partitions(site: Site, spawn: Spawn) -> None:
    old, new, other = site.job(7), site.job(7), site.job(8)
    site.audited(old, 1, "failed", 1)
    process = spawn(
        *("deliveries", "list", "--follow", "-o", "json", "--rule", "7"), settings=site.settings()
    )

    def lines() -> list[tuple[str, int, str]]:
        return seen([json.loads(line) for line in process.output().splitlines()])

    wait_until(lambda: len(lines()) == 1, 60, process.log)
    site.audited(other, 1, "delivered")
    site.audited(new, 1, "delivered")
    wait_until(lambda: len(lines()) == 2, 30, process.log)
    grow_topic(site.bootstrap, site.topics.deliveries, 4)
    value = audit_value(JobHeaders.decode(new.record.headers), 2, "failed")
    produce(site.bootstrap, site.topics.deliveries, [Record(value, new.id.encode(), partition=3)])
    wait_until(lambda: len(lines()) == 3, 60, process.log)

    assert lines() == [(old.id, 1, "failed"), (new.id, 1, "delivered"), (new.id, 2, "failed")]
    process.interrupt()
    assert process.wait() == 0


def test_a_missing_topic_is_named(
    broker: Broker, prefix: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    settings = {"kafka": {"bootstrap_servers": broker.bootstrap}, "topics": {"prefix": prefix}}
    deliveries = Commands("deliveries", settings, capsys, tmp_path)
    deliveries.run("list", expect=1)
    assert (
        deliveries.err == f"tocsin: topic {prefix}webhook-deliveries is missing: run `tocsin topics apply`\n"
    )


def test_a_release_is_in_the_rule_table_when_the_command_ends(site: Site, deliveries: Commands) -> None:
    site.put_rule(7, "https://hooks.example.com/x")
    before = now_ms()

    (released,) = deliveries.json("release", "--rule", "rule-7")
    assert (released["action"], released["what"]) == ("released", "rule 7")
    deliveries.run("release", "--destination", "https://Hooks.example.com:443/secret/path")
    assert "secret" not in deliveries.out

    record = [r for r in read_all(site.bootstrap, site.topics.rules) if r.key == b"_release"][-1]
    releases = read_releases(record.value, record.headers)
    assert set(releases.rules) == {7}
    assert set(releases.destinations) == {"https://hooks.example.com"}
    assert before <= releases.rules[7] <= releases.destinations["https://hooks.example.com"] <= now_ms()
    assert json.loads(record.value or b"") == {
        "rules": {"7": releases.rules[7]},
        "destinations": dict(releases.destinations),
    }
    deliveries.run("release", "--rule", "nobody", expect=1)
    assert deliveries.err == "tocsin: there is no rule 'nobody'\n"
