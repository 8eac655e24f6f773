"""Spans of attempts, as a collector gets them and as receivers see their context."""

import asyncio
import logging
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from processor.cli.main import main
from processor.delivery.http import Poster, WebhookRequest
from processor.delivery.outcome import Kind, Outcome
from processor.delivery.service import Sender
from processor.delivery.tls import tls_context
from processor.delivery.tracing import TracedPoster
from processor.egress import EgressPolicy
from processor.lifecycle import Deadline
from processor.observability.health import Health
from processor.observability.metrics import Metrics
from processor.observability.otlp import OtlpTracing
from processor.observability.tracing import open_tracing
from processor.rules.service import RulesService
from processor.settings import Settings
from tests.support.beside import beside
from tests.support.collector import Collector, collecting
from tests.support.logs import logging_as_before
from tests.support.receivers import Authority, Behaviour, Reader, Receiver, Writer, answering, receiving
from tests.support.waiting import wait_until

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-00"


@contextmanager
def tracing_to(collector: Collector | str, **telemetry: Any) -> Iterator[OtlpTracing]:
    """Tracing that is stopped, and so has sent all, at the end of the block."""
    url = collector if isinstance(collector, str) else collector.url
    settings = Settings.model_validate({"telemetry": {"otlp_endpoint": url, **telemetry}})
    tracing = open_tracing(settings, "sender", "1.2.3")
    assert tracing is not None
    tracing.start()
    yield tracing
    tracing.stop(Deadline(timedelta(seconds=10)))
    assert tracing.failed is None


def request(url: str, attempt: int = 1, job: str = "msg_x", traceparent: str | None = None) -> WebhookRequest:
    return WebhookRequest(url, job, attempt, b"{}", traceparent=traceparent, rule_id=7)


def post(tracing: OtlpTracing, *requests: WebhookRequest) -> list[Outcome]:
    """Make these attempts in turn, through a traced poster."""

    async def work() -> list[Outcome]:
        poster = Poster(EgressPolicy(allow_cidrs=["127.0.0.1"]), tls_context(), timeout=5.0)
        async with TracedPoster(poster, tracing, "tocsin.webhook-jobs") as traced:
            return [await traced.post(request) for request in requests]

    return asyncio.run(work())


@contextmanager
def a_receiver(behaviour: Behaviour) -> Iterator[Receiver]:
    with beside(lambda stack: stack.enter_async_context(receiving(behaviour))) as receiver:
        yield receiver


def test_attempt_is_a_client_span_of_the_events_trace_and_the_receiver_gets_its_context() -> None:
    with collecting() as collector, a_receiver(answering(OK)) as receiver:
        with tracing_to(collector) as tracing:
            (outcome,) = post(
                tracing, request(receiver.url(path="/SECRET?k=SECRET"), attempt=3, traceparent=SAMPLED)
            )
        (span,) = collector.spans
        assert outcome.kind is Kind.DELIVERED
        assert (span.name, span.kind, span.trace, span.parent) == ("POST", "client", TRACE, PARENT)
        assert receiver.header("traceparent") == span.traceparent()
        assert not span.failed
        assert span.attributes == {
            "http.request.method": "POST",
            "http.request.resend_count": 2,
            "http.response.status_code": 200,
            "messaging.system": "kafka",
            "messaging.operation.name": "deliver",
            "messaging.operation.type": "process",
            "messaging.destination.name": "tocsin.webhook-jobs",
            "messaging.message.id": "msg_x",
            "server.address": "127.0.0.1",
            "server.port": receiver.port,
            "url.scheme": "http",
            "tocsin.rule.id": 7,
            "tocsin.outcome": "delivered",
        }
        assert span.resource == {"service.name": "tocsin-sender", "service.version": "1.2.3"}
        assert b"SECRET" not in span.raw


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", {"error.type": "503", "http.response.status_code": 503, "tocsin.stage": "status"}),
        ("http://127.0.0.1:1/SECRET", {"error.type": "connect", "tocsin.stage": "connect"}),
        (
            "http://10.0.0.1/SECRET",
            {"error.type": "blocked", "tocsin.reason": "blocked", "tocsin.outcome": "dead"},
        ),
        ("ftp://SECRET/SECRET", {"error.type": "blocked", "tocsin.stage": "render"}),
    ],
)
def test_attempt_that_fails_says_how(path: str, expected: dict[str, str | int]) -> None:
    answer = b"HTTP/1.1 503 No\r\nContent-Length: 6\r\n\r\nSECRET"
    with collecting() as collector, a_receiver(answering(answer)) as receiver:
        with tracing_to(collector) as tracing:
            post(tracing, request(path or receiver.url(path="/SECRET"), traceparent=SAMPLED))
        (span,) = collector.spans
        assert span.failed
        assert span.attributes | expected == span.attributes
        assert b"SECRET" not in span.raw


