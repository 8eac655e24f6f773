"""The address table against an independent reading of the IANA registries (tests/support/registries.py)."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from processor.egress import classify, embedded
from processor.egress.ranges import TABLE
from tests.support.registries import OWN4, OWN6, REGISTRY4, REGISTRY6, near, reading4, reading6


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
