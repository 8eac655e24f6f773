"""The sender's own way to a receiver, in a network namespace where every address answers.

What is refused is seen not to be connected to, though it could be; what is public is reached.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.addresses import LEGACY, PUBLIC, REFUSED_ROWS
from tests.support.isolation import Isolation, UnavailableError
from tests.support.name_server import NXDOMAIN, SERVFAIL, SILENCE
from tests.support.registries import REGISTRY6, near, reading4, reading6

ANYTHING = {"allow_cidrs": ["0.0.0.0/0", "::/0"]}
ALLOWS = "sender.egress.allow_cidrs"
# What a record of a name can hold: no zone, and nothing that is no address.
RECORDS = [(text, words) for text, words in REFUSED_ROWS if "%" not in text and text != "nonsense"]


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Isolation]:
    with ExitStack() as stack:
        try:
            isolation = stack.enter_context(Isolation(tmp_path_factory.mktemp("isolated")))
        except UnavailableError as error:
            pytest.skip(str(error))
        yield isolation


def literal(address: str) -> str:
    return f"http://[{address}]/SECRET" if ":" in address else f"http://{address}/SECRET"


def test_without_the_guard_nearly_all_of_them_would_be_reached(inside: Isolation) -> None:
    addresses = [text for text, _ in RECORDS]
    made = inside.attempt(*map(literal, addresses), policy=ANYTHING)
    reached = {str(ip_address(text)) for text in made.reached}
    # Not: multicast, broadcast, and link-local without a zone, where the kernel itself refuses.
    missed = [text for text, kind in zip(addresses, made.kinds, strict=True) if kind != "delivered"]
    assert len(missed) < 30, missed
    assert len(reached) > 120


@pytest.mark.parametrize(("address", "words"), REFUSED_ROWS)
def test_literal_address_is_blocked_and_nobody_is_called(inside: Isolation, address: str, words: str) -> None:
    made = inside.attempt(literal(address))
    assert made.reached == []
    if address == "nonsense":  # a name
        assert (made.kinds, made.only["stage"]) == (["failed"], "resolve")
        return
    assert made.kinds == ["blocked"]
    assert "SECRET" not in made.only["error"]
    if "%" not in address:
        assert words in made.only["error"]
        assert ALLOWS in made.only["error"]


@pytest.mark.parametrize(("address", "words"), RECORDS)
def test_name_that_resolves_to_it_is_blocked_and_nobody_is_called(
    inside: Isolation, address: str, words: str
) -> None:
    made = inside.attempt("http://hooks.test/SECRET", names={"hooks.test": [[address]]})
    assert (made.kinds, made.only["stage"], made.reached) == (["blocked"], "connect", [])
    assert made.only["error"].startswith("hooks.test resolves to ")
    assert words in made.only["error"]
    assert ALLOWS in made.only["error"]


@pytest.mark.parametrize(("spelling", "address"), LEGACY.items())
def test_spelling_that_only_a_resolver_understands_is_blocked_whatever_is_allowed(
    inside: Isolation, spelling: str, address: str
) -> None:
    for policy in ({}, ANYTHING):
        made = inside.attempt(literal(spelling), policy=policy)
        assert (made.kinds, made.reached) == (["blocked"], [])
        assert f"{spelling.lower()} spells {address}" in made.only["error"]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_address_is_reached_by_itself_and_by_name(inside: Isolation, address: str) -> None:
    made = inside.attempt(literal(address), "http://hooks.test/", names={"hooks.test": [[address]]})
    assert made.kinds == ["delivered"] * 2
    assert [ip_address(text) for text in made.reached] == [ip_address(address)] * 2


ADDRESSES = (
    st.integers(0, 2**32 - 1).map(IPv4Address)
    | st.ip_addresses(v=4)
    | st.integers(2**125, 2**126 - 1).map(IPv6Address)
    | st.integers(0, 2**128 - 1).map(IPv6Address)
    | near([block for block, _ in REGISTRY6]).map(IPv6Address)
)


@given(st.lists(ADDRESSES, min_size=1, max_size=20, unique=True))
@settings(max_examples=60)
def test_any_address_is_reached_exactly_if_the_registries_call_it_public(
    inside: Isolation, addresses: list[IPv4Address | IPv6Address]
) -> None:
    made = inside.attempt(*(literal(str(address)) for address in addresses))
    public = [reading4(a) if isinstance(a, IPv4Address) else reading6(a) for a in addresses]
    assert made.kinds == ["delivered" if may else "blocked" for may in public]
    assert {ip_address(text) for text in made.reached} == {
        address for address, may in zip(addresses, public, strict=True) if may
    }


# Names


@pytest.mark.parametrize(
    "records",
    [
        ["10.0.0.1", "8.8.8.8"],
        ["8.8.8.8", "10.0.0.1", "127.0.0.1", "169.254.169.254"],
        ["fd00::1", "8.8.8.8"],
        ["::1", "::ffff:127.0.0.1", "10.0.0.1", "2606:4700::1111"],
        ["64:ff9b::7f00:1", "2002:7f00:1::", "8.8.8.8", "2606:4700::1111", "192.168.0.1"],
    ],
)
def test_of_mixed_records_only_public_ones_are_called(inside: Isolation, records: list[str]) -> None:
    made = inside.attempt(*["http://mixed.test/"] * 5, names={"mixed.test": [records]}, in_turn=True)
    assert made.kinds == ["delivered"] * 5
    assert len(made.reached) == 5
    assert set(made.reached) <= {"8.8.8.8", "2606:4700::1111"}


def test_public_record_that_answers_nothing_does_not_open_the_private_one(inside: Isolation) -> None:
    made = inside.attempt(
        "http://mixed.test:8080/SECRET",
        names={"mixed.test": [["8.8.8.8", "10.0.0.1", "fd00::1"]]},
        listen=[("10.0.0.1", 8080), ("fd00::1", 8080)],
    )
    # Not blocked: the public one may answer next time.
    assert (made.kinds, made.only["stage"], made.reached) == (["failed"], "connect", [])


def test_only_private_records_are_blocked(inside: Isolation) -> None:
    made = inside.attempt("http://a.test/", names={"a.test": [["10.0.0.1", "fd00::1", "127.0.0.1"]]})
    assert (made.kinds, made.reached) == (["blocked"], [])


@pytest.mark.parametrize("private", ["127.0.0.1", "169.254.169.254", "fd00::1", "::ffff:10.0.0.1"])
def test_name_that_flips_between_look_ups_is_called_only_while_it_is_public(
    inside: Isolation, private: str
) -> None:
    flips = [[["8.8.8.8"], [private]][number % 2] for number in range(10)]
    made = inside.attempt(*["http://flips.test/"] * 10, names={"flips.test": flips}, in_turn=True)
    # An IPv6 record is another question, so both kinds flip in step.
    assert made.kinds == ["delivered", "blocked"] * 5
    assert made.reached == ["8.8.8.8"] * 5


def test_answers_that_change_all_the_time_never_lead_inside(inside: Isolation) -> None:
    names = {
        f"n{number}.test": [["8.8.8.8"], ["10.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["10.0.0.1"]] * 3
        for number in range(20)
    }
    for _ in range(3):
        made = inside.attempt(*(f"http://{name}/" for name in list(names) * 10), names=names)
        assert set(made.kinds) <= {"delivered", "blocked"}
        assert set(made.reached) == {"8.8.8.8"}


def test_alias_counts_by_where_it_leads(inside: Isolation) -> None:
    names = {
        "public.test": [["cname:a.test"]],
        "a.test": [["8.8.8.8"]],
        "inner.test": [["cname:b.test"]],
        "b.test": [["cname:c.test"]],
        "c.test": [["169.254.169.254"]],
    }
    made = inside.attempt("http://public.test/", "http://inner.test/", names=names)
    assert (made.kinds, made.reached) == (["delivered", "blocked"], ["8.8.8.8"])
    assert "cloud metadata" in made.outcomes[1]["error"]


@pytest.mark.parametrize(
    ("view", "words"),
    [
        (NXDOMAIN, "could not resolve bad.test: Name or service not known"),
        (SERVFAIL, "could not resolve bad.test: Temporary failure in name resolution"),
        (SILENCE, "timed out after 0.5s resolving the name"),
    ],
)
def test_name_service_that_fails_is_a_failed_attempt(inside: Isolation, view: str, words: str) -> None:
    made = inside.attempt("http://bad.test/SECRET", names={"bad.test": [[view]]}, connect_timeout=0.5)
    assert (made.kinds, made.only["stage"], made.only["error"]) == (["failed"], "resolve", words)


def test_name_that_failed_is_asked_again_by_the_next_attempt(inside: Isolation) -> None:
    # The C library may ask more than once for one attempt.
    names = {"late.test": [[NXDOMAIN], *[[SERVFAIL]] * 3, ["8.8.8.8"]]}
    made = inside.attempt(*["http://late.test/"] * 6, names=names, in_turn=True)
    assert (made.kinds[0], made.kinds[-1]) == ("failed", "delivered")


def test_silent_name_holds_up_no_other(inside: Isolation) -> None:
    names = {"silent.test": [[SILENCE]], "fast.test": [["8.8.8.8"]]}
    urls = [*["http://silent.test/"] * 100, *["http://fast.test/"] * 20]
    made = inside.attempt(*urls, names=names, connect_timeout=1.0)
    assert made.kinds == [*["failed"] * 100, *["delivered"] * 20]
    assert max(outcome["duration_ms"] for outcome in made.outcomes[100:]) < 900


def test_listed_name_may_be_inside_but_never_be_a_metadata_service(inside: Isolation) -> None:
    names = {
        "in.svc.test": [["10.0.0.1", "fd00::1"]],
        "meta.svc.test": [["169.254.169.254"]],
        "mapped.svc.test": [["::ffff:169.254.169.254"]],
        "other.test": [["10.0.0.1"]],
    }
    made = inside.attempt(
        *(f"http://{name}/" for name in names), names=names, policy={"allow_hosts": ["*.svc.test"]}
    )
    assert made.kinds == ["delivered", "blocked", "blocked", "blocked"]
    assert set(made.reached) <= {"10.0.0.1", "fd00::1"}
