"""Inside a network namespace of its own: the loopback interface up, and every address there is on it.

Linux's AnyIP: a route of type "local" for all of IPv4 and IPv6 makes any address the machine's own. Whoever
is called then answers, and no packet has anywhere else to go, since there is no other interface.
"""

import ctypes
import fcntl
import os
import socket
import struct
from pathlib import Path

# linux/if.h, sockios.h, rtnetlink.h, netlink.h, mount.h
_IFF_UP = 1
_SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8913, 0x8914
_RTM_NEWROUTE = 24
_NLM_F_REQUEST, _NLM_F_ACK, _NLM_F_CREATE, _NLM_F_REPLACE = 1, 4, 0x400, 0x100
_NLMSG_ERROR = 2
_RT_TABLE_LOCAL, _RTPROT_STATIC, _RT_SCOPE_HOST, _RTN_LOCAL = 255, 4, 254, 2
_RTA_OIF = 4
_MS_BIND = 4096


def has_only_loopback() -> bool:
    """Whether this process is where it may send to any address."""
    return [name for _, name in socket.if_nameindex()] == ["lo"]


def make_every_address_local() -> None:
    """Bring lo up and route everything to it. Raises OSError where the kernel refuses."""
    assert has_only_loopback(), "not in a network namespace of its own"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = fcntl.ioctl(control, _SIOCGIFFLAGS, struct.pack("16sH14x", b"lo", 0))
        flags = struct.unpack("16sH14x", request)[1] | _IFF_UP
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags))
    for family in (socket.AF_INET, socket.AF_INET6):
        _add_local_route(family)


def _add_local_route(family: int) -> None:
    rtmsg = struct.pack(
        "BBBBBBBBI", family, 0, 0, 0, _RT_TABLE_LOCAL, _RTPROT_STATIC, _RT_SCOPE_HOST, _RTN_LOCAL, 0
    )
    body = rtmsg + struct.pack("HHI", 8, _RTA_OIF, socket.if_nametoindex("lo"))
    flags = _NLM_F_REQUEST | _NLM_F_ACK | _NLM_F_CREATE | _NLM_F_REPLACE
    message = struct.pack("IHHII", 16 + len(body), _RTM_NEWROUTE, flags, 1, 0) + body
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
        netlink.sendto(message, (0, 0))
        answer = netlink.recv(4096)
    kind, code = struct.unpack_from("H", answer, 4)[0], struct.unpack_from("i", answer, 16)[0]
    if kind == _NLMSG_ERROR and code:
        raise OSError(-code, f"no local route for family {family}: {os.strerror(-code)}")


def replace_file(path: Path, by: Path) -> None:
    """Let `path` show what `by` holds, in this mount namespace only."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(os.fsencode(by), os.fsencode(path.resolve()), None, _MS_BIND, None):
        code = ctypes.get_errno()
        raise OSError(code, f"can't mount over {path}: {os.strerror(code)}")
