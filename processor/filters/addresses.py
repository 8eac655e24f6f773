"""IP addresses in networks, as an event's text has them."""

from __future__ import annotations

import ipaddress
from typing import Final, TypeAlias

from processor.filters.errors import FilterError, Place

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_LONGEST: Final = 45  # ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255
_FIRST: Final = frozenset("0123456789abcdefABCDEF:")


def read_network(text: str, place: Place) -> Network:
    """`10.0.0.0/8` or `2001:db8::/32`; bits behind the mask count for nothing. Raises FilterError."""
    address, slash, bits = text.partition("/")
    if not slash or not (bits.isascii() and bits.isdigit()):
        raise FilterError("expected an address and the length of its mask, such as 10.0.0.0/8", place)
    try:
        if "%" in address:
            raise ValueError
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise FilterError("is no network of IPv4 or IPv6", place) from None


def in_network(text: str, network: Network) -> bool:
    """Whether the text is an address of the network.

    An IPv4 address written as IPv6 (`::ffff:10.0.0.1`, which sockets for both report) is in networks of
    either kind.
    """
    if not text or len(text) > _LONGEST or text[0] not in _FIRST:
        return False
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if address.version == 6:
        if address.scope_id is not None:
            return False
        if network.version == 4:
            mapped = address.ipv4_mapped
            return mapped is not None and mapped in network
    return address in network
