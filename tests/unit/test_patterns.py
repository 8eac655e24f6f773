import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.patterns import Pattern, PatternError, compile_pattern
from processor.patterns.pattern import MAX_PATTERN_BYTES
from processor.patterns.syntax import to_re2

# Pieces of Go's syntax, whole and broken, that a random pattern is likely to trip over.
WRITTEN = """
a b é 日 . ^ $ | ( ) (?: (?i) (?i: (?P<n> (?<n> (? (?-s: [ ] [^ [[:alpha:]] [a- - z] * + ? { } {2} {1,3}?
{,1} {01} {1001} {9876543210} \\ \\d \\b \\B \\Q \\E \\pL \\p{Greek} \\x{41} \\x41 \\012 \\1 \\C \\x{D800}
(?= > < : , 1 P p
"""
PIECES = st.sampled_from([*WRITTEN.split(), " ", "\n", "\x00"])
PATTERNS = st.lists(PIECES, max_size=12).map("".join)
TEXTS = st.text(st.sampled_from("aAbBkKsSzZ09_ -é日ſ\u212a\n\x00"), max_size=12)


def refusal(pattern: str) -> str:
    with pytest.raises(PatternError) as caught:
        compile_pattern(pattern)
    return str(caught.value)


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("", "", True),
        ("", "anything", True),
        ("failed", "deploy failed: x", True),
        ("(?i)FAILED", "deploy failed: x", True),
        ("FAILED", "deploy failed: x", False),
        ("^failed", "deploy\nfailed", False),
        ("(?m)^failed", "deploy\nfailed", True),
        ("failed$", "failed\n", False),
        ("a.b", "a\nb", False),
        ("(?s)a.b", "a\nb", True),
        ("(?P<x>a)(?<x>b)", "ab", True),
        ("\\bé", "é", False),
        ("\\w", "é", False),
        ("(?i)\\w", "ſ", True),
        ("(?i)k", "\u212a", True),
        ("\\x{1F600}", "😀", True),
        ("a\\x00b", "a\x00b", True),
        ("a\x00b", "a\x00b", True),
        ("x{,2}", "x{,2}", True),
        ("x{01}", "x{01}", True),
        ("x{99999,y}", "x{99999,y}", True),
        ("\\Qa.b|*\\E+", "a.b|**", True),
        ("\\Qa.b\\E", "axb", False),
        ("\\Qa\\\\E", "a\\", True),
        ("\\Q.", ".", True),
        ("a{2}\\Q\\E{2}", "aaaa", True),
        ("a*(?i)*", "", True),
        ("[[:foo]", "f", True),
        ("[]a]", "]", True),
        ("[a-]", "-", True),
        ("[\\pL-z]", "-", True),
        ("\\101", "A", True),
        ("(?U)a+", "caat", True),
    ],
)
def test_search_gives_what_go_gives(pattern: str, text: str, found: bool) -> None:
    compiled = compile_pattern(pattern)
    assert compiled.search(text) is found
    assert compiled.search_utf8(text.encode()) is found


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "missing closing ): `(`"),
        ("a)", "unexpected ): `a)`"),
        ("[a", "missing closing ]: `[a`"),
        ("[z-a]", "invalid character class range: `z-a`"),
        ("[[:foo:]]", "invalid character class range: `[:foo:]`"),
        ("*", "missing argument to repetition operator: `*`"),
        ("(|+)", "missing argument to repetition operator: `+`"),
        ("a**", "invalid nested repetition operator: `**`"),
        ("a{2}{3}", "invalid nested repetition operator: `{2}{3}`"),
        ("a{2,1}", "invalid repeat count: `{2,1}`"),
        ("\\", "trailing backslash at end of expression: ``"),
        ("\\q", "invalid escape sequence: `\\q`"),
        ("\\8", "invalid escape sequence: `\\8`"),
        ("(a)\\1", "invalid escape sequence: `\\1`"),
        ("\\x{110000}", "invalid escape sequence: `\\x{110000`"),
        ("[\\b]", "invalid escape sequence: `\\b`"),
        ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
        ("(?<=a)", "invalid named capture: `(?<=a)`"),
        ("(?!a)", "invalid or unsupported Perl syntax: `(?!`"),
        ("(?i", "invalid or unsupported Perl syntax: `(?i`"),
        ("(?-:a)", "invalid or unsupported Perl syntax: `(?-:`"),
        ("(?P<n", "invalid named capture: `(?P<n`"),
        ("\\p{Nonsense}", "invalid character class range: `\\p{Nonsense}`"),
        ("\\p", "invalid character class range: `\\p`"),
    ],
)
def test_what_go_refuses_is_refused_in_its_words(pattern: str, message: str) -> None:
    assert refusal(pattern).startswith(f"error parsing regexp: {message}")


