"""What of a job topic's partition is not finished yet, as the sender group's commit tells. Pure."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from processor.delivery.watermark import Run, RunsError, decode_runs
from processor.kafka.records import Commit, Position
from processor.kafka.scan import Stretch
from processor.kafka.starting import split_metadata


@dataclass(frozen=True, slots=True)
class Unfinished:
    """The stretch from the committed offset to the end, and what of it is finished all the same."""

    stretch: Stretch
    finished: tuple[Run, ...] = ()

    def holds(self, offset: int) -> bool:
        """Whether the record at this offset is a job that still waits, or is being sent."""
        if not self.stretch.start <= offset < self.stretch.end:
            return False
        before = bisect_right(self.finished, offset, key=lambda run: run[0])
        return not before or self.finished[before - 1][1] <= offset


def unfinished(position: Position, topic_id: str, commit: Commit | None, low: int, end: int) -> Unfinished:
    """What a sender that takes the partition over would read, as starting.py decides.

    topic_id: of the topic as it is now; low, end: its first offset and the one behind its last. Runs that
    can't be read are none: their jobs are sent again.
    """
    if commit is None:
        return Unfinished(Stretch(position, low, end))
    committed_id, runs = split_metadata(commit.metadata)
    if committed_id is not None and committed_id != topic_id:
        return Unfinished(Stretch(position, low, end))
    try:
        finished = tuple(decode_runs(commit.next_offset, runs))
    except RunsError:
        finished = ()
    return Unfinished(Stretch(position, max(low, commit.next_offset), end), finished)
