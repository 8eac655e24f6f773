"""Alerts and dashboard ask for metrics that there are; each alert has its place in the runbook, and fires."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from processor.observability.metrics import Metrics
from processor.settings import Settings
from tests.support.charts import CHART, named, needs_helm, render
from tests.support.dashboard import ROWS, dashboard, panels

RUNBOOK = Path(__file__).parents[2] / "docs" / "runbook.md"
PROMTOOL = os.environ.get("PROMTOOL") or shutil.which("promtool")
NUMBERS = yaml.safe_load((CHART / "values.yaml").read_text())["monitoring"]["rules"]

# Prometheus' own, which no process exposes.
SCRAPED = {"up"}


def alerts() -> dict[str, Any]:
    """The groups of alerts as a release "tocsin" in a namespace "tocsin" has them with default values."""
    settings = Settings()
    filled = {
        "selector": 'namespace="tocsin", job="tocsin"',
        "event-topics": "|".join(settings.matcher.event_topics).replace(".", "[.]"),
        "jobs-topic": settings.topics.jobs.replace(".", "[.]"),
        "lag": NUMBERS["lag"],
        "failure-share": NUMBERS["failureShare"],
        "oldest-job-seconds": NUMBERS["oldestJobSeconds"],
    }
    text = (CHART / "files" / "alerts.yaml").read_text()
    for name, value in filled.items():
        text = text.replace(f"@{name}@", str(value))
    groups = yaml.safe_load(text)
    assert isinstance(groups, dict)
    return groups


ALERTS = [rule for group in alerts()["groups"] for rule in group["rules"]]
NAMES = [rule["alert"] for rule in ALERTS]


def exposed() -> dict[str, set[str]]:
    """Every series' name that the code has, with its labels."""
    metrics = Metrics(version="1")
    metrics.consumer_lag.labels("t").set(1)
    found: dict[str, set[str]] = {}
    for family in metrics.registry.collect():
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def asked_for(expression: str) -> list[tuple[str, set[str]]]:
    """The series that an expression asks for, each with the labels that it chooses by."""
    return [
        (name, set(re.findall(r"(\w+)\s*[=!]", labels)))
        for name, labels in re.findall(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\{([^}]*)\}", expression)
    ]


SCRAPE_LABELS = {"namespace", "job", "instance", "pod"}


@pytest.mark.parametrize("expression", [rule["expr"] for rule in ALERTS], ids=NAMES)
def test_alert_asks_for_metrics_that_there_are(expression: str) -> None:
    series = exposed()
    found = asked_for(expression)
    assert found
    assert set(re.findall(r"\b(?:tocsin|process)_\w+", expression)) <= {name for name, _ in found}
    for name, labels in found:
        assert name in series or name in SCRAPED, name
        assert labels - SCRAPE_LABELS <= series.get(name, set()), name


@pytest.mark.parametrize("panel", list(panels()), ids=lambda panel: panel.title)
def test_panel_asks_for_metrics_that_there_are(panel: Any) -> None:
    series = exposed()
    for expression in panel.expressions():
        found = asked_for(expression)
        assert found
        for name, labels in found:
            assert name in series, name
            assert {"job", "instance"} <= labels
            assert labels - SCRAPE_LABELS <= series[name], name


def test_every_metric_but_the_build_is_on_the_dashboard() -> None:
    shown = {name for panel in panels() for text in panel.expressions() for name, _ in asked_for(text)}
    own = {name for name in exposed() if name.startswith("tocsin_")}
    # Of a histogram the buckets are shown.
    own -= {name for name in own if name.endswith(("_sum", "_count"))} | {"tocsin_build_info"}

    assert own - shown == set()


def test_dashboard_has_a_row_for_each_process() -> None:
    assert {"Matcher", "Sender", "Admin", "Scanner"} <= {title for title, _ in ROWS}


def test_dashboard_is_well_formed() -> None:
    made = json.loads(dashboard())
    identities = [panel["id"] for panel in made["panels"]]
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in made["panels"]]

    assert len(set(identities)) == len(identities)
    assert len(set(places)) == len(places)
    for panel in made["panels"]:
        if panel["type"] == "timeseries":
            assert panel["title"]
            assert panel["description"]
            assert panel["fieldConfig"]["defaults"]["unit"]
            assert all("rate(" not in t["expr"] or "$__rate_interval" in t["expr"] for t in panel["targets"])


def test_every_alert_has_a_section_in_the_runbook_and_no_section_is_left_over() -> None:
    sections = re.findall(r"^## (Tocsin\w+)$", RUNBOOK.read_text(), re.MULTILINE)

    assert sections == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_section_of_the_runbook_says_what_it_means_and_what_to_do(name: str) -> None:
    section = re.split(r"^## ", RUNBOOK.read_text().partition(f"## {name}\n")[2], flags=re.MULTILINE)[0]

    assert "**Means:**" in section
    assert "**Do:**" in section


def test_every_alert_has_a_test() -> None:
    tests = yaml.safe_load((CHART / "alerts" / "tests.yaml").read_text())["tests"]
    fired = {
        case["alertname"] for test in tests for case in test["alert_rule_test"] if case.get("exp_alerts")
    }

    assert fired == set(NAMES)


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed ($PROMTOOL, or on the path)")
def test_alerts_fire_when_they_should(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(alerts()))
    shutil.copy(CHART / "alerts" / "tests.yaml", tmp_path)

    done = subprocess.run(
        [str(PROMTOOL), "test", "rules", "tests.yaml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


@needs_helm
def test_rendered_alerts_are_those_that_are_tested() -> None:
    values = {"monitoring": {"rules": {"enabled": True, "runbookURL": "https://runbooks.example/tocsin"}}}

    groups = named(render(values), "PrometheusRule")["spec"]["groups"]

    links = [rule["annotations"].pop("runbook_url") for group in groups for rule in group["rules"]]
    assert groups == [{**group, "name": f"tocsin-{group['name']}"} for group in alerts()["groups"]]
    assert links == [f"https://runbooks.example/tocsin#{name.lower()}" for name in NAMES]


@needs_helm
def test_alert_that_is_left_out_is_not_there() -> None:
    values = {"monitoring": {"rules": {"enabled": True, "disabled": ["TocsinDeadLetters"]}}}

    groups = named(render(values), "PrometheusRule")["spec"]["groups"]

    assert {rule["alert"] for group in groups for rule in group["rules"]} == set(NAMES) - {
        "TocsinDeadLetters"
    }


@needs_helm
@pytest.mark.parametrize("kind", ["ServiceMonitor", "PodMonitor"])
def test_monitor_finds_pods_or_services_and_calls_them_by_the_release(kind: str) -> None:
    objects = render({"monitoring": {"monitor": kind}}, release="shop")

    spec = named(objects, kind)["spec"]
    if kind == "PodMonitor":
        found = [named(objects, "StatefulSet", "-matcher")["spec"]["template"]["metadata"]["labels"]]
    else:
        found = [named(objects, "Service", "-matcher")["metadata"]["labels"]]

    assert spec["jobLabel"] == "app.kubernetes.io/instance"
    for labels in found:
        assert spec["selector"]["matchLabels"].items() <= labels.items()
        assert labels["app.kubernetes.io/component"] in spec["selector"]["matchExpressions"][0]["values"]


@needs_helm
def test_dashboard_is_found_by_the_sidecar() -> None:
    one = named(render({"monitoring": {"dashboard": {"enabled": True}}}), "ConfigMap", "-dashboard")

    assert one["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(one["data"]["tocsin.json"])["title"] == "Tocsin"
