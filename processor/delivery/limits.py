"""Rate limits of rules: how many attempts go out in any stretch of time, and when the others come again.

`take` is the last question before a POST. It either spends one of the rule's tokens, and then the attempt
must be made at once, or says how long to wait; a wait beyond a few seconds is not waited in memory but in a
retry topic, until exactly then.

Two things are kept apart. The *bucket* (GCRA, ITU-T I.371: one number instead of tokens) knows what was
sent: in any stretch of t there go at most burst + rate × t, however jobs come, late, twice or all together.
The *line* only says when to come again: each place in it is one emission interval behind the one before, so
that jobs put off return at the rate at which they can go, find a token, and make one trip each. A job that
comes for the first time goes to the line's end as long as somebody is in it. What follows from that:

- New jobs never push aside those that have waited; a job that was put off and comes late finds its token
  still there.
- A place whose job never comes back (cancelled, expired) is not lost: a token that nobody took for GRACE_MS
  goes to whoever comes.
- After a restart or a rebalance the line is forgotten while its jobs are still on their way. They and the
  new ones then come twice as fast as they can go, the bucket holds the rate, and half of them are put off
  once more, each to a place of its own. Whoever finds no token within a few seconds goes to the end; nobody
  goes round in circles.
- A bucket whose past nobody knows holds one token: a rule that fires now and then is not held up by a
  restart, and one that fires all the time has no second burst. Per change of owner at most one attempt more
  than the limit may go.
- When the limit changes, the bucket stays as full as it was, in parts of its size, and the line begins
  anew. Jobs that had places far ahead keep their times: with a higher limit they come no earlier
  (`deliveries release` has them tried at once), with a lower one they are put off again.

Pure: `now_ms` is of a clock that never goes back, waits are relative to it. Everything is kept in whole
numbers of 1/count ms, so nothing is ever rounded in favour of an attempt. One thread.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from processor.rules.rate import Rate

PATIENCE_MS: Final = 5_000
"""How far ahead a job that has already waited in line may be told to come just a little later, in memory."""

GRACE_MS: Final = 5_000
"""After so long a free token is anybody's: who has a place in line comes at most a second late."""

_SWEEP_ABOVE: Final = 1_000


class Limit:
    """One rule's bucket and line. A new one holds one token."""

    __slots__ = ("_ahead_of", "_line", "_near", "_rate")

    def __init__(self, rate: Rate, now_ms: int, since_ms: int | None = None) -> None:
        """`since_ms`: from when on it is known that nothing was sent (it has filled up since); else now."""
        since = now_ms if since_ms is None else since_ms
        self._rate = rate
        # The bucket is full from this time on; each attempt moves it one interval ahead. (GCRA's theoretical
        # arrival time.) All three in 1/count ms.
        self._ahead_of = max(now_ms * rate.count, since * rate.count + (rate.count - 1) * rate.per_ms)
        self._line = 0
        self._near = 0

    @property
    def rate(self) -> Rate:
        """The limit it keeps."""
        return self._rate

    def take(self, now_ms: int, *, returning: bool) -> int:
        """0: a token is spent, send now. Otherwise the ms after which to ask again.

        `returning`: whether the job comes back from having been put off, and so may have had a place in line.
        """
        count, interval = self._rate.count, self._rate.per_ms
        now = now_ms * count
        free_at = self._free_at()
        if free_at <= now:
            nobody_waits = self._line <= now and self._near <= now
            if returning or nobody_waits or free_at + GRACE_MS * count <= now:
                self._ahead_of = max(self._ahead_of, now) + interval
                return 0
        if returning:
            near = max(self._near + interval, free_at)
            if near - now <= PATIENCE_MS * count:
                self._near = near
                return max(1, -(-(near - now) // count))
        self._line = max(self._line + interval, self._near + interval, free_at, now)
        return max(1, -(-(self._line - now) // count))

    def change(self, rate: Rate, now_ms: int) -> None:
        """Keep another limit from now on."""
        missing = max(0, self._ahead_of - now_ms * self._rate.count)  # of count × per_ms when it is empty
        size = self._rate.count * self._rate.per_ms
        self._ahead_of = now_ms * rate.count - (-missing * rate.count * rate.per_ms // size)
        self._rate = rate
        self._line = self._near = 0

    def idle(self, now_ms: int) -> bool:
        """Full and nobody in line: a new one would be the same."""
        return max(self._ahead_of, self._line, self._near) <= now_ms * self._rate.count

    def _free_at(self) -> int:
        return self._ahead_of - (self._rate.count - 1) * self._rate.per_ms


@dataclass(slots=True)
class _Held:
    limit: Limit
    partition: int


class Limits:
    """The limits of all rules whose jobs this process owns: a rule with one has all its jobs in one
    partition.

    Those that are idle are forgotten now and then, so there are about as many as there are rules that sent
    something within their unit of time.
    """

    def __init__(self) -> None:
        self._held: dict[int, _Held] = {}
        self._owned_since: dict[int, int] = {}
        self._sweep_above = _SWEEP_ABOVE

    def assigned(self, partitions: Iterable[int], now_ms: int) -> None:
        """These partition numbers are ours from now on; what others sent before is not known."""
        for partition in partitions:
            self._owned_since.setdefault(partition, now_ms)

    def gone(self, partitions: Iterable[int]) -> None:
        """They are somebody else's: forget what was sent for them."""
        lost = set(partitions)
        for partition in lost:
            self._owned_since.pop(partition, None)
        self._held = {rule_id: held for rule_id, held in self._held.items() if held.partition not in lost}

    def take(self, rule_id: int, rate: Rate, partition: int, now_ms: int, *, returning: bool) -> int:
        """0: send now. Otherwise ask again in so many ms (Limit.take). `partition`: the job's."""
        held = self._held.get(rule_id)
        if held is None:
            self._sweep(now_ms)
            limit = Limit(rate, now_ms, self._owned_since.get(partition))
            held = self._held[rule_id] = _Held(limit, partition)
        elif held.limit.rate != rate:
            held.limit.change(rate, now_ms)
        return held.limit.take(now_ms, returning=returning)

    def __len__(self) -> int:
        return len(self._held)

    def _sweep(self, now_ms: int) -> None:
        if len(self._held) < self._sweep_above:
            return
        self._held = {rule_id: held for rule_id, held in self._held.items() if not held.limit.idle(now_ms)}
        self._sweep_above = max(_SWEEP_ABOVE, 2 * len(self._held))
