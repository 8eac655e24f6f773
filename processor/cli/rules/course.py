"""What a backtest found: in words and bars for people, as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from enum import Enum
from typing import Any, Final

from processor.cli.output import printable
from processor.cli.times import format_ms
from processor.durations import format_duration
from processor.matching.backtest import Backtest, Hits, Sample
from processor.matching.histogram import Bucket

_BAR: Final = 40
"""Characters of the longest bar."""
_MESSAGE: Final = 120
"""Characters of a sample's message on a terminal."""


class Axis(Enum):
    """What a backtest's histogram goes along."""

    TIME = "time"
    """ms since 1970."""
    LINES = "lines"
    """A file's lines, from 0."""


def say(backtest: Backtest, axis: Axis, read_from: Sequence[str], seconds: float) -> Iterator[str]:
    """Lines for people. `read_from`: what was read; `seconds`: how long that took."""
    rate = f"{backtest.events / seconds:,.0f}/s" if seconds > 0 else "at once"
    yield f"{backtest.events:,} events read in {seconds:.1f} s ({rate})"
    for source in read_from:
        yield f"  {printable(source)}"
    if backtest.unreadable:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(backtest.unreadable.items()))
        yield f"unreadable, the matcher would dead-letter them: {backtest.unreadable.total():,} ({reasons})"
    if backtest.untimed:
        yield f"without a time, counted but not shown over time: {backtest.untimed:,}"
    buckets = list(backtest.course())
    for number, hits in enumerate(backtest.hits, 1):
        yield ""
        yield from _rule(hits, backtest.events - backtest.unreadable.total(), buckets, number, axis)


def report(backtest: Backtest, axis: Axis, read_from: Sequence[str], seconds: float) -> dict[str, Any]:
    """The same for programs: times in RFC 3339, lines from 1, widths of buckets in seconds or lines."""
    buckets = list(backtest.course())
    scale = 1000 if axis is Axis.TIME else 1
    return {
        "events": backtest.events,
        "unreadable": dict(sorted(backtest.unreadable.items())),
        "untimed": backtest.untimed,
        "read": list(read_from),
        "seconds": round(seconds, 3),
        "events_per_second": round(backtest.events / seconds, 1) if seconds > 0 else None,
        "axis": axis.value,
        "rules": [
            {
                "name": hits.rule.name,
                "enabled": hits.rule.enabled,
                "fired": hits.fired,
                "buckets": [
                    {
                        "start": _at(bucket.start, axis),
                        "width": bucket.width // scale,
                        "events": bucket.counts[0],
                        "fired": bucket.counts[number],
                    }
                    for bucket in buckets
                ],
                "samples": [{**sample._asdict(), "at": _at(sample.at, axis)} for sample in hits.samples],
            }
            for number, hits in enumerate(backtest.hits, 1)
        ],
    }


def _rule(hits: Hits, readable: int, buckets: Sequence[Bucket], number: int, axis: Axis) -> Iterator[str]:
    name = printable(hits.rule.name)
    if not hits.rule.enabled:
        yield f"{name}: is disabled and fires nothing"
        return
    if not hits.fired:
        yield f"{name}: fires on none of {readable:,} events"
        return
    yield f"{name}: fires on {hits.fired:,} of {readable:,} events ({_share(hits.fired, readable)})"
    most = max((bucket.counts[number] for bucket in buckets), default=0)
    if most:
        per = f"per {_width(buckets[0].width, axis)}"
        yield f"  {'from':<20}  {'fired':>9}  {'events':>9}  {per}"
        for bucket in buckets:
            fired, bar = bucket.counts[number], _bar(bucket.counts[number] / most)
            start = _start(bucket.start, axis)
            yield f"  {start:<20}  {fired:>9,}  {bucket.counts[0]:>9,}  {bar}".rstrip()
    if hits.samples:
        yield f"  {len(hits.samples)} of them" if len(hits.samples) < hits.fired else "  all of them"
        yield from (f"    {_sample(sample, axis)}" for sample in hits.samples)


def _sample(sample: Sample, axis: Axis) -> str:
    message = sample.message if len(sample.message) <= _MESSAGE else sample.message[:_MESSAGE] + "…"
    when = [format_ms(sample.at)] if axis is Axis.TIME and sample.at is not None else []
    return "  ".join(
        printable(text) for text in (sample.place, *when, sample.severity, sample.source, message)
    )


def _share(part: int, whole: int) -> str:
    percent = 100 * part / whole
    return f"{percent:.2g} %" if percent < 10 else f"{percent:.0f} %"


def _bar(share: float) -> str:
    return "#" * max(round(share * _BAR), 1 if share else 0)


def _width(width: int, axis: Axis) -> str:
    return format_duration(timedelta(milliseconds=width)) if axis is Axis.TIME else f"{width:,} lines"


def _start(at: int, axis: Axis) -> str:
    return format_ms(at) if axis is Axis.TIME else f"line {at + 1:,}"


def _at(at: int | None, axis: Axis) -> str | int | None:
    if at is None:
        return None
    return format_ms(at) if axis is Axis.TIME else at + 1
