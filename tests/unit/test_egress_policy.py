"""What may be called: a table of addresses and spellings, then each setting on its own."""

import socket
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.egress import EgressPolicy, policy_error
from processor.egress.literals import legacy_ipv4
from processor.egress.target import read_target
from tests.support.addresses import LEGACY, PUBLIC, REFUSED_ROWS

DEFAULT = EgressPolicy()


def test_the_table_is_long_enough_to_mean_something() -> None:
    assert len(REFUSED_ROWS) >= 150


@pytest.mark.parametrize(("spelling", "words"), REFUSED_ROWS)
def test_address_is_refused_and_its_class_named(spelling: str, words: str) -> None:
    refusal = DEFAULT.check_address(spelling, 443, "hooks.example.com")
    assert refusal is not None
    assert words in refusal.message


@pytest.mark.parametrize("spelling", PUBLIC)
def test_public_address_needs_no_setting(spelling: str) -> None:
    assert DEFAULT.check_address(spelling, 443, "hooks.example.com") is None
    literal = f"[{spelling}]" if ":" in spelling else spelling
    assert DEFAULT.check_url(f"https://{literal}/x") is None


@pytest.mark.parametrize(("host", "address"), LEGACY.items())
def test_other_spellings_of_ipv4_are_refused_and_explained(host: str, address: str) -> None:
    refusal = EgressPolicy(allow_cidrs=["0.0.0.0/0"]).check_url(f"http://{host}/hook")
    assert refusal is not None
    assert refusal.about == "spelling"
    assert f"spells {address}" in refusal.message
    assert "dotted decimal" in refusal.message


@given(st.text("0123456789abcdefxX.", max_size=16))
def test_legacy_reading_is_the_c_librarys(host: str) -> None:
    try:
        expected = socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        expected = None
    ours = legacy_ipv4(host)
    if ours is not None:
        assert str(ours) == expected or expected is None  # some C libraries refuse a bare 0x
    elif expected is not None:
        assert expected == host


@pytest.mark.parametrize(
    ("url", "about"),
    [
        ("ftp://h/", "scheme"),
        ("file:///etc/passwd", "scheme"),
        ("//h/x", "scheme"),
        ("h/x", "scheme"),
        ("", "scheme"),
        ("http:///x", "host"),
        ("http://", "host"),
        ("https://user@h/", "userinfo"),
        ("https://user:pw@h/", "userinfo"),
        ("https://:pw@h/", "userinfo"),
        ("https://@h/", "userinfo"),
        ("http://h:0/", "port"),
        ("http://h:99999/", "url"),
        ("http://h:80:80/", "url"),
        ("http://h:x/", "url"),
        ("http://a b/", "url"),
        ("http://a\tb/", "url"),
        ("http://h/\r\nX: y", "url"),
        ("http://h\x00/", "url"),
        ("http://a\\@b/", "url"),
        ("http://[::1]x/", "url"),
        ("http://[::1/", "url"),
        ("http://[::1%25lo]/", "host"),
        ("http://[fe80::1%eth0]/", "host"),
        ("http://[1::2::3]/", "host"),
        ("http://a..b/", "host"),
        ("http://-a/", "host"),
        ("http://%31%32%37.0.0.1/", "host"),
        ("http://1.2.3.4.5/", "host"),
        ("http://256.256.256.256/", "host"),
        ("http://foo.0x1/", "host"),
        ("http://" + "a" * 64 + ".com/", "host"),
        ("http://" + "a." * 127 + "com/", "host"),
        ("http://127.0.0.1/", "address"),
        ("http://127.0.0.1./", "address"),
        ("http://１２７.０.０.１/", "address"),
        ("http://127。0。0。1/", "address"),
        ("http://[::1]/", "address"),
        ("http://[0:0:0:0:0:0:0:1]/", "address"),
        ("http://[::ffff:127.0.0.1]/", "address"),
        ("http://localhost/", "address"),
        ("http://LOCALHOST./", "address"),
        ("http://x.localhost:8080/", "address"),
    ],
)
def test_url_is_refused_early_without_showing_its_path(url: str, about: str) -> None:
    refusal = DEFAULT.check_url(url if url.endswith("//") or not url.endswith("/") else url + "SECRET")
    assert refusal is not None
    assert refusal.about == about
    assert "SECRET" not in refusal.message
    assert "pw" not in refusal.message


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com/x?y#z",
        "http://hooks.example.com:8080/",
        "HTTPS://HOOKS.EXAMPLE.COM./",
        "https://müller.example/",
        "https://my_service.ns.svc.cluster.local/",
        "https://h/a%2Fb?q=%20+",
    ],
)
def test_ordinary_urls_pass(url: str) -> None:
    assert DEFAULT.check_url(url) is None


