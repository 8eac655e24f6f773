"""Which addresses and names may be called.

Decides from an address, a port and the name it was resolved from, or early from a URL alone. Never resolves a
name and never opens a socket: delivery asks at connect time, for the address of the very socket it opens, so
that nothing can change between the check and the connection. Start with policy.py; ranges.py is the table.
"""

from processor.egress.policy import EgressPolicy, Refusal, policy_error
from processor.egress.ranges import AddressClass, IPAddress, classify, embedded

__all__ = [
    "AddressClass",
    "EgressPolicy",
    "IPAddress",
    "Refusal",
    "classify",
    "embedded",
    "policy_error",
]
