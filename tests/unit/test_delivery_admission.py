"""What stands between a job that is due and its attempt: queues, circuits and limits put together."""

import itertools
import json
import logging
from collections import Counter
from collections.abc import Mapping
from random import Random
from types import MappingProxyType
from typing import Any

import pytest

from processor.delivery.admission import (
    NEWS_MS,
    WRITING_MS,
    Admission,
    Go,
    Held,
    Later,
    Queued,
    Soon,
)
from processor.delivery.circuit import FIRST_BACKOFF_MS, SCOUTS, CircuitPolicy
from processor.delivery.circuits import Circuits
from processor.delivery.destinations import FARTHEST_MS, LOOK_AGAIN_MS, WARM_UP_MS, Destinations
from processor.delivery.lanes import HELD_RECORDS, JobInHand, Lane
from processor.delivery.outcome import Kind, Outcome, Stage
from processor.rules.codec import read_record
from processor.rules.releases import Releases
from processor.rules.schema import TriggerRule
from tests.support.lanes import NOW, lane, take

T = 1_000_000
"""The clock that never goes back, while it is NOW."""

TIERS = (5_000, 60_000, 600_000, 3_600_000)
HERE, THERE = "https://here.example.com", "https://there.example.com"
DELIVERED = Outcome(Kind.DELIVERED, NOW, 5, status=200)
UNREACHABLE = Outcome(Kind.FAILED, NOW, 5, stage=Stage.CONNECT)
ANSWERED_500 = Outcome(Kind.FAILED, NOW, 5, stage=Stage.STATUS, status=500)


class Least(Random):
    """Chance that always says the least: back-offs are whole."""

    def random(self) -> float:
        return 0.0


class Site:
    """An admission with jobs, rules and a clock by hand."""

    def __init__(self, *, concurrency: int = 4, most: int = 100) -> None:
        self.admission = Admission(
            Destinations(concurrency, most), Circuits(CircuitPolicy()), TIERS, chance=Least()
        )
        self.passed_ms = 0
        self.jobs_lane = lane()
        self.retry_lane = lane("webhook-jobs.retry.1m", tier_ms=60_000)
        self._offsets = itertools.count()
        self._rules: dict[int, TriggerRule] = {}
        self.admission.assigned([0], T)

    @property
    def clock(self) -> int:
        return T + self.passed_ms

    @property
    def now(self) -> int:
        return NOW + self.passed_ms

    def rule(self, rule_id: int, **delivery: Any) -> TriggerRule:
        text = {"name": "n", "action_type": "webhook", "action_target": HERE, "delivery": delivery}
        found = read_record(b"%d" % rule_id, json.dumps(text).encode(), None, 0)
        assert isinstance(found, TriggerRule)
        self._rules[rule_id] = found
        return found

    def job(
        self, rule_id: int = 1, origin: str = HERE, *, of: Lane | None = None, deferrals: int = 0
    ) -> JobInHand:
        job = take(of or self.jobs_lane, next(self._offsets), rule_id=rule_id, deferrals=deferrals)
        job.origin, job.rule = origin, self._rules.get(rule_id) or self.rule(rule_id)
        job.appended_ms = self.now
        return job

    def enter(self, job: JobInHand) -> Queued | Held | Soon | Later:
        return self.admission.enter(job, self.clock, self.now)

    def turns(self, room: int = 1_000) -> list[JobInHand]:
        return self.admission.turns(room, self.clock)

    def admit(self, job: JobInHand) -> Go | Soon | Later:
        return self.admission.admit(job, self.clock, self.now)

    def over(self, job: JobInHand, outcome: Outcome | None = DELIVERED) -> bool:
        return self.admission.over(job, outcome, self.clock, self.now)

    def attempt(self, job: JobInHand) -> Go | Soon | Later:
        """Its turn comes at once."""
        assert self.enter(job) == Queued()
        assert self.turns() == [job]
        return self.admit(job)

    def attempts(self, count: int, outcome: Outcome, rule_id: int = 1, origin: str = HERE) -> bool:
        """So many attempts, one after the other; whether anything that waits was woken by one of them."""
        woken = False
        for _ in range(count):
            job = self.job(rule_id, origin)
            assert self.attempt(job) == Go()
            woken |= self.over(job, outcome)
        return woken

    def is_free(self, job: JobInHand) -> bool:
        return self.admission.is_free(job, job.origin)

    def release(self, *rules: int, destinations: Mapping[str, int] | None = None) -> bool:
        releases = Releases(
            MappingProxyType(dict.fromkeys(rules, self.now)), MappingProxyType(dict(destinations or {}))
        )
        return self.admission.released(releases, lambda rule_id: HERE, self.clock, self.now)


