"""How deep a JSON text nests, decided before a recursive decoder sees it.

msgspec recurses, and counts against the interpreter's recursion limit together with the frames of whoever
calls: how much it bears depends on the caller. A limit well below makes the verdict the same for everyone.
"""

from itertools import accumulate, count
from operator import sub

MAX_DEPTH = (
    500  # objects and arrays inside each other, the event itself included; half the default recursion limit
)

_OPEN, _CLOSE = b"{[", b"}]"
_OTHERS = bytes(set(range(256)) - set(_OPEN + _CLOSE))
# An opening bracket is a step of 2, a closing one of 0; less one for each bracket so far, that is the depth.
_STEPS = bytes(2 if byte in _OPEN else 0 for byte in range(256))


def too_deep(value: bytes) -> bool:
    """Whether brackets outside strings nest over MAX_DEPTH, in a text that need not be valid JSON.

    Cheap unless there are more than MAX_DEPTH opening brackets, linear then.
    """
    if len(value) <= MAX_DEPTH or value.count(b"{") + value.count(b"[") <= MAX_DEPTH:
        return False
    # Without escaped backslashes and escaped quotes each quote left begins or ends a string.
    pieces = value.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
    steps = b"".join(pieces[::2]).translate(_STEPS, _OTHERS)
    return max(map(sub, accumulate(steps), count(1)), default=0) > MAX_DEPTH
