"""Text that is not Unicode, mended as Go's encoding/json mends it.

Real logs hold such bytes. Go replaces them while decoding; a decoder that refuses them would lose the event.
"""

import codecs
import re

_ERRORS = "tocsin-replace-each-byte"

# Every escape, so that an escaped backslash is never taken for the start of one; pairs before halves.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


def is_utf8(value: bytes) -> bool:
    """Whether all of it is valid UTF-8."""
    if value.isascii():
        return True
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def repair_utf8(value: bytes) -> bytes:
    """`value` with U+FFFD for each byte that is no part of valid UTF-8 (Go's DecodeRune: width 1)."""
    return value.decode("utf-8", _ERRORS).encode()


def replace_lone_surrogates(value: bytes) -> bytes:
    r"""JSON in which each `\ud800`…`\udfff` without its other half is written `\ufffd`, at equal length."""
    return _ESCAPE.sub(_without_lone_surrogate, value)


def _without_lone_surrogate(match: re.Match[bytes]) -> bytes:
    return b"\\ufffd" if match[1] else match[0]


def _replace_each_byte(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    # Python would put one character for the longest beginning of a sequence, Go puts one for each byte.
    return "\ufffd" * (error.end - error.start), error.end


codecs.register_error(_ERRORS, _replace_each_byte)
