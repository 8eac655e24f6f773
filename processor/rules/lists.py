"""The lists of values a filter accepts, as the existing application writes and reads them (Go's strings
package).
"""

from __future__ import annotations

GO_SPACE = (
    "\t\n\v\f\r \u0085\u00a0\u1680"
    + "".join(map(chr, range(0x2000, 0x200B)))
    + "\u2028\u2029\u202f\u205f\u3000"
)
"""What Go's unicode.IsSpace takes for white space. `str.strip()` would take U+001C..1F as well."""


def split_list(text: str) -> tuple[str, ...]:
    """The values of a comma-separated list: each part trimmed, empty parts kept, the empty text an empty
    list.

    `"error, fatal"` accepts two values; `"error,"` accepts the empty value as well.
    """
    if not text:
        return ()
    return tuple(part.strip(GO_SPACE) for part in text.split(","))
