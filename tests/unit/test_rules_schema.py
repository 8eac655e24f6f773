"""What a rule may say: fields, their kinds, and what is said about wrong ones."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from processor.rules import RuleDraft
from processor.rules.explain import invalid_fields
from processor.rules.lists import split_list
from processor.rules.rate import Rate
from processor.rules.values import Reference, Secret, SecretTarget
from tests.support.rules import draft, fields

SECRET = "hunter2-very-secret"
T1, T2 = "2026-11-23T10:00:00Z", "2026-11-24T10:00:00Z"


def errors_of(**more: Any) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        RuleDraft.model_validate(fields(**more))
    return [str(error) for error in invalid_fields(caught.value).errors]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", ()),
        ("error", ("error",)),
        (" error , fatal ", ("error", "fatal")),
        ("error,", ("error", "")),
        (",", ("", "")),
        (" ", ("",)),
        ("\t\n\v\f\r x\u0085\u00a0\u1680\u2000\u200a\u2028\u2029\u202f\u205f\u3000", ("x",)),
        ("\x1cx\x1f", ("\x1cx\x1f",)),
        ("\u200bx\ufeff\u180e", ("\u200bx\ufeff\u180e",)),
        ("a b, c  d", ("a b", "c  d")),
    ],
)
def test_a_list_in_one_string_is_split_and_trimmed_as_go_does(text: str, values: tuple[str, ...]) -> None:
    assert split_list(text) == values
    assert draft(filter_severity=text).filter_severity == values


@pytest.mark.parametrize("anything", [None, "", []])
def test_an_absent_or_empty_list_accepts_anything(anything: object) -> None:
    assert draft(filter_source=anything).filter_source == ()


def test_a_list_with_the_empty_text_accepts_only_that_and_trims_nothing() -> None:
    assert draft(filter_source=[""]).filter_source == ("",)
    assert draft(filter_source=[" a "]).filter_source == (" a ",)


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"foo": 1}, "foo: unknown field"),
        ({"delivery": {"throttle": {}}}, "delivery.throttle: unknown field"),
        (
            {"delivery": {"rate_limit": "20/d"}},
            "delivery.rate_limit: expected a rate such as 20/s, 90/m or 5/h",
        ),
        ({"delivery": {"rate_limit": 0}}, "delivery.rate_limit: expected a rate such as"),
        ({"delivery": {"rate_limit": True}}, "delivery.rate_limit: expected a rate such as"),
        ({"delivery": {"rate_limit": 0.5}}, "delivery.rate_limit: expected a rate such as"),
        ({"delivery": {"retry_4xx": "no"}}, "delivery.retry_4xx: expected true or false"),
        ({"delivery": {"retry_4xx": None}}, "delivery.retry_4xx: expected true or false"),
        ({"delivery": {"auth": {}}}, "delivery.auth: unknown field"),
        ({"delivery": 5}, "delivery: expected a map"),
        ({"delivery": {"timeout": "0s"}}, "delivery.timeout: must be longer than 0s"),
        ({"delivery": {"timeout": "11m"}}, "delivery.timeout: must be at most 10m"),
        ({"delivery": {"max_attempts": True}}, "delivery.max_attempts: expected a whole number"),
        ({"delivery": {"headers": {"Host": "x"}}}, "delivery.headers.Host: is set by Tocsin itself"),
        (
            {"delivery": {"headers": {"webhook-id": "x"}}},
            "delivery.headers.webhook-id: is set by Tocsin itself",
        ),
        ({"delivery": {"headers": {"a b": "x"}}}, "delivery.headers.a b: is not a header name"),
        ({"delivery": {"headers": {"A": "x\r\nB: y"}}}, "delivery.headers.A: holds a line break"),
        (
            {"delivery": {"headers": {"A": 5}}},
            "delivery.headers.A: expected text, a secret or a ref; a number",
        ),
        ({"delivery": {"headers": {"X-a": "1", "x-A": "2"}}}, "delivery.headers: X-a is there twice"),
        ({"name": ""}, "name: is empty"),
        ({"name": "x" * 256}, "name: is longer than 255 characters"),
        ({"name": 7}, "name: expected text, not a number; put it in quotes"),
        ({"enabled": "yes"}, "enabled: expected true or false"),
        ({"enabled": None}, "enabled: expected true or false"),
        ({"labels": {"port": 80}}, "labels.port: expected text, not a number; put it in quotes"),
        ({"filter_severity": ["error", False]}, "filter_severity[1]: expected text, not true or false"),
        ({"filter_severity": 5}, "filter_severity: expected a list of strings"),
        ({"filter_message_regex": "("}, "filter_message_regex: error parsing regexp: missing closing ): `(`"),
        ({"action_type": "mail"}, "action_type: unknown action type, expected webhook"),
        ({"action_target": "ftp://h/x"}, "action_target: the target URL's scheme must be http or https"),
        ({"action_target": "https://u:p@h/x"}, "action_target: the target URL must not contain a user name"),
        ({"action_target": "https:///x"}, "action_target: the target URL"),
        ({"action_target": "https://h/" + "x" * 5000}, "action_target: is longer than 4096 characters"),
        ({"action_target": "https://h/\ud800"}, "action_target: "),
        ({"action_target": ""}, "action_target: is empty"),
        ({"action_target": 5}, "action_target: expected a URL, a secret or a ref"),
        ({"action_target": {"secret": "no url"}}, "action_target: the target URL contains a space"),
        ({"action_secret": {"secret": ""}}, "action_secret: is an empty secret"),
        ({"action_secret": {"secret": 5}}, "action_secret: expected text as the secret or ref"),
        ({"action_secret": {"secret": "a", "ref": "b"}}, "action_secret: unknown field 'ref'"),
        ({"action_secret": {}}, "action_secret: expected text, a secret or a ref"),
        ({"action_secret": 5}, "action_secret: expected text, a secret or a ref"),
        ({"action_secret": []}, "action_secret: is an empty list; leave it out to send without a signature"),
        ({"action_secret": ["a"] * 9}, "action_secret: has more than 8 secrets"),
        ({"action_secret": ["a", 5]}, "action_secret[1]: expected text, a secret or a ref, with not_before"),
        (
            {"action_secret": ["a", None]},
            "action_secret[1]: expected text, a secret or a ref, with not_before",
        ),
        ({"action_secret": ["a", ""]}, "action_secret[1]: is an empty secret"),
        (
            {"action_secret": [{"secret": "sealed:k1:short"}]},
            "action_secret[0]: begins with sealed: but is no",
        ),
        ({"action_secret": [{"not_before": T1}]}, "action_secret[0]: expected text, a secret or a ref"),
        ({"action_secret": [{"secret": "a", "until": T1}]}, "action_secret[0]: unknown field 'until'"),
        ({"action_secret": [{"ref": "env:HOME"}]}, "action_secret[0]: a reference is env:TOCSIN_SECRET_"),
        (
            {"action_secret": ["a", {"secret": "b", "not_after": "soon"}]},
            "action_secret[1].not_after: expected a time such as 2026-11-23T10:00:00Z",
        ),
        (
            {"action_secret": [{"secret": "b", "not_before": T1, "not_after": T1}]},
            "action_secret[0].not_after: is not later than not_before",
        ),
        ({"action_secret": {"secret": "a", "not_after": T1}}, "action_secret: unknown field 'not_after'"),
        ({"action_secret": "sealed:k1:short"}, "action_secret: begins with sealed: but is no sealed value"),
        ({"action_secret": {"ref": "env:HOME"}}, "action_secret: a reference is env:TOCSIN_SECRET_"),
        ({"action_secret": {"ref": "file:/etc/passwd"}}, "action_secret: a file: reference is a path below"),
        ({"action_secret": {"ref": "file:a/../../b"}}, "action_secret: a file: reference is a path below"),
        ({"muted_until": "tomorrow"}, "muted_until: expected a time such as 2026-11-23T10:00:00Z"),
        ({"muted_until": "2026-11-23T10:00:00"}, "muted_until: expected a time such as 2026-11-23T10:00:00Z"),
        ({"uid": "a|b"}, "uid: must be at most 64 letters, digits, - and _"),
        ({"id": 0}, "id: "),
        ({"id": 2**53}, "id: "),
        ({"kind": "LogScanRule"}, "kind must be TriggerRule"),
        ({"updated_at": 5}, "updated_at: expected a time"),
    ],
)
def test_a_wrong_field_is_named_with_what_is_wrong(more: dict[str, Any], error: str) -> None:
    errors = errors_of(**more)

    assert len(errors) == 1
    assert errors[0].startswith(error)


@pytest.mark.parametrize("name", ["name", "action_type", "action_target"])
def test_what_is_required_is_missed(name: str) -> None:
    said = fields()
    del said[name]

    with pytest.raises(ValidationError) as caught:
        RuleDraft.model_validate(said)

    assert str(invalid_fields(caught.value)) == f"{name}: is missing"


def test_all_wrong_fields_are_named_at_once() -> None:
    errors = errors_of(enabled="no", foo=1, action_type="mail", delivery={"timeout": "x", "bar": 2})

    assert [error.partition(":")[0] for error in errors] == [
        "enabled",
        "action_type",
        "delivery.timeout",
        "delivery.bar",
        "foo",
    ]


def test_everything_at_once_is_accepted() -> None:
    rule = draft(
        kind="TriggerRule",
        id=7,
        uid="01J",
        enabled=False,
        description="why",
        labels={"team": "shop"},
        filter_severity="error,fatal",
        filter_source=["checkout"],
        filter_message_regex="(?i)failed",
        filter_pattern={"detail": {"state": ["failed"]}},
        action_secret={"ref": "env:TOCSIN_SECRET_SHOP"},
        muted_until="2026-11-23T12:00:00+02:00",
        paused=True,
        delivery={
            "timeout": "10s",
            "max_attempts": 4,
            "expires_after": "2h",
            "rate_limit": "20/s",
            "retry_4xx": False,
            "headers": {"X-Team": "shop", "Authorization": {"secret": SECRET}},
        },
        set="shop",
        updated_by="ci",
        updated_at="2026-11-23T10:00:00Z",
    )

    assert rule.muted_until is not None
    assert rule.muted_until.isoformat() == "2026-11-23T10:00:00+00:00"
    assert rule.unsealed() == ("delivery.headers.Authorization",)


def test_null_is_as_absent_where_absence_has_one_meaning() -> None:
    nulls = dict.fromkeys(
        [
            "description",
            "labels",
            "filter_message_regex",
            "filter_pattern",
            "action_secret",
            "muted_until",
            "delivery",
            "set",
            "id",
            "uid",
        ]
    )

    assert draft(**nulls) == draft()


def test_an_event_pattern_stays_as_it_is_and_is_compiled_on_demand() -> None:
    rule = draft(filter_pattern={"detail": {"state": ["failed"]}})
    compiled = rule.event_filter()

    assert rule.filter_pattern == {"detail": {"state": ["failed"]}}
    assert compiled is not None
    assert compiled.matches({"detail": {"state": "failed"}})
    assert not compiled.matches({"detail": {"state": "done"}})
    assert draft().event_filter() is None


def test_an_empty_secret_of_the_existing_application_is_none() -> None:
    assert draft(action_secret="").action_secret is None


def test_a_secret_as_plain_text_means_a_secret() -> None:
    assert draft(action_secret=SECRET).action_secret == Secret(secret=SECRET)


def test_the_placeholder_may_be_plain_text_or_in_the_secret_form() -> None:
    rule = draft(
        action_secret="***", action_target="***", delivery={"headers": {"A": "***", "B": {"secret": "***"}}}
    )

    assert rule.placeholders() == (
        "action_target",
        "action_secret",
        "delivery.headers.A",
        "delivery.headers.B",
    )


def test_several_secrets_may_have_times_of_their_own() -> None:
    rule = draft(
        action_secret=[
            SECRET,
            {"secret": "***", "not_after": T1},
            {"ref": "env:TOCSIN_SECRET_NEW", "not_before": "2026-11-23T12:00:00+02:00", "not_after": T2},
        ]
    )

    assert isinstance(rule.action_secret, tuple)
    first, second, third = rule.action_secret
    assert (first.value, first.not_before, first.not_after) == (Secret(secret=SECRET), None, None)
    assert (second.value, second.not_after) == (Secret(secret="***"), datetime(2026, 11, 23, 10, tzinfo=UTC))
    assert (third.value, third.not_before) == (
        Reference(ref="env:TOCSIN_SECRET_NEW"),
        datetime(2026, 11, 23, 10, tzinfo=UTC),
    )
    assert rule.placeholders() == ("action_secret[1]",)
    assert rule.unsealed() == ("action_secret[0]",)
    assert SECRET not in repr(rule.action_secret)


def test_a_rate_limit_may_be_a_bare_number_per_second() -> None:
    assert draft(delivery={"rate_limit": 20}).delivery.rate_limit == Rate(20, "s")
    assert draft(delivery={"rate_limit": "20"}).delivery.rate_limit == Rate(20, "s")
    assert draft(delivery={"rate_limit": "5/h"}).delivery.rate_limit == Rate(5, "h")
    assert draft(delivery={"rate_limit": None}).delivery.rate_limit is None


def test_a_placeholder_of_a_target_may_carry_its_origin() -> None:
    rule = draft(action_target={"secret": "***", "origin": "https://h.example"})

    assert rule.action_target == SecretTarget(secret="***", origin="https://h.example")
    assert errors_of(action_target={"secret": "***", "origin": "https://h.example/path"})
    assert errors_of(action_secret={"secret": "***", "origin": "https://h.example"})


def test_no_repr_and_no_error_shows_a_secret_a_path_or_a_header() -> None:
    said = fields(
        action_target=f"https://h.example/{SECRET}",
        action_secret=SECRET,
        delivery={"headers": {"A": f"Bearer {SECRET}", "B": {"secret": SECRET}}},
    )
    rule = RuleDraft.model_validate(said)
    with pytest.raises(ValidationError) as caught:
        RuleDraft.model_validate(
            {
                **said,
                "action_target": {"secret": SECRET},
                "action_secret": {"secret": f"sealed:{SECRET}"},
                "delivery": {"headers": {"A": f"{SECRET}\n", "B": {"secret": f"{SECRET}\n"}}},
                "muted_until": SECRET,
                "filter_severity": {SECRET: 1},
            }
        )

    with pytest.raises(ValidationError) as listed:
        RuleDraft.model_validate(fields(action_secret=[SECRET, {"secret": SECRET, "not_after": SECRET}]))

    shown = [str(listed.value), repr(listed.value), str(invalid_fields(listed.value))]
    shown += [repr(rule), str(rule), repr(rule.action_secret), repr(rule.delivery), str(rule.delivery)]
    shown += [str(caught.value), repr(caught.value), str(invalid_fields(caught.value))]
    assert not [text for text in shown if SECRET in text]
    assert "https://h.example" in repr(rule)


@pytest.mark.parametrize(
    ("target", "origin"),
    [
        ("https://h.example/x", "https://h.example"),
        ({"secret": "http://h.example:8080/x"}, "http://h.example:8080"),
        ({"ref": "env:TOCSIN_SECRET_URL"}, ""),
    ],
)
def test_of_a_target_the_origin_may_be_shown(target: object, origin: str) -> None:
    assert draft(action_target=target).origin == origin
