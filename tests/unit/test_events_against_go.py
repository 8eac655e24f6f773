"""Generated records, each read by Go's encoding/json as well: the same verdict, texts and body."""

import base64
from collections import Counter
from pathlib import Path

import pytest

from processor.events import EventDecoder, EventFields, Unreadable
from tests.support.go_reference import ask, build, go_is_here
from tests.support.json_generator import RecordGenerator

pytestmark = pytest.mark.skipif(not go_is_here(), reason="go is not on PATH: nothing to compare with")

RECORDS = 15_000
KEYS = ["severity", "source", "message"]


@pytest.fixture(scope="module")
def gojson(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("gojson", tmp_path_factory.mktemp("go"))


def test_records_are_read_as_go_reads_them(gojson: Path) -> None:
    generate = RecordGenerator(seed=20_261_123)
    records = [generate.record() for _ in range(RECORDS)]
    answers = ask(gojson, [{"value": base64.b64encode(record).decode(), "keys": KEYS} for record in records])
    decoder = EventDecoder(EventFields())
    seen: Counter[str] = Counter()
    for record, answer in zip(records, answers, strict=True):
        event = decoder.decode(record)
        if isinstance(event, Unreadable):
            expected = "an event" if answer["object"] else "not_object" if answer["valid"] else "not_json"
            assert event.reason == expected, record
            seen[event.reason] += 1
            continue
        assert answer["object"], record
        assert [event.severity, event.source, event.message] == answer["texts"], record
        assert event.wrong_types == answer["wrong_types"], record
        assert event.body == base64.b64decode(answer["body"]), record
        assert event.repaired == (event.body != record)
        seen.update(["event", f"repaired {event.repaired}", f"wrong types {event.wrong_types}"])
    # The generator must keep reaching every verdict.
    assert seen["event"] > RECORDS / 4
    assert (
        min(seen["not_json"], seen["repaired True"], seen["wrong types 1"], seen["not_object"]) > RECORDS / 50
    )
