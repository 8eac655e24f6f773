"""The scanner as a process beside a real Docker engine: from a line to a webhook, and through SIGKILL."""

import json
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest

from benchmarks.usage import resident_mib
from tests.support.brokers import Broker
from tests.support.docker_containers import Containers, docker, missing
from tests.support.processes import Spawn
from tests.support.receiver import Receiver
from tests.support.records import Record, produce
from tests.support.scanner import ScannerSite
from tests.support.waiting import wait_until

pytestmark = pytest.mark.docker


@pytest.fixture
def containers() -> Iterator[Containers]:
    if reason := missing():
        pytest.skip(f"needs a Docker engine: {reason}")
    with Containers() as made:
        yield made


def test_line_of_a_container_becomes_a_webhook_within_a_second(
    containers: Containers, broker: Broker, prefix: str, spawn: Spawn, tmp_path: Path
) -> None:
    site = ScannerSite(broker.bootstrap, prefix, tmp_path, scanner={"sources": ["docker"]})
    workload = containers.name("talker")
    site.put_rule(1, r"^boom (?P<at>\d+)$", workload=workload, message_template="boom ${at}")
    with Receiver() as receiver:
        rule = {
            "id": 1,
            "name": "r",
            "action_type": "webhook",
            "action_target": receiver.url(),
            "filter_source": [workload],
        }
        produce(broker.bootstrap, site.model.topics.rules, [Record(json.dumps(rule).encode(), key=b"1")])
        running = [spawn("run", role, settings=site.settings()) for role in ("matcher", "sender", "scanner")]
        for process in running:
            process.wait_ready()
        # The first line is there before anybody knows the container; the others come one by one.
        containers.run("talker", "for i in $(seq 1 21); do echo boom $(date +%s%N); sleep 0.3; done")
        offset = time.time() - time.monotonic()
        received = receiver.wait_for(21, 60)
    taken = []
    for request in received:
        event = json.loads(request.body)["event"]
        assert event["source"] == workload
        assert event["metadata"]["container"] == workload
        assert event["metadata"]["stream"] == "stdout"
        taken.append(request.at + offset - int(event["metadata"]["captures"]["at"]) / 1e9)
    print(f"from line to webhook: p50 {statistics.median(taken):.3f} s, slowest {max(taken):.3f} s")
    assert statistics.median(taken) < 1.0


def test_every_matching_line_of_a_burst_becomes_an_event_though_the_scanner_is_killed(
    containers: Containers, broker: Broker, prefix: str, spawn: Spawn, tmp_path: Path
) -> None:
    lines, kills = 100_000, 3
    scanner = {"sources": ["docker"], "bucket_rate": 1_000_000, "bucket_burst": 1_000_000}
    site = ScannerSite(broker.bootstrap, prefix, tmp_path, scanner=scanner)
    workload = containers.name("burst")
    site.put_rule(1, "^line [0-9]*7 ", workload=workload)
    running = site.start(spawn).wait_ready()
    # Printed in portions, so that the kills fall into it on a fast machine, too.
    each = lines // 100
    portion = f"seq -f 'line %.0f of a burst' $((i * {each} + 1)) $(((i + 1) * {each}))"
    container = containers.run("burst", f"for i in $(seq 0 99); do {portion}; sleep 0.05; done")
    killed = list[float]()
    while len(killed) < kills:
        wait_until(lambda: len(site.events()) > 2_000 * len(killed), 60)
        killed.append(time.time())
        running.kill()
        running = site.start(spawn)
    expected = {f"line {number} of a burst" for number in range(7, lines + 1, 10)}
    wait_until(lambda: {event["message"] for event in site.events()} >= expected, 120, every=0.5)
    events = site.events()
    times = Counter(event["message"] for event in events)
    assert set(times) == expected
    again = [event for event in events if times[event["message"]] > 1]
    print(f"{lines} lines, {len(events)} events of {len(expected)} hits, {kills} kills")
    for event in again:
        logged = datetime.fromisoformat(event["created_at"]).timestamp()
        assert min(moment - logged for moment in killed if moment > logged) < 2.5
    # Of this container: others on the engine, of tests at the same time, may be removed unread.
    lost = [line for line in running.log().splitlines() if "went away unread" in line and container in line]
    assert lost == []
    assert running.stop() == 0


@pytest.mark.soak
def test_two_hundred_containers_are_scanned_in_a_hundred_and_fifty_megabytes(
    containers: Containers, broker: Broker, prefix: str, spawn: Spawn, tmp_path: Path
) -> None:
    scanner = {"sources": ["docker"], "bucket_rate": 1_000_000, "bucket_burst": 1_000_000}
    site = ScannerSite(broker.bootstrap, prefix, tmp_path, scanner=scanner)
    site.put_rule(1, "^line [0-9]*7 of")
    running = site.start(spawn).wait_ready()
    with ThreadPoolExecutor(4) as pool:
        script = "seq -f 'line %.0f of a burst, as long as lines of a log are in real life' 1 2000; sleep 600"
        made = list(pool.map(lambda number: containers.create(f"c{number}", script), range(200)))
    for at in range(0, 200, 20):
        docker("start", *made[at : at + 20])
    wait_until(lambda: running.metric("tocsin_scanner_tails") >= 200, 60)
    wait_until(lambda: len(site.events()) >= 200 * 200, 120, lambda: f"{len(site.events())}", every=0.5)
    assert Counter(event["source"] for event in site.events()) == {
        containers.name(f"c{number}"): 200 for number in range(200)
    }
    resident = resident_mib(running.pid)
    print(f"200 tails, {running.metric('tocsin_scanner_lines_total'):.0f} lines: {resident:.0f} MiB")
    assert resident <= 150
