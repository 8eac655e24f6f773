"""What `tocsin probe` says when no webhook came, and what it sends."""

import pytest

from processor.cli.probe.verdict import Group, event_of, over, rule_of, why_none
from processor.delivery.whereabouts import Whereabouts
from processor.rules import RuleDraft
from processor.settings import Settings

ORIGIN = "http://10.0.0.1:8099"
READ_ON = Group("tocsin.matcher", 2, 8)
"""Matchers that have read past offset 7."""


@pytest.mark.parametrize(
    ("job", "group", "said"),
    [
        (None, Group("g", 0, None), "no matcher is running"),
        (None, Group("g", 1, None), "no matcher reads the partition yet"),
        (None, Group("g", 1, 5), "g is 3 behind"),
        (None, READ_ON, "matcher.event_fields"),
        (
            Whereabouts("dead", "blocked", "private address"),
            READ_ON,
            "may not call http://10.0.0.1:8099: priv",
        ),
        (Whereabouts("dead", "blocked"), READ_ON, "sender.egress.allow_cidrs"),
        (Whereabouts("delivered"), READ_ON, "is not this probe"),
        (Whereabouts("cancelled", "deleted"), READ_ON, "the job is cancelled (deleted)"),
        (
            Whereabouts("waiting", "retry", "connect: refused"),
            READ_ON,
            "could not deliver to http://10.0.0.1",
        ),
        (Whereabouts("waiting", "new", "no sender is running"), READ_ON, "(new): no sender is running"),
        (Whereabouts("unknown"), READ_ON, "the job waits (unknown)"),
    ],
)
def test_what_stands_in_the_way_is_said(job: Whereabouts | None, group: Group, said: str) -> None:
    assert said in why_none(job, group, 7, ORIGIN)


def test_waiting_goes_on_while_a_webhook_may_come() -> None:
    assert over(Whereabouts("dead", "blocked"))
    assert not over(Whereabouts("waiting", "retry"))
    assert not over(None)


def test_event_has_its_fields_where_matchers_look() -> None:
    fields = {"severity": "log.level", "source": "log.from.name", "message": "text"}
    settings = Settings.model_validate({"matcher": {"event_fields": fields}})

    event = event_of(settings, "me", "hello")

    assert event == {"log": {"level": "debug", "from": {"name": "me"}}, "text": "hello"}


def test_rule_is_one_and_fires_on_the_probe_alone() -> None:
    draft = RuleDraft.model_validate(rule_of(Settings(), "tocsin-probe-1", f"{ORIGIN}/x"))

    assert list(draft.filter_source) == ["tocsin-probe-1"]
