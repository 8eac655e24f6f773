"""Whatever becomes of single transactions, each event makes its job once.

Two matchers of this very process share the partitions, and their producers fail on purpose, by a seeded plan:
nothing written; written and the answer lost; the answer lost and nothing written. One of the matchers comes
and goes meanwhile, and every transaction within a rebalance fails.
"""

import os
import random
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

import pytest

from processor.kafka.errors import TransactionAborted, TransactionUncertain
from processor.kafka.records import Commit, OutRecord, Position
from processor.kafka.transaction import TransactionalProducer
from processor.lifecycle import Deadline
from processor.matching import batch, loop, service
from processor.observability.health import Health
from processor.observability.metrics import Metrics
from processor.rules import LiveRules
from processor.settings import Settings
from tests.support.brokers import Broker
from tests.support.matching import MatcherSite, Place, event
from tests.support.waiting import wait_until

pytestmark = pytest.mark.real_kafka

PARTITIONS = 4
VISITS = 3


class FailingProducer(TransactionalProducer):
    """Fails about every fourth transaction, and each within a rebalance."""

    rebalancing: ClassVar[set[int]]
    """The threads that are in one."""
    dice: ClassVar[random.Random]
    fates: ClassVar[Counter[str]]

    def write(
        self,
        records: Sequence[OutRecord],
        offsets: Mapping[Position, Commit],
        group: object | None,
        **more: Any,
    ) -> None:
        weights = [0 if threading.get_ident() in self.rebalancing else 12, 2, 1, 1]
        fate = self.dice.choices(["written", "aborted", "lost answer", "in doubt"], weights)[0]
        self.fates[fate] += 1
        self.fates["in a rebalance"] += threading.get_ident() in self.rebalancing
        if fate == "aborted":
            raise TransactionAborted("on purpose")
        if fate == "in doubt":
            raise TransactionUncertain("on purpose, not written")
        super().write(records, offsets, group, **more)
        if fate == "lost answer":
            raise TransactionUncertain("on purpose, written")


class Loop(loop.MatcherLoop):
    """Tells the producer of rebalances, and the test what it owns."""

    all: ClassVar[list["Loop"]]

    def __init__(self, parts: loop.Parts, stop: threading.Event) -> None:
        super().__init__(parts, stop)
        self.all.append(self)

    @property
    def owned(self) -> int:
        return len(self._consumer.owned)

    def revoked(self, positions: list[Position]) -> Iterable[Position]:
        FailingProducer.rebalancing.add(threading.get_ident())
        try:
            return super().revoked(positions)
        finally:
            FailingProducer.rebalancing.discard(threading.get_ident())


class Member:
    """A matcher on threads of this process."""

    def __init__(self, site: MatcherSite) -> None:
        settings = Settings.model_validate(site.settings())
        self._rules = LiveRules(settings, "matcher")
        self._health = Health()
        self._matcher = service.Matcher(settings, self._rules, Metrics("tests"), self._health)
        self._rules.start()
        self._matcher.start()

    def wait_ready(self) -> "Member":
        wait_until(lambda: self._health.ready().ok, 40, lambda: str(self._health.ready()))
        return self

    def stop(self) -> None:
        self._matcher.stop(Deadline(timedelta(seconds=30)))
        self._rules.stop()
        assert self._matcher.failed is None


def wait_for_more(places: list[Place], count: int) -> None:
    seen = len(places)
    wait_until(lambda: len(places) >= seen + count, 30, f"{count} more events")


@pytest.fixture
def dice(monkeypatch: pytest.MonkeyPatch) -> Iterator[random.Random]:
    seed = int(os.environ.get("TOCSIN_TEST_SEED") or random.randrange(1_000_000))
    print(f"seed: TOCSIN_TEST_SEED={seed}")
    monkeypatch.setattr(service, "TransactionalProducer", FailingProducer)
    monkeypatch.setattr(service, "MatcherLoop", Loop)
    # So that there is always something to write when a rebalance comes.
    for wait in ("HIT_WAIT", "QUIET_WAIT"):
        monkeypatch.setattr(batch, wait, 0.3)
    FailingProducer.dice, FailingProducer.fates = random.Random(seed), Counter()
    FailingProducer.rebalancing = set()
    Loop.all = []
    yield FailingProducer.dice
    print(f"transactions: {dict(FailingProducer.fates)}")


def test_transactions_that_fail_lose_nothing_and_repeat_nothing(
    broker: Broker, prefix: str, dice: random.Random
) -> None:
    with MatcherSite(broker.bootstrap, prefix, partitions=PARTITIONS) as site:
        site.put_rule(1)
        stays = Member(site).wait_ready()
        places: list[Place] = []
        over = threading.Event()

        def feed() -> None:
            while not over.is_set():
                places.append(site.append_at_once(event()))

        feeding = threading.Thread(target=feed)
        feeding.start()
        for _ in range(VISITS):
            visitor = Member(site).wait_ready()
            wait_for_more(places, 200)
            visitor.stop()
            wait_until(lambda: Loop.all[0].owned == PARTITIONS, 30, "the partitions have come back")
        over.set()
        feeding.join()
        site.wait_drained(60)
        stays.stop()
        assert all(FailingProducer.fates[fate] for fate in ("written", "aborted", "in a rebalance"))
        site.wait_jobs(places)
        fired = Counter(site.fired())
        assert {pair: count for pair, count in fired.items() if count > 1} == {}
        assert set(fired) == {(place, 1) for place in places}
