"""What a demo prints."""

from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO

from processor.demo.receiver import Webhook
from processor.demo.screen import Screen, screen_for

WEBHOOK = Webhook(
    id="msg_1",
    attempt=1,
    rule="deploy-failed",
    severity="error",
    source="ci",
    message="deploy failed",
    signature="signed",
    repeat=False,
    seconds=0.0123,
)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def screen(
    out: StringIO, clock: Clock, *, terminal: bool = False, width: int = 160, shown: int = 100
) -> Screen:
    return Screen(
        out,
        terminal=terminal,
        colours=terminal,
        width=width,
        shown=shown,
        clock=clock,
        now=lambda: datetime(2026, 11, 23, 10, 0, 0, 123_456, UTC),
    )


def test_a_webhook_is_one_line() -> None:
    out = StringIO()
    screen(out, Clock()).webhook(replace(WEBHOOK, message="two\nlines\x1b[2J"))
    assert out.getvalue() == (
        "10:00:00.123    12 ms  signed     deploy-failed         error     ci          two\\nlines\\x1b[2J\n"
    )


def test_what_is_unusual_about_a_webhook_is_said() -> None:
    out = StringIO()
    screen(out, Clock()).webhook(
        replace(WEBHOOK, attempt=2, repeat=True, seconds=None, signature="forged", rule="r" * 30)
    )
    assert out.getvalue() == (
        f"10:00:00.123           forged     {'r' * 19}…  error     ci          "
        "(attempt 2, repeat) deploy failed\n"
    )


def test_a_line_fits_a_narrow_terminal() -> None:
    out = StringIO()
    screen(out, Clock(), width=80).webhook(replace(WEBHOOK, message="x" * 300))
    assert len(out.getvalue()) == 80 + 1
    assert out.getvalue().endswith("x…\n")


def test_many_webhooks_are_counted_now_and_then() -> None:
    out, clock = StringIO(), Clock()
    shown = screen(out, clock, shown=1)
    for _ in range(5_001):
        shown.webhook(WEBHOOK)
        clock.now += 0.001
    shown.say("end")
    lines = out.getvalue().splitlines()
    assert lines[0].endswith("deploy failed")
    assert lines[1:] == ["… and 2,001 more", "… and 4,001 more", "… and 5,000 more", "end"]


def test_on_a_terminal_the_count_stays_in_its_line() -> None:
    out, clock = StringIO(), Clock()
    shown = screen(out, clock, terminal=True, shown=0)
    for _ in range(3):
        shown.webhook(WEBHOOK)
        clock.now += 0.15
    shown.say("end")
    assert out.getvalue() == "\r\x1b[K… and 3 more\nend\n"


def test_all_are_shown_again_when_asked_for() -> None:
    out, clock = StringIO(), Clock()
    shown = screen(out, clock, shown=0)
    shown.webhook(WEBHOOK)
    shown.show_all()
    shown.webhook(WEBHOOK)
    shown.webhook(WEBHOOK)
    assert [line[:12] for line in out.getvalue().splitlines()] == ["… and 1 more", *2 * ["10:00:00.123"]]


def test_colours_are_for_terminals_that_want_them() -> None:
    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    for out, environ, coloured in (
        (Terminal(), {"TERM": "xterm"}, True),
        (Terminal(), {"TERM": "xterm", "NO_COLOR": "1"}, False),
        (Terminal(), {"TERM": "dumb"}, False),
        (StringIO(), {"TERM": "xterm"}, False),
    ):
        screen_for(out, environ, 120, 10).webhook(WEBHOOK)
        assert ("\x1b[31m" in out.getvalue()) is coloured
