"""How long a killed matcher's partitions stand still.

The broker is set as the documentation advises:
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000.
"""

import time

import pytest

from tests.support.brokers import Broker
from tests.support.matching import MatcherSite, Place, event
from tests.support.processes import Process, Spawn
from tests.support.records import Record

pytestmark = pytest.mark.real_kafka

PARTITIONS = 4


def in_the_middle_of_work(site: MatcherSite, matcher: Process) -> None:
    """Kill `matcher` while it works on events of every partition."""
    first = [append(site, partition) for partition in range(PARTITIONS)]
    site.wait_jobs(first)
    for number in range(400):
        append(site, number % PARTITIONS)
    matcher.kill()


def append(site: MatcherSite, partition: int) -> Place:
    return site.append_at_once(Record(event(), partition=partition))


def test_restart_under_a_stable_name_goes_on_within_3_seconds(
    broker: Broker, prefix: str, spawn: Spawn
) -> None:
    with MatcherSite(broker.bootstrap, prefix, partitions=PARTITIONS) as site:
        site.put_rule(1)
        in_the_middle_of_work(site, site.start(spawn, instance_id="matcher-0").wait_ready())
        places = [append(site, partition) for partition in range(PARTITIONS)]

        restarted = time.monotonic()
        site.start(spawn, instance_id="matcher-0")
        site.wait_jobs(places)
        taken = time.monotonic() - restarted
        print(f"jobs of a restarted matcher visible after {taken:.1f} s")
        assert taken <= 3.0


def test_partitions_of_a_killed_matcher_go_on_within_10_seconds(
    broker: Broker, prefix: str, spawn: Spawn
) -> None:
    with MatcherSite(broker.bootstrap, prefix, partitions=PARTITIONS) as site:
        site.put_rule(1)
        victim = site.start(spawn).wait_ready()
        site.start(spawn).wait_ready()
        in_the_middle_of_work(site, victim)

        killed = time.monotonic()
        places = [append(site, partition) for partition in range(PARTITIONS)]
        site.wait_jobs(places)
        taken = time.monotonic() - killed
        print(f"jobs of a killed matcher's partitions visible after {taken:.1f} s")
        assert taken <= 10.0
