"""The pieces of a pattern as to_re2 writes it, for those who read it again (soundness.py, segments.py)."""

import re

# A class is taken whole.
PIECE = re.compile(
    r"""
    \\(?:x\{(?P<hex>[0-9a-f]+)\} | (?P<unicode>[pP]\{\w+\}) | (?P<escape>.))
    | \(\?(?P<on>[ims]*)(?:-(?P<off>[ims]*))?(?P<flags>[:)])
    | (?P<class>\[\^?(?:\[:\^?\w+:\]|\\[pP]\{\w+\}|\\x\{[0-9a-f]+\}|\\.|[^\]])+\])
    | \{(?P<least>\d+)(?:(?P<comma>,)(?P<most>\d*))?\}\??(?P<count>)
    | (?P<repeat>[*+?])\??
    | (?P<char>.)
    """,
    re.VERBOSE | re.DOTALL,
)
IN_CLASS = re.compile(r"\[:\^?\w+:\]|\\[pP]\{\w+\}|\\[dDsSwW]|\\x\{([0-9a-f]+)\}|(.)", re.DOTALL)
