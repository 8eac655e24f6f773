"""Each event and rule make one job, exactly once, whatever happens to the matchers and to the broker.

Three matcher processes, one of them with a stable instance_id, share twelve partitions while a seeded plan
kills them (SIGKILL), freezes some for longer than a session and a transaction may last (zombies that wake up
and go on), or kills the broker. What a read_committed reader finds is compared with what a few lines of plain
Python say about the very events in the topic.
"""

import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from confluent_kafka import Message, Producer

from tests.support.brokers import Broker
from tests.support.chaos import Step, Victim, carry_out, plan_for
from tests.support.matching import MatcherSite, Place, expected_job_id
from tests.support.processes import Spawn
from tests.support.records import scan

pytestmark = pytest.mark.real_kafka

PARTITIONS = 12
SEVERITIES = ("info", "warning", "error", "fatal")
SOURCES = ("shop", "billing", "mail")
WORDS = ("deploy", "failed", "timeout", "retry", "ok")

RULES: dict[int, dict[str, Any]] = {
    1: {},
    2: {"filter_severity": " error , fatal "},
    3: {"filter_source": "shop,billing", "filter_message_regex": "(?i)FAILED"},
    4: {"filter_severity": "info", "filter_message_regex": "timeout.*retry"},
    5: {"enabled": False},
    6: {"filter_message_regex": "("},
}

Pair = tuple[Place, int]


def fires(event: dict[str, str]) -> Iterator[int]:
    """The rules above, once more, by hand."""
    severity, source, message = event["severity"], event["source"], event["message"]
    yield 1
    if severity in ("error", "fatal"):
        yield 2
    if source in ("shop", "billing") and "failed" in message:
        yield 3
    if severity == "info" and "timeout" in message and "retry" in message[message.index("timeout") :]:
        yield 4


@dataclass(frozen=True)
class Size:
    """How large the test is."""

    events: int
    gap: float
    kills: int
    freezes: int
    patience: float


TENTH = Size(20_000, 1.5, 2, 1, 90.0)
WHOLE = Size(200_000, 4.0, 6, 2, 300.0)

sizes = pytest.mark.parametrize(
    "size", [pytest.param(TENTH, id="tenth"), pytest.param(WHOLE, id="whole", marks=pytest.mark.soak)]
)


@pytest.fixture
def dice() -> random.Random:
    """Another run each time; TOCSIN_TEST_SEED repeats one."""
    seed = int(os.environ.get("TOCSIN_TEST_SEED") or random.randrange(1_000_000))
    print(f"seed: TOCSIN_TEST_SEED={seed}")
    return random.Random(seed)


class Feed:
    """Writes `count` events evenly over `seconds`, into partitions at random."""

    def __init__(self, site: MatcherSite, dice: random.Random, count: int, seconds: float) -> None:
        self._topic = site.event_topic
        self._dice = dice
        self._count = count
        self._seconds = seconds
        self._written = 0
        self._producer = Producer(
            {
                "bootstrap.servers": site.bootstrap,
                "log_level": 0,
                "enable.idempotence": True,
                "linger.ms": 5,
                "queue.buffering.max.messages": 1_000_000,
                "reconnect.backoff.max.ms": 500,
            }
        )

    def go_on(self, gone: float) -> None:
        """Write what is due `gone` seconds after the start."""
        due = min(self._count, int(self._count * gone / self._seconds))
        if due == self._written:
            self._producer.poll(0.01)
        for _ in range(due - self._written):
            self._producer.produce(self._topic, self._event(), partition=self._dice.randrange(PARTITIONS))
        self._written = due
        self._producer.poll(0)

    def finish(self) -> None:
        """Write the rest, and wait until all is acknowledged."""
        self.go_on(self._seconds)
        assert self._producer.flush(60) == 0

    def _event(self) -> bytes:
        dice = self._dice
        message = " ".join(dice.choices(WORDS, k=4))
        return json.dumps(
            {"severity": dice.choice(SEVERITIES), "source": dice.choice(SOURCES), "message": message}
        ).encode()


def expected_pairs(site: MatcherSite) -> set[Pair]:
    """What the events in the topic have to fire."""
    pairs: set[Pair] = set()

    def take(message: Message) -> None:
        place = Place(site.event_topic, message.partition() or 0, message.offset() or 0)
        pairs.update((place, rule) for rule in fires(json.loads(message.value() or b"")))

    scan(site.bootstrap, site.event_topic, take)
    return pairs


def jobs_found(site: MatcherSite) -> tuple[Counter[Pair], Counter[str]]:
    """The (event, rule) pairs and the ids of the jobs there are."""
    pairs: Counter[Pair] = Counter()
    ids: Counter[str] = Counter()

    def take(message: Message) -> None:
        headers = dict(message.headers() or [])
        text = {name: value.decode() for name, value in headers.items() if isinstance(value, bytes)}
        place = Place(
            text["tocsin-event-topic"], int(text["tocsin-event-partition"]), int(text["tocsin-event-offset"])
        )
        pairs[place, int(text["tocsin-rule-id"])] += 1
        ids[text["tocsin-job-id"]] += 1

    scan(site.bootstrap, site.topics.jobs, take, timeout=120)
    return pairs, ids


