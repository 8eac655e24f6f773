"""Settings for processes under test, as the nested mapping that the YAML file is."""

from collections.abc import Mapping
from typing import Any

from tests.support.brokers import free_port

Groups = dict[str, dict[str, Any]]


def settings_for(bootstrap: str, prefix: str, **groups: Mapping[str, Any]) -> Groups:
    """A role's settings: this broker, this prefix, telemetry on a free port, local receivers allowed.

    The event topic is `<prefix>event-log`, read from the earliest; one partition per topic. `groups` are
    merged over it, deeply:

        settings_for(broker.bootstrap, prefix, topics={"partitions": 4}, sender={"timeout": "1s"})

    Each call picks another port, so each process takes a call of its own. `with_changes` merges once more.
    """
    defaults: Groups = {
        "kafka": {"bootstrap_servers": bootstrap},
        "topics": {"prefix": prefix, "partitions": 1},
        "matcher": {"event_topics": [f"{prefix}event-log"], "start_from": "earliest"},
        "sender": {"egress": {"allow_cidrs": ["127.0.0.0/8", "::1/128"]}},
        "telemetry": {"listen": f"127.0.0.1:{free_port()}"},
        "logging": {"level": "debug", "format": "json"},
    }
    return with_changes(defaults, groups)


def with_changes(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`changes` merged into a copy of `settings`: mappings deeply, anything else replaced."""
    merged = dict(settings)
    for name, value in changes.items():
        before = merged.get(name)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            merged[name] = with_changes(before, value)
        else:
            merged[name] = value
    return merged
