"""IPv4 addresses as the C library reads them: decimal, octal, hexadecimal, with fewer than four parts."""

import re
from ipaddress import AddressValueError, IPv4Address

_PART = re.compile(r"0[xX][0-9a-fA-F]*|[0-9]+")


def legacy_ipv4(host: str) -> IPv4Address | None:
    """The address inet_aton(3) reads in host, None where it reads none (so a name, or dotted decimal's own).

    `2130706433`, `0x7f.1` and `0177.0.0.1` are all 127.0.0.1 to getaddrinfo(3), and something else to a
    reader who takes `0177` for decimal. A plain dotted decimal address is not legacy and gives None.
    """
    if is_dotted_decimal(host):
        return None
    parts = host.split(".")
    if len(parts) > 4 or not all(_PART.fullmatch(part) for part in parts):
        return None
    try:
        numbers = [_number(part) for part in parts]
    except ValueError:
        return None
    *leading, last = numbers
    if any(number > 255 for number in leading) or last >= 1 << (8 * (4 - len(leading))):
        return None
    value = last
    for position, number in enumerate(leading):
        value |= number << (24 - 8 * position)
    return IPv4Address(value)


def is_dotted_decimal(host: str) -> bool:
    """Whether host is an IPv4 address in its one plain spelling."""
    try:
        return str(IPv4Address(host)) == host
    except AddressValueError:
        return False


def _number(part: str) -> int:
    if part[:2] in {"0x", "0X"}:
        return int(part[2:] or "0", 16)
    if part[0] == "0":
        return int(part, 8)
    return int(part)
