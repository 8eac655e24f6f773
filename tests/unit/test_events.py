import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.events import Event, EventDecoder, EventFields, Unreadable
from processor.events.depth import MAX_DEPTH

FIELDS = EventFields()
DECODER = EventDecoder(FIELDS)
NAMES = ["severity", "source", "message"]
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | st.text(), inner, max_size=4)
    ),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from(NAMES) | st.text(), JSON_VALUES, max_size=6)


def read(value: bytes, fields: EventFields = FIELDS) -> Event:
    event = EventDecoder(fields).decode(value)
    assert isinstance(event, Event), event
    return event


def message(value: bytes) -> str:
    return read(b'{"message":' + value + b"}").message


def reason(value: bytes | None) -> str:
    outcome = DECODER.decode(value)
    assert isinstance(outcome, Unreadable), outcome
    return outcome.reason


def nested(depth: int, opening: bytes = b"[", closing: bytes = b"]") -> bytes:
    """An event with `depth` levels, its own included."""
    return b'{"message":"m","x":' + opening * (depth - 1) + b"1" + closing * (depth - 1) + b"}"


def test_the_three_fields_are_read_and_the_body_is_the_value_itself() -> None:
    value = (
        b' {"id": 1.50, "severity":"error" ,"source":"s\\u00e9", "message":"a\\nb", "x":{"severity":"no"}}\n'
    )
    event = read(value)
    assert event == Event("error", "sé", "a\nb", value, False, 0)
    assert event.body is value


def test_missing_fields_and_null_are_empty_and_no_wrong_type() -> None:
    event = read(b'{"severity":null,"message":null,"Source":"case matters"}')
    assert (event.severity, event.source, event.message, event.wrong_types) == ("", "", "", 0)


def test_texts_are_not_trimmed() -> None:
    assert message(b'"  a\\u001c "') == "  a\x1c "


@pytest.mark.parametrize(
    "number", ["0", "-0", "50", "-7", "1.0", "1e5", "1E+05", "1e999", "18446744073709551616", "1" * 5000]
)
def test_a_number_counts_as_it_is_written(number: str) -> None:
    assert message(number.encode()) == number


@pytest.mark.parametrize("boolean", ["true", "false"])
def test_a_boolean_counts_as_its_json_text(boolean: str) -> None:
    assert message(boolean.encode()) == boolean


def test_objects_and_arrays_are_empty_and_counted_as_wrong_types() -> None:
    event = read(b'{"severity":{},"source":[1],"message":"m"}')
    assert (event.severity, event.source, event.message, event.wrong_types) == ("", "", "m", 2)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([b'"a"', b'"b"'], ("b", 0)),
        ([b'"a"', b"null"], ("", 0)),
        ([b"{}", b'"b"'], ("b", 0)),
        ([b'"a"', b"[]"], ("", 1)),
        ([b"1", b"2.50"], ("2.50", 0)),
    ],
)
def test_of_duplicate_keys_the_last_wins(values: list[bytes], expected: tuple[str, int]) -> None:
    event = read(b"{" + b",".join(b'"message":' + value for value in values) + b"}")
    assert (event.message, event.wrong_types) == expected


def test_a_key_may_be_written_with_escapes() -> None:
    assert read(b'{"m\\u0065ssage":"x"}').message == "x"


@pytest.mark.parametrize(
    ("broken", "mended"),
    [
        (b"\xff", "\ufffd"),
        (b"\xe2\x82", "\ufffd\ufffd"),
        (b"a\xe2\x82b", "a\ufffd\ufffdb"),
        (b"\xed\xa0\x80", "\ufffd\ufffd\ufffd"),
        (b"\xf0\x9f\x98\xff", "\ufffd\ufffd\ufffd\ufffd"),
        (b"\xc0\x80", "\ufffd\ufffd"),
        ("é".encode("latin-1"), "\ufffd"),
    ],
)
def test_invalid_utf8_is_repaired_byte_by_byte_wherever_it_is(broken: bytes, mended: str) -> None:
    in_field = read(b'{"message":"' + broken + b'"}')
    assert (in_field.message, in_field.repaired) == (mended, True)
    assert in_field.body == b'{"message":"' + mended.encode() + b'"}'
    elsewhere = read(b'{"message":"m","' + broken + b'":["' + broken + b'"]}')
    assert (elsewhere.message, elsewhere.repaired) == ("m", True)
    assert elsewhere.body == f'{{"message":"m","{mended}":["{mended}"]}}'.encode()


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (b"\\ud800", "\ufffd"),
        (b"\\uDFFFx", "\ufffdx"),
        (b"\\ud83d\\ude00", "😀"),
        (b"\\ud83d\\ud83d\\ude00", "\ufffd😀"),
        (b"\\ude00\\ud83d", "\ufffd\ufffd"),
        (b"\\ud83d\\n", "\ufffd\n"),
        (b"\\\\ud800", "\\ud800"),
        (b"\\\\\\ud800", "\\\ufffd"),
    ],
)
def test_lone_surrogates_count_as_a_replacement_character_and_stay_in_the_body(
    written: bytes, text: str
) -> None:
    value = b'{"message":"' + written + b'","other":"\\udc00"}'
    event = read(value)
    assert event == Event("", "", text, value, False, 0)