def test_url_is_sent_as_written() -> None:
    target = read_target("https://Hooks.Example.COM./a%2fb/~x?q=%20+&r=a|b")
    assert target.url.raw_path_qs == "/a%2fb/~x?q=%20+&r=a|b"
    assert (target.host, target.port) == ("hooks.example.com", 443)
    assert target.origin == "https://hooks.example.com"
    assert read_target("http://[2606:4700::1]:8080/x").origin == "http://[2606:4700::1]:8080"


def test_refusal_names_the_class_and_the_settings_that_would_allow_it() -> None:
    refusal = DEFAULT.check_address("10.0.0.5", 443, "hooks.example.com")
    assert refusal is not None
    assert refusal.address_class == "private"
    assert refusal.settings == ("sender.egress.allow_cidrs", "sender.egress.allow_hosts")
    assert refusal.message == (
        "hooks.example.com resolves to 10.0.0.5, which is a private address (10.0.0.0/8); "
        "sender.egress.allow_cidrs or sender.egress.allow_hosts would allow it"
    )
    metadata = DEFAULT.check_address("169.254.169.254", 80, "169.254.169.254")
    assert metadata is not None
    assert metadata.message == (
        "169.254.169.254 is a cloud metadata address (169.254.169.254/32); "
        "sender.egress.allow_cidrs would allow it"
    )


def test_allow_cidrs_opens_what_it_lists_and_nothing_beside() -> None:
    policy = EgressPolicy(allow_cidrs=["10.1.0.0/16", "127.0.0.1", "fd00::/8", "169.254.0.0/16", "fe80::/10"])
    for ip in ("10.1.2.3", "127.0.0.1", "fd12::1", "169.254.1.1", "fe80::1%eth0", "169.254.169.254"):
        assert policy.check_address(ip, 80, "h") is None
    for ip in ("10.2.0.1", "127.0.0.2", "fec0::1", "::1"):
        assert policy.check_address(ip, 80, "h") is not None


def test_networks_may_be_given_as_such() -> None:
    policy = EgressPolicy(allow_cidrs=[ip_network("10.1.0.0/16"), ip_network("fd00::/8")])
    assert policy.check_address("10.1.2.3", 80, "h") is None
    assert policy.check_address("fd12::1", 80, "h") is None
    assert policy.check_address("10.2.0.1", 80, "h") is not None


def test_mapped_address_is_open_where_its_ipv4_address_is_listed() -> None:
    policy = EgressPolicy(allow_cidrs=["127.0.0.0/8"])
    assert policy.check_address("::ffff:127.0.0.1", 80, "h") is None
    assert policy.check_address("::ffff:10.0.0.1", 80, "h") is not None


def test_listing_a_translation_prefix_does_not_open_what_hides_behind_it() -> None:
    policy = EgressPolicy(allow_cidrs=["64:ff9b::/96", "2002::/16", "::ffff:0:0/96"])
    for ip in ("64:ff9b::8.8.8.8", "2002:808:808::1", "::ffff:8.8.8.8"):
        assert policy.check_address(ip, 80, "h") is None
    for ip in ("64:ff9b::127.0.0.1", "64:ff9b::169.254.169.254", "2002:a00:1::1", "::ffff:10.0.0.1"):
        assert policy.check_address(ip, 80, "h") is not None
    both = EgressPolicy(allow_cidrs=["64:ff9b::/96", "10.0.0.0/8"])
    assert both.check_address("64:ff9b::10.0.0.1", 80, "h") is None


