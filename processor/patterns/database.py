"""Many patterns in one Hyperscan database: which of them may be found in a message.

A database is immutable. It is compiled from sources that soundness.py wrote, which takes milliseconds each
and can take minutes: compiling.py does it in another process, and what crosses is the serialised form. That
form carries its own digest, since Hyperscan trusts what it is given to load.

Only Intel's Hyperscan 5.4.2 is trusted to miss nothing. The bindings' newer releases carry Vectorscan
instead, of which 5.4.12 loses matches: `(?s)curl.*\\|\\s*python` isn't found in
`curl http://xxxx:8000/ 2>&1 | python` (its double shufti, mended in 5.4.13). Where 5.4.2 isn't there,
`why_no_hyperscan()` says so and filtered.py does the work.
"""

import functools
import hashlib
import re
import struct
from collections.abc import Sequence
from types import ModuleType
from typing import Any, Final

from processor.patterns.errors import DatabaseError, RefusedByHyperscanError
from processor.patterns.soundness import MAX_SOURCE

TRUSTED_VERSION: Final = "5.4.2"

_MAGIC: Final = b"tocsin-hyperscan-1\n"
# magic, SHA-256 of all that follows, number of patterns, what Hyperscan wrote
_COUNT_AT: Final = len(_MAGIC) + hashlib.sha256().digest_size
_HEADER_SIZE: Final = _COUNT_AT + 4
# Refused at a place where no source can be.
_BAIT_AT: Final = MAX_SOURCE + 1_000
_BAIT: Final = "a" * _BAIT_AT + "("


def why_no_hyperscan() -> str | None:
    """None if Hyperscan can be used; else why google-re2 does all the work."""
    return _build()[1]


def hyperscan_build() -> str:
    """Hyperscan's version and the processor's features it compiles for; empty if it can't be used."""
    return _build()[0]


@functools.cache
def _build() -> tuple[str, str | None]:
    try:
        import hyperscan
    except ImportError as error:
        return "", f"hyperscan can't be imported: {error}"
    try:
        with _Compilation(hyperscan, ["a"]) as database:
            info = database.info().decode().strip()
    except (hyperscan.error, RefusedByHyperscanError) as error:
        return "", f"Hyperscan doesn't run on this processor: {type(error).__name__}"
    version = re.match(r"Version: (\S+)", info)
    if version is None or version[1] != TRUSTED_VERSION:
        return "", f"only Hyperscan {TRUSTED_VERSION} is known to miss nothing, this is {info}"
    return info, None


def compile_serialised(sources: Sequence[str], *, once: bool = True, utf8: bool = True) -> bytes:
    """The serialised database over `sources`, each as hyperscan_form gives it; ids are their positions.

    `once`: whether each is told once of a text, or wherever it ends; `utf8`: whether they are about
    characters, or about bytes. Blocks for as long as it takes, without the GIL: compiling.py is for callers
    who can't wait. Raises RefusedByHyperscanError if Hyperscan refuses a source (refused_by_hyperscan says
    which), DatabaseError where there is no Hyperscan.
    """
    if not sources:
        return _sealed(0, b"")
    library = _loaded()
    with _Compilation(library, sources, once=once, utf8=utf8) as database:
        return _sealed(len(sources), library.dumpb(database))


def refused_by_hyperscan(sources: Sequence[str]) -> dict[int, str]:
    """Positions of the sources that Hyperscan refuses to read, and its reasons.

    The error for many patterns doesn't say which it means. Hyperscan reads all of them before it builds
    anything: with one behind them that is refused for certain, nothing is built, and the error shows whether
    one before it was refused. So each is found by halving, at the price of reading.
    """
    refused: dict[int, str] = {}
    spans = [(0, len(sources))]
    while spans:
        start, end = spans.pop()
        reason = _reading_error(sources[start:end]) if start < end else None
        if reason is None:
            continue
        if end - start == 1:
            refused[start] = reason
        else:
            middle = (start + end) // 2
            spans += [(start, middle), (middle, end)]
    return refused


def _reading_error(sources: Sequence[str]) -> str | None:
    try:
        with _Compilation(_loaded(), [*sources, _BAIT]):
            pass
    except RefusedByHyperscanError as error:
        return None if str(_BAIT_AT) in str(error) else str(error)
    return None


