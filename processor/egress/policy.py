"""The decision: may this address, on this port, be called for this host?

Public addresses need no setting. allow_cidrs opens what it lists, allow_hosts whatever the listed names
resolve to except link-local and metadata addresses, allow_ports closes all other ports.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import translate
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Self

from processor.egress.ranges import SCOPED, AddressClass, IPAddress, classify, embedded
from processor.egress.target import Target, TargetError, read_target
from processor.settings import EgressSettings

CIDRS: Final = "sender.egress.allow_cidrs"
HOSTS: Final = "sender.egress.allow_hosts"
PORTS: Final = "sender.egress.allow_ports"

# Names that mean an address whatever a resolver says: RFC 6761, 6.3 and the providers' documentation. Behind
# a proxy nobody else here would see where they lead.
_METADATA: Final = ("169.254.169.254",)
_MEANS: Final = {
    "localhost": ("127.0.0.1", "::1"),
    "metadata.google.internal": _METADATA,
    "metadata.goog": _METADATA,
    "instance-data.ec2.internal": _METADATA,
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something may not be called.

    about: address, port, scheme, userinfo, host, spelling or url. message: one line for people, at most the
    host of a URL in it. address_class: the class's name where an address was refused. settings: what would
    allow it, empty where nothing would.
    """

    about: str
    message: str
    address_class: str | None = None
    settings: tuple[str, ...] = ()


def policy_error(
    allow_cidrs: Iterable[str], allow_hosts: Iterable[str], allow_ports: Iterable[int]
) -> str | None:
    """What is wrong with these settings, None if EgressPolicy takes them."""
    try:
        EgressPolicy(allow_cidrs, allow_hosts, allow_ports)
    except ValueError as error:
        return str(error)
    return None


