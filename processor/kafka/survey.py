"""Looks at what durability.py judges: the brokers, Tocsin's topics and Kafka's own."""

from __future__ import annotations

from typing import Final

from processor.kafka.cluster import Cluster
from processor.kafka.durability import Concern, Facts, concerns, forgetting
from processor.kafka.errors import FatalKafkaError, NotAllowed
from processor.kafka.topics import wanted_topics
from processor.settings import Settings

INTERNAL: Final = ("__consumer_offsets", "__transaction_state")
"""Where groups and transactions are kept: without them nothing goes on, and offsets lost repeat jobs."""


def survey(settings: Settings, cluster: Cluster) -> list[Concern]:
    """What a person should change for records to outlive the loss of a broker. Changes nothing.

    What may not be looked at is said, with the right that is missing. Raises BrokerUnavailable,
    FatalKafkaError.
    """
    skipped: list[Concern] = []
    vital = {spec.name: spec.vital for spec in wanted_topics(settings, {})}
    found = _facts(cluster, vital)
    for name in INTERNAL:
        try:
            found += _facts(cluster, {name: True})
        except NotAllowed as failure:
            skipped.append(Concern("skipped", name, "not looked at", str(failure)))
    said = concerns(cluster.brokers(), found, settings.topics.replication_factor)
    try:
        forget = forgetting(cluster.broker_config())
    except FatalKafkaError:
        remedy = "allow DescribeConfigs on the cluster (kafka-acls --operation DescribeConfigs --cluster)"
        skipped.append(Concern("skipped", "brokers", "their settings were not looked at", remedy))
    else:
        said += [] if forget is None else [forget]
    return said + skipped


def _facts(cluster: Cluster, vital: dict[str, bool]) -> list[Facts]:
    infos = cluster.topics(vital)
    configs = cluster.configs(infos)
    return [
        Facts(name, info.replicas, configs[name], vital[name])
        for name, info in infos.items()
        if name in configs
    ]
