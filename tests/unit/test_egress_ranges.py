"""The address table against an independent reading of the IANA registries, written down here."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from processor.egress import classify, embedded
from processor.egress.ranges import TABLE

# IANA IPv4 Special-Purpose Address Registry: (block, globally reachable), read from the registry's table.
REGISTRY4 = [
    ("0.0.0.0/8", False),
    ("10.0.0.0/8", False),
    ("100.64.0.0/10", False),
    ("127.0.0.0/8", False),
    ("169.254.0.0/16", False),
    ("172.16.0.0/12", False),
    ("192.0.0.0/24", False),
    ("192.0.0.9/32", True),
    ("192.0.0.10/32", True),
    ("192.0.2.0/24", False),
    ("192.31.196.0/24", True),
    ("192.52.193.0/24", True),
    ("192.88.99.0/24", None),
    ("192.168.0.0/16", False),
    ("192.175.48.0/24", True),
    ("198.18.0.0/15", False),
    ("198.51.100.0/24", False),
    ("203.0.113.0/24", False),
    ("224.0.0.0/4", False),  # IANA IPv4 Multicast Address Space Registry
    ("240.0.0.0/4", False),
]
# IANA IPv6 Special-Purpose Address Registry.
REGISTRY6 = [
    ("::1/128", False),
    ("::/128", False),
    ("::ffff:0:0/96", False),
    ("64:ff9b::/96", True),
    ("64:ff9b:1::/48", False),
    ("100::/64", False),
    ("100:0:0:1::/64", False),
    ("2001::/23", False),
    ("2001::/32", None),
    ("2001:1::1/128", True),
    ("2001:1::2/128", True),
    ("2001:1::3/128", True),
    ("2001:2::/48", False),
    ("2001:3::/32", True),
    ("2001:4:112::/48", True),
    ("2001:10::/28", None),
    ("2001:20::/28", True),
    ("2001:30::/28", True),
    ("2001:db8::/32", False),
    ("2002::/16", None),
    ("2620:4f:8000::/48", True),
    ("3fff::/20", False),
    ("5f00::/16", False),
    ("fc00::/7", False),
    ("fe80::/10", False),
]
# Refused by this project's own decision though the registry calls them reachable (or says N/A): translations
# and tunnels to IPv4, and anycast services of the network itself.
OWN4 = ["192.0.0.9/32", "192.0.0.10/32", "192.88.99.0/24", "100.100.100.200/32", "168.63.129.16/32"]
OWN6 = ["64:ff9b::/96", "2001::/23", "2002::/16"]
GLOBAL_UNICAST6 = IPv6Network("2000::/3")


def reading4(ip: IPv4Address) -> bool:
    """Whether a webhook may go there, from the lists above alone."""
    if any(ip in IPv4Network(block) for block in OWN4):
        return False
    hits = [(IPv4Network(block), reachable) for block, reachable in REGISTRY4 if ip in IPv4Network(block)]
    return not hits or bool(max(hits, key=lambda hit: hit[0].prefixlen)[1])


def reading6(ip: IPv6Address) -> bool:
    if ip not in GLOBAL_UNICAST6 or any(ip in IPv6Network(block) for block in OWN6):
        return False
    if ip.exploded[20:29].replace(":", "") in {"00005efe", "02005efe"}:
        return False
    hits = [(IPv6Network(block), reachable) for block, reachable in REGISTRY6 if ip in IPv6Network(block)]
    return not hits or bool(max(hits, key=lambda hit: hit[0].prefixlen)[1])


def edges4(block: str) -> list[IPv4Address]:
    first, last = int(IPv4Network(block)[0]), int(IPv4Network(block)[-1])
    return [IPv4Address(n) for n in (first - 1, first, first + 1, last - 1, last, last + 1) if 0 <= n < 2**32]


def edges6(block: str) -> list[IPv6Address]:
    first, last = int(IPv6Network(block)[0]), int(IPv6Network(block)[-1])
    return [
        IPv6Address(n) for n in (first - 1, first, first + 1, last - 1, last, last + 1) if 0 <= n < 2**128
    ]


@pytest.mark.parametrize("block", [block for block, _ in REGISTRY4] + OWN4)
def test_ipv4_block_is_cut_exactly_at_its_edges(block: str) -> None:
    for ip in edges4(block):
        assert (classify(ip) is None) == reading4(ip), ip


@pytest.mark.parametrize(
    "block", [block for block, _ in REGISTRY6] + OWN6 + ["2000::/3", "fec0::/10", "ff00::/8"]
)
def test_ipv6_block_is_cut_exactly_at_its_edges(block: str) -> None:
    for ip in edges6(block):
        assert (classify(ip) is None) == reading6(ip), ip


def near(blocks: list[str]) -> st.SearchStrategy[int]:
    """Numbers inside a random block: uniformly random IPv6 addresses would never meet one."""
    networks = [IPv6Network(block) for block in blocks]
    return st.sampled_from(networks).flatmap(
        lambda network: st.integers(int(network[0]), int(network[0]) + network.num_addresses - 1)
    )


@given(st.integers(0, 2**32 - 1).map(IPv4Address) | st.ip_addresses(v=4))
@example(IPv4Address("168.63.129.16"))
def test_any_ipv4_address_is_read_as_the_registries_say(ip: IPv4Address) -> None:
    assert (classify(ip) is None) == reading4(ip)


@given(
    (
        st.integers(0, 2**128 - 1) | st.integers(2**125, 2**126 - 1) | near([block for block, _ in REGISTRY6])
    ).map(IPv6Address)
)
@example(IPv6Address("2600::5efe:7f00:1"))
@example(IPv6Address("2600::200:5efe:7f00:1"))
def test_any_ipv6_address_is_read_as_the_registries_say(ip: IPv6Address) -> None:
    assert (classify(ip) is None) == reading6(ip)


@given(st.ip_addresses(v=4))
def test_every_embedding_is_refused_and_gives_its_ipv4_address(ip: IPv4Address) -> None:
    number = int(ip)
    forms = {
        "IPv4-mapped": IPv6Address((0xFFFF << 32) | number),
        "IPv4-translated": IPv6Address((0xFFFF << 48) | number),
        "NAT64": IPv6Address((0x64FF9B << 96) | number),
        "6to4": IPv6Address((0x2002 << 112) | (number << 80)),
        "Teredo": IPv6Address((0x2001 << 112) | (number << 64)),
        "ISATAP": IPv6Address((0x2600 << 112) | (0x5EFE << 32) | number),
    }
    for name, form in forms.items():
        row = classify(form)
        assert row is not None
        assert row.name == name
        assert ip in embedded(form)


def test_teredo_client_address_is_unflipped() -> None:
    # RFC 4380, 4: the client's address and port are stored with all bits inverted.
    assert embedded(IPv6Address("2001:0:4136:e378:8000:63bf:3fff:fdd2")) == (
        IPv4Address("65.54.227.120"),
        IPv4Address("192.0.2.45"),
    )


def test_public_addresses_embed_nothing() -> None:
    assert embedded(IPv6Address("2606:4700::1111")) == ()
    assert embedded(IPv4Address("127.0.0.1")) == ()


def test_every_row_is_reachable_and_has_a_source() -> None:
    for row in TABLE:
        assert row.source
        found = classify(row.network[0])
        last = classify(row.network[-1])
        assert found is not None
        assert last is not None
        assert row in {found, last, classify(row.network[row.network.num_addresses // 2])}, row


def test_link_local_and_metadata_rows_are_closed_to_allow_hosts() -> None:
    closed = {row.name for row in TABLE if not row.by_host}
    assert closed == {"link-local", "cloud metadata"}
