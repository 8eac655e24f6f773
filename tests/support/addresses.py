"""Addresses, what is to be said of each, and the spellings a resolver reads as one."""

from typing import Final

# (address as a socket address may spell it, words of the refusal)
REFUSED: Final = """
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
REFUSED_ROWS: Final = [(line.split()[0], line.split(None, 1)[1]) for line in REFUSED.strip().splitlines()]

PUBLIC: Final = [
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

# What inet_aton(3) reads, so what getaddrinfo(3) would call.
LEGACY: Final = {
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
