"""The chart and the image on a real Kubernetes, in a namespace with Pod Security `restricted`.

Run by `make test-kubernetes`; the tests follow each other on one installation.
"""

import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support.kubernetes import IMAGE, NEXT_IMAGE, CommandError, Namespace, why_not
from tests.support.kubernetes_site import (
    PROGRAMS,
    RELEASE,
    Site,
    rule,
    values,
    wait_for_receipt,
)
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

LOAD = rule("load", "/load", "load [0-9]+ failed")
CHANGED = {**LOAD, "action_target": "http://receiver:8080/load2", "description": "as it is now"}
PARTITIONS = 6
RATE = 200

CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 3).close()
    print("open")
except OSError as error:
    print(type(error).__name__)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Namespace(f"tocsin-test-{uuid.uuid4().hex[:6]}") as namespace:
        site = Site(namespace, tmp_path_factory.mktemp("kubernetes"))
        site.start_kafka(PARTITIONS)
        namespace.run_pod("receiver", script=PROGRAMS / "receiver.py", arguments=("8080",), port=8080)
        site.install(values(site.bootstrap, IMAGE, {"rules": [LOAD]}))
        yield site


def test_an_event_becomes_a_webhook(site: Site) -> None:
    site.check_each_once(site.send(5), "/load")


def test_helm_test_passes(site: Site) -> None:
    said = site.namespace.helm("test", RELEASE, "--logs", "--timeout", "3m")

    assert "Phase:          Succeeded" in said


def test_an_upgrade_under_load_loses_nothing_and_doubles_no_job(site: Site) -> None:
    load = site.start_load(RATE)
    site.install(
        values(site.bootstrap, NEXT_IMAGE, {"rules": [CHANGED, rule("more", "/more", "^more$")]}),
        upgrade=True,
    )
    wait_until(lambda: site.received("/load2")["requests"] > 0, 60, "the changed rule is in force")
    acknowledged = site.stop_load(load)

    site.check_each_once(acknowledged, "/load", "/load2")
    images = {
        pod["spec"]["containers"][0]["image"]
        for pod in site.namespace.get("pods", "-l", f"app.kubernetes.io/instance={RELEASE}")["items"]
    }
    assert images == {NEXT_IMAGE}
    print(f"upgrade under {RATE}/s: {len(acknowledged)} events, each with one job")


def test_scaling_matchers_under_load_loses_nothing_and_doubles_no_job(site: Site) -> None:
    load = site.start_load(RATE)
    for replicas in (1, 3, 1):
        scaled = {"matcher": {"scaling": {"replicas": replicas}}}
        site.install(values(site.bootstrap, NEXT_IMAGE, {"rules": [CHANGED]}, scaled), upgrade=True)
        selector = f"app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component=matcher"
        wait_until(partial(_are, site, selector, replicas), 60, f"there are {replicas} matchers")
    acknowledged = site.stop_load(load)

    site.check_each_once(acknowledged, "/load2")
    print(f"matchers 1, 3, 1 under {RATE}/s: {len(acknowledged)} events, each with one job")


def test_network_policies_let_through_what_is_meant_and_nothing_else(site: Site) -> None:
    namespace = site.namespace
    namespace.run_pod("stranger", script=PROGRAMS / "receiver.py", arguments=("8080",), port=8080)
    sender, matcher = (f"{RELEASE}-{role}-0" for role in ("sender", "matcher"))

    def connects(pod: str, host: str, port: int) -> str:
        return namespace.python(pod, CONNECT, host, str(port)).strip()

    assert connects("stranger", "receiver", 8080) == "open"
    assert connects(sender, "receiver", 8080) == "open"
    assert connects(sender, "kafka", 9092) == "open"
    assert connects(matcher, "kafka", 9092) == "open"
    assert connects(sender, "stranger", 8080) == "TimeoutError"
    assert connects(matcher, "receiver", 8080) == "TimeoutError"
    address = namespace.get("pod", sender)["status"]["podIP"]
    assert connects("stranger", address, 9464) == "open"
    allowed = {"podSelector": {"matchLabels": {"app": "prometheus"}}}
    policy = {"networkPolicy": {"telemetry": {"from": [allowed]}}}
    site.install(values(site.bootstrap, NEXT_IMAGE, policy, {"rules": [CHANGED]}), upgrade=True)
    address = namespace.get("pod", sender)["status"]["podIP"]
    wait_until(lambda: connects("stranger", address, 9464) == "TimeoutError", 30, "telemetry is closed")


def test_the_scanner_turns_a_pods_line_into_a_webhook(site: Site, tmp_path: Path) -> None:
    line = f"payment gateway timed out {uuid.uuid4().hex}"
    with Namespace(f"{site.namespace.name}-scan", security="privileged") as other:
        scanner = Site(other, tmp_path)
        scanned = values(
            site.bootstrap,
            NEXT_IMAGE,
            {
                "matcher": {"enabled": False},
                "sender": {"enabled": False},
                "scanner": {"enabled": True, "statePath": f"/tmp/{other.name}"},
                "scanRules": [{"name": "timeouts", "pattern": "timed out", "severity": "error"}],
                "rules": [rule("logs", "/logs", "timed out")],
                "tests": {"enabled": False},
            },
        )
        scanner.install(scanned, release="scan")
        site.namespace.run_pod("talker", script=_talker(tmp_path), arguments=(line,), restart=False)
        wait_for_receipt(site, "/logs", line)


def test_uninstalling_leaves_the_topics_and_nothing_else(site: Site) -> None:
    site.namespace.helm("uninstall", RELEASE, "--wait", "--timeout", "2m")

    kinds = "pods,services,statefulsets,deployments,daemonsets,jobs,configmaps,secrets,networkpolicies"
    more = ",poddisruptionbudgets,serviceaccounts,persistentvolumeclaims"
    selector = f"app.kubernetes.io/instance={RELEASE}"
    wait_until(lambda: site.namespace.names(kinds + more, selector) == [], 60, site.state)
    topics = site.topics()
    assert {"event-log", "tocsin.trigger-rules", "tocsin.webhook-jobs"} <= set(topics)


def test_pod_security_would_have_refused_a_pod_with_more_rights(site: Site) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "root"},
        "spec": {"containers": [{"name": "main", "image": IMAGE}]},
    }
    with pytest.raises(CommandError, match="violates PodSecurity"):
        site.namespace.apply(pod)


def _are(site: Site, selector: str, count: int) -> bool:
    return len(site.namespace.names("pods", selector)) == count


def _talker(directory: Path) -> Path:
    script = directory / "talker.py"
    script.write_text("import sys, time\nprint(sys.argv[1], flush=True)\ntime.sleep(20)\n")
    return script
