"""Message templates: `OOM killed ${name} (${pid})`. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

_PIECE: Final = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z0-9_]*)\}|(?P<broken>\$\{)")


class Template(NamedTuple):
    """A message template, read: texts around names, one text more than names."""

    texts: tuple[str, ...]
    names: tuple[str, ...]

    def fill(self, captures: Mapping[str, str]) -> str:
        """The message. Every name of the template must be in `captures`."""
        filled = [self.texts[0]]
        for name, text in zip(self.names, self.texts[1:], strict=True):
            filled += (captures[name], text)
        return "".join(filled)


def read_template(source: str, known: Collection[str]) -> Template:
    """Read a template: `${name}` stands for what a named group matched, `$${` for `${`; `$` is itself.

    Raises ValueError, in words for whoever wrote it, for a name that isn't `known` and for `${` without an
    end.
    """
    texts, names, at, text = [], [], 0, ""
    for piece in _PIECE.finditer(source):
        text += source[at : piece.start()]
        at = piece.end()
        if piece["broken"]:
            raise ValueError("a ${ is not the start of ${name}; write $${ for the characters themselves")
        if piece["name"] is None:
            text += "${"
            continue
        name = piece["name"]
        if name not in known:
            groups = ", ".join(sorted(known)) or "none; (?P<name>…) makes one"
            raise ValueError(f"${{{name}}} names no group of the pattern (it has {groups})")
        texts.append(text)
        names.append(name)
        text = ""
    return Template((*texts, text + source[at:]), tuple(names))
