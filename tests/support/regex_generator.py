"""Random patterns in Go's regexp syntax: mostly well-formed, some broken on purpose."""

import random
from collections.abc import Callable

LITERALS = [*"abcABkKsS01 _-.,/é日ſ\u212aİß\n\t\x00]}{:'𝔸\ufffd"]

_ESCAPES = r"""
\x41 \x4 \xg1 \x{41} \x{} \x{110000} \x{10FFFF} \x{d800} \x{41 \01 \012 \0123 \12 \377 \777 \400 \08 \18
\pL \pl \PN \Qa.\E \Q* \Q\E \Q\\E
"""
ESCAPES = [
    *_ESCAPES.split(),
    *(f"\\{char}" for char in "dDsSwWbBAzZCQEaftnrv0123789xpPuceghijlmoqyGXRK_-.é \n\\"),
]

_NAMES = """
L,Lu,Ll,Greek,greek,Letter,lower case_letter,uppercase-letter,Old_Italic,N_ko,any,C,Cn,LC,Assigned,ascii,Cs,
Zs,Han,^Greek,^letter,,^,X,Latin ,digit,Punct,cntrl,\u212a,ſ,signwriting,L&,Sm,é
"""
NAMES = _NAMES.strip().replace("\n", "").split(",")

_REPEATS = """
* + ? *? +? ?? ** {2} {0} {0,} {1,3} {2,1} {,2} {01} {1001} {1000} {10,} {9876543210} {1,99999999999} {100}
{1 {2}? {3}{4}
"""
REPEATS = [*_REPEATS.split(), "{ 1}"]

_OPENINGS = """
( ( ( ( (?: (?: (?: (?: (?i: (?s: (?m: (?U: (?i-s: (?ims-U: (?P<n> (?<n> (?P<é> (?P<> (?= (?! (?<= (?# (?>
(?P=n) (?x: (?i--s: (?-: (?i (? (?'n' (?P<n
"""
OPENINGS = [*_OPENINGS.split(), "(?<a b>"]

_FLAGS = "(?i) (?m) (?s) (?U) (?-i) (?i-m) (?m)^ (?m)$"
FLAGS = _FLAGS.split()
_ASSERTIONS = r". ^ $ \b \B \A \z"
ASSERTIONS = _ASSERTIONS.split()
_POSIX = "[:alpha:] [:^digit:] [:word:] [:foo:] [:ascii:] [::]"
POSIX = _POSIX.split()
_RANGES = r"a-z z-a a-\d \- a- - [ [: :] \x{80}-\x{d7ff} \x{d7ff}-\x{e000}"
RANGES = _RANGES.split()


class PatternGenerator:
    """Patterns, mostly well-formed, from a seed."""

    def __init__(self, seed: int) -> None:
        self.random = self._random = random.Random(seed)
        self._made: list[str] = []

    def pattern(self) -> str:
        pick = self._random
        if self._made and pick.random() < 0.25:
            pattern = self._broken(pick.choice(self._made))
        else:
            pattern = self._sequence(3)
        self._made.append(pattern)
        return pattern

    def text(self) -> str:
        return "".join(self._random.choice(LITERALS) for _ in range(self._random.choice([1, 2, 3, 5, 8, 20])))

    def _broken(self, pattern: str) -> str:
        at = self._random.randrange(len(pattern) + 1)
        extra = self._random.choice("()[]{}*+?|\\^$.-PQE<>:i1,")
        cuts = [
            pattern[:at],
            pattern[at:],
            pattern[:at] + pattern[at + 1 :],
            pattern[:at] + extra + pattern[at:],
        ]
        return self._random.choice(cuts)

    def _sequence(self, depth: int) -> str:
        pick, parts = self._random, []
        for _ in range(pick.randint(1, 5) if depth == 3 else pick.randint(0, 4)):
            parts.append(self._atom(depth))
            if pick.random() < 0.3:
                parts.append(pick.choice(REPEATS))
            if pick.random() < 0.12:
                parts.append("|")
        return "".join(parts)

    def _atom(self, depth: int) -> str:
        pick = self._random
        kinds: list[tuple[float, Callable[[], str]]] = [
            (45, lambda: pick.choice(LITERALS)),
            (8, lambda: pick.choice(ASSERTIONS)),
            (10, self._class),
            (7, lambda: pick.choice(ESCAPES)),
            (4, self._unicode),
            (5, lambda: pick.choice(FLAGS)),
            (20 if depth else 0, lambda: self._group(depth - 1)),
        ]
        return pick.choices([make for _, make in kinds], [weight for weight, _ in kinds])[0]()

    def _unicode(self) -> str:
        return f"\\{self._random.choice('pP')}{{{self._random.choice(NAMES)}}}"

    def _group(self, depth: int) -> str:
        pick = self._random
        return pick.choice(OPENINGS) + self._sequence(depth) + pick.choice([")"] * 12 + ["", "))"])

    def _class(self) -> str:
        pick = self._random
        kinds = [LITERALS, POSIX, RANGES, ESCAPES, [self._unicode()]]
        inside = "".join(pick.choice(pick.choice(kinds)) for _ in range(pick.randint(0, 4)))
        return pick.choice(["[", "[", "[^"]) + inside + pick.choice(["]"] * 7 + ["]]", ""])