@pytest.mark.parametrize(
    "broken",
    [
        b'"\x01"', b'"a\tb"', b'"a\nb"', b'"\\q"', b'"\\u12"', b'"\\u12G4"', b'"\\x41"', b'"\\', b'"open',
        b"'a'", b"NaN", b"Infinity", b"-Infinity", b"01", b"-01", b"1.", b".5", b"+1", b"1e", b"-",
        b"0x10", b"1_0",
        b"True", b"nul", b"truex", b"undefined", b"", b"[1,]", b"[,1]", b"[1 2]", b"[1", b'{"x":1,}', b"{,}",
        b"{1:2}", b'{"x" 1}', b'{"x":}', b'{"x":1', b"1 //c", b"/**/1", b"1\x0b", b"\xc2\xa01", b"\xff",
        b'"\\ud800\\q"',
    ],
)  # fmt: skip
def test_what_go_does_not_take_for_json_is_unreadable_even_in_other_fields(broken: bytes) -> None:
    assert reason(b'{"message":' + broken + b"}") == "not_json"
    assert reason(b'{"message":"m","x":' + broken + b"}") == "not_json"
    assert reason(b'{"message":"m","x":[{"y":' + broken + b"}]}") == "not_json"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "null"),
        (b"", "empty"),
        (b" \n", "not_json"),
        (b"plain text", "not_json"),
        (b"\x00", "not_json"),
        (b"\xef\xbb\xbf{}", "not_json"),
        (b"{}x", "not_json"),
        (b"{}{}", "not_json"),
        (b"{}\x00", "not_json"),
        (b"[1", "not_json"),
        (b'["\\ud800"', "not_json"),
        (b"[]", "not_object"),
        (b'["\\ud800", "\xff"]', "not_object"),
        (b'"text"', "not_object"),
        (b"null", "not_object"),
        (b"12", "not_object"),
        (b"[" * 10_000, "too_deep"),
        (b'{"a":' * 1_000_000, "too_deep"),
        (nested(10_000), "too_deep"),
        (nested(1_000_000), "too_deep"),
        (nested(10_000, b'{"x":', b"}"), "too_deep"),
    ],
)
def test_a_record_that_is_no_event_says_why(value: bytes | None, expected: str) -> None:
    assert reason(value) == expected


def test_the_detail_quotes_nothing_of_the_value() -> None:
    outcome = DECODER.decode(b'{"password":"hunter2" "x"}')
    assert isinstance(outcome, Unreadable)
    assert "hunter2" not in outcome.detail


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"x":', b"}")])
def test_the_limit_of_nesting_is_exact(opening: bytes, closing: bytes) -> None:
    assert read(nested(MAX_DEPTH, opening, closing)).message == "m"
    assert reason(nested(MAX_DEPTH + 1, opening, closing)) == "too_deep"


def test_the_limit_of_nesting_does_not_depend_on_the_caller() -> None:
    def deep(calls: int) -> list[str]:
        return deep(calls - 1) if calls else [read(nested(MAX_DEPTH)).message, reason(nested(MAX_DEPTH + 1))]

    assert deep(250) == ["m", "too_deep"]


def test_brackets_in_strings_and_beside_each_other_are_no_nesting() -> None:
    many = b",".join([b'{"a":"{[\\"[{","b":[[]]}'] * 5_000)
    assert read(b'{"message":"m","x":"' + b"[{" * 5_000 + b'","y":[' + many + b"]}").message == "m"


def test_an_event_of_a_mebibyte_passes_through() -> None:
    value = b'{"message":"m","x":"' + b"x" * (1 << 20) + b'"}'
    assert read(value).body is value


@given(OBJECTS)
def test_an_object_is_read_as_json_reads_it(value: dict[str, object]) -> None:
    written = json.dumps(value, ensure_ascii=False).encode(errors="replace")
    event = read(written)
    assert event.body == written
    assert not event.repaired
    again = json.loads(written)
    for name in NAMES:
        field, text = again.get(name), getattr(event, name)
        if isinstance(field, str):
            assert text == field
        elif isinstance(field, bool | int | float):
            assert text == json.dumps(field)
        else:
            assert text == ""
    assert event.wrong_types == sum(isinstance(again.get(name), dict | list) for name in NAMES)


@given(OBJECTS)
def test_the_careful_way_gives_the_same_answers(value: dict[str, object]) -> None:
    value.pop("unlikely.path", None)
    written = json.dumps(value).encode()
    fast, careful = read(written), read(written, EventFields(severity="unlikely.path"))
    assert (careful.source, careful.message, careful.body) == (fast.source, fast.message, fast.body)


@given(st.binary(max_size=60) | OBJECTS.map(lambda value: json.dumps(value).encode()), st.data())
def test_whatever_the_bytes_the_outcome_is_an_event_with_a_valid_body_or_a_reason(
    value: bytes, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(value)))
    damaged = value[:at] + data.draw(st.binary(max_size=3)) + value[at:]
    outcome = DECODER.decode(damaged)
    if isinstance(outcome, Event):
        assert isinstance(json.loads(outcome.body), dict)
        assert outcome.repaired == (outcome.body != damaged)
        for name in NAMES:
            getattr(outcome, name).encode()
    else:
        assert outcome.detail
