"""Random patterns as rules have them, each with a text that it is likely to match, and longer texts around.

What a matcher of sets gets wrong it gets wrong at the borders of its vectors, its buffer and its parts: so
the texts are 0 to 200 bytes long and the match lies anywhere in them.
"""

import random

_LETTERS = "error failed timeout disk payment GET POST curl python order sky risk ab xy x y aa ba a-b 10"
_WORDS = [*_LETTERS.split(), "é日", "ошибка", "<%", "=", ":", "/", "|", "{", "}", "[", "]", ",", ";"]
# Pieces and characters they match.
_CLASSES = [
    *[("\\d", "0123456789"), ("\\w", "abkszA_09"), ("\\s", " \t\n"), ("\\S", "ab.é日"), ("\\D", "ab é")],
    *[("\\W", " .-é"), ("[a-f]", "abcdef"), ("[^a-f]", "xyz é\n"), (".", "ab é日"), ("[ab]", "ab")],
    *[("[|,]", "|,"), ("[xé]", "xé"), ("[,\\x{d7ff}-\\x{e000}]", ",\ue000"), ("[[:punct:]]", ".,|-")],
    *[("[^\\s]", "abé"), ("[\\w.-]", "ab.-_"), ("[A-Z]", "ABKS"), ("[0-9a-f]", "09af")],
]
_COUNTS = [
    ("*", 0, 3),
    ("+", 1, 4),
    ("?", 0, 1),
    ("{1,3}", 1, 3),
    ("{2}", 2, 2),
    ("{3,}", 3, 6),
    ("{0,40}", 0, 9),
]
_FILLINGS = ["a", "z", "b ", "xy", ". ", "|", "q,", "é", "日", "\n", "0", "A", "{", " ", "-x", "abcabd"]
_SPECIAL = frozenset("\\.+*?()|[]{}^$")


class LogPatternGenerator:
    """Pairs of a pattern and a text for it, from a seed; most texts match."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def pair(self) -> tuple[str, str]:
        """A pattern and what it is to match."""
        pick = self._random
        caseless = pick.random() < 0.3
        pattern, text = self._sequence(2, caseless)
        if pick.random() < 0.25:
            pattern += "|" + self._sequence(1, caseless)[0]
        if pick.random() < 0.2:
            pattern = "^" + pattern
        if pick.random() < 0.2:
            pattern += pick.choice(["$", "\\z"])
        flags = "i" * caseless + "s" * (pick.random() < 0.3) + "m" * (pick.random() < 0.15)
        return (f"(?{flags}){pattern}" if flags else pattern), text

    def around(self, text: str) -> str:
        """The text somewhere in a longer one."""
        pick = self._random
        before = pick.choice([0, 0, 1, 5, 14, 15, 16, 17, 31, 32, 33, pick.randint(0, 90)])
        behind = pick.choice([0, 0, 1, 2, pick.randint(0, 70)])
        return self._filling(before) + text + self._filling(behind)

    def _filling(self, count: int) -> str:
        pick = self._random
        if pick.random() < 0.5:
            return pick.choice(_FILLINGS) * count
        return "".join(pick.choice(_FILLINGS) for _ in range(count))

    def _sequence(self, depth: int, caseless: bool) -> tuple[str, str]:
        pick = self._random
        parts, texts = [], []
        for _ in range(pick.randint(1, 4)):
            part, text, single = self._piece(depth, caseless)
            if part not in ("", "\\b") and pick.random() < 0.25:
                count, least, most = pick.choice(_COUNTS)
                part = (part if single else f"(?:{part})") + count
                text *= pick.randint(least, most)
            parts.append(part)
            texts.append(text)
        return "".join(parts), "".join(texts)

    def _piece(self, depth: int, caseless: bool) -> tuple[str, str, bool]:
        """A piece, a text for it, and whether a count may follow it as it is."""
        pick = self._random
        kind = pick.random()
        if kind < 0.4 or (kind < 0.55 and not depth):
            word = pick.choice(_WORDS)
            text = "".join(pick.choice([char.lower(), char.upper()]) for char in word) if caseless else word
            return "".join("\\" * (char in _SPECIAL) + char for char in word), text, False
        if kind < 0.47:
            branches = [self._sequence(depth - 1, caseless) for _ in range(pick.randint(2, 4))]
            return f"(?:{'|'.join(part for part, _ in branches)})", pick.choice(branches)[1], True
        if kind < 0.55:
            part, text = self._sequence(depth - 1, caseless)
            return f"({part})", text, True
        if kind < 0.87:
            part, chars = pick.choice(_CLASSES)
            return part, pick.choice(chars), True
        if kind < 0.93:
            part, text = pick.choice([("\\b", ""), ("(?:^|\\s)", " "), ("(?:$|\\s)", " ")])
            return part, text, True
        gaps = [
            (".*", "ab |xyé", 30),
            (".+", "z", 20),
            ("\\s*", " ", 3),
            (".{0,20}", "q", 20),
            ("[^,]*", "w", 20),
        ]
        part, chars, most = pick.choice(gaps)
        return part, "".join(pick.choice(chars) for _ in range(pick.randint(1, most))), False
