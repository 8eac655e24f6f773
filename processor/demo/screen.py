"""What the demo prints: a line for each step, a line for each webhook, and after many a count of them."""

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, TextIO

from processor.demo.receiver import Webhook
from processor.demo.summary import duration

WIDTH_OF_FILES: Final = 160
"""Columns where there is no terminal to ask."""

_WIDE: Final = 110
"""Columns from which on the time and the source have room, too."""

_COLOURS: Final = {"red": "31", "green": "32", "yellow": "33", "grey": "90"}
_SEVERITIES: Final = {
    "critical": "red",
    "fatal": "red",
    "error": "red",
    "warning": "yellow",
    "warn": "yellow",
}
_SIGNATURES: Final = {"signed": "green", "forged": "red"}
_ERASE: Final = "\r\x1b[K"


class Screen:
    """Writes to `stream` at once. On a terminal with colours, and the count in one line that changes."""

    def __init__(
        self,
        stream: TextIO,
        *,
        terminal: bool,
        colours: bool,
        width: int,
        shown: int,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        """`shown`: how many webhooks get a line; those after them are counted, now and then by `clock`."""
        self._stream = stream
        self._terminal = terminal
        self._colours = colours
        self._width = width
        self._left = shown
        self._every = 0.2 if terminal else 2.0
        self._clock = clock
        self._now = now
        self._more = 0
        self._counted = 0
        self._count_at = 0.0
        self._open = False

    def say(self, text: str = "") -> None:
        """A line of its own."""
        self.settle()
        self._write(text + "\n")

    def step(self, what: str, how: str) -> None:
        """`what` was done, and how."""
        self.say(f"{what:<9} {how}")

    def show_all(self) -> None:
        """From here on every webhook gets a line."""
        self.settle()
        self._left = -1

    def webhook(self, webhook: Webhook) -> None:
        """One webhook as a line, or counted."""
        if self._left == 0:
            now = self._clock()
            if self._more == 0:
                self._count_at = now + self._every
            self._more += 1
            if now >= self._count_at:
                self._count_at = now + self._every
                self._count()
            return
        self._left -= 1
        self.say(self._line(webhook))

    def settle(self) -> None:
        """Bring the count up to date and end its line."""
        if self._more != self._counted:
            self._count()
        if self._open:
            self._open = False
            self._write("\n")

    def _count(self) -> None:
        self._counted = self._more
        text = f"… and {self._more:,} more"
        self._open = self._terminal
        self._write(f"{_ERASE}{text}" if self._terminal else f"{text}\n")

    def _line(self, webhook: Webhook) -> str:
        seconds = webhook.seconds
        notes = [f"attempt {webhook.attempt}"] if webhook.attempt > 1 else []
        notes += ["repeat"] if webhook.repeat else []
        message = _plain(webhook.message)
        message = f"({', '.join(notes)}) {message}" if notes else message
        cells: list[tuple[str, str | None]] = [
            (("" if seconds is None else duration(seconds)).rjust(7), None),
            (webhook.signature.ljust(9), _SIGNATURES.get(webhook.signature)),
            (_fit(webhook.rule, 20), None),
            (_fit(webhook.severity, 8), _SEVERITIES.get(webhook.severity.lower())),
        ]
        if self._width >= _WIDE:
            cells.insert(0, (f"{self._now():%H:%M:%S.%f}"[:-3], "grey"))
            cells.append((_fit(webhook.source, 10), None))
        room = max(20, self._width - sum(len(text) + 2 for text, _ in cells))
        cells.append((message if len(message) <= room else message[: room - 1] + "…", None))
        return "  ".join(self._paint(text, colour) for text, colour in cells).rstrip()

    def _paint(self, text: str, colour: str | None) -> str:
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if colour and self._colours else text

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def screen_for(stream: TextIO, environ: Mapping[str, str], columns: int, shown: int) -> Screen:
    """As `stream` is a terminal or not; NO_COLOR (no-color.org) and TERM=dumb mean no colours."""
    terminal = stream.isatty() and environ.get("TERM") != "dumb"
    return Screen(
        stream,
        terminal=terminal,
        colours=terminal and not environ.get("NO_COLOR"),
        width=columns if terminal else WIDTH_OF_FILES,
        shown=shown,
    )


def _fit(text: str, width: int) -> str:
    text = _plain(text)
    return text.ljust(width) if len(text) <= width else text[: width - 1] + "…"


def _plain(text: str) -> str:
    """Control characters escaped: no event can move the cursor."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
