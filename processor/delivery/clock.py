"""The two clocks of the sender's loop, in whole milliseconds."""

import time


def wall_ms() -> int:
    """Since 1970: for what records say."""
    return time.time_ns() // 1_000_000


def steady_ms() -> int:
    """Of a clock that never goes back: for waits and rates."""
    return time.monotonic_ns() // 1_000_000
