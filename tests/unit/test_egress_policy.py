"""What may be called: a table of addresses and spellings, then each setting on its own."""

import socket
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.egress import EgressPolicy, policy_error
from processor.egress.literals import legacy_ipv4
from processor.egress.target import read_target

DEFAULT = EgressPolicy()

# (address as a socket address may spell it, words of the refusal)
REFUSED = """
0.0.0.0                        unspecified
0.0.0.1                        this-network
0.1.2.3                        this-network
0.255.255.255                  this-network
10.0.0.0                       private
10.0.0.1                       private
10.255.255.255                 private
100.64.0.0                     shared
100.64.0.1                     shared
100.100.100.199                shared
100.100.100.200                cloud metadata
100.127.255.255                shared
127.0.0.0                      loopback
127.0.0.1                      loopback
127.0.0.53                     loopback
127.1.2.3                      loopback
127.255.255.255                loopback
168.63.129.16                  cloud metadata
169.254.0.0                    link-local
169.254.0.1                    link-local
169.254.0.23                   cloud metadata
169.254.42.42                  cloud metadata
169.254.169.253                link-local
169.254.169.254                cloud metadata
169.254.170.2                  cloud metadata
169.254.170.23                 cloud metadata
169.254.255.255                link-local
172.16.0.0                     private
172.16.0.1                     private
172.17.0.1                     private
172.31.255.255                 private
192.0.0.0                      protocol-assignment
192.0.0.1                      protocol-assignment
192.0.0.8                      protocol-assignment
192.0.0.9                      protocol-assignment
192.0.0.10                     protocol-assignment
192.0.0.170                    protocol-assignment
192.0.0.171                    protocol-assignment
192.0.0.192                    cloud metadata
192.0.0.255                    protocol-assignment
192.0.2.0                      documentation
192.0.2.1                      documentation
192.0.2.255                    documentation
192.88.99.0                    6to4-relay
192.88.99.1                    6to4-relay
192.88.99.255                  6to4-relay
192.168.0.0                    private
192.168.1.1                    private
192.168.255.255                private
198.18.0.0                     benchmark
198.18.0.1                     benchmark
198.19.255.255                 benchmark
198.51.100.0                   documentation
198.51.100.7                   documentation
198.51.100.255                 documentation
203.0.113.0                    documentation
203.0.113.9                    documentation
203.0.113.255                  documentation
224.0.0.0                      multicast
224.0.0.1                      multicast
224.0.0.251                    multicast
233.252.0.1                    multicast
239.255.255.250                multicast
239.255.255.255                multicast
240.0.0.0                      reserved
240.0.0.1                      reserved
250.1.2.3                      reserved
255.255.255.254                reserved
255.255.255.255                broadcast
::                             unspecified
0:0:0:0:0:0:0:0                unspecified
::1                            loopback
0:0:0:0:0:0:0:1                loopback
0000:0000:0000:0000:0000:0000:0000:0001  loopback
::2                            IPv4-compatible
::127.0.0.1                    127.0.0.1, a loopback
::10.0.0.1                     10.0.0.1, a private
::169.254.169.254              169.254.169.254, a cloud metadata
::8.8.8.8                      IPv4-compatible
::ffff:0.0.0.0                 0.0.0.0, an unspecified
::ffff:127.0.0.1               127.0.0.1, a loopback
::ffff:7f00:1                  127.0.0.1, a loopback
::FFFF:7F00:0001               127.0.0.1, a loopback
0:0:0:0:0:ffff:127.0.0.1       127.0.0.1, a loopback
::ffff:10.1.2.3                10.1.2.3, a private
::ffff:169.254.169.254         169.254.169.254, a cloud metadata
::ffff:a9fe:a9fe               169.254.169.254, a cloud metadata
::ffff:168.63.129.16           168.63.129.16, a cloud metadata
::ffff:192.168.0.1             192.168.0.1, a private
::ffff:224.0.0.1               224.0.0.1, a multicast
::ffff:8.8.8.8                 IPv4-mapped
::ffff:0:127.0.0.1             127.0.0.1, a loopback
::ffff:0:10.0.0.1              10.0.0.1, a private
::ffff:0:8.8.8.8               IPv4-translated
64:ff9b::                      NAT64
64:ff9b::127.0.0.1             127.0.0.1, a loopback
64:ff9b::7f00:1                127.0.0.1, a loopback
64:ff9b::10.0.0.1              10.0.0.1, a private
64:ff9b::a9fe:a9fe             169.254.169.254, a cloud metadata
64:ff9b::8.8.8.8               NAT64
64:ff9b:1::                    local NAT64
64:ff9b:1::7f00:1              local NAT64
64:ff9b:1:a00:0:100::          local NAT64
64:ff9b:1:ffff:ffff:ffff:ffff:ffff  local NAT64
64:ff9b:2::1                   reserved
100::                          discard
100::1                         discard
100:0:0:1::                    dummy
100:0:0:2::                    reserved
200::1                         reserved
400::1                         reserved
1000::1                        reserved
2001::                         Teredo
2001:0:7f00:1::                127.0.0.1, a loopback
2001:0:4136:e378:8000:63bf:f5ff:fffe  10.0.0.1, a private
2001:1::1                      protocol-assignment
2001:1::2                      protocol-assignment
2001:2::                       benchmark
2001:2::1                      benchmark
2001:2:0:ffff::1               benchmark
2001:3::1                      protocol-assignment
2001:10::1                     ORCHID
2001:1f:ffff::1                ORCHID
2001:20::1                     ORCHID
2001:30::1                     protocol-assignment
2001:1ff:ffff::1               protocol-assignment
2001:db8::                     documentation
2001:db8::1                    documentation
2001:db8:ffff:ffff::1          documentation
2002::                         0.0.0.0, an unspecified
2002:7f00:1::                  127.0.0.1, a loopback
2002:7f00:1::1                 127.0.0.1, a loopback
2002:a00:1::1                  10.0.0.1, a private
2002:c0a8:101::1               192.168.1.1, a private
2002:a9fe:a9fe::1              169.254.169.254, a cloud metadata
2002:808:808::1                6to4
2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff  255.255.255.255, a broadcast
2600::5efe:127.0.0.1           127.0.0.1, a loopback
2600::200:5efe:10.0.0.1        10.0.0.1, a private
2600:1:2:3:0:5efe:808:808      ISATAP
3fff::                         documentation
3fff:fff:ffff::1               documentation
4000::1                        reserved
5f00::1                        segment-routing
6000::1                        reserved
8000::1                        reserved
a000::1                        reserved
c000::1                        reserved
e000::1                        reserved
f000::1                        reserved
f800::1                        reserved
fc00::                         private (unique local)
fc00::1                        private (unique local)
fd00::1                        private (unique local)
fd00:ec2::254                  cloud metadata
fd00:ec2::23                   cloud metadata
fd00:42::42                    cloud metadata
fd20:ce::254                   cloud metadata
fdff:ffff::1                   private (unique local)
fe00::1                        reserved
fe7f::1                        reserved
fe80::                         link-local
fe80::1                        link-local
fe80::1%eth0                   link-local
fe80::1%1                      link-local
fe80::a9fe:a9fe                cloud metadata
febf:ffff::1                   link-local
fec0::                         site-local
fec0::1                        site-local
feff:ffff::1                   site-local
ff00::                         multicast
ff02::1                        multicast
ff02::1%eth0                   multicast
ff0e::1                        multicast
ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff  multicast
2606:4700::1111%eth0           scoped
127.0.0.1%eth0                 not an IP address
nonsense                       not an IP address
"""
REFUSED_ROWS = [tuple(line.split(None, 1)) for line in REFUSED.strip().splitlines()]

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "168.63.129.15",
    "168.63.129.17",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "191.255.255.255",
    "192.0.1.0",
    "192.0.3.0",
    "192.31.196.1",
    "192.52.193.1",
    "192.88.98.255",
    "192.88.100.0",
    "192.167.255.255",
    "192.169.0.0",
    "192.175.48.1",
    "198.17.255.255",
    "198.20.0.0",
    "198.51.99.255",
    "198.51.101.0",
    "203.0.112.255",
    "203.0.114.0",
    "223.255.255.255",
    "2000::1",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2001:db7:ffff::1",
    "2001:db9::1",
    "2001:ffff::1",
    "2003::1",
    "2600::1",
    "2606:4700::1111",
    "2620:4f:8000::1",
    "2a00:1450::1",
    "2a00::7f00:1",
    "3ffe::1",
    "3fff:1000::1",
    "3fff:ffff::1",
]


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


LEGACY = {
    "2130706433": "127.0.0.1",
    "0x7f000001": "127.0.0.1",
    "0X7F000001": "127.0.0.1",
    "017700000001": "127.0.0.1",
    "127.1": "127.0.0.1",
    "127.0.1": "127.0.0.1",
    "0x7f.1": "127.0.0.1",
    "0177.0.0.1": "127.0.0.1",
    "127.0.0.01": "127.0.0.1",
    "0x7f.0.0.0x1": "127.0.0.1",
    "00000177.0.0.1": "127.0.0.1",
    "0": "0.0.0.0",
    "0x": "0.0.0.0",
    "10.1": "10.0.0.1",
    "012.0.0.1": "10.0.0.1",
    "0xa9fea9fe": "169.254.169.254",
    "2852039166": "169.254.169.254",
    "169.254.43518": "169.254.169.254",
    "0250.077.0201.020": "168.63.129.16",
    "4294967295": "255.255.255.255",
    "134744072": "8.8.8.8",
    "010.8.8.8": "8.8.8.8",
}


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
