"""What the run came to. Pure."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts of the run, `seconds` from each event to its webhook, `took` in seconds.

    `dead` and `cancelled` are jobs that ended otherwise than by delivery.
    """

    events: int
    matches: int
    delivered: int
    dead: int
    cancelled: int
    repeats: int
    seconds: Sequence[float]
    took: float

    def lines(self) -> Iterable[str]:
        """For people, one line for each thing."""
        yield f"events     {self.events:>8,}"
        yield f"matches    {self.matches:>8,}"
        yield f"delivered  {self.delivered:>8,}"
        for name in ("dead", "cancelled", "repeats"):
            if count := getattr(self, name):
                yield f"{name:<9}  {count:>8,}"
        if self.seconds:
            p50, p99 = percentiles(self.seconds)
            yield f"from event to webhook: p50 {duration(p50)}, p99 {duration(p99)}"
        yield f"took {self.took:.1f} s"


def percentiles(seconds: Sequence[float]) -> tuple[float, float]:
    """The 50th and the 99th percentile, interpolated; raises ValueError when there is no value."""
    if not seconds:
        raise ValueError("no values")
    if len(seconds) == 1:
        return seconds[0], seconds[0]
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return cuts[49], cuts[98]


def duration(seconds: float) -> str:
    """`7.4 ms`, `340 ms`, `2.1 s`: about three digits."""
    milliseconds = seconds * 1000
    if milliseconds < 9.95:
        return f"{milliseconds:.1f} ms"
    if milliseconds < 999.5:
        return f"{milliseconds:.0f} ms"
    return f"{seconds:.1f} s"