def test_attempts_of_a_job_without_a_trace_are_one_trace() -> None:
    with collecting() as collector, a_receiver(answering(OK)) as receiver:
        with tracing_to(collector) as tracing:
            url = receiver.url()
            post(tracing, *(request(url, n, job) for job in ("msg_a", "msg_b") for n in (1, 2)))
        with tracing_to(collector) as tracing:  # another process, after a crash
            post(tracing, request(url, 3, "msg_a"))
        traces = [span.trace for span in collector.spans]
        assert traces[0] == traces[1] == traces[4] != traces[2] == traces[3]
        assert {span.parent for span in collector.spans} == {""}
        assert len({span.id for span in collector.spans}) == 5
        assert [receiver.header("traceparent", n) for n in range(5)] == [
            span.traceparent() for span in collector.spans
        ]


def test_events_decision_not_to_record_is_followed_and_passed_on() -> None:
    with collecting() as collector, a_receiver(answering(OK)) as receiver:
        with tracing_to(collector) as tracing:
            post(tracing, request(receiver.url(), traceparent=UNSAMPLED))
        assert collector.requests == 0
        sent = receiver.header("traceparent") or ""
        assert sent.startswith(f"00-{TRACE}-")
        assert sent.endswith("-00")


def test_of_traces_begun_here_a_share_is_recorded_and_of_a_job_all_or_nothing() -> None:
    with collecting() as collector, a_receiver(answering(OK)) as receiver:
        with tracing_to(collector, trace_share=0.5) as tracing:
            url = receiver.url()
            post(tracing, *(request(url, attempt, f"msg_{n}") for n in range(100) for attempt in (1, 2)))
            post(tracing, request(url, traceparent=SAMPLED))
        jobs = [span.attributes["messaging.message.id"] for span in collector.spans if not span.parent]
        assert 50 < len(jobs) < 150
        assert all(jobs.count(job) == 2 for job in jobs)
        assert len(collector.spans) == len(jobs) + 1


def test_attempt_that_is_broken_off_ends_its_span() -> None:
    async def work(tracing: OtlpTracing) -> None:
        came = asyncio.Event()

        async def hang(receiver: Receiver, reader: Reader, writer: Writer) -> None:
            came.set()
            await asyncio.Event().wait()

        poster = Poster(EgressPolicy(allow_cidrs=["127.0.0.1"]), tls_context())
        async with receiving(hang) as receiver, TracedPoster(poster, tracing, "jobs") as traced:
            task = asyncio.create_task(traced.post(request(receiver.url())))
            async with asyncio.timeout(5):
                await came.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    with collecting() as collector:
        with tracing_to(collector) as tracing:
            asyncio.run(work(tracing))
        (span,) = collector.spans
        assert span.attributes["error.type"] == "cancelled"


def test_collector_gets_its_headers_over_tls_of_a_private_authority(tmp_path: Path) -> None:
    authority = Authority.make(tmp_path)
    with (
        collecting(authority.serving(authority.issue("localhost"))) as collector,
        a_receiver(answering(OK)) as receiver,
    ):
        headers = {"Authorization": "Bearer hunter2"}
        with tracing_to(collector, otlp_headers=headers, otlp_ca=authority.path) as tracing:
            post(tracing, request(receiver.url()))
        assert len(collector.spans) == 1
        assert collector.headers[0]["authorization"] == "Bearer hunter2"
        assert collector.headers[0]["content-encoding"] == "gzip"


