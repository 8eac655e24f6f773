"""Go's regexp syntax, read as Go's parser reads it, and written down again for RE2.

`to_re2` follows `parse` in Go's regexp/syntax/parse.go under the flags of `regexp.Compile`, without building
a tree: what Go refuses is refused with Go's message. What RE2 would read differently is rewritten (names of
groups and of Unicode classes, `\\Q…\\E`, a brace that is only a brace) or refused with a piece of advice.

What comes out is of few forms, so that soundness.py can read it again with little effort:

- a character stands for itself, as `\\x{hex}`, or behind a backslash if it is ASCII and neither letter nor
  digit; in a class as itself only if it is a letter, a digit or not ASCII;
- `{` always begins a count; no repetition follows another one or a group of flags;
- groups of flags name each of i, m and s once at most, and nothing else.
"""

from dataclasses import dataclass
from typing import NoReturn

from processor.patterns import errors
from processor.patterns.errors import PatternError
from processor.patterns.escapes import read_escape, read_unicode_class
from processor.patterns.measure import MAX_COPIES, MAX_HEIGHT, MAX_SIZE, Extent, Measure

MAX_NESTING = 250  # groups; Go stops somewhere above, depending on what is in them
MAX_COUNT = 1000  # of one repetition
_FLAGS = frozenset("imsU")  # U decides which match is found, not whether: handed on only where that is asked
_WORD = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_DIGITS = frozenset("0123456789")
_PERL_CLASSES = frozenset("dDsSwW")
_ASSERTIONS = frozenset("AbBz")
_POSIX_CLASSES = frozenset(
    "alnum alpha ascii blank cntrl digit graph lower print punct space upper word xdigit".split()  # noqa: SIM905
)


def to_re2(source: str) -> str:
    """`source`, which Go accepts, in the spelling RE2 gives Go's meaning to.

    Raises PatternError where Go refuses the pattern or RE2 can't give it Go's meaning. Pure; time is linear.
    The caller deals with what only a compiled pattern shows: its size in RE2, and where `\\B` matches.
    """
    try:
        source.encode()
    except UnicodeEncodeError as error:
        raise PatternError(errors.INVALID_UTF8, source[error.start : error.end]) from None
    return _Scanner(source).run()


def with_groups(source: str) -> tuple[str, tuple[str, ...]]:
    """`source`, which to_re2 takes, in RE2's spelling so that RE2 finds the same match and groups as Go; and
    the name of each group, in order, "" without one. A name may come twice.
    """
    scanner = _Scanner(source, which_match=True)
    return scanner.run(), tuple(scanner.names)


@dataclass(slots=True)
class _Operand:
    """Where in the output the last operand of a group stands: what a repetition would apply to."""

    start: int = 0
    end: int = 0
    repeated: bool = False


