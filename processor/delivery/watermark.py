"""Completion out of order, commit in order: which offset of a partition may be committed.

Records are taken in order and finished in any. What is finished above the first unfinished one is kept in
the commit's metadata behind the topic's id, so that a successor skips it: `1;<topic id>;<runs>`, where runs
are the lengths of alternating stretches from the committed offset on, unfinished first, finished next, and
so on. A length is written in base 32, low digit first; every digit but a number's last is from the upper
half of the alphabet. Offsets that hold no record (transaction markers, compacted ones) count with the
stretch before them.

Kafka takes 4,096 bytes of metadata; room() says early enough when no more may be taken.
"""

import math
from collections import deque
from collections.abc import Iterator
from typing import Final

MAX_METADATA: Final = 4_000
"""Bytes of a commit's metadata; the broker's offset.metadata.max.bytes is 4,096 by default."""

MAX_RUNS: Final = MAX_METADATA - 64
"""Characters of the runs alone; the rest is for the format and the topic's id."""

_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_DIGITS: Final = {char: value for value, char in enumerate(_ALPHABET)}
_SLACK: Final = 16
_INT64_DIGITS: Final = 13

Run = tuple[int, int]
"""A stretch of finished offsets: first, and the one behind its last."""


class RunsError(ValueError):
    """The text is no list of runs."""


def encode_runs(next_offset: int, finished: Iterator[Run] | list[Run]) -> str:
    """The stretches as text; finished: ascending, not touching each other, none below next_offset."""
    parts: list[str] = []
    position = next_offset
    for first, behind in finished:
        parts.append(_encode(first - position))
        parts.append(_encode(behind - first))
        position = behind
    return "".join(parts)


def decode_runs(next_offset: int, text: str) -> list[Run]:
    """The finished stretches behind next_offset. Raises RunsError."""
    numbers: list[int] = []
    value = shift = 0
    for char in text:
        digit = _DIGITS.get(char)
        if digit is None or shift >= 5 * _INT64_DIGITS:
            raise RunsError(f"a commit's list of finished jobs can't be read: {text[:60]!r}")
        value |= (digit & 31) << shift
        shift += 5
        if digit < 32:
            numbers.append(value)
            value = shift = 0
    if shift or len(numbers) % 2:
        raise RunsError(f"a commit's list of finished jobs is cut off: …{text[-60:]!r}")
    runs: list[Run] = []
    position = next_offset
    for skipped, length in zip(numbers[::2], numbers[1::2], strict=True):
        first = position + skipped
        position = first + length
        runs.append((first, position))
    return runs


class Watermark:
    """One partition's tracker, from next_offset on; for one thread.

    runs: what a commit's metadata holds behind the topic's id. damaged: what is wrong with them, None if
    nothing; then they are ignored, and what they listed is sent once more.
    """

    def __init__(self, next_offset: int, runs: str = "") -> None:
        self.damaged: str | None = None
        self._end = next_offset  # behind everything taken
        self._skip: deque[Run] = deque()  # finished by a predecessor, not met again yet
        self._left: int | None = None  # a record that stays: nothing behind it is passed
        self._taken = 0
        self._open: dict[int, int] = {}  # offset -> its number in the order of taking
        self._order: deque[int] = deque()  # the same offsets; finished ones leave when they reach its front
        try:
            self._skip.extend(decode_runs(next_offset, runs))
        except RunsError as error:
            self.damaged = str(error)

    @classmethod
    def restore(cls, next_offset: int, runs: str) -> "Watermark":
        """The tracker of a partition taken over from a commit."""
        return cls(next_offset, runs)

    @property
    def next_offset(self) -> int:
        """What to commit: everything below it is finished."""
        return self._order[0] if self._order else self._end

    @property
    def in_flight(self) -> int:
        """Taken and not finished."""
        return len(self._open)

    def take(self, offset: int) -> bool:
        """The record at `offset` was read; offsets ascend, gaps are fine.

        False: it was finished before the commit this partition was taken over from, so drop it. Raises
        ValueError for an offset that was passed already.
        """
        if offset < self._end:
            raise ValueError(f"offset {offset} was taken already, the next one is {self._end}")
        self._left = None
        self._taken += 1
        self._end = offset + 1
        while self._skip and self._skip[0][1] <= offset:
            self._skip.popleft()
        if self._skip and self._skip[0][0] <= offset:
            return False
        self._open[offset] = self._taken
        self._order.append(offset)
        return True

    def finish(self, offset: int) -> None:
        """The job at `offset` needs nothing more of this partition. Raises KeyError if it isn't in flight."""
        del self._open[offset]
        while self._order and self._order[0] not in self._open:
            self._order.popleft()

    def untake(self, offset: int) -> None:
        """The record taken last stays in its partition: nothing at or behind it is committed.

        Raises ValueError if it isn't the last one, KeyError if it isn't in flight.
        """
        if offset != self._end - 1:
            raise ValueError(f"offset {offset} was not taken last")
        del self._open[offset]
        self._order.remove(offset)
        self._taken -= 1
        self._end = self._left = offset

    def end(self, next_offset: int) -> None:
        """The partition was read up to here without a record: past markers, so that no lag stays.

        Ignored while a record that was given back by untake() lies in between.
        """
        if self._left is None:
            self._end = max(self._end, next_offset)

    def runs(self) -> str:
        """What belongs to next_offset in the metadata; fits while room() was respected."""
        return encode_runs(self.next_offset, self._merged())

    def room(self, records: int = 1) -> bool:
        """Whether so many more may be taken, whatever the order in which all in flight will finish.

        Always true with nothing in flight, or a partition could stand still for ever.
        """
        if not self._open:
            return True
        # Each unfinished record opens at most one pair of lengths. A length has one digit, and one more for
        # each power of 32 it reaches: at most span / 31 more in all, and most where all lengths are the same.
        lengths = 2 * (len(self._open) + records)
        span = self._end - self.next_offset + 2 * records
        more = min(span // 31, math.ceil(lengths * math.log(1 + span / lengths, 32)))
        digits = lengths + more
        ahead = sum(2 * ((behind - first).bit_length() // 5 + 1) + 13 for first, behind in self._skip)
        return digits + ahead + _SLACK <= MAX_RUNS

    def _merged(self) -> Iterator[Run]:
        """_finished with stretches that touch joined."""
        current: Run | None = None
        for first, behind in self._finished():
            if current is not None and first <= current[1]:
                current = (current[0], max(behind, current[1]))
                continue
            if current is not None:
                yield current
            current = (first, behind)
        if current is not None:
            yield current

    def _finished(self) -> Iterator[Run]:
        previous: int | None = None
        number = 0
        for offset, taken in self._open.items():
            if previous is not None and taken > number + 1:
                yield previous + 1, offset
            previous, number = offset, taken
        if previous is not None and self._taken > number:
            yield previous + 1, self._end
        for first, behind in self._skip:
            if behind > self._end:
                yield max(first, self._end), behind


def _encode(number: int) -> str:
    digits = []
    while number >= 32:
        digits.append(_ALPHABET[32 | (number & 31)])
        number >>= 5
    digits.append(_ALPHABET[number])
    return "".join(digits)
