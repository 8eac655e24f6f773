"""The chart's Grafana dashboard, built from a table of panels: one row per process.

Every query asks for the chosen jobs (releases) and instances, counters with rate over $__rate_interval, and
each panel says what it shows. chart_reference.py writes it into the chart.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

_SELECTED: Final = 'job=~"$job", instance=~"$instance"'
_WIDTH, _HEIGHT, _COLUMNS = 8, 7, 3


@dataclass(frozen=True, slots=True)
class Panel:
    """A graph. `queries` are (legend, expression), with `#` for the labels that choose jobs and instances."""

    title: str
    unit: str
    meaning: str
    queries: tuple[tuple[str, str], ...]
    stacked: bool = False

    def expressions(self) -> list[str]:
        """The queries as Prometheus gets them."""
        return [expression.replace("#", _SELECTED) for _, expression in self.queries]


def _rate(metric: str, by: str = "", labels: str = "") -> str:
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} (rate({metric}{{#{labels}}}[$__rate_interval]))"


def _quantiles(metric: str, labels: str = "") -> tuple[tuple[str, str], ...]:
    return tuple(
        (f"p{q}", f"histogram_quantile(0.{q}, {_rate(f'{metric}_bucket', 'le', labels)})") for q in (50, 99)
    )


def _processes(selector: str) -> tuple[Panel, ...]:
    return (
        Panel(
            "CPU",
            "short",
            "Cores used by each process.",
            (("{{instance}}", f"rate(process_cpu_seconds_total{{#{selector}}}[$__rate_interval])"),),
        ),
        Panel(
            "Memory",
            "bytes",
            "Resident memory of each process.",
            (("{{instance}}", f"process_resident_memory_bytes{{#{selector}}}"),),
        ),
    )


def _of(component: str) -> str:
    return f', pod=~".+-{component}-.+"'


ROWS: Final[tuple[tuple[str, tuple[Panel, ...]], ...]] = (
    (
        "Matcher",
        (
            Panel(
                "Events",
                "short",
                "Events judged per second, by outcome.",
                (("{{outcome}}", _rate("tocsin_events_total", "outcome")),),
                stacked=True,
            ),
            Panel(
                "Jobs",
                "short",
                "Webhook jobs written per second.",
                (("jobs", _rate("tocsin_jobs_total")),),
            ),
            Panel(
                "Lag",
                "short",
                "Events that wait to be judged, and jobs that wait for a sender or a retry, by topic.",
                (("{{topic}}", "sum by (topic) (tocsin_consumer_lag{#})"),),
            ),
            Panel(
                "Event to job",
                "s",
                "From the event's timestamp in Kafka to the commit that made its job visible.",
                _quantiles("tocsin_event_to_job_seconds"),
            ),
            Panel(
                "Wait for rules",
                "s",
                "How long a batch of events waited for the newest rules.",
                _quantiles("tocsin_rules_wait_seconds"),
            ),
            Panel(
                "Transactions",
                "short",
                "Transactions of matchers per second, by how they ended.",
                (("{{result}}", _rate("tocsin_transactions_total", "result", ', role="matcher"')),),
            ),
            Panel(
                "Time of a transaction",
                "s",
                "From a transaction's start to the answer to its commit or abort.",
                _quantiles("tocsin_transaction_duration_seconds", ', role="matcher"'),
            ),
            Panel(
                "Unusual events",
                "short",
                "Events per second that were repaired, had fields of a wrong type, or were gone before they"
                " were read.",
                (
                    ("repaired", _rate("tocsin_events_repaired_total")),
                    ("wrong type", _rate("tocsin_event_fields_wrong_type_total")),
                    ("lost", _rate("tocsin_events_lost_total")),
                ),
            ),
            *_processes(_of("matcher")),
        ),
    ),
    (
        "Sender",
        (
            Panel(
                "Attempts",
                "short",
                "Attempts and decisions about jobs per second, by outcome.",
                (("{{outcome}}", _rate("tocsin_attempts_total", "outcome")),),
                stacked=True,
            ),
            Panel(
                "Dead and cancelled",
                "short",
                "Jobs per second that were given up or cancelled, by reason.",
                (
                    (
                        "{{outcome}}: {{reason}}",
                        _rate("tocsin_attempts_total", "outcome, reason", ', outcome=~"dead|cancelled"'),
                    ),
                    ("unreadable", _rate("tocsin_jobs_unreadable_total")),
                ),
            ),
            Panel(
                "Share of failed attempts",
                "percentunit",
                "Of the attempts that were made.",
                (
                    (
                        "failed",
                        _rate("tocsin_attempts_total", labels=', outcome="failed"')
                        + " / "
                        + _rate("tocsin_attempts_total", labels=', outcome=~"delivered|failed"'),
                    ),
                ),
            ),
            Panel(
                "Time of an attempt",
                "s",
                "From resolving the name to the answer's headers, or the failure.",
                _quantiles("tocsin_delivery_duration_seconds"),
            ),
            Panel(
                "Event to delivery",
                "s",
                "From the match to the receiver's 2xx, retries included.",
                _quantiles("tocsin_event_to_delivery_seconds"),
            ),
            Panel(
                "Oldest unsent job",
                "s",
                "How long the oldest job that is due has waited, in each sender.",
                (("{{instance}}", "tocsin_oldest_unsent_job_seconds{#}"),),
            ),
            Panel(
                "Jobs in memory",
                "short",
                "Jobs being sent, and jobs that wait, by what for.",
                (
                    ("in flight", "sum (tocsin_jobs_in_flight{#})"),
                    ("wait: {{why}}", "sum by (why) (tocsin_jobs_waiting{#})"),
                ),
            ),
            Panel(
                "Open circuits",
                "short",
                "Destinations and rules that are only probed, in all senders.",
                (("open", "sum (tocsin_circuits_open{#})"),),
            ),
            Panel(
                "Transactions",
                "short",
                "Transactions of senders per second, by how they ended.",
                (("{{result}}", _rate("tocsin_transactions_total", "result", ', role="sender"')),),
            ),
            Panel(
                "Time of a transaction",
                "s",
                "From a transaction's start to the answer to its commit or abort.",
                _quantiles("tocsin_transaction_duration_seconds", ', role="sender"'),
            ),
            *_processes(_of("sender")),
        ),
    ),
    (
        "Rules",
        (
            Panel(
                "Rules",
                "short",
                "Rules in the tables: invalid ones fire nothing, unsealed ones carry a plain secret.",
                (("{{status}}", "max by (status) (tocsin_rules{#})"),),
            ),
            Panel(
                "Rules asked one by one",
                "short",
                "Rules that have just changed or can't be compiled together.",
                (("{{instance}}", "tocsin_rules_uncompiled{#}"),),
            ),
            Panel(
                "Position in the rules topic",
                "short",
                "The next offset that each process reads; one that stands still judges by old rules.",
                (("{{instance}}", "tocsin_rules_offset{#}"),),
            ),
        ),
    ),
    ("Admin", _processes(_of("admin"))),
    (
        "Scanner",
        (
            Panel(
                "Lines",
                "short",
                "Log lines read per second, by node's scanner, and parts of lines that were too long.",
                (
                    ("{{instance}}", _rate("tocsin_scanner_lines_total", "instance")),
                    ("cut", _rate("tocsin_scanner_cut_lines_total")),
                ),
            ),
            Panel(
                "Hits",
                "short",
                "Hits per second: those that became events, and those that didn't and why.",
                (
                    ("events", _rate("tocsin_scanner_hits_total")),
                    ("held back by a cooldown", _rate("tocsin_scanner_suppressed_total")),
                    ("dropped by a bucket", _rate("tocsin_scanner_dropped_total")),
                    ("refused by Kafka", _rate("tocsin_scanner_refused_total")),
                ),
            ),
            Panel(
                "Logs",
                "short",
                "Logs that are being read, by scanner.",
                (("{{instance}}", "tocsin_scanner_tails{#}"),),
            ),
            Panel(
                "Waiting for Kafka",
                "s",
                "For how long the oldest lines that are read have waited for their events' acknowledgement.",
                (("{{instance}}", "tocsin_scanner_lag_seconds{#}"),),
            ),
            Panel(
                "Logs gone unread",
                "short",
                "Parts of logs per second that went away before they were read.",
                (("{{instance}}", _rate("tocsin_scanner_lost_total", "instance")),),
            ),
            Panel(
                "Bytes gone unread",
                "Bps",
                "The same in bytes, where their size is known.",
                (("{{instance}}", _rate("tocsin_scanner_lost_bytes_total", "instance")),),
            ),
            *_processes(_of("scanner")),
        ),
    ),
)
"""Rows in their order: title and panels."""


def panels() -> Iterator[Panel]:
    """All panels."""
    for _, row in ROWS:
        yield from row


def dashboard() -> str:
    """The text of files/dashboard.json."""
    shown: list[dict[str, Any]] = []
    top = 0
    for title, row in ROWS:
        place = {"h": 1, "w": 24, "x": 0, "y": top}
        shown.append(
            {
                "id": len(shown) + 1,
                "type": "row",
                "title": title,
                "collapsed": False,
                "gridPos": place,
                "panels": [],
            }
        )
        for number, panel in enumerate(row):
            line, column = divmod(number, _COLUMNS)
            at = {"h": _HEIGHT, "w": _WIDTH, "x": column * _WIDTH, "y": top + 1 + line * _HEIGHT}
            shown.append({"id": len(shown) + 1, "gridPos": at, **_graph(panel)})
        top += 1 + -(-len(row) // _COLUMNS) * _HEIGHT
    made = {
        "uid": "tocsin",
        "title": "Tocsin",
        "description": "Events, webhooks and rules of Tocsin, a row for each process.",
        "tags": ["tocsin", "kafka"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "",
        "templating": {"list": _variables()},
        "annotations": {"list": []},
        "panels": shown,
    }
    return json.dumps(made, indent=1) + "\n"


_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}


def _graph(panel: Panel) -> dict[str, Any]:
    style = {
        "lineWidth": 1,
        "fillOpacity": 20 if panel.stacked else 5,
        "stacking": {"mode": "normal" if panel.stacked else "none"},
    }
    return {
        "type": "timeseries",
        "title": panel.title,
        "description": panel.meaning,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0, "custom": style}, "overrides": []},
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi"},
        },
        "targets": [
            {
                "refId": "ABCDEFGH"[number],
                "datasource": _SOURCE,
                "expr": expression,
                "legendFormat": legend,
            }
            for number, ((legend, _), expression) in enumerate(
                zip(panel.queries, panel.expressions(), strict=True)
            )
        ],
    }


def _variables() -> list[dict[str, Any]]:
    source = {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "current": {},
    }
    return [
        source,
        _label_variable("job", "Job", "tocsin_build_info"),
        _label_variable("instance", "Instance", 'tocsin_build_info{job=~"$job"}'),
    ]


def _label_variable(label: str, title: str, series: str) -> dict[str, Any]:
    return {
        "name": label,
        "label": title,
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": f"label_values({series}, {label})", "refId": "variable"},
        "definition": f"label_values({series}, {label})",
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".+",
        "current": {},
    }
