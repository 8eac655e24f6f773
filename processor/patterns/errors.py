"""What goes wrong with patterns; the constants are the words of Go's regexp/syntax package.

ValueError
└── PatternError                 the pattern is not accepted; str() is one line: Go's message, then what to do
Exception
├── CacheError                   the directory for compiled databases can't be trusted or made
├── CompilerClosedError          the compiler was closed
├── DatabaseError                a serialised database can't be used, or none can be made here
└── RefusedByHyperscanError      Hyperscan refuses one of the sources, which says nothing against the pattern
"""

_SHOWN = 120  # characters of the offending part; the whole pattern may be 64 KiB

INVALID_UTF8 = "invalid UTF-8"
INVALID_CLASS_RANGE = "invalid character class range"
INVALID_ESCAPE = "invalid escape sequence"
INVALID_NAMED_CAPTURE = "invalid named capture"
INVALID_PERL_OP = "invalid or unsupported Perl syntax"
INVALID_REPEAT_OP = "invalid nested repetition operator"
INVALID_REPEAT_SIZE = "invalid repeat count"
MISSING_BRACKET = "missing closing ]"
MISSING_PAREN = "missing closing )"
MISSING_REPEAT_ARGUMENT = "missing argument to repetition operator"
TRAILING_BACKSLASH = "trailing backslash at end of expression"
UNEXPECTED_PAREN = "unexpected )"
NESTING_DEPTH = "expression nests too deeply"
TOO_LARGE = "expression too large"
# Not Go's: Go runs these, RE2 would answer differently.
UNSUPPORTED_CLASS = "unsupported character class"
UNSUPPORTED_ASSERTION = "unsupported assertion"


class PatternError(ValueError):
    """The pattern is refused.

    `code` is the kind (one of this module's constants), `part` the piece of the pattern it is about, `advice`
    what to write instead, or None where the message speaks for itself.
    """

    def __init__(self, code: str, part: str, advice: str | None = None) -> None:
        self.code = code
        self.part = part
        self.advice = advice
        shown = part if len(part) <= _SHOWN else part[:_SHOWN] + "…"
        # A lone surrogate could not be printed or stored, and a newline would break the one-line promise.
        shown = shown.encode("utf-8", "backslashreplace").decode().replace("\r", "\\r").replace("\n", "\\n")
        message = f"error parsing regexp: {code}: `{shown}`"
        super().__init__(f"{message}; {advice}" if advice else message)


class CacheError(Exception):
    """The directory for compiled databases can't be made or trusted; str() names it and the remedy."""


class CompilerClosedError(Exception):
    """The compiler was closed, before or during the call."""


class DatabaseError(Exception):
    """The serialised database is damaged or was not made for this library and processor: compile it again."""


class RefusedByHyperscanError(Exception):
    """Hyperscan refuses a source, with its reason: google-re2 alone looks for that pattern."""
