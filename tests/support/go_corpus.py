"""The table of what Go's regexp makes of some thousand patterns, and the program that writes it.

`python -m tests.support.go_corpus` asks Go (tests/support/goregex) and writes go_corpus.ndjson.gz beside
this file: first the texts that all patterns are tried on, then for each pattern Go's refusal or null, texts
of its own, and Go's answers for both as 0 and 1.
"""

import gzip
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.go_reference import ask, build
from tests.support.log_patterns import LogPatternGenerator
from tests.support.regex_generator import PatternGenerator

PATH = Path(__file__).with_name("go_corpus.ndjson.gz")
_GENERATED = 2_000

TEXTS = [
    *(
        "",
        "a",
        "aéa",
        "a\nb\n",
        "\n",
        "\n\n",
        "b\na",
        "\r\n",
        "a\x00b",
        "\x00",
        "\t",
        "\x0b",
        "a\x0bb",
        "\x0c",
        "\x1c",
    ),
    *(
        "\x85",
        "\xa0",
        "\u2028",
        "日本",
        "kKsS",
        " a_b-1 ",
        "\ufffd",
        "é",
        "_é",
        "ſ",
        "\u212a",
        "aſb",
        "K\u212aS",
        "ǅ",
    ),
    *(
        "ΐ\u1fd3",
        "ﬅﬆ",
        "İıiI",
        "ßẞ",
        "deploy failed: x",
        "GET /a/b HTTP/1.1 500",
        "ab" * 40,
        "𝔸\U0010ffff",
        "error\n",
    ),
    *(
        "a" * 300,
        "x" * 33 + "b",
        "Ω5 \u0301Ж",
        "{,2}",
        "a{01}",
        "[a]",
        "\\",
        "(a|b)*",
        "2026-11-23T10:00:00Z",
    ),
]

