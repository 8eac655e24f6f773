"""Every number Tocsin shows to Prometheus, in one registry per process.

The composition root makes one `Metrics` and hands it to the roles of the process. Closed sets of label values
are mappings from the value to its child (`metrics.events["matched"].inc(n)`): mypy knows the values, each
series is there with 0 before anything happens (so `rate()` and `increase()` see the first one), and bumping
needs no look-up of labels. docs/metrics.md is the table for users; a test compares the two.

Counters count what is *committed*: bump them after the transaction, per batch. What was aborted and comes
again would be counted twice otherwise.
"""

import platform
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal, TypeVar, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.metrics import MetricWrapperBase

from processor.observability.histogram import BatchHistogram

EventOutcome = Literal["matched", "unmatched", "dead"]
AttemptOutcome = Literal["delivered", "failed", "dead", "cancelled", "deferred"]
DeadReason = Literal["exhausted", "gone", "refused", "expired", "blocked"]
CancelReason = Literal["deleted", "disabled", "replaced", "muted"]
AttemptReason = Literal["", DeadReason, CancelReason]
RuleStatus = Literal["valid", "invalid", "unsealed"]
TransactionRole = Literal["matcher", "sender"]
TransactionResult = Literal["committed", "aborted", "uncertain", "fenced"]
WaitingFor = Literal["due", "slot", "rules"]

# Which reasons an outcome can have (contract: "Jobs, requests, outcomes"); only these series exist.
ATTEMPTS: Final[tuple[tuple[AttemptOutcome, AttemptReason], ...]] = (
    ("delivered", ""),
    ("failed", ""),
    ("deferred", ""),
    *(("dead", reason) for reason in get_args(DeadReason)),
    *(("cancelled", reason) for reason in get_args(CancelReason)),
)

# One look at the rule table's end is 0.4 ms and most batches need no wait at all; 0.2 s is where the matcher
# pauses its partitions and 5 s where it stops being ready, so both are bounds.
RULES_WAIT_BUCKETS: Final = (
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.2,
    0.5,
    1,
    2.5,
    5,
    30,
    300,
)
# A commit is 5-20 ms on a healthy broker; no transaction should stay open over 1 s, and 5 s is
# transaction.timeout.
TRANSACTION_BUCKETS: Final = (0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1, 2.5, 5, 10)
# p50 is near 10 ms and p99 near 30 ms when all is well; the upper half is for a matcher that works off a
# backlog.
EVENT_TO_JOB_BUCKETS: Final = (
    0.005,
    0.01,
    0.02,
    0.03,
    0.05,
    0.1,
    0.2,
    0.5,
    1,
    2.5,
    5,
    10,
    30,
    60,
    300,
    1800,
    3600,
    21600,
)
# A receiver next door answers in milliseconds; 5 s and 15 s are the default timeouts, rules may set longer
# ones.
DELIVERY_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60)
# The sums of the default retry schedule (5 s, 1 m, 10 m, 1 h, 6 h: 5, 65, 665, 4,265 and 25,865 s) each have
# a bound a little above them, so that a bucket says how many retries a delivery needed.
EVENT_TO_DELIVERY_BUCKETS: Final = (
    0.01,
    0.02,
    0.05,
    0.1,
    0.2,
    0.5,
    1,
    2.5,
    5,
    10,
    30,
    90,
    300,
    900,
    1800,
    5400,
    10800,
    32400,
    86400,
)

_Label = TypeVar("_Label", bound=str)
_Metric = TypeVar("_Metric", bound=MetricWrapperBase)

