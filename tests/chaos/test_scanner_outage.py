"""With the broker away the logs are the buffer: reading stops, memory stays, what rotates away is counted."""

from pathlib import Path

import pytest

from benchmarks.usage import resident_mib
from processor.scanning.intake import MOST_EVENTS
from tests.support.brokers import Broker
from tests.support.processes import Spawn
from tests.support.scanner import CriLog, ScannerSite
from tests.support.waiting import wait_until

pytestmark = pytest.mark.real_kafka

LINES = 3 * MOST_EVENTS


def test_reading_stops_while_the_broker_is_away_and_nothing_is_lost_but_what_rotates_away(
    own_broker: Broker, prefix: str, spawn: Spawn, tmp_path: Path
) -> None:
    bucket = {"bucket_rate": 1_000_000, "bucket_burst": 1_000_000}
    site = ScannerSite(own_broker.bootstrap, prefix, tmp_path, scanner=bucket)
    site.put_rule(1, r"^hit (?P<n>\d+)$")
    scanner = site.start(spawn).wait_ready()
    kept, short = CriLog(site.pods, "t_kept_1"), CriLog(site.pods, "t_short_1")
    kept.write("hit 0")
    short.write("first")
    wait_until(site.events, 20, "the first event")

    own_broker.kill()
    before = resident_mib(scanner.pid)
    for start in range(1, LINES, 1_000):
        kept.write(*(f"hit {number}" for number in range(start, min(LINES, start + 1_000))))
        if start % 10_000 == 1:
            kept.rotate()
    wait_until(lambda: scanner.status()["scanner"]["events_waiting"] >= MOST_EVENTS, 20, "it is full")
    for _ in range(4):
        short.rotate(keep=2)
        short.write("unread")
    seen = scanner.metric("tocsin_scanner_lines_total")
    grown = resident_mib(scanner.pid) - before
    print(f"{seen:,.0f} of {LINES:,} lines read, {grown:.0f} MiB more in memory")
    assert seen < LINES * 2 / 3
    assert grown < 64

    own_broker.start()
    wait_until(lambda: scanner.metric("tocsin_scanner_hits_total") == LINES, 60, "all lines are read")
    wait_until(lambda: scanner.metric("tocsin_scanner_lost_total") >= 1, 20, "the loss is counted")
    assert scanner.stop() == 0
    numbers = [int(event["metadata"]["captures"]["n"]) for event in site.events()]
    assert sorted(numbers) == list(range(LINES))
