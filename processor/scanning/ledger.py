"""Which lines are done with: their events acknowledged, and those of all lines before them. Pure.

What is saved is the state as it would be had the scanner read only what is done with: positions, cooldowns
and counts together. So whatever is judged again after a crash is judged as it was before, and the counts add
up: hits are events, suppressed and dropped ones.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from processor.scanning.cooldown import Changes, Cooldowns
from processor.scanning.lines import Position, Tail


class Portion:
    """Some lines of one tail that follow each other."""

    __slots__ = ("after", "changes", "read_at", "tail", "unacknowledged")

    def __init__(
        self, tail: Tail, after: Position | None, changes: Changes, unacknowledged: int, read_at: float
    ) -> None:
        """after: where to go on, None when the tail has gone for good. unacknowledged: its events that no
        broker has yet. read_at: seconds.
        """
        self.tail = tail
        self.after = after
        self.changes = changes
        self.unacknowledged = unacknowledged
        self.read_at = read_at


class Totals:
    """What became of each rule's hits, by the rule's id."""

    def __init__(self) -> None:
        self.hits: dict[int, int] = {}
        self.suppressed: dict[int, int] = {}
        self.dropped: dict[int, int] = {}

    def add(self, changes: Changes) -> None:
        """Count what has changed."""
        for to, more in (
            (self.hits, changes.hits),
            (self.suppressed, changes.suppressed_by_rule),
            (self.dropped, changes.dropped),
        ):
            for rule, count in more.items():
                to[rule] = to.get(rule, 0) + count


class Ledger:
    """Tails, what of them is in flight, and the state up to which all is done with."""

    def __init__(self, positions: Mapping[str, Position], cooldowns: Cooldowns, totals: Totals) -> None:
        """All as they were saved; changed from here on by this alone."""
        self.positions: dict[str, Position] = dict(positions)
        self.cooldowns = cooldowns
        self.totals = totals
        self.version = 0
        """Changes whenever there is more to save."""
        self._waiting: dict[str, deque[Portion]] = {}

    def add(self, portion: Portion) -> Portion:
        """Lines have been judged. The portion that their events are to be acknowledged for: this one, or the
        one before, if there are no events.
        """
        waiting = self._waiting.get(portion.tail.key)
        if waiting and not portion.unacknowledged:
            # A log without hits goes on while others wait for a broker: that must not pile up.
            last = waiting[-1]
            last.changes.add(portion.changes)
            last.after = portion.after
            return last
        if waiting is None:
            waiting = self._waiting[portion.tail.key] = deque()
        waiting.append(portion)
        self._settle(portion.tail.key, waiting)
        return portion

    def acknowledged(self, portion: Portion) -> None:
        """One of its events is with the broker, or can never be."""
        portion.unacknowledged -= 1
        waiting = self._waiting.get(portion.tail.key)
        if waiting is not None:
            self._settle(portion.tail.key, waiting)

    def oldest(self) -> float | None:
        """When the lines that have waited longest were read; None if none waits."""
        return min((waiting[0].read_at for waiting in self._waiting.values()), default=None)

    def waits(self) -> bool:
        """Whether anything is not done with yet."""
        return bool(self._waiting)

    def _settle(self, key: str, waiting: deque[Portion]) -> None:
        while waiting and not waiting[0].unacknowledged:
            done = waiting.popleft()
            done.changes.apply(self.cooldowns)
            self.totals.add(done.changes)
            if done.after is None:
                self.positions.pop(key, None)
            else:
                self.positions[key] = done.after
            self.version += 1
        if not waiting:
            del self._waiting[key]
