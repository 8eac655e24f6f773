"""The addresses that are not the public Internet, as one explicit table.

Sources: the IANA IPv4 and IPv6 Special-Purpose Address Registries, the IPv4 and IPv6 multicast and address
space registries, the RFCs named per row, and the cloud providers' own documentation for their metadata
services. Python's ipaddress.is_global is not used: it calls global, depending on its version, 64:ff9b::/96,
64:ff9b:1::/48, 2002::/16, ::127.0.0.1, fec0::/10, multicast, 192.88.99.1 and 168.63.129.16.

Blocks inside 192.0.0.0/24 and 2001::/23 that IANA marks globally reachable (PCP and TURN anycast, AMT,
ORCHIDv2, DRIP) are refused with their parents: no webhook receiver lives there. A network's own NAT64 prefix
(RFC 6052 allows any) can't be known here.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class AddressClass:
    """One row: why an address is not public.

    name: reads as "… is a(n) <name> address"; source: registry or document; by_host: whether allow_hosts may
    open it (link-local and metadata addresses hand out credentials: only allow_cidrs may); embeds: the
    address carries an IPv4 address that is judged as well.
    """

    name: str
    network: IPNetwork
    source: str
    by_host: bool = True
    embeds: bool = False


_IANA4: Final = "IANA IPv4 Special-Purpose Address Registry"
_IANA6: Final = "IANA IPv6 Special-Purpose Address Registry"
_SPACE6: Final = "IANA IPv6 Address Space"


def _row(name: str, network: str, source: str, *, by_host: bool = True, embeds: bool = False) -> AddressClass:
    return AddressClass(name, ip_network(network), source, by_host, embeds)


def _metadata(network: str, source: str) -> AddressClass:
    return _row("cloud metadata", network, source, by_host=False)


# The first row that contains an address names it, so the narrow ones come first.
TABLE: Final[tuple[AddressClass, ...]] = (
    # IPv4
    _metadata("169.254.169.254/32", "AWS, Azure, Google Cloud, OpenStack and others: instance metadata"),
    _metadata("169.254.170.2/32", "AWS ECS: task credentials"),
    _metadata("169.254.170.23/32", "AWS EKS: pod identity agent"),
    _metadata("169.254.42.42/32", "Scaleway: instance metadata"),
    _metadata("169.254.0.23/32", "Tencent Cloud: instance metadata"),
    _metadata("100.100.100.200/32", "Alibaba Cloud: instance metadata"),
    _metadata("168.63.129.16/32", "Azure: wire server, a public address that is the host itself"),
    _metadata("192.0.0.192/32", "Oracle Cloud: instance metadata"),
    _row("unspecified", "0.0.0.0/32", f"{_IANA4}, RFC 1122"),
    _row("this-network", "0.0.0.0/8", f"{_IANA4}, RFC 791"),
    _row("private", "10.0.0.0/8", f"{_IANA4}, RFC 1918"),
    _row("shared", "100.64.0.0/10", f"{_IANA4}, RFC 6598"),
    _row("loopback", "127.0.0.0/8", f"{_IANA4}, RFC 1122"),
    _row("link-local", "169.254.0.0/16", f"{_IANA4}, RFC 3927", by_host=False),
    _row("private", "172.16.0.0/12", f"{_IANA4}, RFC 1918"),
    _row("protocol-assignment", "192.0.0.0/24", f"{_IANA4}, RFC 6890"),
    _row("documentation", "192.0.2.0/24", f"{_IANA4}, RFC 5737"),
    _row("6to4-relay", "192.88.99.0/24", f"{_IANA4}, RFC 7526"),
    _row("private", "192.168.0.0/16", f"{_IANA4}, RFC 1918"),
    _row("benchmark", "198.18.0.0/15", f"{_IANA4}, RFC 2544"),
    _row("documentation", "198.51.100.0/24", f"{_IANA4}, RFC 5737"),
    _row("documentation", "203.0.113.0/24", f"{_IANA4}, RFC 5737"),
    _row("multicast", "224.0.0.0/4", "IANA IPv4 Multicast Address Space Registry, RFC 5771"),
    _row("broadcast", "255.255.255.255/32", f"{_IANA4}, RFC 919"),
    _row("reserved", "240.0.0.0/4", f"{_IANA4}, RFC 1112"),
    # IPv6
    _metadata("fd00:ec2::254/128", "AWS: instance metadata"),
    _metadata("fd00:ec2::23/128", "AWS EKS: pod identity agent"),
    _metadata("fd20:ce::254/128", "Google Cloud: instance metadata"),
    _metadata("fd00:42::42/128", "Scaleway: instance metadata"),
    _metadata("fe80::a9fe:a9fe/128", "OpenStack: instance metadata"),
    _row("unspecified", "::/128", f"{_IANA6}, RFC 4291"),
    _row("loopback", "::1/128", f"{_IANA6}, RFC 4291"),
    _row("IPv4-compatible", "::/96", "RFC 4291, 2.5.5.1 (deprecated)", embeds=True),
    _row("IPv4-mapped", "::ffff:0:0/96", f"{_IANA6}, RFC 4291", embeds=True),
    _row("IPv4-translated", "::ffff:0:0:0/96", "RFC 2765", embeds=True),
    _row("NAT64", "64:ff9b::/96", f"{_IANA6}, RFC 6052", embeds=True),
    _row("local NAT64", "64:ff9b:1::/48", f"{_IANA6}, RFC 8215"),
    _row("discard", "100::/64", f"{_IANA6}, RFC 6666"),
    _row("dummy", "100:0:0:1::/64", f"{_IANA6}, RFC 9780"),
    _row("Teredo", "2001::/32", f"{_IANA6}, RFC 4380", embeds=True),
    _row("benchmark", "2001:2::/48", f"{_IANA6}, RFC 5180"),
    _row("ORCHID", "2001:10::/28", f"{_IANA6}, RFC 4843"),
    _row("ORCHID", "2001:20::/28", f"{_IANA6}, RFC 7343"),
    _row("protocol-assignment", "2001::/23", f"{_IANA6}, RFC 2928"),
    _row("documentation", "2001:db8::/32", f"{_IANA6}, RFC 3849"),
    _row("6to4", "2002::/16", f"{_IANA6}, RFC 3056", embeds=True),
    _row("documentation", "3fff::/20", f"{_IANA6}, RFC 9637"),
    _row("segment-routing", "5f00::/16", f"{_IANA6}, RFC 9602"),
    _row("private (unique local)", "fc00::/7", f"{_IANA6}, RFC 4193"),
    _row("link-local", "fe80::/10", f"{_IANA6}, RFC 4291", by_host=False),
    _row("site-local", "fec0::/10", "RFC 3879 (deprecated)"),
    _row("multicast", "ff00::/8", "IANA IPv6 Multicast Address Space Registry, RFC 4291"),
    # Everything outside 2000::/3, the only block of global unicast addresses
    *(
        _row("reserved", network, _SPACE6)
        for network in (
            "::/3",
            "4000::/2",
            "8000::/2",
            "c000::/3",
            "e000::/4",
            "f000::/5",
            "f800::/6",
            "fe00::/9",
        )
    ),
)

SCOPED: Final = _row("scoped", "::/0", "RFC 4007: an address with a zone belongs to a link", by_host=False)
ISATAP: Final = _row("ISATAP", "::/0", "RFC 5214, 6.1", embeds=True)

# Compiled to integers: about twenty times as fast as asking the network objects, and the guard asks for each
# socket.
_Compiled = tuple[tuple[int, int, AddressClass], ...]


def _compiled(version: int) -> _Compiled:
    return tuple(
        (int(row.network.netmask), int(row.network.network_address), row)
        for row in TABLE
        if row.network.version == version
    )


_ROWS4: Final = _compiled(4)
_ROWS6: Final = _compiled(6)


def classify(ip: IPAddress) -> AddressClass | None:
    """The first row that holds this address, None for a public one.

    An embedding (row.embeds) is named as such whatever it embeds; embedded() has the inside.
    """
    number = int(ip)
    for mask, network, row in _ROWS4 if ip.version == 4 else _ROWS6:
        if number & mask == network:
            return row
    if isinstance(ip, IPv6Address):
        if ip.scope_id is not None:
            return SCOPED
        if _is_isatap(number):
            return ISATAP
    return None


def embedded(ip: IPAddress) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses inside an IPv6 address: what it would be translated or tunnelled to.

    Teredo carries two (the server's, and the client's with its bits flipped).
    """
    if ip.version == 4:
        return ()
    number = int(ip)
    row = classify(ip)
    if row is None or not row.embeds:
        return (IPv4Address(number & 0xFFFFFFFF),) if _is_isatap(number) else ()
    if row.name == "6to4":
        return (IPv4Address(number >> 80 & 0xFFFFFFFF),)
    if row.name == "Teredo":
        return (IPv4Address(number >> 64 & 0xFFFFFFFF), IPv4Address(~number & 0xFFFFFFFF))
    return (IPv4Address(number & 0xFFFFFFFF),)


def _is_isatap(number: int) -> bool:
    # The interface identifier 0:5efe:a.b.c.d, or 200:5efe:… with the universal bit set, under any prefix.
    return (number >> 32 & 0xFFFFFFFF) in {0x00005EFE, 0x02005EFE}