HOSTS = EgressPolicy(allow_hosts=["*.svc.cluster.local", "Receiver"])


@pytest.mark.parametrize(
    ("host", "ip", "allowed"),
    [
        ("a.ns.svc.cluster.local", "10.0.0.1", True),
        ("A.NS.SVC.CLUSTER.LOCAL.", "10.0.0.1", True),
        ("receiver", "127.0.0.1", True),
        ("receiver", "::ffff:10.0.0.1", True),
        ("receiver", "fd00::1", True),
        ("svc.cluster.local", "10.0.0.1", False),
        ("a.svc.cluster.local.evil.com", "10.0.0.1", False),
        ("receiver.evil.com", "10.0.0.1", False),
        ("xreceiver", "10.0.0.1", False),
        ("receiver\n", "10.0.0.1", False),
        ("evil.com", "10.0.0.1", False),
        ("receiver", "169.254.169.254", False),
        ("receiver", "169.254.1.1", False),
        ("receiver", "fe80::1%eth0", False),
        ("receiver", "168.63.129.16", False),
        ("receiver", "100.100.100.200", False),
        ("receiver", "fd00:ec2::254", False),
        ("receiver", "::ffff:169.254.169.254", False),
        ("receiver", "64:ff9b::169.254.169.254", False),
        ("receiver", "2606:4700::1111%eth0", False),
    ],
)
def test_allow_hosts_opens_addresses_of_its_names_but_never_link_local_or_metadata(
    host: str, ip: str, allowed: bool
) -> None:
    assert (HOSTS.check_address(ip, 80, host) is None) == allowed


def test_allow_ports_closes_all_others() -> None:
    policy = EgressPolicy(allow_ports=[443, 8443])
    assert policy.check_address("8.8.8.8", 443, "h") is None
    assert policy.check_url("https://h:8443/") is None
    for refusal in (policy.check_address("8.8.8.8", 80, "h"), policy.check_url("http://h/x")):
        assert refusal is not None
        assert refusal.about == "port"
        assert refusal.settings == ("sender.egress.allow_ports",)


def test_localhost_passes_early_where_one_of_its_addresses_is_open() -> None:
    assert EgressPolicy(allow_cidrs=["127.0.0.0/8"]).check_url("http://localhost/") is None
    assert EgressPolicy(allow_hosts=["localhost"]).check_url("http://localhost/") is None


@pytest.mark.parametrize(
    ("host", "refused"), [("hooks.example.com", False), ("::1", True), ("127.0.0.1", True), ("0x7f.1", True)]
)
def test_a_bare_host_can_be_asked_about(host: str, refused: bool) -> None:
    assert (DEFAULT.check_host(host, 443) is not None) == refused


@pytest.mark.parametrize("host", ["a/b", "u@h", "h?x", "h#x", "", "[::1]"])
def test_a_host_that_is_more_than_a_host_is_refused(host: str) -> None:
    refusal = DEFAULT.check_host(host, 443)
    assert refusal is not None
    assert refusal.about == "host"


@pytest.mark.parametrize(
    ("cidrs", "hosts", "ports", "setting"),
    [
        (["10.0.0.1/8"], [], [], "sender.egress.allow_cidrs"),
        (["ten"], [], [], "sender.egress.allow_cidrs"),
        ([], [""], [], "sender.egress.allow_hosts"),
        ([], [], [0], "sender.egress.allow_ports"),
        ([], [], [65536], "sender.egress.allow_ports"),
    ],
)
def test_wrong_setting_is_named(cidrs: list[str], hosts: list[str], ports: list[int], setting: str) -> None:
    with pytest.raises(ValueError, match=setting):
        EgressPolicy(cidrs, hosts, ports)
    error = policy_error(cidrs, hosts, ports)
    assert error is not None
    assert setting in error
    assert policy_error(["10.0.0.0/8"], ["*.x"], [443]) is None
