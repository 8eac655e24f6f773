"""Generated patterns, each asked of Go as well: accepted here means accepted there, with equal results."""

import random
from pathlib import Path

import pytest

from processor.patterns import PatternError, compile_pattern
from tests.support.go_reference import ask, build, go_is_here
from tests.support.regex_generator import PatternGenerator

pytestmark = pytest.mark.skipif(not go_is_here(), reason="go is not on PATH: nothing to compare with")

PATTERNS = 6_000
TEXTS = ["", "a", "aéa", "a\nb\n", "\n", "日本", "kKsS", " a_b-1 ", "\ufffd", "a\x00b", "é", "ab aé bé", "_é"]


@pytest.fixture(scope="module")
def goregex(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("goregex", tmp_path_factory.mktemp("go"))


def compare(goregex: Path, questions: list[tuple[str, list[str]]]) -> tuple[int, int]:
    """How many patterns both take, and how many only Go takes; fails on any other difference."""
    both = only_go = 0
    answers = ask(goregex, [{"pattern": pattern, "texts": texts} for pattern, texts in questions])
    for (pattern, texts), answer in zip(questions, answers, strict=True):
        try:
            compiled = compile_pattern(pattern)
        except PatternError:
            only_go += answer["error"] is None
            continue
        assert answer["error"] is None, f"accepted, but Go refuses {pattern!r}: {answer['error']}"
        assert [compiled.search(text) for text in texts] == answer["found"], f"{pattern!r} on {texts!r}"
        both += 1
    return both, only_go


def test_what_is_accepted_go_accepts_with_equal_results(goregex: Path) -> None:
    generate = PatternGenerator(seed=20_261_123)
    questions = [(generate.pattern(), TEXTS + [generate.text() for _ in range(4)]) for _ in range(PATTERNS)]
    both, only_go = compare(goregex, questions)
    # The generator must keep hitting accepted patterns, and few that Go takes may be lost to our refusals.
    assert both > PATTERNS / 4
    assert only_go < both / 10


def test_deep_and_large_patterns_are_never_taken_where_go_refuses(goregex: Path) -> None:
    pick = random.Random(1)
    written = "(%s) (?:%s) (?:%s|b) (b|%s)* x%s (?:%s)* (?:%s)(?i)* %sc|d (?:q|%s){0,2}"
    shapes = written.split()
    patterns = []
    for depth in [10, 60, 120, 240, 250] * 40:
        pattern = "a"
        for _ in range(depth):
            pattern = pick.choice(shapes).replace("%s", pattern)
        patterns.append(pattern)
    for n in (200, 249, 250, 251, 999, 1000, 1001):
        patterns += ["(x|y" * n + ")*z" * n, "(?:xy|xz|x" * n + ")*?q" * n, "a" + "(?i)*" * n]
        patterns += ["|".join("a" * i for i in range(1, n // 4)), "(?:" + "\\b" * (n * 20) + "){1000}"]
        patterns += [f"(?:a{{{n}}}){{{1000 // n}}}", f"(?:a{{{n}}}){{{1000 // n + 1}}}", f"(?:^{{{n}}}){{2}}"]
    both, _ = compare(goregex, [(pattern, ["", "a", "b", "xaaaa"]) for pattern in patterns])
    assert both > 20


def test_every_name_of_a_unicode_class_reads_the_same(goregex: Path) -> None:
    known = "Adlam Ahom Arabic Armenian Braille Common Coptic Cuneiform Cyrillic Ethiopic Georgian Greek Han"
    known += (
        " Hangul Hebrew Hiragana Inherited Kawi Khmer Latin Mro Nko Nushu Thai Tibetan Toto Vai Yezidi Yi Any"
    )
    names = [major + minor for major in "CLMNPSZ" for minor in ["", *"acdefiklmnopstu"]]
    names += [f"{major}_{minor}" for major in ("Old", "Tai", "Linear") for minor in ("Italic", "Le", "A")]
    names += [
        "Cased_Letter",
        "closepunctuation",
        "Combining Mark",
        "CONTROL",
        "number",
        "Symbol",
        "Separator",
    ]
    names += known.split()
    texts = [
        "a",
        "Ω",
        "5",
        " ",
        "!",
        "+",
        "\u0301",
        "日",
        "Ж",
        "א",
        "\x01",
        "\u2028",
        "ǅ",
        "٣",
        "Ⅷ",
        "€",
        "\ue000",
    ]
    names += [name.lower() for name in names] + [f"{name[:1]}_{name[1:]}" for name in names]
    names += [f"^{name}" for name in names]
    both, _ = compare(goregex, [(f"\\{sign}{{{name}}}", texts) for name in names for sign in "pP"])
    assert both > 200