def check_each_once(site: MatcherSite, times: int = 1) -> int:
    """Every pair that has to be there is there `times` times, nothing else is, and all ids are right."""
    wanted = expected_pairs(site)
    found, ids = jobs_found(site)
    missing, extra = wanted - found.keys(), found.keys() - wanted
    wrong = {pair: count for pair, count in found.items() if count != times}
    assert not missing, f"{len(missing)} of {len(wanted)} jobs are missing: {sorted(missing)[:20]}"
    assert not extra, f"{len(extra)} jobs that nothing fired: {sorted(extra)[:20]}"
    assert not wrong, f"{len(wrong)} jobs not {times} times: {sorted(wrong.items())[:20]}"
    topic_id = site.topic_id()
    assert ids == {expected_job_id(topic_id, place, rule): times for place, rule in wanted}
    return len(wanted)


def put_rules(site: MatcherSite) -> None:
    for number, fields in RULES.items():
        site.put_rule(number, **fields)


def start_matchers(site: MatcherSite, spawn: Spawn) -> list[Victim]:
    victims = [
        Victim("stable", lambda: site.start(spawn, instance_id="stable")),
        Victim("first", lambda: site.start(spawn)),
        Victim("second", lambda: site.start(spawn)),
    ]
    for victim in victims:
        victim.process.wait_ready()
    return victims


def stop_all(site: MatcherSite, victims: list[Victim]) -> None:
    for victim in victims:
        victim.stop()
    site.group.wait_empty()


def total_aborted(victims: list[Victim]) -> int:
    return int(sum(v.process.metric("tocsin_transactions_total", result="aborted") for v in victims))


@sizes
def test_every_event_and_rule_make_one_job_through_kills_and_zombies(
    broker: Broker, prefix: str, spawn: Spawn, size: Size, dice: random.Random
) -> None:
    with MatcherSite(broker.bootstrap, prefix, partitions=PARTITIONS, tail=False) as site:
        put_rules(site)
        victims = start_matchers(site, spawn)
        zombies = dice.sample(victims, k=1 if size is TENTH else 3)
        steps = [
            step
            for victim in victims
            for step in plan_for(victim, dice, size.gap, size.kills, size.freezes * (victim in zombies))
        ]
        feed = Feed(site, dice, size.events, max(step.at for step in steps))
        began = time.monotonic()
        carry_out(steps, feed.go_on)
        feed.finish()
        fed = time.monotonic()
        site.wait_drained(size.patience)
        print(f"fed in {fed - began:.1f} s, drained {time.monotonic() - fed:.1f} s after that")
        assert all(victim.kills == size.kills for victim in victims)
        pairs = check_each_once(site)
        print(f"{size.events} events, {pairs} jobs, each once; {sum(v.kills for v in victims)} kills")

        stop_all(site, victims)
        site.group.set_committed({(p.topic, p.partition): 0 for p in site.positions(site.event_topic)})
        began = time.monotonic()
        again = [Victim("again", lambda: site.start(spawn)) for _ in range(2)]
        site.wait_drained(size.patience)
        print(f"a second run from the start made the same ids in {time.monotonic() - began:.1f} s")
        assert check_each_once(site, times=2) == pairs
        for victim in again:
            victim.stop()


@sizes
def test_every_event_and_rule_make_one_job_through_the_death_of_the_broker(
    own_broker: Broker, prefix: str, spawn: Spawn, size: Size, dice: random.Random
) -> None:
    with MatcherSite(own_broker.bootstrap, prefix, partitions=PARTITIONS, tail=False) as site:
        put_rules(site)
        victims = start_matchers(site, spawn)
        seconds = 10.0 if size is TENTH else 60.0
        steps = [
            Step(dice.uniform(2, 3), "kill the broker", own_broker.kill),
            Step(dice.uniform(3, 5), "start the broker", own_broker.start),
        ]
        if size is WHOLE:
            steps += [
                Step(dice.uniform(20, 25), "restart the broker", own_broker.restart),
                Step(dice.uniform(35, 40), "kill the broker", own_broker.kill),
                Step(50, "start the broker", own_broker.start),
            ]
        feed = Feed(site, dice, size.events, seconds)
        carry_out(steps, feed.go_on)
        back = time.monotonic()
        feed.finish()
        site.wait_drained(size.patience)
        print(f"drained {time.monotonic() - back:.1f} s after the broker was back")
        pairs = check_each_once(site)
        print(
            f"{size.events} events, {pairs} jobs, each once; aborted transactions: {total_aborted(victims)}"
        )
        stop_all(site, victims)
