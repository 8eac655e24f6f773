"""docs/log-shippers.md: its configurations can be read, and its events mean what it says."""

import re
from pathlib import Path

import pytest
import yaml

from processor.events import Event, EventDecoder, EventFields
from processor.settings import Settings

DOCUMENT = Path(__file__).parents[2] / "docs" / "log-shippers.md"
CHAPTERS = {
    chapter.splitlines()[0]: chapter for chapter in DOCUMENT.read_text(encoding="utf-8").split("\n## ")[1:]
}


def block(chapter: str, kind: str) -> str | None:
    found = re.search(rf"^```{kind}\n(.*?)^```", chapter, re.DOTALL | re.MULTILINE)
    return found[1] if found else None


@pytest.mark.parametrize("chapter", CHAPTERS.values(), ids=CHAPTERS.keys())
def test_event_of_a_shipper_has_its_fields_where_the_settings_say(chapter: str) -> None:
    given = yaml.safe_load(block(chapter, "yaml settings") or "{}")
    fields = Settings.model_validate(given).matcher.event_fields
    event = EventDecoder(EventFields(fields.severity, fields.source, fields.message)).decode(
        (block(chapter, "json") or "").strip().encode()
    )
    expected = re.search(r"^Expect: severity `(.*)`, source `(.*)`, message `(.*)`\.$", chapter, re.MULTILINE)
    assert expected is not None
    assert isinstance(event, Event)
    assert (event.severity, event.source, event.message) == expected.groups()


def test_configurations_are_yaml_that_writes_to_the_default_topic() -> None:
    vector = yaml.safe_load(block(CHAPTERS["Vector"], "yaml vector") or "")
    (sink,) = vector["sinks"].values()
    assert {*vector["sources"], *vector["transforms"]} >= {*sink["inputs"]}
    fluent_bit = yaml.safe_load(block(CHAPTERS["Fluent Bit, on Kubernetes"], "yaml fluent-bit") or "")
    (output,) = fluent_bit["pipeline"]["outputs"]
    assert sink["topic"] == output["topics"] == Settings().matcher.event_topics[0]
