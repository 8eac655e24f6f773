"""No line is lost or counted wrongly, whatever happens to the scanner while logs rotate under load.

Three containers write as a runtime does, and their logs are rotated, compressed and deleted as the kubelet
does it, while the scanner is killed (SIGKILL) again and again. Every line that a rule matches must be an
event, suppressed or dropped, exactly; events may be repeated only if they were written shortly before a kill.

Lines bear times of their own making, so that what cooldowns and buckets do to them is known in advance.
"""

import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.brokers import Broker
from tests.support.processes import Process, Spawn
from tests.support.records import Stored, read_all
from tests.support.scanner import CriLog, ScannerSite
from tests.support.waiting import wait_until

RATE, BURST = 200, 100
PLAIN, COOLED, FLOOD = 1, 2, 3
"""The rules, each for one container: of the first every line becomes an event, of the second one in 100 ms,
of the third what its bucket lets through.
"""

LAST = 2.0
"""Seconds before a kill in which repeated events may have been written: positions are saved every half."""


@dataclass(frozen=True)
class Size:
    """seconds: how long is written; pause: between portions of lines."""

    seconds: float
    kills: int
    rotations: float
    pause: float


TENTH = Size(7.0, 3, 0.8, 0.02)
WHOLE = Size(90.0, 20, 0.8, 0.01)


class Writer:
    """Writes one container's log on a thread: of every ten lines one is a hit, and some come in parts."""

    def __init__(self, log: CriLog, word: str, apart: timedelta, size: Size, dice: random.Random) -> None:
        """`apart`: between the times of two hits."""
        self.hits = 0
        self._log, self._word, self._apart, self._size, self._dice = log, word, apart, size, dice
        self._thread = threading.Thread(target=self._run)
        self._at = datetime.now(UTC) + timedelta(minutes=1)

    def __enter__(self) -> "Writer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()

    def _run(self) -> None:
        until = time.monotonic() + self._size.seconds
        rotate_at = time.monotonic() + self._size.rotations
        while time.monotonic() < until:
            for _ in range(10):
                self._ten_lines(rotate=time.monotonic() >= rotate_at)
                if time.monotonic() >= rotate_at:
                    rotate_at = time.monotonic() + self._size.rotations
            time.sleep(self._size.pause)  # a rate, not a synchronisation

    def _ten_lines(self, *, rotate: bool) -> None:
        self._at += self._apart
        at = self._at.isoformat(timespec="microseconds").replace("+00:00", "123Z")
        self._log.write(*["GET /index.html 200 in 3 ms"] * 9, at=at)
        text = f"{self._word} {self.hits} happened"
        parts = self._dice.choice([[text], [text], [text[:3], text[3:]]])
        for part in parts[:-1]:
            self._log.write(part, tag="P", at=at)
        if rotate:
            self._log.rotate(keep=40)
        self._log.write(parts[-1], at=at)
        self.hits += 1


