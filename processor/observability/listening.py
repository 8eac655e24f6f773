"""A port to listen on, or one line that says why it can't be had."""

import os
import socket

from processor.lifecycle import Refused


def listen_on(setting: str, host: str, port: int, remedy: str) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises Refused, which names the setting and the remedy."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        # create_server's own text repeats the address; the number of a failed resolution is no errno.
        resolved = error.errno is not None and not isinstance(error, socket.gaierror)
        reason = os.strerror(error.errno or 0) if resolved else error.strerror
        raise Refused(
            f"{setting}: cannot listen on {shown_address((host, port))}: {reason}; {remedy}"
        ) from error


def shown_address(address: tuple[str, int] | tuple[str, int, int, int]) -> str:
    """`host:port`, an IPv6 host in brackets."""
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
