"""The parts of the Helm chart that follow from something else, written from it.

    values.schema.json    the form of values.yaml, what chart_values.py adds, and the settings model
    README.md             values.yaml and its `# -- ` comments, as helm-docs lays them out
    files/settings.yaml   the settings' defaults, and which of them are paths, for the templates
    files/topics.yaml     the topics that `tocsin topics apply` makes, for topics.mode strimzi
    files/dashboard.json  dashboard.py's table of panels

A test compares them. After a change of values.yaml, of the settings or of the topics:

    python -m tests.support.chart_reference
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from processor.kafka.topics import wanted_topics
from processor.settings import Settings
from processor.settings_sources import Setting, settings_of
from tests.support.chart_values import FORMS, MANAGED, README_HEAD, SECRET_PROPERTY
from tests.support.dashboard import dashboard

CHART = Path(__file__).parents[2] / "helm" / "tocsin"

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Value:
    """One value of the chart: its path, its default and its comment; a group has no comment."""

    path: tuple[str, ...]
    default: Any
    meaning: str

    @property
    def name(self) -> str:
        return ".".join(self.path)


def documented_values(text: str | None = None) -> list[Value]:
    """The values of values.yaml that have a `# -- ` comment, in their order."""
    text = (CHART / "values.yaml").read_text() if text is None else text
    tree = yaml.safe_load(text)
    found: list[Value] = []
    above: list[tuple[int, str]] = []
    meaning = ""
    for line in text.splitlines():
        if comment := re.fullmatch(r"\s*# -- (.*)", line):
            meaning = comment[1]
        elif key := re.match(r"( *)(\w+):", line):
            indent = len(key[1])
            above = [one for one in above if one[0] < indent] + [(indent, key[2])]
            if meaning:
                path = tuple(name for _, name in above)
                found.append(Value(path, _at(tree, path), meaning))
            meaning = ""
    return found


def _at(tree: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        tree = tree[name]
    return tree


def from_files(setting: Setting) -> bool:
    """Whether the setting comes from a key of a Secret or ConfigMap: it is secret, or names a file."""
    told = (setting.field.description or "").lower()
    secret = told.endswith(("a secret.", "secrets.")) or setting.name == "kafka.properties"
    return (
        secret or is_path(setting) or setting.name == "kafka.sasl_username"
    ) and setting.name not in MANAGED


def is_path(setting: Setting) -> bool:
    """Whether the setting names a file."""
    return "readable_file" in repr(setting.field.annotation) or "readable_file" in repr(
        setting.field.metadata
    )


def values_schema() -> str:
    """The text of values.schema.json."""
    tree = yaml.safe_load((CHART / "values.yaml").read_text())
    meanings = {value.path: value.meaning for value in documented_values()}
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the chart tocsin",
        **_form((), tree, meanings),
        "definitions": {"where": _WHERE, "config": _config_schema()},
    }
    # What Helm itself puts in: a parent chart's globals.
    schema["properties"]["global"] = {"type": "object"}
    names = sorted(setting.name for setting in settings_of(Settings) if from_files(setting))
    where = {"properties": {key: {"$ref": "#/definitions/where"} for key in names}}
    for role in (None, "matcher", "sender", "admin", "scanner", "jobs"):
        holder = schema["properties"] if role is None else schema["properties"][role]["properties"]
        holder["settingsFrom"] |= {"$ref": "#/definitions/settingsFrom"}
    schema["definitions"]["settingsFrom"] = {**where, "type": "object", "additionalProperties": False}
    schema["properties"]["createSecret"] |= {
        "properties": dict.fromkeys(names, _TEXT),
        "additionalProperties": False,
    }
    schema["properties"]["config"] = {
        "description": meanings["config",],
        "$ref": "#/definitions/config",
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


_TEXT: Schema = {"type": "string", "minLength": 1}
_WHERE: Schema = {
    "type": "object",
    "properties": {"secret": _TEXT, "configMap": _TEXT, "key": _TEXT},
    "required": ["key"],
    "oneOf": [{"required": ["secret"]}, {"required": ["configMap"]}],
    "additionalProperties": False,
}


def _form(path: tuple[str, ...], default: Any, meanings: Mapping[tuple[str, ...], str]) -> Schema:
    """What a value must be like: as its default is, narrowed by FORMS."""
    about: Schema = {"description": meanings[path]} if path in meanings else {}
    forms = (".".join(path), f"*.{'.'.join(path[1:])}", f"*.{path[-1]}" if path else "")
    narrowed = next((FORMS[form] for form in forms if form in FORMS), None)
    if narrowed is not None:
        return about | narrowed
    if isinstance(default, dict) and default:
        parts = {name: _form((*path, name), value, meanings) for name, value in default.items()}
        return about | {"type": "object", "properties": parts, "additionalProperties": False}
    kind = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    form: Schema = {"type": kind[type(default)]}
    if form["type"] == "integer":
        form["minimum"] = 0
    if form["type"] == "object" and path[-1] != "settingsFrom":
        form["additionalProperties"] = {"type": "string"}
    if form["type"] == "array":
        form["items"] = {"type": "object"}
    return about | form


def _config_schema() -> Schema:
    """The settings that `config` may hold: all but what comes from files and what the chart decides."""
    model = Settings.model_json_schema()
    held = {
        setting.path
        for setting in settings_of(Settings)
        if setting.name not in MANAGED and (not from_files(setting) or setting.name in _BOTH)
    }
    form = _group_schema(model, model, (), held)
    form["properties"]["kafka"]["properties"]["properties"] |= {
        "type": "object",
        "propertyNames": {"not": {"pattern": SECRET_PROPERTY}},
        "additionalProperties": {"type": ["string", "number", "boolean"]},
    }
    return form


_BOTH = ("kafka.properties", "kafka.sasl_username")


def _group_schema(model: Schema, group: Schema, path: tuple[str, ...], held: set[tuple[str, ...]]) -> Schema:
    parts: Schema = {}
    for name, part in group["properties"].items():
        inner = (*path, name)
        if "$ref" in part:
            deeper = _group_schema(model, model["$defs"][part["$ref"].rpartition("/")[2]], inner, held)
            if deeper["properties"]:
                parts[name] = deeper
        elif inner in held:
            parts[name] = _plain(part)
    return {"type": "object", "properties": parts, "additionalProperties": False}


def _plain(part: Any) -> Any:
    """A part of pydantic's schema, without defaults: those are Tocsin's own to know."""
    if isinstance(part, dict):
        kept = {name: _plain(value) for name, value in part.items() if name not in _DROPPED}
        for name, keyword in (("ge", "minimum"), ("le", "maximum")):
            if name in kept:
                kept[keyword] = kept.pop(name)
        return kept
    return [_plain(value) for value in part] if isinstance(part, list) else part


_DROPPED = {"title", "default", "examples"}


def settings_file() -> str:
    """The text of files/settings.yaml."""
    known = {
        "defaults": Settings().model_dump(mode="json"),
        "paths": [setting.name for setting in settings_of(Settings) if is_path(setting)],
    }
    return _GENERATED + yaml.safe_dump(known, sort_keys=False)


def topics_file() -> str:
    """The text of files/topics.yaml."""
    settings = Settings.model_validate({"topics": {"prefix": "", "partitions": 7}})
    topics: list[dict[str, Any]] = []
    for spec in wanted_topics(settings, {}):
        retry = spec.name.startswith(settings.topics.retry_prefix)
        name = settings.topics.retry_prefix if retry else spec.name
        one = {"name": name, "single": spec.partitions == 1, "config": dict(sorted(spec.config.items()))}
        if one not in topics:
            topics.append(one)
    return _GENERATED + yaml.safe_dump({"topics": topics}, sort_keys=False)


_GENERATED = "# Made from the code; not to be changed by hand.\n"


def readme() -> str:
    """The text of the chart's README."""
    return README_HEAD + "".join(f"{row}\n" for row in _rows())


def _rows() -> Iterator[str]:
    for value in documented_values():
        default = json.dumps(value.default, ensure_ascii=False)
        kind = {bool: "bool", int: "int", float: "float", str: "string", list: "list", dict: "object"}
        meaning = value.meaning.replace("|", "\\|")
        yield f"| {value.name} | {kind[type(value.default)]} | `{default}` | {meaning} |"


WRITTEN = {
    "values.schema.json": values_schema,
    "README.md": readme,
    "files/settings.yaml": settings_file,
    "files/topics.yaml": topics_file,
    "files/dashboard.json": dashboard,
}
"""File of the chart → what makes its text."""


if __name__ == "__main__":
    for name, text in WRITTEN.items():
        (CHART / name).write_text(text(), encoding="utf-8")
