"""A merge patch (RFC 7396) on a rule as a read shows it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_WHOLE: Final = frozenset({"action_target", "action_secret"})
"""Values of several forms: `{ref: …}` merged into `{secret: …}` would be neither. So are header values."""


def merged(rule: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """The rule with the patch applied: null takes a field away, maps are merged, all else is replaced."""
    return _merge(rule, patch, ())


def _merge(target: Mapping[str, Any], patch: Mapping[str, Any], above: tuple[str, ...]) -> dict[str, Any]:
    result = dict(target)
    for name, value in patch.items():
        path = (*above, name)
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict) and not _is_whole(path):
            before = result.get(name)
            result[name] = _merge(before if isinstance(before, dict) else {}, value, path)
        else:
            result[name] = value
    return result


def _is_whole(path: tuple[str, ...]) -> bool:
    return (len(path) == 1 and path[0] in _WHOLE) or path[:-1] == ("delivery", "headers")
