"""How much of everything a run does: the whole, or `--quick` for trying things out."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Scale:
    """Counts and seconds. Every scenario is bounded by them."""

    warm_up: int = 30_000
    """Events that go through a broker that has just started, before anything is measured."""
    rounds: int = 3
    """Pairs of baseline and product per figure; the median is reported."""
    backlog: int = 1_000_000
    """Events waiting in each event topic."""
    window: float = 8.0
    """Seconds that throughput and CPU are measured for, at most."""
    rule_counts: tuple[int, ...] = (10, 100, 1_000)
    hit_percents: tuple[int, ...] = (0, 1, 100)
    rates: tuple[int, ...] = (1_000, 10_000)
    """Events a second that latency is measured at."""
    latency_seconds: float = 15.0
    loaded_rules: int = 10_000
    """Rules of the changes that are made under load."""
    changes: int = 50
    """Rule changes whose way into force is measured."""
    deliveries: int = 40_000
    """Jobs waiting for the sender."""
    isolation_rounds: int = 5
    isolation_seconds: float = 20.0
    waiting: int = 1_000_000
    """Jobs waiting for a receiver that is down."""
    waiting_seconds: float = 200.0
    engine_seconds: float = 1.0
    time_limit: int = 5_400
    """Seconds after which a run gives up."""

    def with_ten_thousand_rules(self) -> "Scale":
        """`--full`."""
        return replace(self, rule_counts=(*self.rule_counts, 10_000))


WHOLE = Scale()

QUICK = Scale(
    rounds=1,
    backlog=500_000,
    window=2.0,
    rule_counts=(10, 100),
    latency_seconds=4.0,
    loaded_rules=1_000,
    changes=10,
    deliveries=8_000,
    isolation_rounds=1,
    isolation_seconds=10.0,
    waiting=200_000,
    waiting_seconds=30.0,
    engine_seconds=0.2,
    time_limit=900,
)
