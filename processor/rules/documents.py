"""YAML and JSON as rules files may hold them: the JSON data model and nothing besides.

YAML is read as version 1.2 means it: only `true` and `false` are booleans, so `no`, `on` and `12:30` are
text, and a date is text too. A name that stands twice is an error, also in JSON. Anchors, aliases and `<<`
work; a bomb of them costs what its text costs, because an alias is the same object and merged maps are
merged as maps.
"""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TextIO

import yaml

try:
    from yaml import CSafeLoader as _SafeLoader
except ImportError:  # PyYAML without libyaml: slower, the same result
    from yaml import SafeLoader as _SafeLoader  # type: ignore[assignment]

_TAG = "tag:yaml.org,2002:"
_MERGE = f"{_TAG}merge"


class Document(NamedTuple):
    """One document: the line it begins at (from 1) and its data."""

    line: int
    data: object


class DocumentError(ValueError):
    """Text that can't be read on from here; the message has line and column where they are known."""


def read_yaml(text: str) -> Iterator[Document]:
    """Every document that isn't empty; raises DocumentError at the first that can't be read."""
    loader = _Loader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            if node is None:
                continue
            data = loader.construct_document(node)
            if data is not None:
                yield Document(node.start_mark.line + 1, data)
    except yaml.MarkedYAMLError as error:
        raise DocumentError(_where(error)) from None
    except yaml.YAMLError as error:
        raise DocumentError(" ".join(str(error).split())) from None
    except RecursionError:
        raise DocumentError("is nested too deeply") from None
    except ValueError as error:  # a number or character that Python's own readers refuse
        raise DocumentError(" ".join(str(error).split())[:200]) from None
    finally:
        loader.dispose()


def read_json(text: str) -> Iterator[Document]:
    """The one document of a JSON file."""
    try:
        yield Document(1, json.loads(text, object_pairs_hook=_no_name_twice, parse_constant=_no_constant))
    except json.JSONDecodeError as error:
        raise DocumentError(f"line {error.lineno}, column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise DocumentError("is nested too deeply") from None
    except ValueError as error:
        raise DocumentError(str(error)) from None


def write_yaml(data: Mapping[str, Any] | Sequence[Mapping[str, Any]], stream: TextIO) -> None:
    """One document, with `---` in front; text that YAML 1.1 or 1.2 would read as something else is quoted."""
    yaml.dump(data, stream, _Dumper, explicit_start=True, sort_keys=False, allow_unicode=True, width=120)


def _no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) < len(pairs):
        twice = next(name for i, (name, _) in enumerate(pairs) if name in {n for n, _ in pairs[:i]})
        raise DocumentError(f"{twice[:100]!r} is there twice")
    return names


def _no_constant(name: str) -> None:
    raise DocumentError(f"{name} is not JSON")


def _where(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return f"{place}{' '.join((error.problem or error.context or 'not YAML').split())}"


class _Loader(_SafeLoader):
    """The safe loader, with YAML 1.2's core schema and no name twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """The map, wholly built at once whatever `deep` says: so a map that holds itself is an error."""
        del deep
        if not isinstance(node, yaml.MappingNode):
            raise yaml.constructor.ConstructorError(None, None, "expected a map", node.start_mark)
        own: dict[Hashable, Any] = {}
        merged: dict[Hashable, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                self._merge(value_node, merged)
                continue
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag != f"{_TAG}str":
                raise yaml.constructor.ConstructorError(
                    None, None, "a field's name must be text; put it in quotes", key_node.start_mark
                )
            name = self.construct_scalar(key_node)
            if name in own:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{str(name)[:100]!r} is there twice", key_node.start_mark
                )
            own[name] = self.construct_object(value_node, deep=True)
        return {**merged, **own}

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Not needed: maps are merged as maps, see construct_mapping."""

    def _merge(self, node: yaml.Node, into: dict[Hashable, Any]) -> None:
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for source in sources:
            found = self.construct_object(source, deep=True) if isinstance(source, yaml.MappingNode) else None
            if not isinstance(found, dict):
                raise yaml.constructor.ConstructorError(
                    None, None, "<< takes a map or a list of maps", node.start_mark
                )
            for name, value in found.items():
                into.setdefault(name, value)


def _core_schema() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    """YAML 1.2.2, 10.3.2, and the merge key."""
    rules = (
        (f"{_TAG}null", r"(?:~|null|Null|NULL|)", ["~", "n", "N", ""]),
        (f"{_TAG}bool", r"(?:true|True|TRUE|false|False|FALSE)", list("tTfF")),
        (f"{_TAG}int", r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)", list("-+0123456789")),
        (
            f"{_TAG}float",
            r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))",
            list("-+0123456789."),
        ),
        (_MERGE, r"<<", ["<"]),
    )
    resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    for tag, pattern, firsts in rules:
        for first in firsts:
            resolvers.setdefault(first, []).append((tag, re.compile(f"^{pattern}$")))
    return resolvers


def _construct_int(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node))
    digits = text.lstrip("+-")
    if digits[:2] in ("0o", "0x"):
        return int(digits[2:], 8 if digits[1] == "o" else 16)
    return int(text, 10)


def _construct_bool(loader: _Loader, node: yaml.ScalarNode) -> bool:
    text = str(loader.construct_scalar(node)).lower()
    if text not in ("true", "false"):
        raise ValueError("a boolean is true or false")
    return text == "true"


_JSON_TYPES = ("null", "float", "str", "seq", "map")

_Loader.yaml_implicit_resolvers = _core_schema()
# Any other tag (`!!timestamp`, `!!python/…`) is an error: `None` is the entry for those unknown.
_Loader.yaml_constructors = {
    None: _SafeLoader.yaml_constructors[None],
    **{f"{_TAG}{kind}": _SafeLoader.yaml_constructors[f"{_TAG}{kind}"] for kind in _JSON_TYPES},
    f"{_TAG}int": _construct_int,
    f"{_TAG}bool": _construct_bool,
}


class _Dumper(yaml.SafeDumper):
    """The safe dumper, never with anchors, which takes for text only what both versions read as text."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write everything where it stands."""
        del data
        return True


_Dumper.yaml_implicit_resolvers = {
    first: [
        *yaml.SafeDumper.yaml_implicit_resolvers.get(first, ()),
        *_Loader.yaml_implicit_resolvers.get(first, ()),
    ]
    for first in {*yaml.SafeDumper.yaml_implicit_resolvers, *_Loader.yaml_implicit_resolvers}
}


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    # Line breaks to YAML 1.1, text to 1.2, and PyYAML would write them as they are: only escapes are safe.
    style = '"' if any(c in text for c in "\x85\u2028\u2029\ufeff") else None
    return dumper.represent_scalar(f"{_TAG}str", text, style=style)


_Dumper.add_representer(str, _represent_text)
