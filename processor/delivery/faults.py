"""What went wrong with a request, in one short line: never a URL, only a host and a port."""

import os
import socket
import ssl
from dataclasses import dataclass
from typing import Final

import aiohttp
from aiohttp.http import HttpProcessingError

from processor.delivery.outcome import Stage

PROXY_SETTING: Final = "sender.egress.proxy"


@dataclass(frozen=True, slots=True)
class Way:
    """How far a request has come, and where to.

    reached: the stage it was in; place: the receiver's `host:port`; proxy: the proxy's, empty where there is
    none; at_proxy: whether the connection to the proxy stood.
    """

    reached: Stage
    place: str
    proxy: str = ""
    at_proxy: bool = False

    @property
    def peer(self) -> str:
        """Whom it was connecting to: the proxy, as long as no connection to that stands."""
        return f"the proxy {self.proxy}" if self.proxy and not self.at_proxy else self.place

    @property
    def answerer(self) -> str:
        """Who was asked last."""
        if not self.proxy:
            return "the receiver"
        return f"the proxy {self.proxy}" if self.reached is Stage.CONNECT else "the receiver or the proxy"


def explain(error: BaseException, way: Way) -> tuple[Stage, str]:
    """(stage, text) of a failed request.

    aiohttp's own texts are not used: they hold the URL, and the representation of a TLS context.
    """
    reached = way.reached
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return Stage.CONNECT, refused_by_proxy(way.proxy, way.place, error.status)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Stage.RESOLVE, f"could not resolve {way.peer.rpartition(':')[0]}: {_os_text(error.os_error)}"
    tls = _tls_cause(error)
    if tls is not None:
        return Stage.TLS, f"TLS with {way.peer} failed: {_tls_text(tls)}"
    if isinstance(error, aiohttp.ClientConnectorError):
        if reached is Stage.TLS:
            return Stage.TLS, f"TLS with {way.peer} failed: {_os_text(error.os_error)}"
        return Stage.CONNECT, f"could not connect to {way.peer}: {_os_text(error.os_error)}"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return reached, f"{way.answerer} closed the connection without an answer"
    if isinstance(error, HttpProcessingError | aiohttp.ClientResponseError | aiohttp.ClientPayloadError):
        by_proxy = f" of the proxy {way.proxy}" if reached is Stage.CONNECT and way.proxy else ""
        return reached, f"the answer{by_proxy} is not valid HTTP"
    if isinstance(error, aiohttp.InvalidURL | ValueError):
        return Stage.RENDER, "the request can't be written: a header or the URL is not valid"
    if isinstance(error, OSError):
        return reached, _os_text(error)
    return reached, f"failed: {type(error).__name__}"


def refused_by_proxy(proxy: str, place: str, status: int) -> str:
    """The text of a proxy's own answer: to CONNECT, or 407 to a request."""
    if status == 407:
        return f"the proxy {proxy} wants another user name and password (HTTP 407): see {PROXY_SETTING}"
    return f"the proxy {proxy} made no connection to {place}: HTTP {status}"


def timed_out(way: Way, seconds: float) -> str:
    """The text of a time-out."""
    to_proxy = way.proxy and not way.at_proxy
    waiting = f"waiting for the proxy {way.proxy} to connect" if way.at_proxy else "connecting"
    doing = {
        Stage.RESOLVE: "resolving the name",
        Stage.CONNECT: waiting,
        Stage.TLS: "in the TLS handshake",
        Stage.WRITE: "sending the request",
    }.get(way.reached, "waiting for the answer")
    with_proxy = {
        Stage.RESOLVE: f"resolving the name of {way.peer}",
        Stage.CONNECT: f"connecting to {way.peer}",
        Stage.TLS: f"in the TLS handshake with {way.peer}",
    }
    return f"timed out after {seconds:g}s {with_proxy.get(way.reached, doing) if to_proxy else doing}"


def _tls_cause(error: BaseException) -> ssl.SSLError | ssl.CertificateError | None:
    seen: BaseException | None = error
    for _ in range(5):
        # aiohttp's own, which is a CertificateError as well but says nothing, wraps the one that does
        if isinstance(seen, aiohttp.ClientConnectorCertificateError):
            seen = seen.certificate_error
        elif isinstance(seen, ssl.SSLError | ssl.CertificateError):
            return seen
        elif isinstance(seen, aiohttp.ClientConnectorError):
            seen = seen.os_error
        elif seen is not None:
            seen = seen.__cause__
    return None


def _tls_text(error: ssl.SSLError | ssl.CertificateError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError) and error.verify_message:
        return error.verify_message
    reason = getattr(error, "reason", None)
    return reason.replace("_", " ").lower() if isinstance(reason, str) else "handshake failed"


def _os_text(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return error.strerror or "no answer"
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno).lower()
    # Several addresses that failed for different reasons; the text holds addresses and reasons only.
    return str(error)[:200] or type(error).__name__
