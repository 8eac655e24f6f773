"""An independent reading of the IANA registries: whether a webhook may go to an address."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from hypothesis import strategies as st

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


def near(blocks: list[str]) -> st.SearchStrategy[int]:
    """Numbers inside a random block: uniformly random IPv6 addresses would never meet one."""
    networks = [IPv6Network(block) for block in blocks]
    return st.sampled_from(networks).flatmap(
        lambda network: st.integers(int(network[0]), int(network[0]) + network.num_addresses - 1)
    )
