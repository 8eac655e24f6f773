"""TLS towards receivers: always verified, certificate and name."""

import ssl
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Protocol


class Handshake(Protocol):
    """Who wants to know that a handshake begins."""

    def handshake_begins(self) -> None: ...


HANDSHAKE: ContextVar[Handshake | None] = ContextVar("handshake", default=None)
"""The attempt that a connection is being made for."""


class TlsError(ValueError):
    """A certificate file of the settings can't be used; the message names the setting."""


class ReportingContext(ssl.SSLContext):
    """Tells the attempt when its handshake begins, which nothing else tells from a connect that hangs."""

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:  # Any: passed on as they come
        """Called by the event loop for each new TLS connection."""
        attempt = HANDSHAKE.get()
        if attempt is not None:
            attempt.handshake_begins()
        return super().wrap_bio(*args, **kwargs)


def tls_context(
    ca: Path | None = None, certificate: Path | None = None, key: Path | None = None
) -> ssl.SSLContext:
    """The context of all connections.

    ca: PEM file of the authorities to trust instead of the system's; certificate, key: PEM files shown to
    receivers that ask (key: None if the certificate's file has it). Raises TlsError.
    """
    context = ReportingContext(ssl.PROTOCOL_TLS_CLIENT)  # check_hostname and CERT_REQUIRED are on
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        if ca is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(ca)
    except OSError as error:  # ssl.SSLError is one
        raise TlsError(f"sender.tls.ca: {ca} can't be used: {_short(error)}") from None
    if certificate is not None:
        try:
            # An encrypted key would make OpenSSL ask on the terminal.
            context.load_cert_chain(certificate, key, password=_no_password)
        except (OSError, ValueError) as error:
            name = "sender.tls.certificate" if key is None else "sender.tls.certificate or sender.tls.key"
            raise TlsError(f"{name}: {certificate} can't be used: {_short(error)}") from None
    return context


def _no_password() -> str:
    raise ValueError("the key is encrypted")


def _short(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "not a PEM file").replace("_", " ").lower()
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
