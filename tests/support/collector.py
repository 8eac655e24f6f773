"""An OpenTelemetry collector on 127.0.0.1: takes spans as OTLP over HTTP, in a thread beside the test."""

import asyncio
import ssl
from collections.abc import Iterable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field

from aiohttp import web
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.support.beside import beside
from tests.support.waiting import wait_until


@dataclass(frozen=True)
class Received:
    """A span as it came; ids in hex. raw: all of it, to look for what must not be in it."""

    name: str
    kind: str
    trace: str
    id: str
    parent: str
    attributes: dict[str, str | int]
    failed: bool
    began_ns: int
    resource: dict[str, str | int]
    raw: bytes

    def traceparent(self, flags: str = "01") -> str:
        return f"00-{self.trace}-{self.id}-{flags}"


@dataclass
class Collector:
    """status: what it answers with; hangs: it answers nothing. Both may be changed at any time."""

    url: str = ""
    status: int = 200
    hangs: bool = False
    requests: int = 0
    headers: list[dict[str, str]] = field(default_factory=list)
    spans: list[Received] = field(default_factory=list)

    def wait(self, count: int, timeout: float = 20.0) -> list[Received]:
        """Wait for exactly so many spans."""
        wait_until(lambda: len(self.spans) >= count, timeout, lambda: f"{count} spans: {self.spans}")
        assert len(self.spans) == count
        return list(self.spans)

    async def take(self, request: web.Request) -> web.Response:
        self.requests += 1
        while self.hangs:  # noqa: ASYNC110 - which another thread sets
            await asyncio.sleep(0.01)
        if self.status != 200:
            return web.Response(status=self.status)
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        message = ExportTraceServiceRequest()
        try:
            message.ParseFromString(await request.read())
        except DecodeError:
            return web.Response(status=400)
        for of_resource in message.resource_spans:
            resource = _plain(of_resource.resource.attributes)
            for of_scope in of_resource.scope_spans:
                self.spans.extend(_received(span, resource) for span in of_scope.spans)
        return web.Response(body=b"", content_type="application/x-protobuf")


@contextmanager
def collecting(tls: ssl.SSLContext | None = None, port: int = 0) -> Iterator[Collector]:
    """A collector for the length of the block."""

    async def serve(stack: AsyncExitStack) -> Collector:
        collector = Collector()
        app = web.Application()
        app.router.add_post("/v1/traces", collector.take)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls, reuse_address=True)
        await site.start()
        bound = runner.addresses[0][1]
        collector.url = f"https://localhost:{bound}" if tls else f"http://127.0.0.1:{bound}"
        return collector

    with beside(serve) as collector:
        yield collector


def _received(span: Span, resource: dict[str, str | int]) -> Received:
    return Received(
        name=span.name,
        kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        attributes=_plain(span.attributes),
        failed=span.status.code == Status.STATUS_CODE_ERROR,
        began_ns=span.start_time_unix_nano,
        resource=resource,
        raw=span.SerializeToString(),
    )


def _plain(pairs: Iterable[KeyValue]) -> dict[str, str | int]:
    found: dict[str, str | int] = {}
    for pair in pairs:
        value = pair.value
        found[pair.key] = value.int_value if value.HasField("int_value") else value.string_value
    return found