@pytest.mark.parametrize(
    "size", [pytest.param(TENTH, id="tenth"), pytest.param(WHOLE, id="whole", marks=pytest.mark.soak)]
)
def test_lines_are_events_suppressed_and_dropped_ones_whatever_is_killed(
    broker: Broker, prefix: str, spawn: Spawn, tmp_path: Path, size: Size
) -> None:
    seed = int(os.environ.get("TOCSIN_TEST_SEED") or random.randrange(1_000_000))
    print(f"seed: TOCSIN_TEST_SEED={seed}")
    dice = random.Random(seed)
    bucket = {"bucket_rate": RATE, "bucket_burst": BURST}
    site = ScannerSite(broker.bootstrap, prefix, tmp_path, scanner=bucket)
    site.put_rule(PLAIN, r"plain (?P<n>\d+)", workload="t/plain")
    site.put_rule(COOLED, r"cooled (?P<n>\d+)", workload="t/cooled", cooldown="100ms")
    site.put_rule(FLOOD, r"flood (?P<n>\d+)", workload="t/flood")
    scanner = site.start(spawn).wait_ready()

    logs = {word: CriLog(site.pods, f"t_{word}_1") for word in ("plain", "cooled", "flood")}
    with (
        Writer(logs["plain"], "plain", timedelta(milliseconds=10), size, random.Random(seed)) as plain,
        Writer(logs["cooled"], "cooled", timedelta(milliseconds=7), size, random.Random(seed)) as cooled,
        Writer(logs["flood"], "flood", timedelta(milliseconds=1), size, random.Random(seed)) as flood,
    ):
        scanner, kills = _kill_again_and_again(site, spawn, scanner, size, dice)
    written = {PLAIN: plain.hits, COOLED: cooled.hits, FLOOD: flood.hits}

    def counted() -> bool:
        return all(sum(counts) == written[rule] for rule, counts in _totals(site).items())

    wait_until(counted, 60, lambda: f"of {written} is counted: {_totals(site)}")
    assert scanner.stop() == 0
    totals = _totals(site)
    print(f"{written} hits written; by rule, events, suppressed, dropped: {totals}; {len(kills)} kills")
    assert {rule: sum(counts) for rule, counts in totals.items()} == written

    records = list(_events(read_all(broker.bootstrap, site.event_topic)))
    copies = Counter((word, number) for word, number, _, _ in records)
    repeats = sum(copies.values()) - len(copies)
    print(f"{len(records)} events, {repeats} of them repeats")
    _repeats_are_young(records, kills)

    events, suppressed, dropped = totals[PLAIN]
    assert (events, suppressed, dropped) == (plain.hits, 0, 0)
    assert {number for word, number in copies if word == "plain"} == set(range(plain.hits))

    # 14 hits in the 100 ms from each event on (7 ms apart) are held back, and the next event says so.
    events, suppressed, dropped = totals[COOLED]
    assert dropped == 0
    assert {number for word, number in copies if word == "cooled"} == set(range(0, cooled.hits, 15))
    told = {number: about["suppressed"] for word, number, about, _ in records if word == "cooled"}
    assert told == {number: 14 if number else 0 for number in told}
    assert events == len(told)

    # A bucket is full again after a restart: what is judged again may become an event that was none before.
    events, suppressed, dropped = totals[FLOOD]
    assert suppressed == 0
    assert dropped > events > BURST
    assert len({number for word, number in copies if word == "flood"}) >= events


def _kill_again_and_again(
    site: ScannerSite, spawn: Spawn, scanner: Process, size: Size, dice: random.Random
) -> tuple[Process, list[float]]:
    """Kill the scanner and start it again; when it was killed, in seconds since 1970."""
    kills = []
    until = time.monotonic() + size.seconds
    for left in range(size.kills, 0, -1):
        time.sleep(dice.uniform(0.3, 1.0) * max(0.0, until - time.monotonic()) / (left + 1))
        kills.append(time.time())
        scanner.kill()
        scanner = site.start(spawn).wait_ready()
    return scanner, kills


def _totals(site: ScannerSite) -> dict[int, tuple[int, int, int]]:
    """By rule, what was done with: events, suppressed, dropped."""
    state = json.loads((site.state / "scanner.json").read_bytes())
    counts = [dict(state[name]) for name in ("hits", "suppressed", "dropped")]
    return {
        rule: (counts[0].get(rule, 0), counts[1].get(rule, 0), counts[2].get(rule, 0))
        for rule in (PLAIN, COOLED, FLOOD)
    }


def _events(records: list[Stored]) -> Iterator[tuple[str, int, dict[str, Any], float]]:
    """Of each event: whose line it was, its number, its metadata, and when it was written."""
    for record in records:
        event = json.loads(record.value or b"")
        about = event["metadata"]
        yield (
            event["source"].removeprefix("t/"),
            int(about["captures"]["n"]),
            about,
            record.timestamp_ms / 1_000,
        )


def _repeats_are_young(records: list[tuple[str, int, dict[str, Any], float]], kills: list[float]) -> None:
    """Whatever was written twice was written for the first time shortly before a kill."""
    times: dict[tuple[str, int], list[float]] = {}
    for word, number, _, written in records:
        times.setdefault((word, number), []).append(written)
    for line, moments in times.items():
        for moment in sorted(moments)[:-1]:
            assert any(-0.1 <= kill - moment <= LAST for kill in kills), (line, moments, kills)
