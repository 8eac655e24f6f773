"""Rules files: what is read, what is refused, and what is said about it."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.rules.documents import Document, DocumentError, read_json, read_yaml, write_yaml
from processor.rules.files import RuleFiles, UnreadableFile, read_rules
from tests.support.rules import fields

RULE = "name: {0}\naction_type: webhook\naction_target: https://h.example/x\n"


def read(text: str) -> RuleFiles:
    """`text` from standard input."""
    return read_rules(["-"], io.StringIO(text))


def lines(read: RuleFiles) -> list[str]:
    return [line for problem in read.problems for line in problem.lines()]


def names(read: RuleFiles) -> list[str]:
    return [sourced.draft.name for sourced in read.wanted.drafts]


def yaml_value(text: str) -> Any:
    (document,) = read_yaml(f"a: {text}")
    assert isinstance(document.data, dict)
    return document.data["a"]


def yaml_error(text: str) -> str:
    with pytest.raises(DocumentError) as caught:
        list(read_yaml(text))
    return str(caught.value)


# documents


@pytest.mark.parametrize(
    "text", ["no", "off", "on", "yes", "y", "12:30", "2026-11-23", "0b1", "1_000", "=", "0x"]
)
def test_what_yaml_1_1_took_for_something_else_is_text(text: str) -> None:
    assert yaml_value(text) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("10", 10),
        ("-1", -1),
        ("010", 10),
        ("0x1F", 31),
        ("0o17", 15),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("'10'", "10"),
        ("!!str 10", "10"),
    ],
)
def test_the_core_schema_of_yaml_1_2_is_read(text: str, value: object) -> None:
    found = yaml_value(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("a: 1\na: 2", "line 2, column 1: 'a' is there twice"),
        ("a: {b: 1, b: 2}", "line 1, column 11: 'b' is there twice"),
        ("1: x", "line 1, column 1: a field's name must be text; put it in quotes"),
        ("true: x", "line 1, column 1: a field's name must be text; put it in quotes"),
        ("? [a]\n: b", "line 1, column 3: a field's name must be text; put it in quotes"),
        ("a: *nowhere", "line 1, column 4: found undefined alias"),
        ("a: &a {b: *a}", "line 1, column 4: found unconstructable recursive node"),
        ("a: !!python/object/apply:os.system [x]", "line 1, column 4: could not determine a constructor"),
        ("a: !!timestamp 2026-11-23", "line 1, column 4: could not determine a constructor"),
        ("a: !!binary eA==", "line 1, column 4: could not determine a constructor"),
        ("a: !!bool yes", "a boolean is true or false"),
        ("a: !!int x", "invalid literal"),
        ("<<: 1", "line 1, column 5: << takes a map or a list of maps"),
        ("a: [1", "line 2, column 1: did not find expected"),
        ("a: \x00", "unacceptable character"),
        ("[" * 20_000, ""),
        ("a: " + "9" * 5_000, "Exceeds the limit"),
    ],
)
def test_yaml_that_can_not_mean_one_thing_is_refused_with_its_place(text: str, error: str) -> None:
    assert yaml_error(text).startswith(error)


def test_merged_maps_work_and_own_fields_win() -> None:
    (document,) = read_yaml("base: &b {x: 1, y: 2}\nall: {<<: [*b, {z: 3, x: 9}], y: 4}")

    assert isinstance(document.data, dict)
    assert document.data["all"] == {"x": 1, "y": 4, "z": 3}


@pytest.mark.parametrize(
    ("first", "following"),
    [("[x, x]", "[{}]"), ("{{k1: 1, k2: 1}}", "{{<<: [{}], own{}: 1}}")],
    ids=["of lists", "of merged maps"],
)
def test_a_bomb_of_aliases_costs_no_more_than_its_text(first: str, following: str) -> None:
    text, before = f"l0: &l0 {first.format()}\n", "l0"
    for number in range(1, 40):
        text += f"l{number}: &l{number} {following.format(', '.join([f'*{before}'] * 9), number)}\n"
        before = f"l{number}"

    found = read(f"{text}name: *{before}\nlabels: *{before}\nfilter_source: [*{before}]\n")

    assert any("name: expected text, not a" in line for line in lines(found))


def test_documents_know_where_they_begin_and_empty_ones_are_none() -> None:
    assert list(read_yaml("# nothing\n---\n---\na: 1\n---\n- 2\n")) == [
        Document(4, {"a": 1}),
        Document(6, [2]),
    ]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('{"a": 1, "b": 2, "a": 3}', "'a' is there twice"),
        ('{"a": {"b": 1, "b": 2}}', "'b' is there twice"),
        ('{"a": NaN}', "NaN is not JSON"),
        ('{"a": 1,}', "line 1, column 9"),
        ("", "line 1, column 1"),
        ("[" * 100_000, "is nested too deeply"),
    ],
)
def test_json_that_can_not_mean_one_thing_is_refused(text: str, error: str) -> None:
    with pytest.raises(DocumentError) as caught:
        list(read_json(text))
    assert str(caught.value).startswith(error)


@given(
    st.dictionaries(st.text(), st.text() | st.booleans() | st.integers() | st.none() | st.lists(st.text()))
)
def test_what_is_written_as_yaml_is_read_back(data: dict[str, Any]) -> None:
    out = io.StringIO()
    write_yaml(data, out)

    assert [document.data for document in read_yaml(out.getvalue())] == [data]


@pytest.mark.parametrize(
    "text", ["no", "0o17", "1e3", "12:30", "~", "", "<<", "=", "2026-11-23", "a: b", "# x", "\x85", "-"]
)
def test_text_that_looks_like_something_else_stays_text(text: str) -> None:
    out = io.StringIO()
    write_yaml({text: [text]}, out)

    assert [document.data for document in read_yaml(out.getvalue())] == [{text: [text]}]


# rules in them


def test_one_rule_per_document_with_its_place() -> None:
    found = read(f"# rules\n{RULE.format('a')}---\n{RULE.format('b')}")

    assert [(s.draft.name, s.place) for s in found.wanted.drafts] == [
        ("a", "stdin, document 1, line 2"),
        ("b", "stdin, document 2, line 6"),
    ]
    assert (found.documents, found.problems, found.wanted.next_id) == (2, (), None)


def test_every_error_names_file_document_rule_and_field(tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    file.write_text(
        RULE.format("a")
        + "enabled: no\nfoo: 1\n---\n- a list\n---\n"
        + RULE.format("b")
        + "delivery: {timeout: soon}\n---\n"
        + RULE.format("fine")
    )

    found = read_rules([str(file)], io.StringIO())

    soon = (
        "delivery.timeout: a duration is a whole number and one of ms, s, m, h, d, such as 30s (got 'soon')"
    )
    assert lines(found) == [
        f"{file}, document 1, line 1 (a): enabled: expected true or false",
        f"{file}, document 1, line 1 (a): foo: unknown field",
        f"{file}, document 2, line 7: expected a rule, not a list",
        f"{file}, document 3, line 9 (b): {soon}",
    ]
    assert names(found) == ["fine"]
    assert found.documents == 4


def test_what_comes_before_a_break_in_the_text_is_still_judged() -> None:
    found = read(f"{RULE.format('a')}foo: 1\n---\nb: [\n")

    assert lines(found) == [
        "stdin, document 1, line 1 (a): foo: unknown field",
        "stdin, after document 1: line 7, column 1: did not find expected node content",
    ]


def test_a_directory_gives_its_yaml_and_json_files_in_order_and_not_what_is_below(tmp_path: Path) -> None:
    (tmp_path / "b.yml").write_text(RULE.format("b"))
    (tmp_path / "a.yaml").write_text(RULE.format("a"))
    (tmp_path / "c.json").write_text(json.dumps(fields("c")))
    (tmp_path / "d.txt").write_text("not a rule")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "e.yaml").write_text(RULE.format("e"))

    found = read_rules([str(tmp_path)], io.StringIO())

    assert names(found) == ["a", "b", "c"]
    assert not found.problems
    assert found.wanted.drafts[2].place == str(tmp_path / "c.json")


def test_several_sources_are_one_table_in_which_a_name_stands_once(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text(RULE.format("same") + "---\n" + RULE.format(name))

    found = read_rules([str(tmp_path / "one.yaml"), str(tmp_path / "two.yaml")], io.StringIO())

    place = f"{tmp_path}/two.yaml, document 1, line 1"
    assert lines(found) == [
        f"{place} (same): name: is there twice, also in {tmp_path}/one.yaml, document 1, line 1"
    ]


@pytest.mark.parametrize("name", ["missing.yaml", "missing"])
def test_a_file_that_is_not_there_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnreadableFile, match=f"{name}: No such file"):
        read_rules([str(tmp_path / name)], io.StringIO())


def test_a_file_that_is_no_text_is_a_problem_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"name: \xff")
    (tmp_path / "b.yaml").write_text("\ufeff" + RULE.format("b"), encoding="utf-8")

    found = read_rules([str(tmp_path)], io.StringIO())

    assert lines(found) == [f"{tmp_path}/a.yaml: is not UTF-8"]
    assert names(found) == ["b"]


def test_the_kind_is_optional_and_another_one_is_an_error() -> None:
    found = read(
        f"kind: TriggerRule\n{RULE.format('a')}---\nkind: LogScanRule\n{RULE.format('b')}---\nkind: [1]\n"
    )

    assert names(found) == ["a"]
    assert lines(found)[0] == (
        "stdin, document 2, line 6 (b): kind: unknown kind 'LogScanRule', expected TriggerRule or RuleTable"
    )


def test_a_rule_table_carries_the_next_id() -> None:
    found = read(f"kind: RuleTable\nnext_id: 9\n---\n{RULE.format('a')}---\nkind: RuleTable\nnext_id: 4\n")

    assert found.wanted.next_id == 9
    assert names(found) == ["a"]


@pytest.mark.parametrize(
    ("table", "error"),
    [
        ("kind: RuleTable", "next_id: expected a whole number from 1 to 9007199254740992"),
        ("{kind: RuleTable, next_id: 0}", "next_id: expected a whole number"),
        ("{kind: RuleTable, next_id: true}", "next_id: expected a whole number"),
        ("{kind: RuleTable, next_id: 1, name: x}", "name: unknown field"),
    ],
)
def test_a_rule_table_that_is_none_is_refused(table: str, error: str) -> None:
    assert lines(read(table))[0].startswith(f"stdin, document 1, line 1 (RuleTable): {error}")


def test_nothing_at_all_is_no_document() -> None:
    assert read("").documents == 0
    assert read("---\n# only a comment\n").documents == 0
