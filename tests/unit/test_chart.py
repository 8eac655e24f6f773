"""The Helm chart by itself: its made parts are what the code says, its schema is strict, its words hold."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from processor.rules import RuleDraft
from processor.scanning.rule import ScanDraft
from processor.settings import Settings
from processor.settings_sources import settings_of
from tests.support.chart_reference import WRITTEN, documented_values
from tests.support.charts import CASES, CHART


def values(name: str) -> dict[str, Any]:
    tree = yaml.safe_load((CHART / name).read_text())
    assert isinstance(tree, dict)
    return tree


def schema() -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(json.loads((CHART / "values.schema.json").read_text()))


@pytest.mark.parametrize("name", WRITTEN)
def test_made_file_is_up_to_date(name: str) -> None:
    assert (CHART / name).read_text() == WRITTEN[name](), "run python -m tests.support.chart_reference"


def test_every_value_has_a_comment() -> None:
    documented = {value.path for value in documented_values()}

    def missing(tree: dict[str, Any], above: tuple[str, ...] = ()) -> list[str]:
        gone = []
        for name, value in tree.items():
            path = (*above, name)
            if path not in documented:
                gone += missing(value, path) if isinstance(value, dict) and value else [".".join(path)]
        return gone

    assert missing(values("values.yaml")) == []


@pytest.mark.parametrize("name", CASES)
def test_example_values_are_accepted(name: str) -> None:
    assert list(schema().iter_errors(values(f"ci/{name}"))) == []


def test_rules_in_example_values_are_rules() -> None:
    examples = [values(f"ci/{name}") for name in CASES]
    rules = [RuleDraft.model_validate(rule) for one in examples for rule in one.get("rules", [])]
    scan_rules = [ScanDraft.model_validate(rule) for one in examples for rule in one.get("scanRules", [])]

    assert rules
    assert scan_rules


def test_there_are_examples_of_what_people_run() -> None:
    assert len(CASES) >= 6


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("unknown value", {"matchers": {}}),
    ("unknown value of a role", {"sender": {"replica": 3}}),
    ("unknown setting", {"config": {"kafka": {"bootstrap_server": "kafka:9092"}}}),
    ("unknown group of settings", {"config": {"kafa": {}}}),
    ("setting of another type", {"config": {"topics": {"partitions": "six"}}}),
    ("setting that is no duration", {"config": {"sender": {"timeout": 15}}}),
    ("setting that is not one of those there are", {"config": {"logging": {"level": "loud"}}}),
    ("secret among the settings", {"config": {"kafka": {"sasl_password": "x"}}}),
    ("secret among the properties", {"config": {"kafka": {"properties": {"ssl.key.password": "x"}}}}),
    ("setting that the chart decides", {"config": {"matcher": {"instance_id": "a"}}}),
    ("unknown setting from a Secret", {"settingsFrom": {"kafka.sasl_pasword": {"secret": "a", "key": "b"}}}),
    (
        "Secret and ConfigMap",
        {"settingsFrom": {"kafka.ssl_ca": {"secret": "a", "configMap": "a", "key": "b"}}},
    ),
    ("neither", {"settingsFrom": {"kafka.ssl_ca": {"key": "b"}}}),
    ("empty secret", {"createSecret": {"kafka.sasl_password": ""}}),
    ("two ways of scaling", {"matcher": {"scaling": {"mode": "hpa,keda"}}}),
    ("unknown way of scaling", {"matcher": {"scaling": {"hpa": {"enabled": True}}}}),
    ("no replica with lag", {"sender": {"scaling": {"minReplicas": 0}}}),
    ("DaemonSet of matchers", {"matcher": {"kind": "DaemonSet"}}),
    ("text for a switch", {"scanner": {"enabled": "yes"}}),
    ("rule without a name", {"rules": [{"action_type": "webhook"}]}),
    ("map of rules", {"rules": {"a": {}}}),
    ("topics by nobody", {"topics": {"mode": "operator"}}),
    ("port above the last one", {"networkPolicy": {"kafka": {"ports": [90920]}}}),
    ("address for a range", {"networkPolicy": {"receivers": {"cidrs": ["10.0.0.1"]}}}),
    ("short digest", {"image": {"digest": "sha256:abc"}}),
]


@pytest.mark.parametrize("wrong", [wrong for _, wrong in WRONG], ids=[name for name, _ in WRONG])
def test_wrong_values_are_refused(wrong: dict[str, Any]) -> None:
    assert not schema().is_valid(wrong)


def test_defaults_are_accepted() -> None:
    assert list(schema().iter_errors(values("values.yaml"))) == []


TEMPLATES = "\n".join(path.read_text() for path in sorted((CHART / "templates").rglob("*.*")))


def test_templates_ask_for_values_that_there_are() -> None:
    tree = values("values.yaml")
    asked = set(re.findall(r"\.Values((?:\.\w+)+)", TEMPLATES))

    assert len(asked) > 50
    for name in asked:
        inside: Any = tree
        for part in name.removeprefix(".").split("."):
            assert isinstance(inside, dict), name
            # What stands below a map of the user's own is theirs.
            assert part in inside or inside == {} or name.startswith(".config."), name
            inside = inside.get(part, {})


def test_templates_ask_for_settings_that_there_are() -> None:
    asked = set(re.findall(r'"name" "([a-z_]+\.[a-z_.]+)"', TEMPLATES))

    assert "topics.prefix" in asked
    assert asked <= {setting.name for setting in settings_of(Settings)}


def test_names_of_objects_leave_room_for_what_kubernetes_adds() -> None:
    """The release's part is 40 characters at most; pods of StatefulSets have 52 for it and the role's."""
    suffixes = {*re.findall(r'"suffix" "([a-z-]+)"', TEMPLATES), "matcher", "sender", "admin", "scanner"}

    assert "gt (len $full) 40" in TEMPLATES
    assert max(len(f"-{suffix}") for suffix in suffixes) <= 12


DOCUMENT = Path(__file__).parents[2] / "docs" / "kubernetes.md"


def test_values_shown_in_the_documentation_are_accepted() -> None:
    shown = re.findall(r"```yaml\n(.+?)```", DOCUMENT.read_text(), re.DOTALL)

    assert shown
    for text in shown:
        assert list(schema().iter_errors(yaml.safe_load(text))) == []


def test_values_named_in_the_documentation_are_there() -> None:
    tops = values("values.yaml")
    settings = [f"{setting.name}." for setting in settings_of(Settings)]
    for name in re.findall(r"`([a-z][a-zA-Z]+(?:\.[a-zA-Z]+)+)`", DOCUMENT.read_text()):
        first, *rest = name.split(".")
        if first not in tops or first == "config" or any(one.startswith(f"{name}.") for one in settings):
            continue
        inside = tops[first]
        for part in rest:
            assert part in inside, name
            inside = inside[part]
