"""What rules would have fired on events of the past: counts, their course over time, and some of the events.

Pure: events come one by one, from wherever; chance is passed in. Memory doesn't grow with the events.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from processor.events import Event, EventDecoder, Unreadable
from processor.matching.histogram import Bucket, Histogram
from processor.matching.trial import Trial
from processor.rules.schema import TriggerRule

MAX_SAMPLES: Final = 1_000
CLIP: Final = 1_000
"""Characters of a sample's texts."""


class Sample(NamedTuple):
    """An event that fired a rule; `at` is where it is on the histogram's axis."""

    place: str
    at: int | None
    severity: str
    source: str
    message: str


@dataclass(slots=True)
class Hits:
    """What one rule fired on; samples are drawn evenly from all of it, in the order of the events."""

    rule: TriggerRule
    fired: int
    samples: list[Sample]


class Backtest:
    """Gathers what some rules would have fired."""

    def __init__(
        self,
        trial: Trial,
        decoder: EventDecoder,
        widths: Sequence[int],
        *,
        samples: int,
        chance: random.Random,
    ) -> None:
        """`widths`: of the histogram's buckets (TIME_WIDTHS or COUNT_WIDTHS). `samples`: kept per rule."""
        self._trial = trial
        self._decode = decoder.decode
        self._most = samples
        self._chance = chance
        self._numbers = {rule.id: number for number, rule in enumerate(trial.rules, 1)}
        self.hits = tuple(Hits(rule, 0, []) for rule in trial.rules)
        self.events = 0
        self.untimed = 0
        """Events that are not in the histogram."""
        self.unreadable: Counter[str] = Counter()
        self._course = Histogram(len(trial.rules) + 1, widths)

    def add(self, value: bytes | None, at: int | None, where: str, number: int) -> None:
        """One event of the log.

        at: where it is on the histogram's axis, None where that isn't known. where, number: its place for
        people, `event-log[3]@` and 17 for instance.
        """
        self.events += 1
        event = self._decode(value)
        if isinstance(event, Unreadable):
            self.unreadable[event.reason] += 1
            return
        series = [0]
        for rule_id in self._trial.fired(event):
            series.append(self._numbers[rule_id])
            self._hit(self.hits[series[-1] - 1], event, at, f"{where}{number}")
        if at is None:
            self.untimed += 1
        else:
            self._course.add(at, series)

    def course(self) -> Iterator[Bucket]:
        """Counts per bucket: of all readable events, then of what each rule fired on, in their order."""
        return self._course.buckets()

    def _hit(self, hits: Hits, event: Event, at: int | None, place: str) -> None:
        hits.fired += 1
        if len(hits.samples) >= self._most:
            # Each event so far is among the samples with the same chance (Vitter's algorithm R).
            if self._most == 0 or self._chance.randrange(hits.fired) >= self._most:
                return
            del hits.samples[self._chance.randrange(self._most)]
        texts = (event.severity, event.source, event.message)
        hits.samples.append(Sample(place, at, *(text[:CLIP] for text in texts)))
