"""Kafka, a receiver and an installation of the chart in one namespace of a Kubernetes."""

import itertools
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.docker_broker import ENVIRONMENT
from tests.support.kubernetes import KAFKA_IMAGE, Namespace
from tests.support.settings import with_changes
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
CHART = str(ROOT / "helm" / "tocsin")
PROGRAMS = ROOT / "tests" / "kubernetes"
RELEASE = "tocsin"
TOPICS = "/opt/kafka/bin/kafka-topics.sh --bootstrap-server localhost:9092"


def rule(name: str, path: str, regex: str, receiver: str = "receiver") -> dict[str, Any]:
    """A rule that calls the receiver's path for messages with this expression in them."""
    return {
        "name": name,
        "filter_message_regex": regex,
        "action_type": "webhook",
        "action_target": f"http://{receiver}:8080{path}",
    }


class Site:
    """The installation in a namespace, and what its receiver got."""

    def __init__(self, namespace: Namespace, directory: Path) -> None:
        self.namespace = namespace
        self._directory = directory
        self._numbers = itertools.count(1)
        self._next_event = 0
        # Whole, so that the broker can be reached from another namespace by the name it gives itself.
        self.bootstrap = f"kafka.{namespace.name}.svc:9092"

    def start_kafka(self, partitions: int) -> None:
        """A broker in a pod, and the event topic."""
        env = {
            **ENVIRONMENT,
            "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://{self.bootstrap},BROKER://localhost:19092",
            "KAFKA_HEAP_OPTS": "-Xms256m -Xmx512m",
        }
        self.namespace.run_pod("kafka", image=KAFKA_IMAGE, env=env, port=9092)
        make = f"{TOPICS} --create --topic event-log --partitions {partitions}"
        self.namespace.kubectl("exec", "kafka", "--", "sh", "-c", make)

    def topics(self) -> list[str]:
        """The names of the topics that there are."""
        return self.namespace.kubectl("exec", "kafka", "--", "sh", "-c", f"{TOPICS} --list").split()

    def install(self, values: Mapping[str, Any], *, upgrade: bool = False, release: str = RELEASE) -> None:
        """`helm install --wait`, or an upgrade, with these values."""
        file = self._directory / f"values-{next(self._numbers)}.json"
        file.write_text(json.dumps(values))
        verb = "upgrade" if upgrade else "install"
        try:
            self.namespace.helm(verb, release, CHART, "--wait", "--timeout", "4m", "-f", str(file))
        except AssertionError as failure:
            raise AssertionError(f"{failure}\n{self.state()}") from failure

    def state(self) -> str:
        """What the namespace looks like, for a failed test."""
        pods = self.namespace.kubectl("get", "pods", "-o", "wide")
        events = self.namespace.kubectl("get", "events", "--sort-by=.lastTimestamp")
        ours = self.namespace.names("pods", f"app.kubernetes.io/instance={RELEASE}")
        logs = [f"== {pod}\n" + self.namespace.kubectl("logs", pod, "--tail=15") for pod in ours]
        return "\n".join([pods, events[-3000:], *logs])

    def received(self, path: str) -> dict[str, Any]:
        """What the receiver got at this path: requests, numbers of the events, doubled ones."""
        code = "import urllib.request as u; print(u.urlopen('http://localhost:8080/summary').read().decode())"
        summary = json.loads(self.namespace.python("receiver", code))
        return dict(summary.get(path, {"requests": 0, "numbers": [], "doubled": []}))

    def send(self, count: int) -> set[str]:
        """Produce this many events; their numbers."""
        return self._finish(self._generate(rate=count, most=count))

    def start_load(self, rate: int) -> str:
        """Start to produce events at a rate per second; the pod's name, for stop_load."""
        pod = self._generate(rate, most=1_000_000)
        self.namespace.kubectl("wait", "--for=condition=Ready", f"pod/{pod}", "--timeout=60s")
        return pod

    def stop_load(self, pod: str) -> set[str]:
        """End it; the numbers of the events that were acknowledged."""
        self.namespace.kubectl("exec", pod, "--", "touch", "/tmp/stop")
        return self._finish(pod)

    def _generate(self, rate: int, most: int) -> str:
        pod = f"load-{next(self._numbers)}"
        arguments = (self.bootstrap, "event-log", str(rate), str(most), str(self._next_event))
        self.namespace.run_pod(pod, script=PROGRAMS / "generator.py", arguments=arguments, restart=False)
        return pod

    def _finish(self, pod: str) -> set[str]:
        said = json.loads(self.namespace.wait_completed(pod))
        self._next_event = said["last"] + 1
        assert said["acknowledged"] == said["last"] - said["first"] + 1, said
        return {str(n) for n in range(said["first"], said["last"] + 1)}

    def check_each_once(self, expected: set[str], *paths: str, timeout: float = 90.0) -> None:
        """Wait until each of these events has arrived at one of the paths; none may have made two jobs."""

        def arrived() -> set[str]:
            return {number for path in paths for number in self.received(path)["numbers"]}

        deadline = time.monotonic() + timeout
        while missing := expected - arrived():
            assert time.monotonic() < deadline, (
                f"{len(missing)} of {len(expected)} are missing\n{self.state()}"
            )
            time.sleep(0.5)
        found = [self.received(path) for path in paths]
        assert [each["doubled"] for each in found] == [[] for _ in paths]
        numbers = [number for each in found for number in each["numbers"] if number in expected]
        assert sorted(numbers) == sorted(expected), "an event fired two versions of the rule"


def values(bootstrap: str, image: str, *changes: Mapping[str, Any]) -> dict[str, Any]:
    """Values for an installation on this Kafka whose senders may call the site's receiver."""
    repository, _, tag = image.rpartition(":")
    merged: dict[str, Any] = {
        "image": {"repository": repository, "tag": tag},
        "config": {
            "kafka": {"bootstrap_servers": bootstrap},
            "topics": {"replication_factor": 1},
            "matcher": {"start_from": "earliest"},
            "sender": {"egress": {"allow_hosts": ["receiver"]}, "retry_schedule": ["1s", "5s"]},
        },
        "networkPolicy": {
            "receivers": {"cidrs": [], "to": [{"podSelector": {"matchLabels": {"app": "receiver"}}}]}
        },
    }
    for change in changes:
        merged = with_changes(merged, change)
    return merged


def wait_for_receipt(site: Site, path: str, number: str) -> None:
    """Wait until the receiver has got this event at the path."""
    wait_until(lambda: number in site.received(path)["numbers"], 60.0, site.state)