# Where Go, RE2 and Hyperscan differ or once did, what is pathological, and what is plain.
BY_HAND = [
    *(
        "a\\C*",
        "\\pL",
        "\\PL",
        "\\p{C}",
        "\\PC",
        "\\p{Cn}",
        "\\p{LC}",
        "\\p{Assigned}",
        "\\p{ASCII}",
        "\\p{Any}",
    ),
    *(
        "\\p{Letter}",
        "\\p{greek}",
        "\\p{Greek}",
        "\\P{^Greek}",
        "\\p{Old_Italic}",
        "\\p{Lu}\\p{Ll}",
        "[\\pL\\pN]+",
    ),
    *(
        "a{9876543210}",
        "a{1000}",
        "a{1001}",
        "a{,2}",
        "a{01}",
        "a{2,1}",
        "(a{100}){10}",
        "(a{100}){11}",
        "a{0}",
        "^{0}",
    ),
    *(
        "(?P<é>a)",
        "(?P<n>a)",
        "(?<n>a)",
        "(?P<n>a)(?P<n>b)",
        "(?P=n)",
        "(?'n'a)",
        "(" * 250 + "a" + ")" * 250,
    ),
    *(
        "(" * 260 + ")" * 260,
        "(" * 1100 + ")" * 1100,
        "\\pL{300}",
        "\\pL{1000}",
        "\\B",
        "a\\B",
        "\\B\\B",
        "\\Ba",
    ),
    *(
        "\\x{D800}",
        "[\\x{D800}-\\x{DFFF}]",
        "\\x{FFFD}",
        "\\x{10FFFF}",
        "\\x{110000}",
        "\\xff",
        "\\377",
        "\\08",
        "\\1",
    ),
    *(
        "(?i)k",
        "(?i)s",
        "(?i)\\w",
        "(?i)\\W",
        "(?i)[^k]",
        "(?i)[^\\W]",
        "(?i)ß",
        "(?i)ſ",
        "(?i)\u212a",
        "(?i)İ",
    ),
    *("(?i)[a-z]+", "(?i)[[:lower:]]", "(?i)[[:^lower:]]", "(?i)Ω", "(?i:k)k", "(?i)a(?-i)B", "(?i)ошибка"),
    *(
        "\\s",
        "\\S",
        "[^\\s]",
        "[\\S]",
        "\\v",
        "[^\\v]",
        "[[:space:]]",
        "\\d\\D",
        "\\h",
        "\\R",
        "\\X",
        "\\K",
        "\\G",
        "\\Z",
    ),
    *(
        "(?m)^",
        "(?m)^$",
        "(?m)^a",
        "(?m)b$",
        "(?m)^b|^a",
        "(?m:^)a",
        "^*",
        "^+a",
        "$*b",
        "\\b*",
        "\\b+a",
        "(?:^)*",
    ),
    *(
        "^a",
        "a$",
        "\\Aa\\z",
        "a\\Z",
        "a^b",
        "a$b",
        "a\\A",
        "(^a|b$)",
        "(?s).",
        ".",
        "(?s)^.*$",
        "^.*$",
        "(?-s).b",
    ),
    *(
        "(?U)a+",
        "(?U)a+?",
        "(?x) a",
        "(?i-s:a.b)",
        "(?)",
        "(?-)",
        "(?i--s)",
        "(?#c)",
        "(?=a)",
        "(?<=a)",
        "(?!a)",
        "(?>a)",
    ),
    *(
        "a++",
        "a**",
        "a*?",
        "a??",
        "a{2}{3}",
        "a*(?i)*",
        "a*\\Q\\E*",
        "*",
        "+a",
        "|",
        "a|",
        "|a",
        "()",
        "(|a)",
        "(a",
        "a)",
    ),
    *(
        "\\Qa.b\\E",
        "\\Q",
        "\\Q\\E",
        "\\Qa\\Eb+",
        "\\Q{\\E",
        "\\",
        "\\E",
        "[",
        "[]",
        "[]a]",
        "[^]a]",
        "[a-]",
        "[-a]",
        "[z-a]",
    ),
    *(
        "[a-\\d]",
        "[\\d-z]",
        "[[:foo:]]",
        "[[:foo]",
        "[[:word:]]",
        "[[.a.]]",
        "[[=a=]]",
        "[\\x{5b}\\x{5d}]",
        "[\\n]",
        "[^\\n]",
    ),
    *(
        "(a*)*b",
        "(a|aa)+$",
        "(a+)+b",
        "(.*)*x",
        "((a?){20})*b",
        ".{1000}",
        "(?:.?){500}b",
        "(x+x+)+y",
        "a?" * 30 + "a" * 30,
    ),
    *(
        "\x00",
        "a\x00b",
        "a\\x00b",
        "[\x00]",
        "\\\x00",
        "\n",
        "\\\n",
        "é",
        "[é]",
        "[^é]",
        "é+",
        "日本",
        "[à-ÿ]",
        "𝔸",
        "\ufffd",
    ),
    *(
        "deploy .* failed",
        "(?i)FAILED",
        "^GET /\\S+ HTTP/1\\.[01] 5\\d\\d",
        "\\b(?:error|fatal)\\b",
        "\\d{4}-\\d{2}-\\d{2}T",
        "",
    ),
    *(
        "(?s)curl.*\\|\\s*python",
        "xy|ab\\z",
        "x[,\\x{d7ff}-\\x{e000}]",
        "\\s{3,},=|ba\\d",
        "x" * 401,
        "|".join(["word"] * 100),
    ),
]


@dataclass(frozen=True)
class Row:
    """What Go says about one pattern."""

    pattern: str
    error: str | None
    texts: tuple[str, ...]
    found: tuple[bool, ...]  # one for each text; empty if refused


def read() -> list[Row]:
    with gzip.open(PATH, "rt", encoding="utf-8") as lines:
        common = tuple(json.loads(next(lines)))
        rows = []
        for line in lines:
            pattern, error, own, found = json.loads(line)
            rows.append(Row(pattern, error, (*common, *own), tuple(mark == "1" for mark in found)))
        return rows


def _questions() -> Iterator[tuple[str, list[str]]]:
    for pattern in BY_HAND:
        yield pattern, []
    odd, usual = PatternGenerator(20_261_123), LogPatternGenerator(20_261_123)
    for _ in range(_GENERATED):
        yield odd.pattern(), [odd.text() for _ in range(3)]
    for _ in range(_GENERATED):
        pattern, text = usual.pair()
        yield pattern, [text, *(usual.around(text) for _ in range(4))]


def ask_go(directory: Path) -> list[str]:
    """The lines of the table; `directory` is for the program."""
    questions = list(_questions())
    answers = ask(
        build("goregex", directory),
        ({"pattern": pattern, "texts": [*TEXTS, *own]} for pattern, own in questions),
    )
    lines = [json.dumps(TEXTS, ensure_ascii=False)]
    for (pattern, own), answer in zip(questions, answers, strict=True):
        found = "".join("1" if mark else "0" for mark in answer["found"])
        lines.append(json.dumps([pattern, answer["error"], own, found], ensure_ascii=False))
    return lines


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        text = "".join(line + "\n" for line in ask_go(Path(directory)))
    PATH.write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    main()
