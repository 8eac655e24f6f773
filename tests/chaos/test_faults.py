"""Every receiver goes wrong in its own way, and the sender is killed in the midst of it: no job is lost."""

import json
import os
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from processor.delivery.watermark import decode_runs
from processor.kafka.starting import split_metadata
from tests.support.brokers import Broker
from tests.support.faults import FAULTS, FLIPS, NAMES, PRIVATE, Fault, Faulty, faults_of_names
from tests.support.hosts import Hosts
from tests.support.installation import Installation, Job
from tests.support.offsets import committed, lag
from tests.support.processes import Process, Spawn, run_tocsin
from tests.support.receiver import Receiver
from tests.support.receivers import Authority
from tests.support.waiting import wait_until

pytestmark = pytest.mark.real_kafka

TIMEOUT = 1.0
ENDS = {"delivered", "dead", "cancelled"}


@dataclass(frozen=True)
class Size:
    """How large the test is: receivers of each fault, jobs for each of them, kills."""

    copies: int
    jobs: int
    kills: int
    patience: float


QUICK = Size(1, 3, 2, 60.0)
WHOLE = Size(12, 4, 12, 300.0)

sizes = pytest.mark.parametrize(
    "size", [pytest.param(QUICK, id="quick"), pytest.param(WHOLE, id="whole", marks=pytest.mark.soak)]
)


@pytest.fixture
def dice() -> random.Random:
    """Another run each time; TOCSIN_TEST_SEED repeats one."""
    seed = int(os.environ.get("TOCSIN_TEST_SEED") or random.randrange(1_000_000))
    print(f"seed: TOCSIN_TEST_SEED={seed}")
    return random.Random(seed)