# A `_created` series beside each counter and histogram would double what is stored, and nobody asks for it.
# The switch is the library's, for the process; it has no other.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """The metrics of one process; make it once and pass it in.

    Every attribute may be bumped from any thread. Gauges speak of this process alone: sum them over the
    processes of a role.
    """

    def __init__(self, version: str, clock: Callable[[], float] = time.time) -> None:
        """`version` is Tocsin's own; `clock` gives seconds since 1970, asked when the metrics are read."""
        self._clock = clock
        self._oldest_unsent: float | None = None
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        build = Info("tocsin_build", "Always 1; the labels say which build this is.", registry=registry)
        build.info({"version": version, "python": platform.python_version()})

        # matcher
        self.events: Final[Mapping[EventOutcome, Counter]] = _children(
            Counter(
                "tocsin_events_total",
                "Events judged, by outcome: at least one rule fired, none did, or it went to events.dead.",
                ["outcome"],
                registry=registry,
            ),
            get_args(EventOutcome),
        )
        self.events_repaired: Final = Counter(
            "tocsin_events_repaired_total",
            "Events with invalid UTF-8 inside strings, repaired with U+FFFD.",
            registry=registry,
        )
        self.event_fields_wrong_type: Final = Counter(
            "tocsin_event_fields_wrong_type_total",
            "Severity, source and message fields of a type that counts as missing (null, list, object).",
            registry=registry,
        )
        self.events_lost: Final = Counter(
            "tocsin_events_lost_total",
            "Offsets that were gone from an event topic before they were read.",
            registry=registry,
        )
        self.jobs: Final = Counter("tocsin_jobs_total", "Webhook jobs written.", registry=registry)
        self.event_to_job: Final = BatchHistogram(
            "tocsin_event_to_job_seconds",
            "From the event's timestamp in Kafka to the commit that made its job visible.",
            buckets=EVENT_TO_JOB_BUCKETS,
            registry=registry,
        )
        self.rules_wait: Final = Histogram(
            "tocsin_rules_wait_seconds",
            "How long a batch of events waited for the rule table to catch up (strict freshness).",
            buckets=RULES_WAIT_BUCKETS,
            registry=registry,
        )

        # sender
        self.attempts: Final[Mapping[tuple[AttemptOutcome, AttemptReason], Counter]] = _attempts(registry)
        self.jobs_unreadable: Final = Counter(
            "tocsin_jobs_unreadable_total",
            "Records of job topics that were no jobs and went to the dead letters as they were.",
            registry=registry,
        )
        self.delivery_duration: Final = BatchHistogram(
            "tocsin_delivery_duration_seconds",
            "One attempt, from resolving the name to the answer's headers or the failure.",
            buckets=DELIVERY_BUCKETS,
            registry=registry,
        )
        self.event_to_delivery: Final = BatchHistogram(
            "tocsin_event_to_delivery_seconds",
            "From the match to the receiver's 2xx, retries included.",
            buckets=EVENT_TO_DELIVERY_BUCKETS,
            registry=registry,
        )
        self.jobs_waiting: Final[Mapping[WaitingFor, Gauge]] = _children(
            Gauge(
                "tocsin_jobs_waiting",
                "Jobs in this sender's memory that are not being sent, by what they wait for.",
                ["why"],
                registry=registry,
            ),
            get_args(WaitingFor),
        )
        self.circuits_open: Final = Gauge(
            "tocsin_circuits_open",
            "Circuits of this sender, of destinations and of rules, that are not closed.",
            registry=registry,
        )
        self.jobs_in_flight: Final = Gauge(
            "tocsin_jobs_in_flight", "Requests being sent at this moment.", registry=registry
        )
        oldest = Gauge(
            "tocsin_oldest_unsent_job_seconds",
            "How long the oldest job in this sender's memory has been due without an outcome, else 0.",
            registry=registry,
        )
        oldest.set_function(self._oldest_unsent_age)

        # both
        self.consumer_lag: Final = Gauge(
            "tocsin_consumer_lag",
            "Records from the committed position to the end, over this process's partitions.",
            ["topic"],
            registry=registry,
        )
        self.rules: Final[Mapping[RuleStatus, Gauge]] = _children(
            Gauge(
                "tocsin_rules",
                "Rules in this process's table; an unsealed one is valid and carries a secret in plain text.",
                ["status"],
                registry=registry,
            ),
            get_args(RuleStatus),
        )
        self.rules_uncompiled: Final = Gauge(
            "tocsin_rules_uncompiled",
            "Rules with a regex that are asked one by one: they have just changed, or can't be compiled"
            " together.",
            registry=registry,
        )
        self.rules_offset: Final = Gauge(
            "tocsin_rules_offset",
            "The next offset of the rule table's topic that this process will read.",
            registry=registry,
        )
        self.transactions: Final[Mapping[tuple[TransactionRole, TransactionResult], Counter]] = _transactions(
            registry
        )
        self.transaction_duration: Final[Mapping[TransactionRole, Histogram]] = _children(
            Histogram(
                "tocsin_transaction_duration_seconds",
                "From the start of a transaction to the answer to its commit or abort.",
                ["role"],
                buckets=TRANSACTION_BUCKETS,
                registry=registry,
            ),
            get_args(TransactionRole),
        )

        # scanner
        self.scanner_lines: Final = Counter(
            "tocsin_scanner_lines_total", "Log lines read, hits or not.", registry=registry
        )
        self.scanner_hits: Final = Counter(
            "tocsin_scanner_hits_total", "Hits of scan rules that became events.", registry=registry
        )
        self.scanner_suppressed: Final = Counter(
            "tocsin_scanner_suppressed_total",
            "Hits that a rule's cooldown held back; the next event tells how many.",
            registry=registry,
        )
        self.scanner_dropped: Final = Counter(
            "tocsin_scanner_dropped_total",
            "Hits that a container's bucket dropped: it made more events than scanner.bucket_rate allows.",
            registry=registry,
        )
        self.scanner_refused: Final = Counter(
            "tocsin_scanner_refused_total", "Events that the event topic can never take.", registry=registry
        )
        self.scanner_cut_lines: Final = Counter(
            "tocsin_scanner_cut_lines_total", "Parts of lines longer than 1 MiB.", registry=registry
        )
        self.scanner_lost: Final = Counter(
            "tocsin_scanner_lost_total",
            "How many times a part of a log went away before it was read.",
            registry=registry,
        )
        self.scanner_lost_bytes: Final = Counter(
            "tocsin_scanner_lost_bytes_total",
            "Bytes of logs that went away before they were read, where their size is known.",
            registry=registry,
        )
        self.scanner_tails: Final = Gauge(
            "tocsin_scanner_tails", "Logs that are being read.", registry=registry
        )
        self.scanner_lag: Final = Gauge(
            "tocsin_scanner_lag_seconds",
            "For how long the oldest lines that are read have waited for their events' acknowledgement.",
            registry=registry,
        )

    def set_oldest_unsent(self, due_at: float | None) -> None:
        """When the oldest due job became due (seconds since 1970), None without one.

        Kept as a moment and turned into an age when it is read: the age of a loop that hangs goes on growing.
        """
        self._oldest_unsent = due_at

    def _oldest_unsent_age(self) -> float:
        due_at = self._oldest_unsent
        return 0.0 if due_at is None else max(0.0, self._clock() - due_at)


def _children(metric: _Metric, values: Iterable[_Label]) -> dict[_Label, _Metric]:
    """One child per value of the metric's only label."""
    return {value: metric.labels(value) for value in values}


def _attempts(registry: CollectorRegistry) -> dict[tuple[AttemptOutcome, AttemptReason], Counter]:
    counter = Counter(
        "tocsin_attempts_total",
        "Attempts and decisions about jobs, as in the audit records.",
        ["outcome", "reason"],
        registry=registry,
    )
    return {(outcome, reason): counter.labels(outcome, reason) for outcome, reason in ATTEMPTS}


def _transactions(
    registry: CollectorRegistry,
) -> dict[tuple[TransactionRole, TransactionResult], Counter]:
    counter = Counter(
        "tocsin_transactions_total",
        "Transactions by how they ended; an uncertain one was looked up afterwards.",
        ["role", "result"],
        registry=registry,
    )
    return {
        (role, result): counter.labels(role, result)
        for role in get_args(TransactionRole)
        for result in get_args(TransactionResult)
    }
