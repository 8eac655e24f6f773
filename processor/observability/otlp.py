"""Spans by OpenTelemetry, sent to a collector as OTLP over HTTP. The only module that imports it.

All that can be chosen comes from the settings: OpenTelemetry's own OTEL_ variables don't count, as far as its
interfaces let one say so, and neither do proxies of the environment.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

import requests
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span as OtelSpan
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from processor.lifecycle import Deadline
from processor.observability.logging import origin
from processor.observability.tracing import Attributes
from processor.settings import TelemetrySettings

log = logging.getLogger(__name__)

EXPORT_TIMEOUT: Final = 5.0
"""Seconds one batch may take, repeats included; what can't be sent by then is dropped."""

QUEUE: Final = 8_192
"""Ended spans that wait for the collector; beyond that they are dropped."""

_PARENT: Final = TraceContextTextMapPropagator()


class OtlpTracing:
    """Begins spans, from any thread; a service whose stop() sends what is left."""

    def __init__(self, telemetry: TelemetrySettings, role: str, version: str) -> None:
        """`telemetry.otlp_endpoint` is set. Opens no connection yet."""
        endpoint = f"{(telemetry.otlp_endpoint or '').rstrip('/')}/v1/traces"
        session = requests.Session()
        session.trust_env = False
        headers = {name: value.get_secret_value() for name, value in telemetry.otlp_headers.items()}
        exporter = OTLPSpanExporter(
            endpoint,
            certificate_file=None if telemetry.otlp_ca is None else str(telemetry.otlp_ca),
            headers=headers,
            timeout=EXPORT_TIMEOUT,
            compression=Compression.Gzip,
            session=session,
        )
        # What it says of every batch that fails, _Exporter says once.
        logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)
        self._ids = _Ids()
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(telemetry.trace_share)),
            resource=Resource({"service.name": f"tocsin-{role}", "service.version": version}),
            id_generator=self._ids,
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(
                _Exporter(exporter, origin(endpoint)),
                max_queue_size=QUEUE,
                schedule_delay_millis=1_000,
                max_export_batch_size=512,
                export_timeout_millis=EXPORT_TIMEOUT * 1000,
            )
        )
        self._tracer = self._provider.get_tracer("tocsin", version)

    def client_span(
        self, name: str, attributes: Attributes, *, traceparent: str | None, without_parent: str
    ) -> _Span:
        """See Tracing."""
        return self._begin(name, SpanKind.CLIENT, attributes, traceparent, without_parent)

    def producer_span(
        self,
        name: str,
        attributes: Attributes,
        *,
        traceparent: str | None,
        without_parent: str,
        began_ms: int,
    ) -> _Span:
        """See Tracing."""
        return self._begin(
            name, SpanKind.PRODUCER, attributes, traceparent, without_parent, began_ns=began_ms * 1_000_000
        )

    def _begin(
        self,
        name: str,
        kind: SpanKind,
        attributes: Attributes,
        traceparent: str | None,
        without_parent: str,
        *,
        began_ns: int | None = None,
    ) -> _Span:
        # Not the thread's current context, of which somebody else might make a parent.
        parent = _PARENT.extract({"traceparent": traceparent or ""}, Context())
        with self._ids.of(without_parent):
            return _Span(
                self._tracer.start_span(
                    name, parent, kind=kind, attributes=dict(attributes), start_time=began_ns
                )
            )

    @property
    def name(self) -> str:
        """For logs."""
        return "tracing"

    @property
    def failed(self) -> BaseException | None:
        """Never: a collector that can't be reached costs spans only."""
        return None

    def start(self) -> None:
        """Nothing to do: its thread runs since it was made."""

    def stop(self, deadline: Deadline) -> None:
        """Send what is left, until the deadline but never for longer than one batch may take."""
        # In a thread of its own: shutdown() waits for a collector that hangs.
        last = threading.Thread(target=self._provider.shutdown, name="last-spans", daemon=True)
        last.start()
        last.join(min(deadline.remaining(), EXPORT_TIMEOUT))
        if last.is_alive():
            log.warning("the last spans were not sent in time")


class _Span:
    __slots__ = ("_span",)

    def __init__(self, span: OtelSpan) -> None:
        self._span = span

    @property
    def traceparent(self) -> str:
        context = self._span.get_span_context()
        # W3C Trace Context, 3.2.2
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

    def end(self, attributes: Attributes, error: str | None = None) -> None:
        self._span.set_attributes(dict(attributes))
        if error is not None:
            self._span.set_attribute("error.type", error)
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()


class _Ids(IdGenerator):
    """Random ids, but for traces that belong to a text: those get its hash."""

    def __init__(self) -> None:
        self._random = RandomIdGenerator()
        self._now = threading.local()

    def of(self, text: str) -> _Ids:
        """For the length of the block, in this thread, traces that begin are those of `text`."""
        self._now.text = text
        return self

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self._now.text = None

    def generate_span_id(self) -> int:
        return self._random.generate_span_id()

    def generate_trace_id(self) -> int:
        text = getattr(self._now, "text", None)
        if text is None:
            return self._random.generate_trace_id()
        return int.from_bytes(sha256(text.encode()).digest()[:16], "big") or 1


class _Exporter(SpanExporter):
    """Says once when the collector can't be reached, and once when it can again."""

    def __init__(self, inner: SpanExporter, place: str) -> None:
        self._inner = inner
        self._place = place
        self._lost = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._inner.export(spans)
        if result is SpanExportResult.SUCCESS:
            if self._lost:
                log.info(
                    "spans are sent again", extra={"fields": {"collector": self._place, "lost": self._lost}}
                )
            self._lost = 0
        else:
            if not self._lost:
                log.warning("spans can't be sent and are lost", extra={"fields": {"collector": self._place}})
            self._lost += len(spans)
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)