class Site:
    """The receivers, a rule and jobs for each, and the sender's processes."""

    def __init__(
        self,
        here: Installation,
        everywhere: list[Faulty],
        faults: Sequence[Fault],
        size: Size,
        spawn: Callable[[], Process],
    ) -> None:
        self.here = here
        self.everywhere = everywhere
        self._spawn = spawn
        self.rules: dict[int, tuple[Faulty, Fault]] = {}
        self.jobs: dict[int, list[Job]] = {}
        for rule_id, (faulty, fault) in enumerate(((a, b) for a in everywhere for b in faults), 1):
            self.rules[rule_id] = faulty, fault
            here.put_rule(rule_id, faulty.url(fault))
        made = here.add(here.job(rule_id) for _ in range(size.jobs) for rule_id in self.rules)
        for number, job in enumerate(made):
            self.jobs.setdefault(number % len(self.rules) + 1, []).append(job)

    def start(self) -> Process:
        return self._spawn().wait_ready()

    @property
    def ids(self) -> set[str]:
        return {job.id for jobs in self.jobs.values() for job in jobs}

    def connections(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for faulty in self.everywhere:
            found.update(faulty.connections)
        return found

    def attempts(self) -> dict[str, list[tuple[int, str, str | None]]]:
        """The committed attempts of each job: number, outcome, reason."""
        found: defaultdict[str, list[tuple[int, str, str | None]]] = defaultdict(list)
        for record in self.here.audit():
            if record["outcome"] != "deferred":
                found[record["job_id"]].append((record["attempt"], record["outcome"], record["reason"]))
        return found

    def whereabouts(self) -> dict[str, list[str]]:
        """Where each job is, by the topics: how it ended, or the partitions where it waits."""
        here, places = self.here, defaultdict[str, list[str]](list)
        for job_id, attempts in self.attempts().items():
            places[job_id].extend(outcome for _, outcome, _ in attempts if outcome in ENDS)
        tiers = [here.topics.retry(delay) for delay in here.model.sender.tiers]
        for topic in [here.topics.jobs, *tiers]:
            finished = Finished(here.bootstrap, here.topics.group("sender"), topic)
            for record in here.records(topic):
                if not finished.has(record.partition, record.offset):
                    places[record.header("tocsin-job-id") or ""].append(f"{topic}/{record.partition}")
        return places

    def check_nothing_is_lost(self) -> Counter[str]:
        """With no sender running: each job is in exactly one place. How many are where."""

        def wrong() -> dict[str, list[str]]:
            found = self.whereabouts()
            return {job_id: found.get(job_id, []) for job_id in self.ids if len(found.get(job_id, [])) != 1}

        # The reader of the topics may be a moment behind the commits.
        wait_until(lambda: not wrong(), 20, lambda: f"each job in one place; not so: {wrong()}", every=0.3)
        found = self.whereabouts()
        assert set(found) == self.ids
        return Counter(place.split("/")[0] for places in found.values() for place in places)


class Finished:
    """Which records of a topic the group has finished."""

    def __init__(self, bootstrap: str, group: str, topic: str) -> None:
        self._runs = {
            number: (commit.next_offset, decode_runs(commit.next_offset, split_metadata(commit.metadata)[1]))
            for number, commit in committed(bootstrap, group, topic).items()
        }

    def has(self, partition: int, offset: int) -> bool:
        next_offset, runs = self._runs.get(partition, (0, []))
        return offset < next_offset or any(first <= offset < behind for first, behind in runs)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.make(tmp_path)


@pytest.fixture
def running(broker: Broker, prefix: str, authority: Authority) -> Iterator[Installation]:
    with Installation(
        broker.bootstrap,
        prefix,
        topics={"partitions": 3},
        sender={
            "instance_id": "one",  # taken over at once by the next process
            "timeout": f"{TIMEOUT:.0f}s",
            "connect_timeout": f"{TIMEOUT:.0f}s",
            "retry_schedule": ["1s", "1s"],
            "tls": {"ca": str(authority.path)},
        },
    ) as here:
        yield here


@sizes
def test_no_job_is_lost_whatever_receivers_do_while_the_sender_is_killed(
    size: Size,
    running: Installation,
    authority: Authority,
    spawn: Spawn,
    dice: random.Random,
    tmp_path: Path,
) -> None:
    hosts = Hosts(tmp_path, NAMES)
    wrapper = hosts.wrapper()
    if wrapper is None:
        print("without names that have private addresses: no mount namespace can be had here")
    faults: Sequence[Fault] = FAULTS if wrapper is None else (*FAULTS, *faults_of_names(hosts))

    def sender_process() -> Process:
        return spawn("run", "sender", settings=running.settings(), wrapper=wrapper or ())

    with ExitStack() as stack:
        everywhere = [stack.enter_context(Faulty(authority, faults)) for _ in range(size.copies)]
        site = Site(running, everywhere, faults, size, sender_process)
        sender = site.start()
        served = {f.name for f in faults if f.behaviour is not None and f.certificate is None}
        wait_until(lambda: served <= set(+site.connections()), 30, lambda: str(site.connections()))
        total = size.jobs * size.copies * sum(fault.attempts for fault in faults)
        for number in range(size.kills):
            wait_attempts(site, int(total * number / size.kills * dice.uniform(0.3, 1.0)))
            sender.kill()
            print(f"killed: {dict(site.check_nothing_is_lost())}")
            sender = site.start()
        wait_until(lambda: ended(site), size.patience, lambda: f"all jobs end: {site.whereabouts()}")
        assert sender.stop() == 0
        where = site.check_nothing_is_lost()
        print(
            f"at the end: {dict(where)}; {len(site.ids)} jobs, {sum(site.connections().values())} connections"
        )
        assert set(where) <= ENDS
        check_attempts(site)
        check_offsets(running)
        check_redelivery(site, tmp_path)
        check_flipped(site)


def wait_attempts(site: Site, count: int) -> None:
    """Until so many are committed, or there is nothing left to try."""
    wait_until(lambda: len(site.here.audit()) >= count or ended(site), 60)


def ended(site: Site) -> bool:
    """Whether every job is delivered, dead or cancelled."""
    attempts = site.attempts()
    return all(any(outcome in ENDS for _, outcome, _ in attempts.get(job_id, [])) for job_id in site.ids)


def check_attempts(site: Site) -> None:
    """What each fault makes of its jobs: attempts 1..n, each committed once."""
    attempts = site.attempts()
    dead = Counter(record.header("tocsin-job-id") for record in site.here.dead())
    audit = {(r["job_id"], r["attempt"]): r for r in site.here.audit() if r["outcome"] != "deferred"}
    for rule_id, (faulty, fault) in site.rules.items():
        requests = set(faulty.requests(fault))
        for job in site.jobs[rule_id]:
            made = sorted(attempts[job.id])
            if fault.flips and len(made) == 1:
                assert made == [(1, "dead", "blocked")]
                continue
            last = ("delivered", None) if fault.ends == "delivered" else ("dead", fault.ends)
            expected = [(n, "failed", None) for n in range(1, fault.attempts)] + [(fault.attempts, *last)]
            assert made == expected, (fault.name, made)
            assert dead[job.id] == (fault.ends != "delivered"), fault.name
            if fault.stage is not None:
                stages = {audit[job.id, n]["stage"] for n in range(1, fault.attempts + 1)}
                assert stages == {fault.stage}, (fault.name, stages)
            if requests:
                assert {n for job_id, n in requests if job_id == job.id} == set(range(1, fault.attempts + 1))


def check_offsets(here: Installation) -> None:
    """Everything read is committed, to the end of every topic."""
    group = here.topics.group("sender")
    topics = [here.topics.jobs, *(here.topics.retry(delay) for delay in here.model.sender.tiers)]
    lags = {topic: lag(here.bootstrap, group, topic) for topic in topics}
    assert set(lags.values()) == {0}, lags


def check_redelivery(site: Site, directory: Path) -> None:
    """Who was down for longer than the whole schedule gets every job once it is up and they are put back."""
    down = {rule_id: faulty for rule_id, (faulty, fault) in site.rules.items() if fault.name == DOWN.name}
    sender = site.start()
    with ExitStack() as stack:
        receivers = {
            rule_id: stack.enter_context(Receiver(faulty.port(DOWN))) for rule_id, faulty in down.items()
        }
        for rule_id, receiver in receivers.items():
            code, out, err = run_tocsin(
                *("deliveries", "redeliver", "--rule", str(rule_id), "-o", "json"),
                directory=directory,
                settings=site.here.settings(),
            )
            assert code == 0, err
            jobs = site.jobs[rule_id]
            assert [(row["action"], row["jobs"]) for row in json.loads(out)] == [("redelivered", len(jobs))]
            receiver.wait_for(len(jobs))
            arrived = [(r.webhook_id, r.headers["webhook-attempt"]) for r in receiver.requests()]
            assert sorted(arrived) == sorted((job.id, "4") for job in jobs)
    ids = {job.id for rule_id in down for job in site.jobs[rule_id]}
    wait_until(
        lambda: {site.attempts()[job_id][-1] for job_id in ids} == {(4, "delivered", None)},
        20,
        lambda: str({job_id: site.attempts()[job_id] for job_id in ids}),
    )
    assert sender.stop() == 0
    print(f"redelivered: {sum(len(site.jobs[rule_id]) for rule_id in down)}")


def check_flipped(site: Site) -> None:
    """A name that has become a private address is not called any more, by a sender that never saw it else."""
    flipped = [rule_id for rule_id, (_, fault) in site.rules.items() if fault.flips]
    before = site.connections()
    sender = site.start()
    for rule_id in flipped:
        (record,) = site.here.wait_audit(site.here.add_job(rule_id), "dead")
        assert record["reason"] == "blocked"
        assert f"{FLIPS} resolves to {PRIVATE}, which is a private address" in record["error"]
    assert sender.stop() == 0
    assert site.connections() == before


DOWN = next(fault for fault in FAULTS if fault.name == "refuses connections")
