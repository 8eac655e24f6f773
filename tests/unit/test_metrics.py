"""The metrics: what is exposed, what the documentation says of it, and the batch histogram."""

import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as untyped_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from processor.observability.histogram import BatchHistogram
from processor.observability.metrics import ATTEMPTS, Metrics

DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"
PARTS_OF_A_HISTOGRAM = re.compile(r"_(bucket|count|sum)$")


def generate_openmetrics(registry: CollectorRegistry) -> bytes:
    return bytes(untyped_openmetrics(registry))  # type: ignore[no-untyped-call]


def exposed(metrics: Metrics) -> dict[str, tuple[str, dict[str, set[str]]]]:
    """Every metric by the name people query: its type, and its labels with the values they have."""
    shapes: dict[str, tuple[str, dict[str, set[str]]]] = {}
    for family in text_string_to_metric_families(generate_latest(metrics.registry).decode()):
        for sample in family.samples:
            name = PARTS_OF_A_HISTOGRAM.sub("", sample.name) if family.type == "histogram" else sample.name
            _, labels = shapes.setdefault(name, (family.type, {}))
            for label, value in sample.labels.items():
                if label != "le":
                    labels.setdefault(label, set()).add(value)
    return shapes


def documented() -> dict[str, tuple[str, dict[str, set[str]]]]:
    """The table of docs/metrics.md in the same shape; a label without listed values has none."""
    shapes: dict[str, tuple[str, dict[str, set[str]]]] = {}
    for line in DOCUMENT.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != 4 or cells[1] not in ("counter", "gauge", "histogram"):
            continue
        labels: dict[str, set[str]] = {}
        for part in filter(None, cells[2].split(";")):
            names, colon, values = part.partition(":")
            for name in re.findall(r"`(\w+)`", names):
                labels[name] = set(re.findall(r"`(\w+)`", values)) if colon else set()
            if "empty" in values:
                labels[next(iter(re.findall(r"`(\w+)`", names)))].add("")
        shapes[cells[0].strip("`")] = (cells[1], labels)
    return shapes


def test_documentation_lists_exactly_the_metrics_that_are_exposed() -> None:
    metrics = Metrics(version="1.2.3")
    metrics.consumer_lag.labels("event-log").set(1)
    code, table = exposed(metrics), documented()
    assert table.keys() == code.keys()
    for name, (kind, labels) in table.items():
        # Open sets (a topic's name, a version) are documented without values.
        values = {
            label: code[name][1].get(label, set()) if found else set() for label, found in labels.items()
        }
        assert (name, kind, labels) == (name, code[name][0], values)
        assert labels.keys() == code[name][1].keys(), name


def test_closed_series_exist_before_anything_happens() -> None:
    registry = Metrics(version="1.2.3").registry
    assert registry.get_sample_value("tocsin_events_total", {"outcome": "dead"}) == 0
    assert registry.get_sample_value("tocsin_attempts_total", {"outcome": "delivered", "reason": ""}) == 0
    assert registry.get_sample_value("tocsin_attempts_total", {"outcome": "dead", "reason": "gone"}) == 0
    assert registry.get_sample_value("tocsin_rules", {"status": "invalid"}) == 0
    assert registry.get_sample_value("tocsin_jobs_waiting", {"why": "rules"}) == 0
    labels = {"role": "sender", "result": "fenced"}
    assert registry.get_sample_value("tocsin_transactions_total", labels) == 0


def test_only_pairs_of_outcome_and_reason_that_can_be_exist() -> None:
    metrics = Metrics(version="1.2.3")
    assert set(metrics.attempts) == set(ATTEMPTS)
    assert ("dead", "muted") not in set(ATTEMPTS)
    labels = {"outcome": "dead", "reason": "muted"}
    assert metrics.registry.get_sample_value("tocsin_attempts_total", labels) is None


def test_bumping_a_child_shows_in_its_series() -> None:
    metrics = Metrics(version="1.2.3")
    metrics.events["matched"].inc(3)
    metrics.attempts["cancelled", "muted"].inc()
    metrics.transactions["matcher", "aborted"].inc()
    metrics.transaction_duration["sender"].observe(0.015)
    value = metrics.registry.get_sample_value
    assert value("tocsin_events_total", {"outcome": "matched"}) == 3
    assert value("tocsin_attempts_total", {"outcome": "cancelled", "reason": "muted"}) == 1
    assert value("tocsin_transactions_total", {"role": "matcher", "result": "aborted"}) == 1
    assert value("tocsin_transaction_duration_seconds_count", {"role": "sender"}) == 1
    assert value("tocsin_transaction_duration_seconds_count", {"role": "matcher"}) == 0