class _Compilation:
    """Compiles on entry, for the length of the block.

    A Database of the bindings frees the scratch space of the Scratch it points at, without holding it, and
    takes None for one if it has none. So it is given one, and an empty one at the end.
    """

    def __init__(
        self, library: ModuleType, sources: Sequence[str], *, once: bool = True, utf8: bool = True
    ) -> None:
        self._library = library
        self._flags = library.HS_FLAG_ALLOWEMPTY
        if utf8:
            self._flags |= library.HS_FLAG_UTF8
        if once:
            self._flags |= library.HS_FLAG_SINGLEMATCH
        # In ASCII and in a list that outlives the call: the bindings keep only the addresses.
        self._expressions = [_in_ascii(source) for source in sources]
        self._scratch = library.Scratch()
        self._database = library.Database(self._scratch, library.HS_MODE_BLOCK)

    def __enter__(self) -> Any:
        library = self._library
        try:
            self._database.compile(expressions=self._expressions, flags=self._flags)
        except library.error as error:
            self.__exit__()
            raise RefusedByHyperscanError(str(error)) from None
        return self._database

    def __exit__(self, *_: object) -> None:
        _forget_scratch(library=self._library, database=self._database)


@functools.cache
def _empty_scratch(library: ModuleType) -> Any:
    return library.Scratch()


def _forget_scratch(library: ModuleType, database: Any) -> None:
    """Has the database free no scratch space but its owner's own."""
    database.__init__(_empty_scratch(library), library.HS_MODE_BLOCK)


def _in_ascii(source: str) -> bytes:
    return "".join(char if char.isascii() else f"\\x{{{ord(char):x}}}" for char in source).encode()


def _loaded() -> Any:
    reason = why_no_hyperscan()
    if reason is not None:
        raise DatabaseError(reason)
    import hyperscan

    return hyperscan


def _sealed(count: int, body: bytes) -> bytes:
    rest = struct.pack("<I", count) + body
    return _MAGIC + hashlib.sha256(rest).digest() + rest


def _opened(serialised: bytes) -> tuple[int, bytes]:
    """The number of patterns and what Hyperscan wrote; raises DatabaseError if a bit of it has changed."""
    if len(serialised) < _HEADER_SIZE or not serialised.startswith(_MAGIC):
        raise DatabaseError("not a serialised database")
    rest = memoryview(serialised)[_COUNT_AT:]
    if hashlib.sha256(rest).digest() != serialised[len(_MAGIC) : _COUNT_AT]:
        raise DatabaseError("the serialised database is damaged")
    return struct.unpack_from("<I", rest)[0], bytes(rest[4:])


class Scannable:
    """A database opened for scanning, by one thread at a time: the scratch space it scans with belongs to it.

    It holds about as much memory as its serialised form is long.
    """

    def __init__(self, serialised: bytes, count: int) -> None:
        """Raises DatabaseError if `serialised` is damaged, made by another version or for another processor,
        or doesn't hold `count` patterns.
        """
        held, body = _opened(serialised)
        if held != count:
            raise DatabaseError(f"the database holds {held} patterns, not {count}")
        # The bindings drop what a call-back returns when they no longer hold the interpreter's lock. Whatever
        # other threads use as well, None first of all, would be counted wrongly in the end.
        self.go_on, self.stop = float("0"), float("1")
        # Bound once: it is called for each event. The bindings keep no references of their own.
        self._database: Any
        self.scratch: Any
        self._database, self.scratch = _scannable(body) if count else (None, None)
        self.scan = self._database.scan if count else _found_nothing
        """scan(text, on_match, 0, context, self.scratch); on_match(position, start, end, flags, context)
        returns `go_on`, or `stop`, which makes the bindings raise.
        """


class Database:
    """Says which patterns may be found in a message; built from a serialised database.

    One thread at a time.
    """

    def __init__(self, serialised: bytes, ids: Sequence[int]) -> None:
        """`ids`: what scan() is to call the patterns, one for each in the order they were compiled in.

        Raises DatabaseError as Scannable does.
        """
        self.ids = names = tuple(ids)
        opened = Scannable(serialised, len(names))
        go_on = opened.go_on

        def take(position: int, _start: int, _end: int, _flags: int, found: list[int]) -> float:
            found.append(names[position])
            return go_on

        self._take = take
        self._scan, self._scratch = opened.scan, opened.scratch
        self._opened = opened

    def scan(self, message: bytes) -> list[int]:
        """The ids of the patterns that may be found in `message`, valid UTF-8; each once, in no order.

        Never misses one that google-re2 finds; what it gives has to be confirmed. Linear in the message.
        """
        found: list[int] = []
        self._scan(message, self._take, 0, found, self._scratch)
        return found

    def __len__(self) -> int:
        return len(self.ids)


def _scannable(body: bytes) -> tuple[Any, Any]:
    library = _loaded()
    try:
        database = library.loadb(body, library.HS_MODE_BLOCK)
        _forget_scratch(library, database)
        return database, library.Scratch(database)
    except library.error as error:
        raise DatabaseError(f"Hyperscan can't load the database: {type(error).__name__}") from None


def _found_nothing(*_: object) -> None:
    pass
