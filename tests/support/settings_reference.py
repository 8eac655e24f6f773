"""config/tocsin.yaml and docs/settings.md, written from the settings model.

The model's descriptions and defaults are the one source; a test compares both files with it. After a change:

    python -m tests.support.settings_reference
"""

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from processor.settings import Settings
from processor.settings_sources import Setting, settings_of

ROOT = Path(__file__).parents[2]
CONFIG_FILE = ROOT / "config" / "tocsin.yaml"
DOCS_FILE = ROOT / "docs" / "settings.md"

_CONFIG_HEAD = """\
# Tocsin's settings, each with its default: this file changes nothing until you change it.
# Give it with --config FILE or TOCSIN_CONFIG; without either, no file is read. Names that are not here are
# errors. Over it go environment variables TOCSIN_<GROUP>__<NAME> (JSON for lists and maps); with _FILE behind
# the name, the value is read from that file. A duration is a whole number and one of ms, s, m, h, d.
# `tocsin config check` says whether a file is right, `tocsin config show` what it comes to.
# docs/settings.md has all of this as a table.
"""

_DOCS_HEAD = """\
# Settings

Read from the YAML file given by `--config FILE` or `TOCSIN_CONFIG` (neither: no file), then from environment
variables, which win. [config/tocsin.yaml](../config/tocsin.yaml) has every setting with its default.
`tocsin config check` says whether all is right, `tocsin config show` prints what is in force, secrets hidden.

- A setting that does not exist, in the file or as a variable of the form `TOCSIN_<GROUP>__<NAME>`, is an
  error; other `TOCSIN_` names, and those that start `TOCSIN_SECRET_` (rules refer to them), are left alone.
- Lists and maps are JSON in a variable: `TOCSIN_MATCHER__EVENT_TOPICS='["orders", "deploys"]'`. An empty
  variable is "none" where a setting may be none.
- Any variable with `_FILE` behind its name names a file to read the value from (one newline at its end is
  dropped): for secrets, `TOCSIN_KAFKA__SASL_PASSWORD_FILE=/run/secrets/kafka`.
- A duration is a whole number and one of `ms`, `s`, `m`, `h`, `d`.
- `--log-format` and `--log-level` go over both.

| setting | variable | default | meaning |
|---|---|---|---|
"""


def config_file() -> str:
    """The text of config/tocsin.yaml."""
    defaults = Settings().model_dump(mode="json")
    return _CONFIG_HEAD + "\n".join(_group(Settings, defaults, 0))


def docs_file() -> str:
    """The text of docs/settings.md."""
    return _DOCS_HEAD + "".join(f"{row}\n" for row in map(_row, settings_of(Settings)))


def _row(setting: Setting) -> str:
    value: Any = Settings().model_dump(mode="json")
    for name in setting.path:
        value = value[name]
    default = "none" if value is None else f"`{value if isinstance(value, str) else json.dumps(value)}`"
    return f"| {setting.name} | `{setting.variable}` | {default} | {setting.field.description} |"


def _group(model: type[BaseModel], values: dict[str, Any], depth: int) -> Iterator[str]:
    indent = "  " * depth
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield ""
            yield from _comment(kind.__doc__ or "", indent)
            yield f"{indent}{name}:"
            yield from _group(kind, values[name], depth + 1)
        else:
            yield from _comment(field.description or "", indent)
            yield f"{indent}{name}: {json.dumps(values[name])}"
    if depth == 0:
        yield ""


def _comment(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, 100, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")


if __name__ == "__main__":
    CONFIG_FILE.write_text(config_file(), encoding="utf-8")
    DOCS_FILE.write_text(docs_file(), encoding="utf-8")
