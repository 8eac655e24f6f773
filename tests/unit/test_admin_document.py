"""The OpenAPI document and its page: valid, complete, and true of the models."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from processor.admin import problems
from processor.admin.openapi import document
from processor.admin.operations import OPERATIONS
from processor.admin.page import CONTENT_SECURITY, render
from processor.admin.showing import show_invalid, show_rule
from processor.rules import InvalidRule, TriggerRule, read_record
from tests.support.rules import record

DOCUMENT = document()


def validator(model: str) -> Any:
    schema = {"$ref": f"#/components/schemas/{model}", "components": DOCUMENT["components"]}
    return jsonschema_rs.validator_for(schema)


def test_every_reference_leads_somewhere() -> None:
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(DOCUMENT)))
    assert references <= set(DOCUMENT["components"]["schemas"])
    for name in DOCUMENT["components"]["schemas"]:
        jsonschema_rs.meta.validate({**DOCUMENT["components"]["schemas"][name]})


def test_every_operation_is_there_once() -> None:
    found = [
        (path, method.upper(), operation["operationId"])
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    ]
    assert sorted(found) == sorted((one.path, one.method, one.id) for one in OPERATIONS)
    assert len({one.id for one in OPERATIONS}) == len(OPERATIONS)


def test_every_problem_has_a_name_of_its_own() -> None:
    assert len({kind.type for kind in problems.ALL}) == len(problems.ALL)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"action_secret": "x", "delivery": {"headers": {"X-A": {"ref": "env:TOCSIN_SECRET_A"}}}},
        {"action_secret": [{"secret": "a", "not_after": "2026-01-01T00:00:00Z"}, {"ref": "file:x"}]},
        {"action_target": {"secret": "https://hooks.example.com/x"}, "muted_until": "2026-01-01T00:00:00Z"},
        {"filter_severity": "a, b", "filter_pattern": {"a": [1]}, "delivery": {"rate_limit": 5}},
        {"delivery": {"timeout": "5s", "expires_after": "2h", "max_attempts": 3, "retry_4xx": False}},
    ],
)
def test_rules_as_they_are_shown_and_written_fit_their_schemas(more: dict[str, Any]) -> None:
    written = json.loads(record("a", **more))
    validator("RuleDraft").validate(written)
    rule = read_record(b"7", json.dumps(written).encode(), None, 3)
    assert isinstance(rule, TriggerRule)
    shown = json.loads(json.dumps(show_rule(rule, 3)))
    validator("Rule").validate(shown)
    validator("RuleDraft").validate(shown)
    validator("RulePatch").validate({**shown, "delivery": None, "labels": None})


def test_an_invalid_record_fits_the_schema_too() -> None:
    invalid = read_record(b"x", b"{", None, 3)
    assert isinstance(invalid, InvalidRule)
    validator("Rule").validate(show_invalid(invalid))


@pytest.mark.parametrize("wrong", [{"name": 7}, {"colour": 1}, {"delivery": {"timeout": "5 s"}}])
def test_what_is_no_rule_does_not_fit(wrong: dict[str, Any]) -> None:
    assert not validator("RuleDraft").is_valid({**json.loads(record()), **wrong})


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.add(value or "")
            if name in {"href", "src"}:
                self.links.add(value or "")


def test_the_page_needs_nothing_from_elsewhere_and_its_links_lead_somewhere() -> None:
    page = _Page(render(DOCUMENT))
    assert not page.tags & {"script", "img", "link", "iframe"}
    assert page.links - {"openapi.json"} <= {f"#{name}" for name in page.ids}
    assert {operation.id for operation in OPERATIONS} <= page.ids
    assert "style-src 'sha256-" in CONTENT_SECURITY


def test_the_page_shows_markup_as_text() -> None:
    harmful = {**DOCUMENT, "info": {**DOCUMENT["info"], "title": "<script>alert(1)</script>"}}
    assert "<script>" not in render(harmful)


def test_the_documentation_lists_every_problem_and_every_route() -> None:
    text = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    for kind in problems.ALL:
        assert f"| `{kind.type}` | {kind.status} | {kind.title} |" in text
    for operation in OPERATIONS:
        assert operation.path in text, operation.path