@pytest.fixture
def site() -> Site:
    return Site()


def test_a_job_is_sent_when_nothing_is_in_its_way(site: Site) -> None:
    assert site.attempt(site.job()) == Go()


def test_no_more_go_to_a_destination_at_once_than_its_concurrency(site: Site) -> None:
    jobs = [site.job() for _ in range(10)]
    for job in jobs:
        assert site.enter(job) == Queued()

    first = site.turns()
    assert first == jobs[:4]
    assert [site.admit(job) for job in first] == [Go()] * 4
    assert site.turns() == []
    assert site.admission.waiting == 6
    site.over(first[0])
    assert site.turns() == [jobs[4]]


def test_rules_of_a_destination_take_turns(site: Site) -> None:
    for job in [*(site.job(1) for _ in range(20)), *(site.job(2) for _ in range(5))]:
        site.enter(job)
    sent: Counter[int] = Counter()
    for _ in range(3):
        for job in site.turns():
            assert site.admit(job) == Go()
            sent[job.headers.rule_id] += 1
            site.over(job)

    assert sent == {1: 7, 2: 5}


def test_a_full_queue_of_a_lone_healthy_destination_holds(site: Site) -> None:
    for _ in range(50):
        assert site.enter(site.job()) == Queued()
    assert site.enter(site.job()) == Held()


def test_a_full_queue_beside_others_puts_jobs_off_when_their_partition_has_many_in_memory(site: Site) -> None:
    site.enter(site.job(2, THERE))
    while isinstance(site.enter(site.job()), Queued):
        pass
    for _ in range(HELD_RECORDS):
        site.job()

    verdict = site.enter(site.job())

    assert isinstance(verdict, Later)
    assert verdict.to.tier_ms == 5_000
    assert verdict.to.not_before_ms == site.now + 5_000
    assert verdict.why == "the queue of its destination is full"


def test_a_full_queue_beside_others_has_jobs_ask_again_soon_while_it_may_be_fast(site: Site) -> None:
    site.enter(site.job(2, THERE))
    while isinstance(site.enter(site.job()), Queued):
        pass

    for job in (site.job(), site.job(of=site.retry_lane, deferrals=3)):
        assert site.enter(job) == Soon(site.now + LOOK_AGAIN_MS)


def test_a_burst_for_a_healthy_destination_beside_others_waits_in_memory(site: Site) -> None:
    site.attempts(100, DELIVERED)
    site.passed_ms += 10
    site.attempts(20, DELIVERED)
    site.enter(site.job(2, THERE))

    verdicts = [site.enter(site.job()) for _ in range(200)]

    assert {type(verdict) for verdict in verdicts} == {Queued, Soon}


def test_jobs_for_a_destination_that_finishes_nothing_climb(site: Site) -> None:
    site.enter(site.job(2, THERE))
    while isinstance(site.enter(site.job()), Queued):
        pass
    site.turns()
    while isinstance(site.enter(site.job()), Queued):
        pass
    site.passed_ms += WARM_UP_MS

    tiers = []
    for deferrals in range(4):
        verdict = site.enter(site.job(deferrals=deferrals))
        assert isinstance(verdict, Later)
        tiers.append(verdict.to.tier_ms)

    assert tiers == [5_000, 60_000, 600_000, 600_000]


def test_connection_trouble_stops_all_rules_of_the_destination_and_nobody_else(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="processor"):
        site.attempts(5, UNREACHABLE, rule_id=1)

    verdict = site.attempt(site.job(2))
    assert isinstance(verdict, Later)
    assert verdict.why == "the circuit of its destination is open"
    assert site.attempt(site.job(3, THERE)) == Go()
    (line,) = [r for r in caplog.records if r.message == "circuit opened"]
    assert line.__dict__["fields"] == {
        "destination": HERE,
        "state": "open",
        "retry_in_ms": FIRST_BACKOFF_MS,
    }
    assert [(c.about, c.key) for c in site.admission.open_circuits(site.clock)] == [("destination", HERE)]
    assert site.admission.status(site.clock)["circuits"] == [
        {"about": "destination", "key": HERE, "state": "open", "retry_in_ms": FIRST_BACKOFF_MS}
    ]


def test_answers_that_are_no_stop_their_rule_only(site: Site) -> None:
    site.attempts(5, ANSWERED_500, rule_id=1)

    verdict = site.attempt(site.job(1))
    assert isinstance(verdict, Later)
    assert verdict.why == "the circuit of its rule is open"
    assert site.attempt(site.job(2)) == Go()


