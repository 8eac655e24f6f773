"""Compiles Hyperscan databases in another process, under a deadline.

Hyperscan's compiler can take minutes for one short pattern, can't be interrupted, and takes memory as it
likes. So it runs in a child (compiler_child.py) that is killed when its time is up; what can't be compiled is
found and left out.
"""

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from processor.patterns.cache import DatabaseCache
from processor.patterns.child import Child, ChildFailedError
from processor.patterns.database import compile_serialised, why_no_hyperscan
from processor.patterns.errors import CompilerClosedError
from processor.patterns.gate import CompiledGate
from processor.patterns.pattern import Pattern
from processor.patterns.soundness import hyperscan_form


@dataclass(frozen=True, slots=True)
class CompileLimits:
    """What compiling may take; times in seconds on the clock, memory in bytes of address space."""

    together: float = 10.0  # all patterns of a call, and so much more for each
    more_for_each: float = 0.02
    alone: float = 3.0  # one pattern, when culprits are looked for
    culprits: int = 20  # how many are looked for: with more, something else is wrong
    memory: int = 2 << 30
    idle: float = 60.0  # the child ends by itself when nothing was asked of it for so long


class Compiled(NamedTuple):
    """A database over most of the patterns, and why the others are not in it."""

    serialised: bytes  # for Database, with one id for each of `taken`
    taken: tuple[int, ...]  # positions of the patterns in the database, in its order
    refused: dict[int, str]  # reasons by position: these are for a FilteredSet


