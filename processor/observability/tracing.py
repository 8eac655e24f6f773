"""Traces, where a collector is set: what spans are to those who make them, without OpenTelemetry.

OpenTelemetry is an extra of the package. It is imported by otlp.py alone, and that only when
telemetry.otlp_endpoint is set: otherwise there is no tracing, and nothing in its place that would cost
anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from processor.settings import Settings, SettingsError

if TYPE_CHECKING:
    from processor.observability.otlp import OtlpTracing

Attributes = Mapping[str, str | int]


class Span(Protocol):
    """One thing that takes time, begun."""

    @property
    def traceparent(self) -> str:
        """The span as W3C Trace Context says it, for whoever is called."""

    def end(self, attributes: Attributes, error: str | None = None) -> None:
        """It is over. error: what kind of failure it was, a word or a status; None for none."""


class Tracing(Protocol):
    """Begins spans; never blocks, whatever the collector does. Spans may be dropped, the work never waits."""

    def client_span(
        self, name: str, attributes: Attributes, *, traceparent: str | None, without_parent: str
    ) -> Span:
        """A call to another process, begun now.

        traceparent: whose part it is; without one its trace is that of the text `without_parent`, the same
        for the same text.
        """

    def producer_span(
        self,
        name: str,
        attributes: Attributes,
        *,
        traceparent: str | None,
        without_parent: str,
        began_ms: int,
    ) -> Span:
        """A message to another process; began_ms: ms since 1970. The rest as client_span."""


def open_tracing(settings: Settings, role: str, version: str) -> OtlpTracing | None:
    """The tracing of one process, to be run as a service; None where none is set. Raises as check_tracing."""
    check_tracing(settings)
    if settings.telemetry.otlp_endpoint is None:
        return None
    from processor.observability.otlp import OtlpTracing

    return OtlpTracing(settings.telemetry, role, version)


def check_tracing(settings: Settings) -> None:
    """Raises SettingsError when traces are set and OpenTelemetry is not installed."""
    if settings.telemetry.otlp_endpoint is None:
        return
    try:
        import processor.observability.otlp  # noqa: F401 - to see whether it can be
    except ImportError:
        raise SettingsError(
            "telemetry.otlp_endpoint: needs OpenTelemetry, which is not installed here; "
            "install tocsin[otel], or leave it out"
        ) from None
