"""Why an event pattern is refused.

ValueError
└── FilterError      the pattern is not accepted; names the place in it and what may stand there
"""

from typing import TypeAlias

_SHOWN = 100  # characters of a name

Place: TypeAlias = tuple[str | int, ...]
"""Where in the pattern: names of fields and operators, and positions in lists from 0."""


class FilterError(ValueError):
    """The pattern is refused. `place` is where, `message` what is wrong there, in one line."""

    def __init__(self, message: str, place: Place) -> None:
        self.message = message
        self.place = place
        self.path = show_place(place)
        super().__init__(f"{self.path}: {message}" if place else message)


def show_place(place: Place) -> str:
    """`detail.state[0].prefix`, on one line whatever the names are."""
    path = ""
    for part in place:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            shown = part if len(part) <= _SHOWN else part[:_SHOWN] + "…"
            shown = shown if shown.isprintable() else ascii(shown)[1:-1]
            path += f".{shown}" if path else shown
    return path
