"""A webhook's URL, read once by the parser of the HTTP client: check and request mean the same host."""

import re
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from yarl import URL

from processor.egress.literals import is_dotted_decimal, legacy_ipv4
from processor.egress.ranges import IPAddress, classify

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\]")


class TargetError(ValueError):
    """A URL that is no webhook target.

    about: scheme, userinfo, host, port, spelling or url. The message never shows a path.
    """

    def __init__(self, about: str, message: str) -> None:
        super().__init__(message)
        self.about = about


@dataclass(frozen=True, slots=True)
class Target:
    """url: as written (path and query byte for byte). host: lower case, IDNA, no trailing dot, no brackets.

    address: what host is if it is an IP literal. port: explicit or the scheme's. origin:
    scheme://host[:port], the most that is ever shown of a target.
    """

    url: URL
    scheme: str
    host: str
    port: int
    address: IPAddress | None

    @property
    def origin(self) -> str:
        host = f"[{self.host}]" if isinstance(self.address, IPv6Address) else self.host
        default = 443 if self.scheme == "https" else 80
        return f"{self.scheme}://{host}" + ("" if self.port == default else f":{self.port}")


def read_target(text: str) -> Target:
    """Reads an http or https URL. Raises TargetError."""
    if _UNSAFE.search(text):
        raise TargetError("url", "the target URL contains a space, a control character or a backslash")
    try:
        # An ASCII URL goes out as written: yarl's requoting would change a path that is a credential.
        url = URL(text, encoded=text.isascii())
        port = url.port
    except ValueError:
        # yarl's message may repeat the URL
        raise TargetError("url", "the target is not a valid URL") from None
    if url.scheme not in {"http", "https"}:
        raise TargetError("scheme", "the target URL's scheme must be http or https")
    if "@" in url.raw_authority:
        raise TargetError("userinfo", "the target URL must not contain a user name or password")
    if not port:
        raise TargetError("port", "the target URL's port must be 1 to 65535")
    host = (url.raw_host or "").lower()
    host = host[:-1] if host.endswith(".") else host
    return Target(url, url.scheme, host, port, _address(host))


def _address(host: str) -> IPAddress | None:
    if is_dotted_decimal(host):
        return ip_address(host)
    if ":" in host:
        return _ipv6(host)
    if (meant := legacy_ipv4(host)) is not None:
        row = classify(meant)
        kind = f"a {row.name}" if row else "a public"
        raise TargetError("spelling", f"{host} spells {meant} ({kind} address): write it in dotted decimal")
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise TargetError("host", "the target URL's host is not a valid name or address")
    if _NUMBER_LABEL.fullmatch(labels[-1]):
        raise TargetError("host", f"{host} is neither a name (its last part is a number) nor an IPv4 address")
    return None


def _ipv6(host: str) -> IPAddress:
    try:
        address = IPv6Address(host)
    except ValueError:
        raise TargetError("host", "the target URL's host is not a valid IPv6 address") from None
    if address.scope_id is not None:
        raise TargetError("host", f"{host} carries a zone: only addresses without one can be called")
    return address
