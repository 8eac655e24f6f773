"""Bad input costs one record: each event is matched or dead-lettered with its reason, and the log goes on."""

import json
from collections.abc import Iterator

import pytest

from tests.support.brokers import Broker
from tests.support.matching import MatcherSite, Place, event, place_of
from tests.support.processes import Process, Spawn
from tests.support.records import Record

MIB = 1_048_576
EVENT_LIMIT = 3 * MIB
"""max.message.bytes of the event topic."""

DEAD = {
    "broken": (b'{"severity":"error",', "not_json"),
    "trailing": (b'{"severity":"error"} x', "not_json"),
    "bad escape in a field nobody looks at": (b'{"severity":"error","x":"\\q"}', "not_json"),
    "control character": (b'{"severity":"error","x":"a\x01b"}', "not_json"),
    "NaN": (b'{"severity":"error","x":NaN}', "not_json"),
    "invalid UTF-8 outside strings": (b'{"severity":"error",\xff}', "not_json"),
    "number": (b"7", "not_object"),
    "list": (b'[{"severity":"error"}]', "not_object"),
    "text": (b'"error"', "not_object"),
    "null in JSON": (b"null", "not_object"),
    "no bytes": (b"", "empty"),
    "no value": (None, "null"),
    "10,000 levels": (b'{"severity":"error","x":' + b"[" * 9_999 + b"]" * 9_999 + b"}", "too_deep"),
    "100,000 levels, never closed": (b"[" * 100_000, "too_deep"),
}

MATCHED = {
    "plain": (event(), None),
    "wrong types": (b'{"severity":"error","source":["shop"],"message":{"a":1}}', None),
    "null fields": (b'{"severity":"error","source":null,"message":null}', None),
    "duplicate keys, the last wins": (b'{"severity":"info","severity":"error"}', None),
    "1 MiB": (event("x" * MIB), None),
    "invalid UTF-8 in strings": (
        b'{"severity":"error","message":"caf\xe9 \xf0\x9f"}',
        b'{"severity":"error","message":"caf\xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd"}',
    ),
    "lone surrogate": (b'{"severity":"error","message":"\\ud800"}', None),
    "unknown fields": (b'{ "z":1.0 ,"severity":"error", "a" : [1e5,"\\u00e9"] }', None),
}
"""The event, and its bytes in the body where they differ."""

UNMATCHED = {
    "severity in another case": event(severity="Error"),
    "duplicate keys, the last wins": b'{"severity":"error","severity":"info"}',
    "keys are case-sensitive": b'{"Severity":"error"}',
    "severity is a list": b'{"severity":["error"]}',
}


@pytest.fixture
def site(broker: Broker, prefix: str) -> Iterator[MatcherSite]:
    config = {"max.message.bytes": str(EVENT_LIMIT)}
    with MatcherSite(broker.bootstrap, prefix, partitions=2, event_config=config) as site:
        site.put_rule(1, filter_severity=["error"])
        yield site


@pytest.fixture
def matcher(site: MatcherSite, spawn: Spawn) -> Process:
    return site.start(spawn).wait_ready()


def test_nothing_stops_and_every_event_is_accounted_for(site: MatcherSite, matcher: Process) -> None:
    def append(value: bytes | None) -> Place:
        return site.append_at_once(Record(value, key=b"k", headers=[("x", b"y")]))

    dead = {append(value): (value, reason) for value, reason in DEAD.values()}
    matched = {append(value): repaired or value for value, repaired in MATCHED.values()}
    unmatched = {append(value) for value in UNMATCHED.values()}
    site.wait_jobs(matched)
    site.wait_drained()
    site.wait_for(lambda: len(site.letters()) >= len(dead), what="dead letters")

    bodies = {place_of(job): job.value or b"" for job in site.jobs()}
    assert bodies.keys() == matched.keys()
    for place, value in matched.items():
        assert b'"event":' + (value or b"") + b',"timestamp":' in bodies[place]
        json.loads(bodies[place])

    letters = {place_of(letter): letter for letter in site.letters()}
    assert letters.keys() == dead.keys()
    for place, (poison, reason) in dead.items():
        letter = letters[place]
        assert (letter.value, letter.key, letter.header("tocsin-reason")) == (poison, b"k", reason)
        assert letter.header("x") == "y"

    counts = {o: matcher.metric("tocsin_events_total", outcome=o) for o in ("matched", "unmatched", "dead")}
    assert counts == {"matched": len(matched), "unmatched": len(unmatched), "dead": len(dead)}
    assert matcher.metric("tocsin_events_repaired_total") == 1
    assert matcher.metric("tocsin_event_fields_wrong_type_total") == 3
    assert matcher.metric("tocsin_jobs_total") == len(matched)
    assert matcher.get("/readyz")[0] == 200


def test_an_event_that_fits_no_job_is_dead_lettered_without_its_value(
    site: MatcherSite, matcher: Process
) -> None:
    """Each invalid byte becomes three when it is repaired, so the body outgrows every limit."""
    start, end = b'{"severity":"error","message":"', b'"}'
    outgrown = site.append_at_once(start + b"\xff" * (EVENT_LIMIT - 1_000) + end)
    after = site.append_at_once(event())

    site.wait_jobs([after])
    site.wait_for(site.letters, what="the dead letter")
    (letter,) = site.letters()
    assert (place_of(letter), letter.value, letter.header("tocsin-reason")) == (outgrown, None, "too_large")
    assert {place for place, _ in site.fired()} == {after}


def test_the_largest_event_that_its_topic_takes_becomes_a_job(site: MatcherSite, matcher: Process) -> None:
    envelope = len(event(""))
    place = site.append_at_once(event("x" * (EVENT_LIMIT - envelope - 200)))
    site.wait_jobs([place])
    assert site.letters() == []
