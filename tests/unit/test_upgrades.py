"""Records of earlier versions are read as they were meant, and those of a newer one are refused and said."""

import json
from pathlib import Path

import pytest

from processor.delivery.dead import DeadLetters, Selection
from processor.delivery.trail import TrailError, read_audit
from processor.delivery.unfinished import unfinished
from processor.delivery.watermark import Watermark
from processor.jobs import JobHeaders, NewerFormat
from processor.kafka.errors import FatalKafkaError
from processor.kafka.records import Commit, Position
from processor.kafka.starting import metadata_for, split_metadata
from processor.rules import KeyRing, RuleTable
from processor.rules.codec import InvalidRule, read_record, to_record
from processor.rules.releases import read_releases
from processor.rules.values import Secret
from processor.scanning.codec import read_record as read_scan_rule
from processor.scanning.report import decode as read_report
from tests.support.earlier_records import FILES, Earlier
from tests.support.rules import KEY
from tests.support.written_records import PLAIN_RULE, SECRET, rules

NEWER = (("tocsin-format", b"2"),)
SAID = "written by a newer version of Tocsin (format 2, this one knows 1): upgrade"


@pytest.fixture(params=FILES, ids=[file.stem for file in FILES])
def earlier(request: pytest.FixtureRequest) -> Earlier:
    file: Path = request.param
    return Earlier(file)


def table_of(earlier: Earlier) -> RuleTable:
    table = RuleTable()
    for record in earlier.records("trigger-rules"):
        table.apply(record.key, record.value, record.headers, record.offset)
    return table


def test_there_is_a_file_of_each_earlier_version() -> None:
    assert [file.name for file in FILES] == ["records_0_1.json"]


def test_rules_are_valid_and_say_what_they_said(earlier: Earlier) -> None:
    snapshot = table_of(earlier).snapshot()
    assert snapshot.invalid == {}
    wanted = {rule["name"]: rule for rule in rules() if rule["name"] != "gone"}
    assert {rule.name for rule in snapshot.rules.values()} == {*wanted, "plain"}
    assert snapshot.next_id == 101
    good = snapshot.rules[1]
    assert (good.uid, good.set, good.labels) == (good.uid, "fixture", {"team": "shop"})
    assert len(good.uid) == 26
    assert list(good.filter_severity) == ["error", "fatal"]
    assert good.filter_message_regex == wanted["good"]["filter_message_regex"]
    assert good.delivery.max_attempts == 4
    assert snapshot.rules[5].paused
    assert snapshot.rules[6].muted_until is not None
    plain = snapshot.rules[100]
    assert list(plain.filter_severity) == ["warn", "error"], "the string of the application before"
    assert plain.action_target == PLAIN_RULE["action_target"]
    assert snapshot.unsealed.keys() == {100}


def test_sealed_secrets_open_with_the_key_of_then(earlier: Earlier) -> None:
    good = table_of(earlier).snapshot().rules[1]
    secret = good.action_secret
    assert isinstance(secret, Secret)
    assert secret.secret.startswith("sealed:k1:")
    assert KeyRing.parse([KEY]).open(secret.secret, good.id) == SECRET


def test_rules_written_anew_are_what_they_were(earlier: Earlier) -> None:
    for record in earlier.records("trigger-rules"):
        if record.value is None or record.key in {b"_table", b"_release", b"100"}:
            continue
        rule = read_record(record.key, record.value, record.headers, record.offset)
        assert not isinstance(rule, InvalidRule)
        assert json.loads(to_record(rule)) == json.loads(record.value)


def test_releases_hold(earlier: Earlier) -> None:
    (record,) = [one for one in earlier.records("trigger-rules") if one.key == b"_release"]
    assert list(read_releases(record.value, record.headers).destinations) == ["https://released.example.com"]


def test_jobs_are_read_and_written_back_as_they_were(earlier: Earlier) -> None:
    jobs = [*earlier.records("webhook-jobs"), *earlier.records("webhook-jobs.retry.5s")]
    assert len(jobs) > 10
    seen: set[str] = set()
    for record in jobs:
        job = JobHeaders.decode(record.headers)
        assert job.encode() == list(record.headers)
        assert job.others == ()
        seen |= {name for name, _ in record.headers}
    assert {"tocsin-deferrals", "tocsin-first-attempt", "tocsin-redelivered", "traceparent"} <= seen


