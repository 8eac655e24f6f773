"""One event in, its jobs or its dead letter out."""

import json

import pytest

from processor.events import EventDecoder, EventFields
from processor.kafka.records import OutRecord, Position
from processor.matching.engine import RuleSet
from processor.matching.judge import Judge, Judgement, Version
from tests.support.fakes import BadlyNamedHeaders, FakeRecord
from tests.support.matching import Place, expected_job_id
from tests.support.rules import record, snapshot_of

NOW_MS = 1_795_000_000_123  # 2026-11-18T11:06:40.123Z
POSITION = Position("event-log", 3)
TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def judge(event: FakeRecord, rules: dict[int, bytes] | None = None, epoch: int = 0) -> Judgement:
    given = rules if rules is not None else {7: record("deploy-failures")}
    version = Version(RuleSet(snapshot_of(given).rules, epoch), "RulesTopicId", 42)
    seen = dict(the_judge().look([event.value()], version.rules))
    if not seen:
        return Judgement([], "unmatched")
    return the_judge().judge(seen[0], event, POSITION, "EventTopicId", version, NOW_MS)


def the_judge() -> Judge:
    return Judge(EventDecoder(EventFields()), "x.webhook-jobs", "x.events.dead")


def job_of(judged: Judgement) -> OutRecord:
    (job,) = judged.records
    return job


def test_headers_of_a_job() -> None:
    uid = "01JDABCDEFGHJKMNPQRSTVWXYZ"
    judged = judge(FakeRecord(at=11), {7: record("deploy-failures", uid=uid)})
    job = job_of(judged)
    job_id = expected_job_id("EventTopicId", Place("event-log", 3, 11), 7, uid)
    assert list(job.headers) == [
        ("tocsin-job-id", job_id.encode()),
        ("tocsin-rule-id", b"7"),
        ("tocsin-rule-uid", uid.encode()),
        ("tocsin-rules-offset", b"42"),
        ("tocsin-rules-topic-id", b"RulesTopicId"),
        ("tocsin-event-topic", b"event-log"),
        ("tocsin-event-partition", b"3"),
        ("tocsin-event-offset", b"11"),
        ("tocsin-matched-at", b"1795000000123"),
        ("tocsin-attempt", b"1"),
        ("tocsin-not-before", b"1795000000123"),
    ]
    alphabet = "abcdefghijklmnopqrstuvwxyz234567"
    assert job.key == f"7/{alphabet.index(job_id[-1]) % 16}".encode()
    assert job.topic == "x.webhook-jobs"


def test_replay_epoch_gives_another_id() -> None:
    place = Place("event-log", 3, 11)
    for epoch in (0, 1):
        headers = dict(job_of(judge(FakeRecord(at=11), epoch=epoch)).headers)
        assert headers["tocsin-job-id"] == expected_job_id("EventTopicId", place, 7, epoch=epoch).encode()


@pytest.mark.parametrize(
    "body",
    [
        b'{"message":"boom","other":[1.0,1e400,-0,{"a":null}]}',
        b'{ "message" :\t"boom" ,\r\n "z":1, "a":2,  "z":3 }  ',
        b'{"message":"\\u0062oom \\ud83d\\ude00 / \\/","price":12345678901234567890.12345678901234567890}',
        '{"message":"größe","emoji":"😀"}'.encode(),
        b'  {"message":"boom"}',
    ],
)
def test_event_passes_through_byte_for_byte(body: bytes) -> None:
    head = b'{"type":"event_trigger","trigger_id":7,"trigger_name":"deploy-failures","event":'
    value = job_of(judge(FakeRecord(body))).value
    assert value == head + body + b',"timestamp":"2026-11-18T11:06:40Z"}'
    json.loads(value)


def test_invalid_utf8_is_repaired_and_counted() -> None:
    judged = judge(FakeRecord(b'{"message":"a\xffb","more":"\xc3("}'))
    assert judged.repaired
    body = json.loads(job_of(judged).value or b"")
    assert body["event"] == {"message": "a\ufffdb", "more": "\ufffd("}


@pytest.mark.parametrize(
    ("headers", "passed"),
    [
        ([("traceparent", TRACE)], TRACE),
        ([("other", b"x"), ("traceparent", TRACE), ("traceparent", b"second")], TRACE),
        ([("traceparent", b"damaged")], None),
        ([("traceparent", None)], None),
        ([], None),
    ],
)
def test_traceparent_is_passed_on_if_it_is_one(
    headers: list[tuple[str, str | bytes | None]], passed: bytes | None
) -> None:
    job = job_of(judge(FakeRecord(its_headers=headers)))
    assert dict(job.headers).get("traceparent") == passed


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"{", "not_json"),
        (b'{"a":1}}', "not_json"),
        (b"[1]", "not_object"),
        (b'"text"', "not_object"),
        (b"", "empty"),
        (None, "null"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "too_deep"),
    ],
)
def test_dead_letter_is_the_event_untouched_with_its_reason_and_origin(
    value: bytes | None, reason: str
) -> None:
    headers: list[tuple[str, str | bytes | None]] = [("mine", b"\xff"), ("empty", None)]
    judged = judge(FakeRecord(value, at=11, its_key=b"k", its_headers=headers))
    assert (judged.outcome, judged.reason) == ("dead", reason)
    assert judged.records == [
        OutRecord(
            "x.events.dead",
            b"k",
            value,
            [
                ("mine", b"\xff"),
                ("empty", None),
                ("tocsin-reason", reason.encode()),
                ("tocsin-event-topic", b"event-log"),
                ("tocsin-event-partition", b"3"),
                ("tocsin-event-offset", b"11"),
            ],
        )
    ]


def test_a_dead_letter_that_is_fed_in_again_has_each_header_once() -> None:
    judged = judge(FakeRecord(b"{", at=11, its_headers=[("tocsin-reason", b"null"), ("mine", b"")]))
    names = [name for name, _ in judged.records[0].headers]
    assert names.count("tocsin-reason") == 1
    assert dict(judged.records[0].headers)["tocsin-reason"] == b"not_json"


def test_names_of_headers_that_are_not_utf8_cost_the_headers_and_nothing_else() -> None:
    assert judge(BadlyNamedHeaders()).outcome == "matched"
    assert dict(judge(BadlyNamedHeaders(b"{")).records[0].headers)["tocsin-reason"] == b"not_json"


def test_what_is_too_large_loses_its_value_and_then_all_that_is_the_events() -> None:
    event = FakeRecord(b"{}", at=11, its_key=b"k", its_headers=[("mine", b"x")])
    job = job_of(judge(event))
    letter = the_judge().too_large(event, POSITION, job)
    assert (letter.topic, letter.key, letter.value) == ("x.events.dead", b"k", None)
    assert dict(letter.headers)["tocsin-reason"] == b"too_large"
    assert dict(letter.headers)["mine"] == b"x"

    bare = the_judge().too_large(event, POSITION, letter)
    assert (bare.key, bare.value) == (None, None)
    assert [name for name, _ in bare.headers] == [
        "tocsin-reason",
        "tocsin-event-topic",
        "tocsin-event-partition",
        "tocsin-event-offset",
    ]
    assert the_judge().too_large(event, POSITION, bare) == bare


def test_wrong_types_are_counted() -> None:
    judged = judge(FakeRecord(b'{"severity":[],"source":{},"message":null}'))
    assert (judged.outcome, judged.wrong_types) == ("matched", 2)


def test_an_event_that_fires_nothing_makes_nothing() -> None:
    judged = judge(FakeRecord(), {7: record("a", filter_severity="fatal")})
    assert (judged.records, judged.outcome) == ([], "unmatched")
