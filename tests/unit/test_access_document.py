"""The rights that docs/operations.md lists are those that the code asks for."""

import pytest

from processor.kafka.access import COMPONENTS, Component, needs
from processor.settings import Settings
from tests.support.documented_access import documented


@pytest.mark.parametrize("component", COMPONENTS)
def test_the_table_of_rights_is_what_the_code_needs(component: Component) -> None:
    assert documented()[component] == needs(Settings(), component)


def test_the_table_has_nobody_else() -> None:
    assert set(documented()) == set(COMPONENTS)


def test_only_what_writes_rules_may_write_to_the_rule_topic() -> None:
    rules = Settings().topics.rules
    writers = {
        component
        for component in COMPONENTS
        for need in needs(Settings(), component)
        if need.covers("topic", rules) and "Write" in need.operations
    }
    assert writers == {"admin", "rules", "deliveries"}, "`deliveries release` writes a mark there"


def test_no_role_may_write_to_event_topics_but_the_scanner() -> None:
    writers = {
        component
        for component in COMPONENTS
        for need in needs(Settings(), component)
        if need.covers("topic", "event-log") and "Write" in need.operations
    }
    assert writers == {"scanner"}