@pytest.mark.parametrize(
    ("pattern", "starts", "advice"),
    [
        ("a\\C*", "invalid escape sequence: `\\C`", "use `.`"),
        ("\\PC", "unsupported character class: `\\PC`", "\\p{Cc}"),
        ("[a\\p{Other}]", "unsupported character class: `\\p{Other}`", "\\p{Cc}"),
        ("\\p{Cn}", "unsupported character class: `\\p{Cn}`", "such as"),
        ("\\p{lc}", "unsupported character class: `\\p{lc}`", "\\p{Lu}"),
        ("\\p{^Assigned}", "unsupported character class: `\\p{^Assigned}`", "such as"),
        ("\\p{ASCII}", "unsupported character class: `\\p{ASCII}`", "[[:ascii:]]"),
        ("\\p{Old_Italic}", "invalid character class range", ""),
        ("a{9876543210}", "invalid repeat count: `{9876543210}`", "up to 1000"),
        ("a{1,9876543210}", "invalid repeat count: `{1,9876543210}`", "up to 1000"),
        ("a{1001}", "invalid repeat count: `{1001}`", "up to 1000"),
        ("(?:a{50}){21}", "invalid repeat count: `{21}`", "multiply"),
        ("(?P<é>a)", "invalid named capture: `(?P<é>`", "A-Z"),
        ("(" * 251 + ")" * 251, "expression nests too deeply", "at most 250"),
        ("\\pL{1000}", "expression too large", "smaller repeat counts"),
        ("(?:" + "^" * 5000 + "){1000}", "expression too large", "smaller repeat counts"),
        ("a" * (MAX_PATTERN_BYTES + 1), "expression too large", "65536 bytes"),
        ("é" * (MAX_PATTERN_BYTES // 2 + 1), "expression too large", "65536 bytes"),
        ("\\B", "unsupported assertion: `\\B`", "put a character"),
        ("x|\\B$|\\B", "unsupported assertion: `\\B`", "put a character"),
        ("\\x{D800}", "invalid escape sequence: `\\x{D800}`", "\\x{FFFD}"),
        ("[a-\\x{dfff}]", "invalid escape sequence: `\\x{dfff}`", "\\x{FFFD}"),
        ("a\ud800", "invalid UTF-8: `\\ud800`", ""),
    ],
)
def test_what_re2_would_answer_differently_is_refused_with_advice(
    pattern: str, starts: str, advice: str
) -> None:
    message = refusal(pattern)
    assert message.startswith(f"error parsing regexp: {starts}")
    assert advice in message
    assert len(message.splitlines()) == 1
    assert len(message) < 400


@pytest.mark.parametrize(
    ("pattern", "re2"),
    [
        ("\\p{Letter}", "\\p{L}"),
        ("\\p{greek}", "\\p{Greek}"),
        ("\\P{upper-case letter}", "\\P{Lu}"),
        ("\\p{^Greek}", "\\P{Greek}"),
        ("\\pl", "\\p{L}"),
        ("[\\p{digit}x]", "[\\p{Nd}x]"),
        ("(?P<name>a)(?<b>c)", "(a)(c)"),
        ("a{,2}", "a\\{,2}"),
        ("\\Qa.\\E", "a\\x{2e}"),
        ("(?i)[^a-z]{2,3}?|\\x{41}$", "(?i)[^a-z]{2,3}?|\\x{41}$"),
    ],
)
def test_what_re2_would_read_differently_is_rewritten(pattern: str, re2: str) -> None:
    assert to_re2(pattern) == re2


def test_250_groups_inside_each_other_are_accepted() -> None:
    assert compile_pattern("(" * 250 + "a" + ")" * 250).search("bab")


def test_a_backslash_b_that_needs_a_character_is_accepted() -> None:
    pattern = compile_pattern("a\\B")
    assert pattern.search("ab")
    assert not pattern.search("aéb")


def test_a_long_text_takes_no_time_whatever_the_pattern() -> None:
    pattern = compile_pattern("(a*)*(a|aa)*$x")
    assert not pattern.search("a" * 200_000)


def test_refusals_print_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    refusal("\\pL{1000}")
    refusal("\\p{Nonsense}")
    assert capfd.readouterr() == ("", "")


@given(PATTERNS | st.text(max_size=20))
def test_any_text_is_a_pattern_or_refused_in_one_line(source: str) -> None:
    message = None
    try:
        pattern = compile_pattern(source)
    except PatternError as error:
        message = str(error)
    else:
        assert isinstance(pattern, Pattern)
        assert pattern.search("aéb日") in (True, False)
    if message is not None:
        assert message.startswith("error parsing regexp: ")
        assert "\n" not in message


@given(PATTERNS, TEXTS)
def test_the_rewritten_pattern_is_its_own_rewriting(source: str, text: str) -> None:
    try:
        pattern = compile_pattern(source)
    except PatternError:
        return
    again = compile_pattern(pattern.re2_source)
    assert again.re2_source == pattern.re2_source
    assert again.search(text) == pattern.search(text)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), TEXTS)
def test_quoted_text_is_found_exactly_where_it_is(quoted: str, around: str) -> None:
    if "\\E" in quoted or quoted.endswith("\\"):
        return
    pattern = compile_pattern(f"\\Q{quoted}\\E")
    assert pattern.search(around + quoted + around)
    assert pattern.search(around) == (quoted in around)
