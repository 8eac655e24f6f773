"""Which scan rules hold for a workload, and which containers are Tocsin's own."""

from typing import Any

import pytest

from processor.scanning.effective import effective
from processor.scanning.own import is_own
from processor.scanning.rule import ScanRule


def rule(number: int, name: str, **fields: Any) -> ScanRule:
    return ScanRule(id=number, name=name, pattern="x", **fields)


def held(rules: list[ScanRule], workload: str) -> list[int]:
    return [one.id for one in effective(rules, workload)]


def test_global_rules_and_the_workloads_own_hold_in_the_order_of_their_ids() -> None:
    rules = [rule(3, "c", workload="shop"), rule(2, "b", workload="blog"), rule(1, "a")]
    assert held(rules, "shop") == [1, 3]
    assert held(rules, "blog") == [1, 2]
    assert held(rules, "other") == [1]


@pytest.mark.parametrize("reference", [1, "oom"])
def test_an_override_replaces_the_global_rule_for_its_workload_alone(reference: int | str) -> None:
    rules = [rule(1, "oom"), rule(2, "oom", workload="shop", overrides=reference)]
    assert held(rules, "shop") == [2]
    assert held(rules, "blog") == [1]


def test_a_disabled_override_switches_the_global_rule_off() -> None:
    rules = [rule(1, "oom"), rule(2, "quiet", workload="shop", overrides=1, enabled=False)]
    assert held(rules, "shop") == []
    assert held(rules, "blog") == [1]


def test_an_override_of_a_disabled_rule_holds() -> None:
    assert held([rule(1, "oom", enabled=False), rule(2, "oom", workload="shop", overrides=1)], "shop") == [2]


def test_a_workloads_own_rule_is_not_what_another_overrides() -> None:
    rules = [rule(1, "oom", workload="shop"), rule(2, "b", workload="shop", overrides="oom")]
    assert held(rules, "shop") == [1, 2]


@pytest.mark.parametrize(
    ("labels", "image", "name"),
    [
        ({"app.kubernetes.io/name": "tocsin"}, "", "x"),
        ({"org.opencontainers.image.title": "tocsin"}, "sha256:00", "x"),
        ({}, "registry:5000/team/tocsin:1.2@sha256:00", "x"),
        ({}, "tocsin", "x"),
        ({}, "", "tocsin"),
        ({}, "", "tocsin-scanner"),
    ],
)
def test_tocsins_own_containers_are_known(labels: dict[str, str], image: str, name: str) -> None:
    assert is_own(labels, image, name)


@pytest.mark.parametrize(
    ("labels", "image", "name"),
    [
        ({"app.kubernetes.io/name": "shop"}, "shop:1", "shop"),
        ({}, "tocsin:5000/shop", "shop"),
        ({}, "tocsin/shop", "shop"),
        ({}, "", "tocsin-receiver"),
    ],
)
def test_others_are_not(labels: dict[str, str], image: str, name: str) -> None:
    assert not is_own(labels, image, name)
