"""A connection for one command, and Kafka's failures as the command's."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from processor.cli.errors import CommandFailed
from processor.kafka.cluster import Cluster
from processor.kafka.errors import KafkaFailure
from processor.settings import Settings


@contextmanager
def connected(args: argparse.Namespace, settings: Settings) -> Iterator[Cluster]:
    """A cluster that answers, waited for up to `--timeout`; what Kafka fails at inside fails the command."""
    try:
        cluster = Cluster(settings.kafka, settings.topics.name("cli"))
        cluster.wait_for_broker(args.timeout.total_seconds())
        yield cluster
    except KafkaFailure as failure:
        raise CommandFailed(str(failure)) from None