class Compiler:
    """Compiles databases, one at a time, in one child process that is kept for the next ones.

    Usable from any thread. The child is niced and ends with this process, at the latest.
    """

    def __init__(self, limits: CompileLimits | None = None, cache: DatabaseCache | None = None) -> None:
        self._limits = limits or CompileLimits()
        self._cache = cache
        self._turn = threading.Lock()  # held while the child is asked
        self._state = threading.Lock()  # held for a moment, to change these two
        self._child: Child | None = None
        self._closed = False

    def compile(self, patterns: Sequence[Pattern]) -> Compiled:
        """A database over the patterns. Where Hyperscan can't be used all of them are refused.

        Blocks: milliseconds from the cache, else 1 to 5 ms a pattern, up to the limits where one goes wrong.
        Raises CompilerClosedError if close() was called, or is called meanwhile.
        """
        missing = why_no_hyperscan()
        if missing is not None:
            return Compiled(compile_serialised([]), (), dict.fromkeys(range(len(patterns)), missing))
        forms: dict[int, tuple[str, str]] = {}
        refused: dict[int, str] = {}
        for position, pattern in enumerate(patterns):
            plain, wide = hyperscan_form(pattern), hyperscan_form(pattern, widened=True)
            if plain.source is None or wide.source is None:
                refused[position] = plain.reason or wide.reason or ""
            else:
                forms[position] = plain.source, wide.source
        serialised, refused_forms = self._compiled(list(forms.values()))
        positions = list(forms)
        refused |= {positions[at]: reason for at, reason in refused_forms.items()}
        return Compiled(serialised, tuple(at for at in positions if at not in refused), refused)

    def gate(self, sources: Sequence[str], sample: Sequence[bytes] = ()) -> CompiledGate | None:
        """A gate for the patterns with these sources, by position; of segments that are rare in the `sample`.

        None where there is no Hyperscan, or where it fails over them. Blocks: milliseconds from the cache (of
        what was made without a sample), else 0.5 ms a pattern. Raises CompilerClosedError as compile() does.
        """
        if why_no_hyperscan() is not None:
            return None
        cache = self._cache if not sample else None
        key = cache.key([("gate", source) for source in sources]) if cache is not None else ""
        if cache is not None and (known := cache.get(key)) is not None:
            return CompiledGate.from_bytes(known[0])
        limits = self._limits
        deadline = time.monotonic() + limits.together + limits.more_for_each * len(sources)
        texts = [text.decode() for text in sample]
        try:
            with self._turn:
                self._send({"gate": list(sources), "sample": texts}, deadline)
                answer = self._receive(deadline)
        except ChildFailedError:
            return None
        if cache is not None:
            cache.put(key, answer, {})
        return CompiledGate.from_bytes(answer)

    def close(self) -> None:
        """Ends the child; a call of compile() that waits for it fails. May be called again."""
        with self._state:
            self._closed = True
            if self._child is not None:
                self._child.kill()
        with self._turn:
            self._end_child()

    def __enter__(self) -> "Compiler":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _compiled(self, forms: list[tuple[str, str]]) -> tuple[bytes, dict[int, str]]:
        """The database over the forms (plain and widened), and the reasons for what isn't in it, by place."""
        cache = self._cache if forms else None
        key = cache.key(forms) if cache is not None else ""
        if cache is not None and (known := cache.get(key)) is not None:
            return known
        with self._turn:
            serialised, refused = self._without_culprits(forms)
        if cache is not None:
            cache.put(key, serialised, refused)
        return serialised, refused

    def _without_culprits(self, forms: list[tuple[str, str]]) -> tuple[bytes, dict[int, str]]:
        try:
            return self._together(forms)
        except ChildFailedError:
            refused = self._culprits(forms)
        rest = [at for at in range(len(forms)) if at not in refused]
        try:
            serialised, more = self._together([forms[at] for at in rest])
        except ChildFailedError as error:
            refused |= dict.fromkeys(rest, f"Hyperscan {error} over this and other patterns together")
            return compile_serialised([]), refused
        return serialised, refused | {rest[at]: reason for at, reason in more.items()}

    def _together(self, forms: list[tuple[str, str]]) -> tuple[bytes, dict[int, str]]:
        if not forms:
            return compile_serialised([]), {}
        limits = self._limits
        deadline = time.monotonic() + limits.together + limits.more_for_each * len(forms)
        self._send({"together": forms}, deadline)
        refused = json.loads(self._receive(deadline))
        return self._receive(deadline), {int(at): reason for at, reason in refused.items()}

    def _culprits(self, forms: list[tuple[str, str]]) -> dict[int, str]:
        """Those that fail by themselves, each tried alone: the child tells of each one that went well."""
        culprits: dict[int, str] = {}
        start = 0
        while start < len(forms):
            if len(culprits) >= self._limits.culprits:
                rest = range(start, len(forms))
                return culprits | dict.fromkeys(rest, f"Hyperscan failed over {len(culprits)} others")
            try:
                self._send({"alone": forms[start:]}, time.monotonic() + self._limits.together)
                while start < len(forms):
                    self._receive(time.monotonic() + self._limits.alone)
                    start += 1
            except ChildFailedError as error:
                culprits[start] = f"Hyperscan {error} over it"
                start += 1
        return culprits

    # The child, under _turn

    def _send(self, question: dict[str, Any], deadline: float) -> None:
        body = json.dumps(question).encode()
        try:
            self._running_child().send(body, deadline)
        except ChildFailedError:
            self._end_child()
            # It may have ended for want of questions while this one was on its way: to a new one, then.
            try:
                self._running_child().send(body, deadline)
            except ChildFailedError:
                self._end_child()
                raise

    def _receive(self, deadline: float) -> bytes:
        try:
            return self._running_child().receive(deadline)
        except ChildFailedError:
            self._end_child()
            if self._closed:
                raise CompilerClosedError("the compiler was closed while it compiled") from None
            raise

    def _running_child(self) -> Child:
        if self._child is not None and self._child.ended:
            self._end_child()
        with self._state:
            if self._closed:
                raise CompilerClosedError("the compiler is closed")
            if self._child is None:
                limits = self._limits
                arguments = (str(limits.memory), str(limits.idle))
                self._child = Child("processor.patterns.compiler_child", *arguments)
            return self._child

    def _end_child(self) -> None:
        with self._state:
            child, self._child = self._child, None
        if child is not None:
            child.end()