class EgressPolicy:
    """Immutable after construction, so safe to share between threads.

    allow_cidrs: networks, `10.1.0.0/16` or a single address; allow_hosts: globs over the whole name (`*` also
    crosses dots), `*.svc.cluster.local`; allow_ports: empty for any. Raises ValueError naming the entry.
    """

    def __init__(
        self,
        allow_cidrs: Iterable[str | IPv4Network | IPv6Network] = (),
        allow_hosts: Iterable[str] = (),
        allow_ports: Iterable[int] = (),
    ) -> None:
        networks = []
        for cidr in allow_cidrs:
            try:
                networks.append(ip_network(str(cidr)))
            except ValueError as error:
                raise ValueError(f"{CIDRS}: {error}") from None
        self._networks = [
            (network.version, int(network.netmask), int(network.network_address)) for network in networks
        ]
        globs = []
        for glob in allow_hosts:
            if not glob.strip("."):
                raise ValueError(f"{HOSTS}: {glob!r} is not a host name or glob")
            globs.append(translate(glob.lower().removesuffix(".")))
        self._hosts = re.compile("|".join(globs)) if globs else None
        self._ports = frozenset(allow_ports)
        for port in self._ports:
            if not 1 <= port <= 65535:
                raise ValueError(f"{PORTS}: {port} is not a port")

    @classmethod
    def of(cls, egress: EgressSettings) -> Self:
        """The policy of sender.egress."""
        return cls(egress.allow_cidrs, egress.allow_hosts, egress.allow_ports)

    def check_address(self, ip: str | IPAddress, port: int, host: str) -> Refusal | None:
        """Whether a socket to ip and port may be opened for host (the name or literal of the URL).

        ip: as in a socket address, so possibly text with a zone. None means it may.
        """
        refusal = self._check_port(port)
        if refusal is not None:
            return refusal
        try:
            address = ip if isinstance(ip, IPv4Address | IPv6Address) else ip_address(ip)
        except ValueError:
            return Refusal("address", f"{str(ip)[:60]!r} is not an IP address")
        name = host.lower().removesuffix(".")
        row = classify(address)
        if row is None:
            return None
        inner = embedded(address)
        if inner and self._listed(address, row, name):
            # Listing a translation prefix opens the translation, not what hides behind it.
            for behind in inner:
                behind_row = classify(behind)
                if behind_row is not None and not self._listed(behind, behind_row, name):
                    return _refusal(address, row, name, behind, behind_row)
            return None
        if row.name == "IPv4-mapped":
            # The kernel opens an IPv4 connection for it: what opens the IPv4 address opens this.
            behind_row = classify(inner[0])
            if behind_row is not None and self._listed(inner[0], behind_row, name):
                return None
        elif not inner and self._listed(address, row, name):
            return None
        return _refusal(address, row, name, *_worst(inner))

    def check_host(self, host: str, port: int) -> Refusal | None:
        """What can be said before resolving: the port, IP literals in any spelling, names that mean loopback.

        host: without brackets. A name that passes here is still checked address by address when it is called.
        """
        if any(char in host for char in "/?#@[]"):
            return Refusal("host", "not a valid host name or address")
        try:
            target = read_target(f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/")
        except TargetError as error:
            return Refusal(error.about, str(error))
        return self.check_target(target)

    def check_url(self, url: str) -> Refusal | None:
        """Whether a target may be called as far as its URL tells: scheme, user info, port, literal address.

        For early warnings; delivery itself also asks check_address for each socket.
        """
        try:
            target = read_target(url)
        except TargetError as error:
            return Refusal(error.about, str(error))
        return self.check_target(target)

    def check_target(self, target: Target) -> Refusal | None:
        """check_url for a URL that has been read."""
        if target.address is not None:
            return self.check_address(target.address, target.port, target.host)
        host = "localhost" if target.host.endswith(".localhost") else target.host
        refusals = [self.check_address(ip, target.port, target.host) for ip in _MEANS.get(host, ())]
        if refusals and None not in refusals:
            return refusals[0]
        return self._check_port(target.port)

    def _check_port(self, port: int) -> Refusal | None:
        if not self._ports or port in self._ports:
            return None
        return Refusal("port", f"port {port} may not be called; {PORTS} would allow it", None, (PORTS,))

    def _listed(self, ip: IPAddress, row: AddressClass, name: str) -> bool:
        if row is not SCOPED:
            number, version = int(ip), ip.version
            for listed_version, mask, network in self._networks:
                if listed_version == version and number & mask == network:
                    return True
        return row.by_host and self._hosts is not None and self._hosts.match(name) is not None


def _worst(inner: tuple[IPv4Address, ...]) -> tuple[IPv4Address | None, AddressClass | None]:
    """The embedded address to name in a refusal: one that is refused itself before one that is public."""
    for behind in inner:
        row = classify(behind)
        if row is not None:
            return behind, row
    return (inner[0], None) if inner else (None, None)


def _refusal(
    ip: IPAddress, row: AddressClass, name: str, behind: IPv4Address | None, behind_row: AddressClass | None
) -> Refusal:
    subject = (name or str(ip)) if _spells(name, ip) else f"{name} resolves to {ip}, which"
    message = f"{subject} is {_article(row.name)} {row.name} address ({row.network})"
    if row.network.prefixlen == 0:
        message = f"{subject} is {_article(row.name)} {row.name} address"
    if behind is not None:
        kind = f"{_article(behind_row.name)} {behind_row.name} address" if behind_row else "public"
        message += f" of {behind}, {kind}"
    if row is SCOPED:
        return Refusal("address", f"{message}; no setting allows it", row.name)
    by_host = row.by_host and (behind_row is None or behind_row.by_host)
    settings = (CIDRS, HOSTS) if by_host else (CIDRS,)
    return Refusal("address", f"{message}; {' or '.join(settings)} would allow it", row.name, settings)


def _spells(name: str, ip: IPAddress) -> bool:
    """Whether the URL's host is the address itself, in whatever spelling, rather than a name of it."""
    try:
        return not name or ip_address(name) == ip
    except ValueError:
        return False


def _article(word: str) -> str:
    return "an" if word[0] in "aeiouIO" else "a"
