"""What went wrong with a request, in one short line: never a URL, only a host and a port."""

import os
import socket
import ssl

import aiohttp

from processor.delivery.outcome import Stage


def explain(error: BaseException, reached: Stage, place: str) -> tuple[Stage, str]:
    """(stage, text) of a failed request.

    reached: how far it had come; place: `host:port`, for the text. aiohttp's own texts are not used: they
    hold the URL, and the representation of a TLS context.
    """
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Stage.RESOLVE, f"could not resolve {place.rpartition(':')[0]}: {_os_text(error.os_error)}"
    tls = _tls_cause(error)
    if tls is not None:
        return Stage.TLS, f"TLS with {place} failed: {_tls_text(tls)}"
    if isinstance(error, aiohttp.ClientConnectorError):
        if reached is Stage.TLS:
            return Stage.TLS, f"TLS with {place} failed: {_os_text(error.os_error)}"
        return Stage.CONNECT, f"could not connect to {place}: {_os_text(error.os_error)}"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return reached, "the receiver closed the connection without an answer"
    if isinstance(error, aiohttp.ClientResponseError | aiohttp.ClientPayloadError):
        return reached, "the answer is not valid HTTP"
    if isinstance(error, aiohttp.InvalidURL | ValueError):
        return Stage.RENDER, "the request can't be written: a header or the URL is not valid"
    if isinstance(error, OSError):
        return reached, _os_text(error)
    return reached, f"failed: {type(error).__name__}"


def timed_out(reached: Stage, seconds: float) -> str:
    """The text of a time-out."""
    doing = {
        Stage.RESOLVE: "resolving the name",
        Stage.CONNECT: "connecting",
        Stage.TLS: "in the TLS handshake",
        Stage.WRITE: "sending the request",
    }.get(reached, "waiting for the answer")
    return f"timed out after {seconds:g}s {doing}"


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
