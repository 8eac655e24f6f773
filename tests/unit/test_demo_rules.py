"""Rules files as the demo applies them."""

from pathlib import Path

import pytest

from processor.demo.errors import DemoError
from processor.demo.rules import DemoRules, load_rules
from processor.demo.sample import own_file

ORIGIN = "http://127.0.0.1:8099"


def load(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> DemoRules:
    file = tmp_path / "rules.yaml"
    file.write_text(text)
    return load_rules(file, ORIGIN, environ or {}, lambda size: b"k" * size)


def rule(target: str, more: str = "", name: str = "r") -> str:
    return f"{{name: {name}, action_type: webhook, action_target: {target}{more}}}\n"


def targets(rules: DemoRules) -> list[object]:
    return [sourced.draft.action_target for sourced in rules.wanted.drafts]


def test_the_projects_rules_point_to_the_receiver_as_they_are() -> None:
    rules = load_rules(own_file("rules"), ORIGIN, {}, bytes)
    assert rules.aimed == 0
    assert all(str(target).startswith(f"{ORIGIN}/") for target in targets(rules))
    assert rules.keys


@pytest.mark.parametrize(
    ("target", "aimed"),
    [
        ("http://127.0.0.1:8099/x", "http://127.0.0.1:8099/x"),
        ("https://hooks.example.com/a/b%2Fc?d=e", "http://127.0.0.1:8099/a/b%2Fc?d=e"),
        ("https://hooks.example.com/", "http://127.0.0.1:8099/"),
        ("{secret: 'https://hooks.example.com/token'}", "http://127.0.0.1:8099/r"),
        ("{ref: 'env:TOCSIN_SECRET_URL'}", "http://127.0.0.1:8099/r"),
    ],
)
def test_every_target_points_to_the_receiver(tmp_path: Path, target: str, aimed: str) -> None:
    rules = load(tmp_path, rule(target))
    assert targets(rules) == [aimed]
    assert rules.aimed == (target != aimed)


def test_a_secret_that_is_written_out_is_the_receivers_key(tmp_path: Path) -> None:
    text = rule("http://a.example/", ", action_secret: whsec_c2VjcmV0") + "---\n"
    rules = load(tmp_path, text + rule("http://a.example/", ", action_secret: {secret: plain}", "s"))
    assert rules.keys == {"r": b"secret", "s": b"plain"}
    assert rules.secrets == {}


def test_a_variable_that_is_not_set_is_made_up_and_one_that_is_set_is_taken(tmp_path: Path) -> None:
    reference = ", action_secret: {{ref: 'env:TOCSIN_SECRET_{}'}}"
    text = "---\n".join(
        rule("http://a.example/", reference.format(name), name.lower()) for name in ("NEW", "SET")
    )
    rules = load(tmp_path, text, {"TOCSIN_SECRET_SET": "mine"})
    assert rules.keys == {"new": b"k" * 24, "set": b"mine"}
    assert list(rules.secrets) == ["TOCSIN_SECRET_NEW"]


def test_during_a_rotation_one_that_signs_now_is_the_receivers_key(tmp_path: Path) -> None:
    old = "{secret: old, not_after: '2020-01-01T00:00:00Z'}"
    secrets = f", action_secret: [{old}, {{ref: 'env:TOCSIN_SECRET_NEW'}}]"
    rules = load(tmp_path, rule("http://a.example/", secrets))
    assert rules.keys == {"r": b"k" * 24}
    assert list(rules.secrets) == ["TOCSIN_SECRET_NEW"]


def test_a_header_of_a_variable_gets_one_too(tmp_path: Path) -> None:
    more = ", delivery: {headers: {authorization: {ref: 'env:TOCSIN_SECRET_TOKEN'}}}"
    assert list(load(tmp_path, rule("http://a.example/", more)).secrets) == ["TOCSIN_SECRET_TOKEN"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (rule("http://a.example/", ", colour: red"), r"document 1, line 1 \(r\): colour: unknown field"),
        (rule("http://a.example/", ", action_secret: {ref: 'file:x'}"), "has no secrets.directory"),
        ("", "no rules in it"),
    ],
)
def test_rules_that_cannot_be_used_are_named(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(DemoError, match=problem):
        load(tmp_path, text)


def test_missing_rules_are_named(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match="nowhere: No such file"):
        load_rules(tmp_path / "nowhere", ORIGIN, {}, bytes)