def test_deaths_and_what_was_put_back_are_known(earlier: Earlier) -> None:
    letters = DeadLetters(Selection())
    for record in earlier.records("webhook-jobs.dead"):
        where = Position(record.topic, record.partition)
        letters.take(where, record.offset, record.headers, empty=record.value is None)
    assert letters.unusable == {}
    ((job_id, last),) = letters.latest().items()
    assert (last.attempt, last.reason, last.redelivered) == (2, "gone", 1)
    assert letters.times_put_back(job_id) == 1
    assert not letters.is_put_back(job_id, last), "it died again behind its marker"


def test_the_audit_trail_is_read(earlier: Earlier) -> None:
    found = [read_audit(one.value, one.headers) for one in earlier.records("webhook-deliveries")]
    assert {one.outcome for one in found} == {"delivered", "failed", "dead", "cancelled", "deferred"}
    assert {one.rule_name for one in found} >= {"good", "failing", "dying", "paused", "muted"}


def test_unreadable_events_are_where_they_came_from(earlier: Earlier) -> None:
    events = {one.offset: one.value for one in earlier.records("event-log")}
    for record in earlier.records("events.dead"):
        assert record.value == events[int(record.header("tocsin-event-offset") or "")]
        assert record.header("tocsin-reason") in {"not_json", "null"}


def test_commits_say_what_was_finished_above_them(earlier: Earlier) -> None:
    commits = {(group, place.topic): commit for group, place, commit in earlier.commits()}
    commit = commits["tocsin.sender", "tocsin.webhook-jobs"]
    records = earlier.records("webhook-jobs")
    hanging, finished, unseen = [one for one in records if one.offset >= commit.next_offset]
    watermark = Watermark.restore(commit.next_offset, split_metadata(commit.metadata)[1])
    assert [watermark.take(one.offset) for one in (hanging, finished, unseen)] == [True, False, True]
    topic_id, rest = split_metadata(commit.metadata)
    assert metadata_for(topic_id or "", rest) == commit.metadata
    assert split_metadata(commits["tocsin.matcher", "tocsin.event-log"].metadata)[1] == ""


def test_a_newer_rule_is_invalid_and_says_why() -> None:
    table = RuleTable()
    table.apply(b"7", b"{}", NEWER, 0)
    table.apply(b"_table", b"{}", NEWER, 1)
    snapshot = table.snapshot()
    assert snapshot.rules == {}
    assert snapshot.invalid[b"7"].reason == SAID
    assert snapshot.invalid[b"7"].newer
    assert read_releases(b"{}", NEWER).newer == SAID
    assert read_report(b"{}", NEWER) is None
    scan_rule = read_scan_rule(b"7", b"{}", NEWER, 0)
    assert isinstance(scan_rule, InvalidRule)
    assert scan_rule.reason == SAID


def test_a_newer_job_audit_record_or_commit_is_refused_and_says_why(earlier: Earlier) -> None:
    job = earlier.records("webhook-jobs")[0]
    with pytest.raises(NewerFormat, match="2"):
        JobHeaders.decode([*job.headers, *NEWER])
    letters = DeadLetters(Selection())
    letters.take(Position("dead", 0), 0, [*job.headers, *NEWER], empty=False)
    assert len(letters.unusable) == 1
    with pytest.raises(TrailError, match="upgrade"):
        read_audit(b"{}", NEWER)
    for metadata in ("2;an-id;BD", "2;{}", "99999999999;x"):
        with pytest.raises(FatalKafkaError, match=r"committed by a newer version of Tocsin.*: upgrade"):
            split_metadata(metadata)
        with pytest.raises(FatalKafkaError):
            unfinished(Position("jobs", 0), "an-id", Commit(7, metadata), 0, 9)


def test_only_numbers_are_formats() -> None:
    for metadata in ("", "anything", "two;an-id;", ";;", "1", "²;an-id;x"):
        assert split_metadata(metadata) == (None, "")
