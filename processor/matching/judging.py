"""Runs of records judged into a batch: the hot loop, in which every call counts."""

from __future__ import annotations

import logging
import operator
import time
from collections.abc import Callable, Sequence
from typing import Final

from processor.events import Unreadable
from processor.kafka.records import InRecord, Position, place_of
from processor.matching.batch import Batch
from processor.matching.engine import RuleSet
from processor.matching.judge import Judge, Seen, Version

log = logging.getLogger(__name__)

SLICE: Final = 0.02
"""Seconds of judging at a time, so that commits stay on time and the group is served however slow it is."""


AT_ONCE: Final = 1_000
"""Events that are looked at together: enough that what is done once for all of them weighs nothing."""

_value = operator.methodcaller("value")


class Judging:
    """For one turn of the loop."""

    def __init__(
        self,
        judge: Judge,
        version: Version,
        batch: Batch,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._judge = judge
        self._version = version
        self._batch = batch
        self._clock = clock
        self._now = clock()
        self._now_ms = time.time_ns() // 1_000_000

    def over(self) -> bool:
        """Whether there is something else to do."""
        return self._batch.full() or self._clock() > self._now + SLICE

    def run(
        self, records: Sequence[InRecord], position: Position, expected: int, topic_id: str
    ) -> tuple[Sequence[InRecord], int]:
        """Judge records of `position` until it is over; none is wanted of those below the offset `expected`.

        Answers the records that are left, and the offset that is expected then.
        """
        records = _ascending(records, expected)
        while records and not self.over():
            portion = records[: portion_of(self._version.rules)]
            done = self._judge_together(portion, position, topic_id)
            if done:
                expected = _offset(portion[done - 1]) + 1
            records = records[done:]
        self._batch.advance(position, expected, self._now)
        return records, expected

    def _judge_together(self, records: Sequence[InRecord], position: Position, topic_id: str) -> int:
        """How many are done with: all, unless the batch is full before."""
        done, made = len(records), 0
        for place, seen in self._judge.look([*map(_value, records)], self._version.rules):
            if self._batch.full():
                done = place
                break
            made += self._take(seen, records[place], position, topic_id)
        self._batch.outcomes["unmatched"] += done - made
        return done

    def _take(self, seen: Seen | Unreadable, record: InRecord, position: Position, topic_id: str) -> int:
        """Put into the batch what comes of it; 1 if that is anything."""
        judged = self._judge.judge(seen, record, position, topic_id, self._version, self._now_ms)
        batch, outcome = self._batch, judged.outcome
        batch.repaired += judged.repaired
        batch.wrong_types += judged.wrong_types
        if outcome == "dead":
            log.warning(
                "event went to the dead letters",
                extra={"fields": {"event": place_of(record), "reason": judged.reason}},
            )
        if outcome == "unmatched":
            return 0
        batch.add(record, judged.records, outcome, self._now)
        return 1


def portion_of(rules: RuleSet) -> int:
    """How many events to look at together: few while each of them costs much."""
    return max(1, AT_ONCE // (1 + rules.alone // 8))


def _offset(record: InRecord) -> int:
    return record.offset() or 0


def _ascending(records: Sequence[InRecord], expected: int) -> Sequence[InRecord]:
    """The records from `expected` on, each once. Nearly always that is all of them, which is cheap to see."""
    first, last = _offset(records[0]), _offset(records[-1])
    if first >= expected and last - first >= len(records) - 1:
        return records
    wanted = []
    for record in records:
        if _offset(record) >= expected:
            wanted.append(record)
            expected = _offset(record) + 1
    return wanted