def test_variables_of_the_environment_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as other, collecting() as collector, a_receiver(answering(OK)) as receiver:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, other.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", other.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{other.url}/v1/traces")
        monkeypatch.setenv("OTEL_SERVICE_NAME", "other")
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "a=b")
        monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
        with tracing_to(collector) as tracing:
            post(tracing, request(receiver.url()))
        assert (other.requests, len(collector.spans)) == (0, 1)
        assert collector.spans[0].resource["service.name"] == "tocsin-sender"


def test_collector_that_is_down_costs_spans_and_one_line(caplog: pytest.LogCaptureFixture) -> None:
    with collecting() as collector, a_receiver(answering(OK)) as receiver:
        collector.status = 400

        def asked(times: int) -> bool:
            return collector.requests >= times

        with caplog.at_level(logging.INFO), tracing_to(collector) as tracing:
            for number in (1, 2):
                (outcome,) = post(tracing, request(receiver.url()))
                assert outcome.kind is Kind.DELIVERED
                wait_until(partial(asked, number), 20)
            collector.status = 200
            post(tracing, request(receiver.url()))
            collector.wait(1)
        lines = [(r.levelname, r.message) for r in caplog.records if r.name.endswith("otlp")]
        assert lines == [
            ("WARNING", "spans can't be sent and are lost"),
            ("INFO", "spans are sent again"),
        ]
        assert "/v1/traces" not in caplog.text


def test_collector_that_hangs_holds_up_neither_attempts_nor_the_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with collecting() as collector, a_receiver(answering(OK)) as receiver:
        collector.hangs = True
        with tracing_to(collector) as tracing:
            outcomes = post(tracing, *(request(receiver.url()) for _ in range(20)))
            assert {outcome.kind for outcome in outcomes} == {Kind.DELIVERED}
            began = time.monotonic()
            tracing.stop(Deadline(timedelta(seconds=0.3)))
            assert time.monotonic() - began < 3
            assert "the last spans were not sent in time" in caplog.text
        # What is left behind of the export says its last word here, and not in a later test's output.
        collector.hangs = False
        wait_until(lambda: not [one for one in threading.enumerate() if one.name == "last-spans"], 20)


# Off


def test_without_the_setting_the_sender_has_the_plain_poster() -> None:
    settings = Settings()
    metrics, health = Metrics("1"), Health()
    rules = RulesService(settings, "sender", metrics, health)
    assert open_tracing(settings, "sender", "1") is None
    sender = Sender(settings, rules.live, metrics, health, None)
    assert type(sender._poster(tls_context())) is Poster


def test_without_the_setting_nothing_of_opentelemetry_is_imported() -> None:
    code = (
        "import sys\n"
        "import processor.cli.run, processor.delivery.service, processor.matching.service\n"
        "from processor.observability.tracing import open_tracing\n"
        "from processor.settings import Settings\n"
        "assert open_tracing(Settings(), 'all', '1') is None\n"
        "found = [name for name in sys.modules if name.partition('.')[0] in ('opentelemetry', 'requests')]\n"
        "assert not found, found\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", [["run", "sender"], ["run", "matcher"], ["config", "check"]])
def test_without_the_extra_the_setting_is_one_clear_error(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("opentelemetry")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "processor.observability.otlp", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)  # what import finds where it isn't installed
    with logging_as_before():
        code = main(command, {"TOCSIN_TELEMETRY__OTLP_ENDPOINT": "http://127.0.0.1:4318"})
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert err.startswith("tocsin: telemetry.otlp_endpoint: needs OpenTelemetry, which is not installed here")
    assert "install tocsin[otel]" in err
    assert err.count("\n") == 1


def test_with_the_extra_the_settings_are_right(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_as_before():
        assert main(["config", "check"], {"TOCSIN_TELEMETRY__OTLP_ENDPOINT": "http://127.0.0.1:4318"}) == 0
    assert capsys.readouterr().out == "settings ok\n"


def test_ssl_is_verified_for_the_collector_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    authority = Authority.make(tmp_path)
    context: ssl.SSLContext = authority.serving(authority.issue("localhost"))
    with collecting(context) as collector, a_receiver(answering(OK)) as receiver:
        with tracing_to(collector) as tracing:
            post(tracing, request(receiver.url()))
        assert collector.requests == 0
        assert "spans can't be sent and are lost" in caplog.text
