"""Compiled patterns, made when first needed, in bounded memory: what confirms Hyperscan's candidates."""

from typing import Final

from processor.patterns.pattern import Pattern, Search

DEFAULT_BYTES: Final = 256 << 20


class Confirmers:
    """Searches with patterns and keeps those compiled that were searched with lately.

    One thread at a time. The bound is on what RE2 may use for them at the very worst, which takes patterns
    and texts made for it: most patterns use 7 KB of their 128, so the default keeps 2,000 of them in 15 MB.
    Compiling one again takes 30 us.
    """

    def __init__(self, max_bytes: int = DEFAULT_BYTES) -> None:
        # Two generations: what is used of the old one moves to the young one. When that holds half of the
        # bytes it becomes the old one, and what nobody asked for in between is dropped. So the usual case
        # costs one look-up.
        self._half = max_bytes // 2
        self._young: dict[str, Search] = {}
        self._old: dict[str, Search] = {}
        self._young_bytes = 0

    def search(self, pattern: Pattern, text: bytes) -> bool:
        """Whether the pattern is found anywhere in `text`, valid UTF-8, in time linear in its length."""
        search = self._young.get(pattern.re2_source)
        if search is None:
            search = self._keep(pattern)
        return search(text)

    def _keep(self, pattern: Pattern) -> Search:
        source = pattern.re2_source
        search = self._old.pop(source, None)
        if search is None:
            search = pattern.compiled()
        if self._young and self._young_bytes + pattern.memory > self._half:
            self._old, self._young, self._young_bytes = self._young, {}, 0
        self._young[source] = search
        self._young_bytes += pattern.memory
        return search

    def __len__(self) -> int:
        """How many are compiled."""
        return len(self._young) + len(self._old)
