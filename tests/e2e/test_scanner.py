"""The scanner as a process: lines in, events out, and on to a webhook."""

import json
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.support.brokers import Broker
from tests.support.processes import Spawn
from tests.support.receiver import Receiver
from tests.support.records import Record, produce, read_all
from tests.support.scanner import CriLog, ScannerSite
from tests.support.waiting import wait_until

POD = "shop_web-7d4b9c6f5d-x2x4k_0a1b"


def test_line_of_a_container_becomes_an_event_and_its_rules_change_at_once(
    broker: Broker, prefix: str, spawn: Spawn, tmp_path: Path
) -> None:
    site = ScannerSite(broker.bootstrap, prefix, tmp_path)
    log = CriLog(site.pods, POD)
    log.write("boom before anybody scanned", stream="stderr", at="2026-01-02T03:04:05.000000006Z")
    CriLog(site.pods, "infra_tocsin-1_0a", "tocsin").write("")
    site.put_rule(1, r"boom (?P<what>\w+)", message_template="it went ${what}", streams="stderr")
    site.put_rule(3, "(unclosed")
    scanner = site.start(spawn).wait_ready()
    wait_until(lambda: scanner.metric("tocsin_scanner_tails") == 1, 10, "the log is found")

    at = datetime.now(UTC).isoformat().replace("+00:00", "789Z")
    log.write("boom bang", stream="stderr", at=at)
    log.write("boom unheard", stream="stdout")
    events = wait_until(site.events, 10, "the event")

    assert events == [
        {
            "severity": "error",
            "source": "shop/web",
            "message": "it went bang",
            "metadata": {
                "container": "app",
                "image": "",
                "stream": "stderr",
                "rule": "rule-1",
                "captures": {"what": "bang"},
                "suppressed": 0,
                "node": "node-1",
            },
            "created_at": at,
        }
    ]
    assert read_all(broker.bootstrap, site.event_topic)[0].key == b"shop/web"

    site.put_rule(2, "unheard", workload="shop/web", overrides=1)
    reports = wait_until(lambda: read_all(broker.bootstrap, site.model.topics.scanner_status), 15, "a report")
    assert reports[-1].key == b"node-1"
    errors = json.loads(reports[-1].value or b"")["errors"]
    assert [(error["id"], "missing closing" in error["error"]) for error in errors] == [(3, True)]
    number = 0

    def said() -> bool:
        nonlocal number
        number += 1
        log.write(f"boom unheard {number}", stream="stdout")
        return any(event["metadata"]["rule"] == "rule-2" for event in site.events())

    wait_until(said, 10, "the new rule acts")
    assert scanner.stop() == 0
    # In good order, it takes its report away.
    last = read_all(broker.bootstrap, site.model.topics.scanner_status)[-1]
    assert (last.key, last.value) == (b"node-1", None)
    assert json.loads((site.state / "scanner.json").read_bytes())["positions"]


def test_file_is_read_once_and_the_process_ends(
    broker: Broker, prefix: str, spawn: Spawn, tmp_path: Path
) -> None:
    site = ScannerSite(broker.bootstrap, prefix, tmp_path)
    site.put_rule(1, "^hit")
    log = tmp_path / "app.log"
    log.write_bytes(b"hit 1\nmiss\nhit \xff2\r\nhit 3")

    assert site.start(spawn, "--file", str(log)).wait() == 0

    events = site.events()
    assert sorted(event["message"] for event in events) == ["hit 1", "hit 3", "hit \ufffd2"]
    assert {event["source"] for event in events} == {str(log)}
    missing = site.start(spawn, "--file", str(tmp_path / "none"))
    assert missing.wait() == 1
    assert "none can't be read" in missing.log()


def test_line_becomes_a_webhook_within_a_second(
    broker: Broker, prefix: str, spawn: Spawn, tmp_path: Path
) -> None:
    site = ScannerSite(broker.bootstrap, prefix, tmp_path)
    site.put_rule(1, "boom")
    with Receiver() as receiver:
        rule = {
            "id": 1,
            "name": "r",
            "action_type": "webhook",
            "action_target": receiver.url(),
            "filter_message_regex": "boom",
        }
        produce(broker.bootstrap, site.model.topics.rules, [Record(json.dumps(rule).encode(), key=b"1")])
        log = CriLog(site.pods, POD)
        running = [spawn("run", role, settings=site.settings()) for role in ("matcher", "sender", "scanner")]
        for process in running:
            process.wait_ready()
        wait_until(lambda: running[2].metric("tocsin_scanner_tails") == 1, 10, "the log is found")
        taken = []
        for number in range(11):
            begun = time.monotonic()
            log.write(f"boom {number}")
            taken.append(receiver.wait_for(number + 1)[-1].at - begun)
    print(f"from line to webhook: p50 {statistics.median(taken):.3f} s, slowest {max(taken):.3f} s")
    assert statistics.median(taken) < 1.0
