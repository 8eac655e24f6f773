"""What a scanner remembers over a restart: one JSON file, replaced as a whole.

A save is written beside the old file, synced to disk and renamed over it, and the directory synced: after a
crash, of the process or of the machine, one of the two is there, whole.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from processor.lifecycle import Refused
from processor.scanning.cooldown import Cooldowns
from processor.scanning.ledger import Totals
from processor.scanning.lines import Position

FILE: Final = "scanner.json"
VERSION: Final = 1


class Saved(NamedTuple):
    """What was remembered. begun: seconds since 1970 when this machine was first scanned. new: whether that
    is now.
    """

    begun: int
    new: bool
    positions: Mapping[str, Position]
    cooldowns: Cooldowns
    totals: Totals


def encode(begun: int, positions: Mapping[str, Position], cooldowns: Cooldowns, totals: Totals) -> bytes:
    """The file's content."""
    return msgspec.json.encode(
        {
            "version": VERSION,
            "begun": begun,
            "positions": positions,
            "cooldowns": cooldowns.as_json(),
            "hits": _rows(totals.hits),
            "suppressed": _rows(totals.suppressed),
            "dropped": _rows(totals.dropped),
        }
    )


def decode(content: bytes) -> Saved:
    """What encode() made; ValueError or TypeError for anything else."""
    record = msgspec.json.decode(content)
    if not isinstance(record, dict) or record.get("version") != VERSION:
        raise ValueError(f"it is not of version {VERSION}")
    totals = Totals()
    for name in ("hits", "suppressed", "dropped"):
        counts: dict[int, int] = getattr(totals, name)
        counts.update((int(rule), int(count)) for rule, count in record.get(name, ()))
    positions = record["positions"]
    if not isinstance(positions, dict) or not all(isinstance(one, dict) for one in positions.values()):
        raise ValueError("its positions are none")
    return Saved(
        int(record["begun"]), False, positions, Cooldowns.from_json(record.get("cooldowns", ())), totals
    )


def load(directory: Path, now: int) -> Saved:
    """What is remembered in this directory, which is made if it isn't there. `now`: seconds since 1970.

    Raises Refused if it can't be read or written, or holds something else.
    """
    path = directory / FILE
    try:
        directory.mkdir(parents=True, exist_ok=True)
        # Said now, and not when the first position is to be saved.
        with tempfile.NamedTemporaryFile(dir=directory, prefix=f".{FILE}-"):
            pass
        content = path.read_bytes()
    except FileNotFoundError:
        return Saved(now, True, {}, Cooldowns(), Totals())
    except OSError as failure:
        raise Refused(
            f"scanner.state_directory: {directory} can't be used ({failure.strerror}); let this user write"
            " there, or set another one"
        ) from None
    try:
        return decode(content)
    except (KeyError, TypeError, ValueError, msgspec.MsgspecError) as failure:
        raise Refused(
            f"scanner.state_directory: {path} can't be understood ({failure}); remove it to start without"
            " positions: logs that are there then are read from their ends"
        ) from None


def save(directory: Path, content: bytes) -> None:
    """Put `content` in place of what is there. Blocks for two syncs; raises OSError."""
    path = directory / FILE
    fresh = directory / f".{FILE}-new"
    with open(fresh, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _rows(counts: Mapping[int, int]) -> list[Any]:
    return [[rule, count] for rule, count in counts.items()]
