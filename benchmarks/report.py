"""The table: one row per figure, with what it was measured with, its baseline, their ratio and the target."""

import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from os import cpu_count, getloadavg
from typing import Literal

Format = Callable[[float], str]

COLUMNS = ("scenario", "with", "figure", "Tocsin", "baseline", "ratio", "target")


@dataclass(frozen=True, slots=True)
class Target:
    """What a value has to reach; `show` writes the bound as people read it."""

    sense: Literal["≥", "≤"]
    bound: float
    show: Format

    def judged(self, value: float) -> str:
        met = value >= self.bound if self.sense == "≥" else value <= self.bound
        return f"{self.sense} {self.show(self.bound)}: {'met' if met else '**missed**'}"


def count(value: float) -> str:
    return f"{value:,.0f}"


def decimal(value: float) -> str:
    return f"{value:,.2f}"


def percent(value: float) -> str:
    return f"{value * 100:.0f} %"


def times(value: float) -> str:
    if value == float("inf"):
        return "∞"
    return f"{value:,.2f}×" if value < 10 else f"{value:,.0f}×"


def ms(seconds: float) -> str:
    """Milliseconds; what did not come while it was waited for is infinitely late."""
    return "not in time" if seconds == float("inf") else f"{seconds * 1000:,.1f} ms"


def us(seconds: float) -> str:
    return f"{seconds * 1e6:,.2f} µs"


def mib(value: float) -> str:
    return f"{value:,.0f} MiB"


@dataclass(slots=True)
class Report:
    """Rows in the order in which they were measured, and how the machine was."""

    command: str
    rows: list[tuple[str, ...]] = field(default_factory=list)
    _began: tuple[str, float] = field(
        default_factory=lambda: (time.strftime("%Y-%m-%d %H:%M %Z"), getloadavg()[0])
    )

    def paired(
        self,
        scenario: str,
        parameters: str,
        figure: str,
        product: Sequence[float],
        baseline: Sequence[float],
        show: Format,
        *,
        ratio: Format = times,
        gain: bool = False,
        target: Target | None = None,
    ) -> None:
        """Medians over the rounds, and the median of the rounds' ratios, which is what the target judges.

        `product[i]` and `baseline[i]` were measured one after the other. With `gain` the ratio is baseline to
        product.
        """
        pairs = list(zip(product, baseline, strict=True))
        ratios = [_ratio(b, p) if gain else _ratio(p, b) for p, b in pairs]
        middle = statistics.median(ratios)
        self._add(
            (scenario, parameters, figure),
            _median(product, show),
            _median(baseline, show),
            ratio(middle) + _spread(ratios, ratio),
            target.judged(middle) if target else "",
        )

    def alone(
        self,
        scenario: str,
        parameters: str,
        figure: str,
        product: Sequence[float],
        show: Format,
        *,
        target: Target | None = None,
    ) -> None:
        """A figure without a baseline; the target judges its median."""
        judged = target.judged(statistics.median(product)) if target else ""
        self._add((scenario, parameters, figure), _median(product, show), "", "", judged)

    def markdown(self) -> str:
        began, load = self._began
        about = (
            f"`{self.command}`, {began}: {cpu_count()} cores, load average {load:.1f} at the start and"
            f" {getloadavg()[0]:.1f} at the end; Python {platform.python_version()}, confluent-kafka"
            f" {version('confluent-kafka')}, aiohttp {version('aiohttp')}. Medians over rounds, least and"
            " greatest in brackets. Broker and receivers run on the same cores."
        )
        lines = [
            about,
            "",
            _line(COLUMNS),
            _line(["---"] * len(COLUMNS)),
            *(_line(row) for row in self.rows),
        ]
        return "\n".join(lines) + "\n"

    def _add(self, what: tuple[str, str, str], product: str, baseline: str, ratio: str, target: str) -> None:
        self.rows.append((*what, product, baseline, ratio, target))


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of all values don't exceed; infinity of none."""
    if not values:
        return float("inf")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _ratio(over: float, under: float) -> float:
    return over / under if under and under != float("inf") else float("inf")


def _median(values: Sequence[float], show: Format) -> str:
    return show(statistics.median(values)) + _spread(values, show)


def _spread(values: Sequence[float], show: Format) -> str:
    return f" ({show(min(values))} – {show(max(values))})" if len(values) > 1 else ""


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