class _Scanner:
    def __init__(self, source: str, *, which_match: bool = False) -> None:
        self._source = source
        self._dropped = "" if which_match else "U"
        self.names: list[str] = []  # of the groups so far
        self._at = 0
        self._out: list[str] = []
        self._groups = [Measure(capture=False)]
        self._operands = [_Operand()]  # for each open group
        # Where the repetition begins that ended just before here: Go refuses a second one right behind it.
        self._last_repeat: int | None = None

    def run(self) -> str:
        source, end = self._source, len(self._source)
        while self._at < end:
            last_repeat, self._last_repeat = self._last_repeat, None
            char = source[self._at]
            if char == "(":
                self._open()
            elif char == ")":
                self._close()
            elif char == "|":
                self._groups[-1].next_branch()
                self._copy(1)
            elif char == "[":
                self._class()
            elif char in "*+?":
                self._repeat(self._at + 1, 1 if char == "+" else 0, 1 if char == "?" else None, last_repeat)
            elif char == "{":
                self._brace(last_repeat)
            elif char == "\\":
                self._backslash()
            else:  # a literal, `.`, `^`, `$`
                self._operand(char if char != "\x00" else "\\x{0}", 1)
        if len(self._groups) > 1:
            self._refuse(errors.MISSING_PAREN, source)
        self._within_limits(self._groups[0].close())
        return "".join(self._out)

    def _refuse(self, code: str, part: str, advice: str | None = None) -> NoReturn:
        raise PatternError(code, part, advice)

    def _copy(self, length: int) -> None:
        self._out.append(self._source[self._at : self._at + length])
        self._at += length

    def _operand(self, text: str, length: int) -> None:
        """One more operand, `text` in the output, `length` characters of the source."""
        self._groups[-1].append(Extent())
        self._operands[-1] = _Operand(len(self._out), len(self._out) + 1)
        self._out.append(text)
        self._at += length

    def _within_limits(self, extent: Extent) -> None:
        if extent.size > MAX_SIZE:
            self._refuse(errors.TOO_LARGE, self._source, "use smaller repeat counts")
        if extent.height > MAX_HEIGHT:
            self._refuse(errors.NESTING_DEPTH, self._source, "nest fewer groups and repetitions")

    # Groups

    def _open(self) -> None:
        source, at = self._source, self._at
        if not source.startswith("(?", at):
            self.names.append("")
            self._push(capture=True, text="(")
            self._at += 1
        elif source.startswith("(?<", at) and len(source) > at + 3:
            self._named(at + 3)
        elif source.startswith("(?P<", at) and len(source) > at + 4:
            self._named(at + 4)
        else:
            self._flags()

    def _push(self, *, capture: bool, text: str) -> None:
        self._groups.append(Measure(capture=capture))
        self._operands[-1] = _Operand(len(self._out))
        self._operands.append(_Operand())
        self._out.append(text)
        if len(self._groups) - 1 > MAX_NESTING:
            self._refuse(
                errors.NESTING_DEPTH, self._source, f"use at most {MAX_NESTING} groups inside each other"
            )

    def _named(self, name_at: int) -> None:
        end = self._source.find(">", name_at)
        if end < 0:
            self._refuse(errors.INVALID_NAMED_CAPTURE, self._source[self._at :])
        name = self._source[name_at:end]
        if not name or not _WORD.issuperset(name):
            part = self._source[self._at : end + 1]
            self._refuse(errors.INVALID_NAMED_CAPTURE, part, "a name is made of A-Z, a-z, 0-9 and _")
        # Without the name: whoever asks for groups knows their numbers, and Go takes a name twice.
        self.names.append(name)
        self._push(capture=True, text="(")
        self._at = end + 1

    def _flags(self) -> None:
        source, at = self._source, self._at + 2
        negative = seen = False
        flags = {}
        while at < len(source):
            char = source[at]
            at += 1
            if char in _FLAGS:
                seen = True
                flags[char] = not negative
            elif char == "-" and not negative:
                negative, seen = True, False
            elif char in ":)" and (seen or not negative):
                self._flagged(flags, group=char == ":")
                self._at = at
                return
            else:
                break
        self._refuse(errors.INVALID_PERL_OP, source[self._at : at])

    def _flagged(self, flags: dict[str, bool], *, group: bool) -> None:
        on = "".join(flag for flag, set_ in flags.items() if set_ and flag != self._dropped)
        off = "".join(flag for flag, set_ in flags.items() if not set_ and flag != self._dropped)
        text = f"{on}-{off}" if off else on
        if group:
            self._push(capture=False, text=f"(?{text}:")
        elif text:
            self._out.append(f"(?{text})")

    def _close(self) -> None:
        if len(self._groups) == 1:
            self._refuse(errors.UNEXPECTED_PAREN, self._source)
        extent = self._groups.pop().close()
        self._within_limits(extent)
        self._groups[-1].append(extent)
        self._copy(1)
        self._operands.pop()
        self._operands[-1].end = len(self._out)

    # Repetitions

    def _repeat(self, end: int, least: int, most: int | None, last_repeat: int | None) -> None:
        """A repetition from here to `end`, a `?` for the shortest match perhaps behind it."""
        source, start = self._source, self._at
        if source.startswith("?", end):
            end += 1
        if last_repeat is not None:
            self._refuse(errors.INVALID_REPEAT_OP, source[last_repeat:end])
        group = self._groups[-1]
        if group.last is None:
            self._refuse(errors.MISSING_REPEAT_ARGUMENT, source[start:end])
        extent = group.repeat_last(least, most)
        self._within_limits(extent)
        if extent.copies > MAX_COPIES:
            self._refuse(
                errors.INVALID_REPEAT_SIZE,
                source[start:end],
                f"nested counts multiply, to at most {MAX_COPIES}",
            )
        self._repeat_operand(source[start:end])
        self._at = end
        self._last_repeat = start

    def _repeat_operand(self, repetition: str) -> None:
        """Puts the repetition right behind its operand, before flags that came between, and never behind
        another one: that means something else where possessive repetitions are known.
        """
        operand, out = self._operands[-1], self._out
        if operand.repeated:
            out.insert(operand.start, "(?:")
            out.insert(operand.end + 1, ")")
            operand.end += 2
        out.insert(operand.end, repetition)
        operand.end += 1
        operand.repeated = True

    def _brace(self, last_repeat: int | None) -> None:
        source = self._source
        least, at = self._count(self._at + 1)
        most: int | None = least
        if least is not None and source.startswith(",", at):
            at += 1
            if source.startswith("}", at):
                most = None
            else:
                most, at = self._count(at)
                if most is None:
                    least = None
        if least is None or not source.startswith("}", at):
            # Not a repetition, so a literal brace. Escaped, because RE2 takes counts of nine digits for text.
            self._operand("\\{", 1)
            return
        if least > MAX_COUNT or (most is not None and not least <= most <= MAX_COUNT):
            advice = f"counts go up to {MAX_COUNT}" if max(least, most or 0) > MAX_COUNT else None
            self._refuse(errors.INVALID_REPEAT_SIZE, source[self._at : at + 1], advice)
        self._repeat(at + 1, least, most, last_repeat)

    def _count(self, at: int) -> tuple[int | None, int]:
        """The number at `at` and where it ends; None where Go sees none. Over the limit any will do."""
        source, start = self._source, at
        while at < len(source) and source[at] in _DIGITS:
            at += 1
        digits = source[start:at]
        if not digits or (len(digits) > 1 and digits[0] == "0"):
            return None, at
        return int(digits[:5]), at

    # Escapes and classes

    def _backslash(self) -> None:
        source, at = self._source, self._at
        kind = source[at + 1 : at + 2]
        if kind == "C":
            self._refuse(errors.INVALID_ESCAPE, "\\C", "use `.`, or `(?s:.)` for newlines as well")
        elif kind == "Q":
            self._quoted()
        elif kind in ("p", "P"):
            text, end = read_unicode_class(source, at)
            self._operand(text, end - at)
        elif kind and (kind in _ASSERTIONS or kind in _PERL_CLASSES):
            self._operand(source[at : at + 2], 2)
        else:
            code, end = read_escape(source, at)
            text = f"\\x{{{code:x}}}" if kind.isalnum() or code == 0 else source[at:end]
            self._operand(text, end - at)

    def _quoted(self) -> None:
        text, _, _ = self._source[self._at + 2 :].partition("\\E")
        end = self._at + 2 + len(text)
        for char in text:
            self._operand(char if char in _WORD or not char.isascii() else f"\\x{{{ord(char):x}}}", 0)
        self._at = min(end + 2, len(self._source))

    def _unicode_class(self) -> None:
        text, self._at = read_unicode_class(self._source, self._at)
        self._out.append(text)

    def _class(self) -> None:
        source, start = self._source, self._at
        first_piece = len(self._out)
        self._copy(2 if source.startswith("[^", start) else 1)
        first = True
        while first or not source.startswith("]", self._at):
            first = False
            if source.startswith("[:", self._at) and (end := source.find(":]", self._at + 2)) >= 0:
                self._posix_class(end + 2)
            elif source.startswith(("\\p", "\\P"), self._at):
                self._unicode_class()
            elif source.startswith("\\", self._at) and source[self._at + 1 : self._at + 2] in _PERL_CLASSES:
                self._copy(2)
            else:
                self._class_range(start)
        self._copy(1)
        self._groups[-1].append(Extent())
        self._operands[-1] = _Operand(first_piece, len(self._out))

    def _posix_class(self, end: int) -> None:
        part = self._source[self._at : end]
        if part[2:-2].removeprefix("^") not in _POSIX_CLASSES:
            self._refuse(errors.INVALID_CLASS_RANGE, part)
        self._copy(len(part))

    def _class_range(self, class_at: int) -> None:
        source = self._source
        low, end = self._class_char(self._at, class_at)
        if source.startswith("-", end) and end + 1 < len(source) and source[end + 1] != "]":
            high, end = self._class_char(end + 1, class_at)
            if high < low:
                self._refuse(errors.INVALID_CLASS_RANGE, source[self._at : end])
            self._out.append(f"{_in_class(low)}-{_in_class(high)}")
        else:
            self._out.append(_in_class(low))
        self._at = end

    def _class_char(self, at: int, class_at: int) -> tuple[int, int]:
        if at >= len(self._source):
            self._refuse(errors.MISSING_BRACKET, self._source[class_at:])
        if self._source[at] == "\\":
            return read_escape(self._source, at)
        return ord(self._source[at]), at + 1


def _in_class(code: int) -> str:
    char = chr(code)
    return char if char.isalnum() or code > 0x7F else f"\\x{{{code:x}}}"
