"""The telemetry port, asked over real sockets on 127.0.0.1."""

import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from http.client import HTTPConnection

import pytest

from processor.lifecycle import Deadline, Refused, Service
from processor.observability.health import Health
from processor.observability.metrics import Metrics
from processor.observability.server import TelemetryServer


@dataclass
class Answer:
    status: int
    content_type: str
    text: str


@dataclass
class Running:
    server: TelemetryServer
    metrics: Metrics
    health: Health
    now: list[float]

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        host, port = endpoint(self.server)
        connection = HTTPConnection(host, port, timeout=10)
        try:
            connection.request("GET", path, headers=dict(headers or {}))
            response = connection.getresponse()
            content_type = response.headers["Content-Type"]
            return Answer(response.status, content_type, response.read().decode())
        finally:
            connection.close()


def endpoint(server: TelemetryServer) -> tuple[str, int]:
    assert server.address is not None
    host, _, port = server.address.rpartition(":")
    return host.strip("[]"), int(port)


def no_status() -> dict[str, object]:
    return {}


@contextmanager
def serving(
    listen: str = "127.0.0.1:0", status: Callable[[], Mapping[str, object]] = no_status
) -> Iterator[Running]:
    now = [100.0]
    metrics, health = Metrics(version="1.2.3"), Health()
    server = TelemetryServer(listen, metrics, health, status, clock=lambda: now[0])
    server.start()
    try:
        yield Running(server, metrics, health, now)
    finally:
        server.stop(Deadline(timedelta(seconds=10)))


def refuses_connections(host: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) != 0


def test_healthz_follows_the_heartbeats() -> None:
    with serving() as running:
        running.health.heartbeat("matcher.loop", max_age=5.0).beat(100.0)
        alive = running.get("/healthz")
        assert (alive.status, alive.content_type.split(";")[0]) == (200, "application/json")
        assert json.loads(alive.text) == {"status": "ok", "checks": {"matcher.loop": None}}
        running.now[0] = 106.0
        hanging = running.get("/healthz")
        assert hanging.status == 503
        assert json.loads(hanging.text)["status"] == "unavailable"


def test_readyz_answers_503_with_the_reason_until_the_condition_is_met() -> None:
    with serving() as running:
        table = running.health.condition("matcher.table", "offset 3 of 7")
        before = running.get("/readyz")
        assert before.status == 503
        assert json.loads(before.text) == {
            "status": "unavailable",
            "checks": {"matcher.table": "offset 3 of 7"},
        }
        table.met()
        after = running.get("/readyz")
        assert (after.status, json.loads(after.text)["status"]) == (200, "ok")


def test_metrics_are_shown_as_prometheus_text() -> None:
    with serving() as running:
        running.metrics.events["matched"].inc(7)
        answer = running.get("/metrics")
        assert answer.status == 200
        assert answer.content_type.startswith("text/plain; version=")
        assert 'tocsin_events_total{outcome="matched"} 7.0' in answer.text.splitlines()
        assert "process_resident_memory_bytes" in answer.text


def test_metrics_are_shown_as_openmetrics_to_who_asks_for_it() -> None:
    with serving() as running:
        answer = running.get(
            "/metrics", {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}
        )
        assert answer.content_type.startswith("application/openmetrics-text")
        assert answer.text.endswith("# EOF\n")


def test_status_is_asked_each_time() -> None:
    counter = iter(range(1, 10))
    with serving(status=lambda: {"roles": ["matcher"], "asked": next(counter), "näme": None}) as running:
        assert json.loads(running.get("/status").text) == {"roles": ["matcher"], "asked": 1, "näme": None}
        assert json.loads(running.get("/status").text)["asked"] == 2


def test_status_that_raises_costs_one_answer_and_not_the_port(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> dict[str, object]:
        raise RuntimeError("no status today")

    with serving(status=broken) as running:
        assert running.get("/status").status == 500
        assert running.get("/healthz").status == 200
        assert running.server.failed is None
    assert "no status today" in caplog.text


def test_it_is_a_service_that_the_lifecycle_can_run() -> None:
    service: Service = TelemetryServer("", Metrics(version="1.2.3"), Health(), no_status)
    assert (service.name, service.failed) == ("telemetry", None)


def test_unknown_path_is_404() -> None:
    with serving() as running:
        assert running.get("/").status == 404


def test_it_answers_while_the_main_thread_is_busy_elsewhere() -> None:
    answers: list[int] = []
    with serving() as running:
        asking = threading.Thread(target=lambda: answers.append(running.get("/healthz").status))
        asking.start()
        asking.join(10)
    assert answers == [200]


def test_port_0_takes_a_free_one_and_logs_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="processor")
    with serving() as running:
        assert endpoint(running.server)[1] != 0
        (record,) = [record for record in caplog.records if record.message == "listening"]
        assert record.__dict__["fields"] == {"address": running.server.address}


def test_port_answers_as_soon_as_start_returns_and_is_closed_when_stop_does() -> None:
    with serving() as running:
        host, port = endpoint(running.server)
        assert running.get("/healthz").status == 200
        before = {thread.name for thread in threading.enumerate()}
    assert "telemetry" in before
    assert "telemetry" not in {thread.name for thread in threading.enumerate()}
    assert refuses_connections(host, port)
    assert running.server.failed is None


def test_idle_keep_alive_connection_does_not_hold_up_the_end() -> None:
    with serving() as running:
        connection = HTTPConnection(*endpoint(running.server), timeout=10)
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        deadline = Deadline(timedelta(seconds=10))
        running.server.stop(deadline)
        assert deadline.remaining() > 5.0
        connection.close()


def test_stop_may_come_twice_and_before_start() -> None:
    server = TelemetryServer("127.0.0.1:0", Metrics(version="1.2.3"), Health(), no_status)
    server.stop(Deadline(timedelta(seconds=1)))
    with serving() as running:
        running.server.stop(Deadline(timedelta(seconds=10)))


def test_taken_port_is_an_error_that_names_setting_address_and_remedy() -> None:
    with serving() as running:
        address = running.server.address
        assert address is not None
        second = TelemetryServer(address, Metrics(version="1.2.3"), Health(), no_status)
        with pytest.raises(Refused) as caught:
            second.start()
        assert str(caught.value).startswith(
            f"telemetry.listen: cannot listen on {address}: Address already in use"
        )
        assert "\n" not in str(caught.value)
        assert second.address is None
        second.stop(Deadline(timedelta(seconds=1)))


def test_address_of_another_machine_is_an_error() -> None:
    server = TelemetryServer("192.0.2.1:0", Metrics(version="1.2.3"), Health(), no_status)
    with pytest.raises(match=r"cannot listen on 192\.0\.2\.1:0: \w+"):
        server.start()


def test_name_that_cannot_be_resolved_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "create_server", unknown)
    server = TelemetryServer("no-such-host:0", Metrics(version="1.2.3"), Health(), no_status)
    with pytest.raises(match="no-such-host:0: Name or service not known;"):
        server.start()


def test_empty_listen_opens_nothing() -> None:
    with serving(listen="") as running:
        assert running.server.address is None
        assert "telemetry" not in {thread.name for thread in threading.enumerate()}


def test_listen_that_is_no_host_and_port_is_refused() -> None:
    with pytest.raises(ValueError, match="host:port"):
        TelemetryServer("9464", Metrics(version="1.2.3"), Health(), no_status)


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_ipv6_address_goes_in_brackets() -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 loopback address here")
    with serving(listen="[::1]:0") as running:
        assert running.server.address is not None
        assert running.server.address.startswith("[::1]:")
        assert running.get("/healthz").status == 200