def test_two_instances_in_one_interpreter_share_nothing() -> None:
    one, other = Metrics(version="1.2.3"), Metrics(version="1.2.3")
    one.jobs.inc()
    assert other.registry.get_sample_value("tocsin_jobs_total") == 0


def test_no_created_series_is_exposed() -> None:
    registry = Metrics(version="1.2.3").registry
    assert b"_created" not in generate_latest(registry)
    assert b"_created" not in generate_openmetrics(registry)


def test_build_info_says_the_version() -> None:
    registry = Metrics(version="1.2.3").registry
    assert re.search(rb'^tocsin_build_info\{.*version="1\.2\.3".*\} 1\.0$', generate_latest(registry), re.M)


def test_oldest_unsent_job_ages_between_two_readings_without_anyone_setting_it() -> None:
    now = 1000.0
    metrics = Metrics(version="1.2.3", clock=lambda: now)
    name = "tocsin_oldest_unsent_job_seconds"
    assert metrics.registry.get_sample_value(name) == 0
    metrics.set_oldest_unsent(990.0)
    assert metrics.registry.get_sample_value(name) == 10
    now = 1005.0
    assert metrics.registry.get_sample_value(name) == 15
    metrics.set_oldest_unsent(2000.0)
    assert metrics.registry.get_sample_value(name) == 0, "a clock that went back gives no negative age"
    metrics.set_oldest_unsent(None)
    assert metrics.registry.get_sample_value(name) == 0


def test_batch_histogram_exposes_the_same_text_as_the_library_one() -> None:
    buckets = (0.005, 0.1, 1.0, 60.0)
    values = [0.0, 0.004, 0.005, 0.0051, 0.5, 1.0, 59.0, 60.5, 1e6]
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    BatchHistogram("lag_seconds", "Lag.", buckets=buckets, registry=ours).observe_many(values)
    reference = Histogram("lag_seconds", "Lag.", buckets=buckets, registry=theirs)
    for value in values:
        reference.observe(value)
    assert generate_latest(ours) == generate_latest(theirs)
    assert generate_openmetrics(ours) == generate_openmetrics(theirs)


def test_batch_histogram_counts_one_value_many_times() -> None:
    registry = CollectorRegistry()
    BatchHistogram("lag_seconds", "Lag.", buckets=(1, 2), registry=registry).observe(1.5, times=4)
    assert registry.get_sample_value("lag_seconds_bucket", {"le": "1.0"}) == 0
    assert registry.get_sample_value("lag_seconds_bucket", {"le": "2.0"}) == 4
    assert registry.get_sample_value("lag_seconds_count") == 4
    assert registry.get_sample_value("lag_seconds_sum") == 6


def test_negative_latency_counts_as_zero() -> None:
    registry = CollectorRegistry()
    histogram = BatchHistogram("lag_seconds", "Lag.", buckets=(1, 2), registry=registry)
    histogram.observe(-3.0)
    histogram.observe_many([-1.0, 0.5])
    assert registry.get_sample_value("lag_seconds_bucket", {"le": "1.0"}) == 3
    assert registry.get_sample_value("lag_seconds_sum") == 0.5


def test_batch_histogram_keeps_what_it_counted_when_the_values_break_off() -> None:
    registry = CollectorRegistry()
    histogram = BatchHistogram("lag_seconds", "Lag.", buckets=(1, 2), registry=registry)
    with pytest.raises(ZeroDivisionError):
        histogram.observe_many(1 / value for value in (1, 0))
    histogram.observe(1.0)
    assert registry.get_sample_value("lag_seconds_count") == 2


@pytest.mark.parametrize("buckets", [(), (2.0, 1.0), (1.0, 1.0)])
def test_bucket_bounds_that_do_not_ascend_are_refused(buckets: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="ascend"):
        BatchHistogram("lag_seconds", "Lag.", buckets=buckets, registry=CollectorRegistry())
