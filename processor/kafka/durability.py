"""Whether what is written to Kafka outlives the loss of a broker: what to say of topics and brokers. Pure.

Tocsin writes with acks=all, so a record is acknowledged when all replicas that are in sync have it. With
three replicas and min.insync.replicas=2 one broker may go: nothing acknowledged is lost and nothing stops.
Only a person changes any of it: copies cost space, and moving them costs the network.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Final, Literal, NamedTuple

from processor.durations import format_duration

REPLICAS: Final = 3
IN_SYNC: Final = 2

OFFSETS_KEPT: Final = timedelta(days=7)
"""For how long brokers must remember the offsets of a group that doesn't commit."""

Severity = Literal["warning", "wrong", "skipped"]


class Facts(NamedTuple):
    """A topic as it was found. replicas: of the partition that has fewest; config: the values in force.

    vital: a record that is lost is a lost job or rule, not only history.
    """

    name: str
    replicas: int
    config: Mapping[str, str]
    vital: bool


class Concern(NamedTuple):
    """One thing that a person should change. `wrong`: records may be lost; `skipped`: nobody could look."""

    severity: Severity
    name: str
    reason: str
    remedy: str


def concerns(brokers: int, topics: Iterable[Facts], chosen: int | None) -> list[Concern]:
    """What is to be said of these topics on so many brokers.

    chosen: topics.replication_factor; fewer replicas than three that were asked for are worth a warning only.
    With fewer than three brokers that is said once, as a warning, and not of each topic.
    """
    found: list[Concern] = []
    if brokers < REPLICAS:
        found.append(
            Concern(
                "warning",
                "brokers",
                f"there {'is 1 broker' if brokers == 1 else f'are {brokers} brokers'}: good for trying things"
                " out, but the loss of a broker may lose rules and jobs",
                f"use {REPLICAS} brokers or more, and {REPLICAS} replicas of each topic",
            )
        )
    for facts in topics:
        found += _replicas(brokers, facts, chosen)
        found += _in_sync(facts)
        found += _unclean(brokers, facts)
    return found


def forgetting(broker_config: Mapping[str, str]) -> Concern | None:
    """Why brokers forget a stopped group's offsets too soon; None when they don't, or don't tell."""
    minutes = broker_config.get("offsets.retention.minutes", "")
    if not minutes.isdecimal() or timedelta(minutes=int(minutes)) >= OFFSETS_KEPT:
        return None
    return Concern(
        "warning",
        "brokers",
        f"offsets.retention.minutes is {minutes}: a group that is stopped for longer than"
        f" {format_duration(timedelta(minutes=int(minutes)))} forgets where it was",
        f"set offsets.retention.minutes={OFFSETS_KEPT // timedelta(minutes=1)} or more on the brokers",
    )


def _replicas(brokers: int, facts: Facts, chosen: int | None) -> Iterator[Concern]:
    if brokers >= REPLICAS and 0 < facts.replicas < REPLICAS:
        asked_for = chosen is not None and facts.replicas >= chosen
        yield Concern(
            "wrong" if facts.vital and not asked_for else "warning",
            facts.name,
            f"replication is {facts.replicas}, should be {REPLICAS}: the loss of"
            f" {'a broker' if facts.replicas == 1 else 'two brokers'} loses its records",
            "give its partitions more replicas (kafka-reassign-partitions)",
        )


def _in_sync(facts: Facts) -> Iterator[Concern]:
    text = facts.config.get("min.insync.replicas", "")
    if not text.isdecimal():
        return
    least, remedy = int(text), f"kafka-configs --alter --topic {facts.name} --add-config min.insync.replicas="
    if least > facts.replicas > 0:
        yield Concern(
            "wrong",
            facts.name,
            f"min.insync.replicas is {least} with {facts.replicas} replicas: no write is ever acknowledged",
            f"{remedy}{max(1, facts.replicas - 1)}",
        )
    elif facts.replicas >= REPLICAS and least < IN_SYNC:
        yield Concern(
            "wrong" if facts.vital else "warning",
            facts.name,
            f"min.insync.replicas is {least}, should be {IN_SYNC}: a write counts that one broker alone has",
            f"{remedy}{IN_SYNC}",
        )
    elif least == facts.replicas > 1:
        yield Concern(
            "warning",
            facts.name,
            f"min.insync.replicas is {least} with {facts.replicas} replicas: one broker away stops writes",
            f"{remedy}{facts.replicas - 1}",
        )


def _unclean(brokers: int, facts: Facts) -> Iterator[Concern]:
    if facts.config.get("unclean.leader.election.enable") == "true":
        yield Concern(
            "wrong" if facts.vital and brokers > 1 else "warning",
            facts.name,
            "unclean.leader.election.enable is true: a replica that lacks acknowledged records may lead",
            f"kafka-configs --alter --topic {facts.name} --add-config unclean.leader.election.enable=false",
        )