def test_a_few_jobs_come_back_for_the_next_probe_and_the_others_climb(site: Site) -> None:
    site.attempts(5, UNREACHABLE)

    waits = []
    for _ in range(SCOUTS + 2):
        verdict = site.attempt(site.job(deferrals=2))
        assert isinstance(verdict, Later)
        waits.append(verdict.to.not_before_ms - site.now)

    assert waits[:SCOUTS] == [FIRST_BACKOFF_MS + 1_000 * n for n in range(1, SCOUTS + 1)]
    assert waits[SCOUTS:] == [600_000, 600_000]


def test_refused_jobs_leave_their_places_to_others(site: Site) -> None:
    site.attempts(5, UNREACHABLE)
    jobs = [site.job() for _ in range(30)]
    for job in jobs:
        assert site.enter(job) == Queued()
    seen = 0
    while turns := site.turns():
        for job in turns:
            assert isinstance(site.admit(job), Later)
            seen += 1

    assert seen == 30
    assert site.admission.waiting == 0


def test_one_job_probes_and_its_success_frees_all_that_were_put_off_before(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.attempts(5, UNREACHABLE)
    put_off = site.job(of=site.retry_lane, deferrals=1)
    another = site.job(2, THERE, of=site.retry_lane, deferrals=1)
    scheduled = site.job(of=site.retry_lane)
    site.passed_ms += FIRST_BACKOFF_MS
    probe = site.job()
    assert site.attempt(probe) == Go()
    assert isinstance(site.attempt(site.job()), Later)
    assert not site.is_free(put_off)

    site.passed_ms += 100
    with caplog.at_level(logging.INFO, logger="processor"):
        assert site.over(probe) is True

    assert site.admission.frees
    assert [site.is_free(job) for job in (put_off, another, scheduled)] == [True, False, False]
    site.passed_ms += WRITING_MS
    assert not site.is_free(site.job(of=site.retry_lane, deferrals=1))  # put off after that
    assert [r.message for r in caplog.records] == ["circuit opened", "circuit closed"]
    assert site.admission.open_circuits(site.clock) == []
    assert site.attempt(site.job()) == Go()


def test_what_was_woken_waits_again_once_the_circuit_opens_again(site: Site) -> None:
    site.attempts(5, UNREACHABLE)
    put_off = site.job(of=site.retry_lane, deferrals=1)
    site.passed_ms += FIRST_BACKOFF_MS
    assert site.attempts(1, DELIVERED) is True
    assert site.is_free(put_off)

    site.attempts(5, UNREACHABLE)

    assert not site.is_free(put_off)


def test_a_probe_that_was_broken_off_lets_another_probe(site: Site) -> None:
    site.attempts(5, UNREACHABLE)
    site.passed_ms += FIRST_BACKOFF_MS
    probe = site.job()
    assert site.attempt(probe) == Go()
    assert site.over(probe, None) is False

    assert site.attempt(site.job()) == Go()


def test_jobs_woken_after_a_long_outage_are_not_spread_by_the_pace_of_the_outage(site: Site) -> None:
    for _ in range(4):
        site.enter(site.job())
    hanging = site.turns()
    assert [site.admit(job) for job in hanging] == [Go()] * 4
    site.passed_ms += 15_000
    for job in hanging:
        site.over(job, UNREACHABLE)
    site.attempts(1, UNREACHABLE)
    site.passed_ms += FIRST_BACKOFF_MS
    probe = site.job()
    assert site.attempt(probe) == Go()
    site.passed_ms += 14_000
    assert site.over(probe) is True
    site.enter(site.job(2, THERE))
    woken = [site.job(of=site.retry_lane, deferrals=3) for _ in range(90)]

    verdicts = [site.enter(job) for job in woken]

    assert {type(verdict) for verdict in verdicts} == {Queued, Soon}


def test_a_rate_limit_sends_what_it_allows_and_has_the_others_wait_for_their_turn(site: Site) -> None:
    site.rule(1, rate_limit="2/s")
    site.passed_ms += 10_000  # the bucket has filled up
    jobs = [site.job(1) for _ in range(14)]
    for job in jobs:
        site.enter(job)
    verdicts = []
    while turns := site.turns():
        for job in turns:
            verdicts.append(site.admit(job))
            if verdicts[-1] == Go():
                site.over(job)

    assert verdicts[:2] == [Go()] * 2
    assert verdicts[2:12] == [Soon(site.now + 500 * n) for n in range(1, 11)]
    assert [(v.to.tier_ms, v.to.not_before_ms) for v in verdicts[12:] if isinstance(v, Later)] == [
        (5_000, site.now + 5_500),
        (5_000, site.now + 6_000),
    ]
    assert jobs[2].in_line


def test_waits_for_a_limit_go_to_retry_topics_when_a_partition_has_many_in_memory(site: Site) -> None:
    site.rule(1, rate_limit="2/s")
    for _ in range(HELD_RECORDS):
        site.job(2)
    site.attempts(1, DELIVERED)

    verdict = site.attempt(site.job(1))

    assert isinstance(verdict, Later)
    assert verdict.why == "the rate limit of its rule"
    assert verdict.to.not_before_ms - site.now == 500


def test_a_limit_keeps_a_half_open_circuit_open_for_the_next_probe(site: Site) -> None:
    site.rule(1, rate_limit="1/m")
    site.attempts(1, DELIVERED)
    site.attempts(4, UNREACHABLE, rule_id=2)
    site.passed_ms += FIRST_BACKOFF_MS

    assert isinstance(site.attempt(site.job(1)), Later)
    assert site.attempt(site.job(2)) == Go()


def test_release_of_a_rule_frees_its_jobs_and_starts_anew_with_its_circuits(site: Site) -> None:
    site.attempts(5, UNREACHABLE, rule_id=1)
    mine, others = (site.job(rule, of=site.retry_lane, deferrals=2) for rule in (1, 2))
    assert isinstance(site.attempt(site.job(1)), Later)

    assert site.release(1) is True
    assert site.release(1) is False

    assert site.is_free(mine)
    assert not site.is_free(others)
    assert site.attempt(mine) == Go()


def test_a_release_frees_what_was_put_off_until_it_was_heard_of(site: Site) -> None:
    site.attempts(5, UNREACHABLE, rule_id=1)
    site.passed_ms += 3_000
    meanwhile = site.job(1, of=site.retry_lane, deferrals=3)
    releases = Releases(MappingProxyType({1: site.now - 3_000}), MappingProxyType({}))

    site.admission.released(releases, lambda rule_id: HERE, site.clock, site.now)

    assert site.is_free(meanwhile)
    site.passed_ms += WRITING_MS
    assert not site.is_free(site.job(1, of=site.retry_lane, deferrals=1))


def test_an_old_release_frees_nothing_that_was_put_off_since(site: Site) -> None:
    later = site.job(1, of=site.retry_lane, deferrals=1)
    releases = Releases(MappingProxyType({1: site.now - NEWS_MS}), MappingProxyType({}))

    site.admission.released(releases, lambda rule_id: HERE, site.clock, site.now)

    assert not site.is_free(later)


def test_release_of_a_destination_frees_the_jobs_of_all_its_rules(site: Site) -> None:
    site.attempts(5, UNREACHABLE, rule_id=1)
    jobs = [site.job(rule, of=site.retry_lane, deferrals=2) for rule in (1, 2)]

    site.release(destinations={HERE: site.now})

    assert [site.is_free(job) for job in jobs] == [True, True]
    assert site.attempt(jobs[0]) == Go()


def test_a_release_that_is_known_already_does_not_open_the_way_again(site: Site) -> None:
    site.release(1)
    known = site.now
    site.attempts(5, UNREACHABLE, rule_id=1)
    releases = Releases(MappingProxyType({1: known, 2: known}), MappingProxyType({}))

    assert site.admission.released(releases, lambda rule_id: THERE, site.clock, site.now) is True

    assert isinstance(site.attempt(site.job(1)), Later)


def test_jobs_of_partitions_that_are_gone_take_no_turns(site: Site) -> None:
    other = lane(partition=1)
    mine, theirs = site.job(), site.job(of=other)
    site.enter(mine)
    site.enter(theirs)

    site.admission.gone([1], other.jobs.values())

    assert site.turns() == [mine]
    assert site.admission.waiting == 0


def test_an_attempt_under_way_ends_well_after_its_partition_is_gone(site: Site) -> None:
    job = site.job()
    assert site.attempt(job) == Go()
    site.admission.gone([0], [job])

    assert site.over(job, None) is False
    assert site.admission.status(site.clock)["destinations"] == []


def test_no_wait_behind_a_slow_destination_is_longer_than_ten_minutes(site: Site) -> None:
    site.attempts(1, DELIVERED)
    for _ in range(60):
        site.enter(site.job())
        for job in site.turns():
            site.admit(job)
            site.passed_ms += 5_000
            site.over(job)
    site.enter(site.job(2, THERE))
    while isinstance(verdict := site.enter(site.job()), Queued):
        pass
    waits = []
    for _ in range(200):
        verdict = site.enter(site.job(deferrals=1))
        if isinstance(verdict, Later):
            waits.append(verdict.to.not_before_ms - site.now)

    assert waits
    assert max(waits) <= FARTHEST_MS
