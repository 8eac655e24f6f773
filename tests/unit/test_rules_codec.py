"""Records and rules: reading never raises, and what was written is read back."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processor.rules import InvalidRule, TriggerRule, read_record, to_record
from processor.rules.codec import read_id
from processor.rules.fields import MAX_ID
from processor.rules.view import exported
from tests.support.rules import fields, record

CONTRACT = {
    "id": 7,
    "uid": "01J",
    "name": "deploy-failures",
    "enabled": True,
    "description": "",
    "labels": {"team": "shop"},
    "filter_severity": ["error"],
    "filter_source": [],
    "filter_message_regex": "(?i)failed",
    "action_type": "webhook",
    "action_target": "https://hooks.example.com/x",
    "action_secret": {"secret": "sealed:k1:" + "A" * 44},
    "delivery": {"timeout": "10s", "max_attempts": 4, "expires_after": "2h", "rate_limit": "20/s"},
    "set": "shop",
    "updated_by": "ci",
    "updated_at": "2026-11-23T10:00:00Z",
}


def read(value: bytes, key: bytes | None = b"7", headers: Any = None) -> TriggerRule | InvalidRule:
    return read_record(key, value, headers, 42)


def refused(value: bytes, key: bytes | None = b"7", headers: Any = None) -> str:
    found = read(value, key, headers)
    assert isinstance(found, InvalidRule)
    assert found.offset == 42
    return found.reason


def test_the_record_of_the_contract_is_read_and_written_back_as_it_was() -> None:
    rule = read(json.dumps(CONTRACT).encode())

    assert isinstance(rule, TriggerRule)
    assert json.loads(to_record(rule)) == CONTRACT
    assert list(json.loads(to_record(rule))) == list(CONTRACT)


def test_several_secrets_and_final_4xx_are_written_back_as_they_were() -> None:
    secrets = [
        {"secret": "sealed:k1:" + "A" * 44, "not_after": "2026-11-24T10:00:00Z"},
        {"ref": "file:new", "not_before": "2026-11-23T10:00:00.500000Z"},
    ]
    said = {**CONTRACT, "action_secret": secrets, "delivery": {"rate_limit": "5/h", "retry_4xx": False}}
    rule = read(json.dumps(said).encode())

    assert isinstance(rule, TriggerRule)
    assert json.loads(to_record(rule)) == said


def test_an_event_pattern_is_written_back_as_it_was() -> None:
    pattern = {
        "detail": {"n": [1, 2.5, {"numeric": [">", 0, "<=", 5]}]},
        "$or": [{"a": [None]}, {"b": [True]}],
    }
    said = {**CONTRACT, "filter_pattern": pattern}
    rule = read(json.dumps(said).encode())

    assert isinstance(rule, TriggerRule)
    assert json.loads(to_record(rule)) == said
    assert exported(rule)["filter_pattern"] == pattern


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ({"a": [{"prefx": "x"}]}, "filter_pattern.a[0].prefx: unknown operator, known are prefix"),
        ({"a": {"b": []}}, "filter_pattern.a.b: is an empty list"),
        ({}, "filter_pattern: is empty"),
        ("a", "filter_pattern: expected an object of fields"),
        ([], "filter_pattern: expected an object of fields"),
    ],
)
def test_a_pattern_that_is_none_makes_the_rule_invalid(pattern: object, reason: str) -> None:
    assert refused(record(filter_pattern=pattern)).startswith(reason)


def test_a_rate_is_written_in_its_full_form_and_defaults_not_at_all() -> None:
    rule = read(record(delivery={"rate_limit": 20, "retry_4xx": True}))

    assert isinstance(rule, TriggerRule)
    assert json.loads(to_record(rule))["delivery"] == {"rate_limit": "20/s"}


def test_a_plain_producers_record_needs_no_id_and_gets_no_uid() -> None:
    rule = read(record())

    assert isinstance(rule, TriggerRule)
    assert (rule.id, rule.uid, rule.enabled) == (7, "", True)


@pytest.mark.parametrize("key", [b"1", b"9007199254740991", b"10"])
def test_a_canonical_decimal_key_is_an_id(key: bytes) -> None:
    assert read_id(key) == int(key)


@pytest.mark.parametrize(
    "key",
    [
        b"0",
        b"07",
        b"-1",
        b"+1",
        b" 1",
        b"1 ",
        b"1.0",
        b"",
        b"9007199254740992",
        b"9" * 400,
        b"x",
        "١".encode(),
        None,
    ],
)
def test_any_other_key_is_none_and_makes_the_record_invalid(key: bytes | None) -> None:
    found = read(record(), key)

    assert isinstance(found, InvalidRule)
    assert found.id is None
    assert found.raw_key == key
    assert found.reason == f"key: is not a rule id (1 to {MAX_ID} in decimal)"


@pytest.mark.parametrize("own", [8, 7.0, "7", True, None, [7]])
def test_a_records_own_id_must_be_its_key(own: object) -> None:
    assert refused(record(id=own)) == "id: is not the record's key"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"nul", "not JSON"),
        (b"\xff", "not JSON"),
        (b'{"name": "\xff"}', "not JSON"),
        (b'{"name": "\\ud800"}', "not JSON"),
        (b"[" * 100_000, "not JSON: nested too deeply"),
        (b'{"a":1e999}', "not JSON"),
        (b"[]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b"{}", "name: is missing; action_type: is missing; action_target: is missing"),
    ],
)
def test_what_is_no_rule_says_why(value: bytes, reason: str) -> None:
    assert refused(value).startswith(reason)


def test_every_wrong_field_is_in_the_reason() -> None:
    reason = refused(record(foo=1, enabled=0, id=9))

    assert reason == "id: is not the record's key; enabled: expected true or false; foo: unknown field"


def test_a_reason_does_not_grow_without_end() -> None:
    reason = refused(json.dumps(fields(**{f"x{n}" * 50: 1 for n in range(1000)})).encode())

    assert reason.endswith("and 980 more")
    assert len(reason) < 5_000


def test_a_field_name_can_not_begin_a_line_of_its_own() -> None:
    assert "\n" not in refused(record(**{"a\nb": 1}))


@pytest.mark.parametrize("value", ["***", {"secret": "***"}])
def test_the_placeholder_is_no_secret_in_a_record(value: object) -> None:
    assert refused(record(action_secret=value)) == "action_secret: holds the placeholder, not a secret"


def test_the_placeholder_in_a_list_is_no_secret_either() -> None:
    assert (
        refused(record(action_secret=["a", "***"])) == "action_secret[1]: holds the placeholder, not a secret"
    )


@pytest.mark.parametrize("value", [b"2", b"10", b"99999999999"])
def test_a_newer_format_is_refused_with_a_message_that_says_so(value: bytes) -> None:
    reason = refused(b"\x00 not even JSON", headers=[("tocsin-format", value)])

    assert "newer version" in reason
    assert "format" in reason


@pytest.mark.parametrize("value", [b"", b"x", b"-1", None, "٢".encode(), b"\xff"])
def test_a_format_that_is_no_number_is_refused(value: bytes | None) -> None:
    assert refused(record(), headers=[("tocsin-format", value)]) == "header tocsin-format is not a number"


def test_the_format_of_this_version_and_other_headers_are_fine() -> None:
    assert isinstance(read(record(), headers=[("tocsin-format", b"1"), ("other", None)]), TriggerRule)


def test_an_invalid_rule_keeps_what_it_says_of_itself() -> None:
    found = read(record("mine", uid="U1", foo=1))

    assert isinstance(found, InvalidRule)
    assert (found.name, found.uid) == ("mine", "U1")


def test_the_optional_kind_is_accepted_and_not_kept() -> None:
    rule = read(record(kind="TriggerRule"))

    assert isinstance(rule, TriggerRule)
    assert "kind" not in json.loads(to_record(rule))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(
    [*CONTRACT, "muted_until", "paused", "kind", "foo", "delivery.headers"],
)
times = st.sampled_from(["2026-11-23T10:00:00Z", "2026-11-24T10:00:00.25+01:00", None, "soon"])
secret_lists = st.lists(
    st.sampled_from(["plain", "***"])
    | st.fixed_dictionaries(
        {},
        optional={
            "secret": st.text(max_size=8),
            "ref": st.just("file:x"),
            "not_before": times,
            "not_after": times,
        },
    ),
    max_size=4,
)


@given(
    key=st.none() | st.binary(max_size=20),
    value=st.binary(max_size=200),
    header=st.none() | st.binary(max_size=5),
)
def test_no_bytes_make_reading_raise(key: bytes | None, value: bytes, header: bytes | None) -> None:
    read_record(key, value, [("tocsin-format", header)], 0)
    read_record(key, value, None, 0)


@given(changes=st.dictionaries(names, json_values, max_size=5), secrets=st.none() | secret_lists)
@settings(max_examples=300)
def test_no_json_makes_reading_raise_and_what_is_valid_survives_a_round_trip(
    changes: dict[str, Any], secrets: list[Any] | None
) -> None:
    signed = {} if secrets is None else {"action_secret": secrets}
    found = read(json.dumps({**CONTRACT, **changes, **signed}).encode("utf-8", "surrogatepass"))

    if isinstance(found, TriggerRule):
        assert read(to_record(found)) == found
