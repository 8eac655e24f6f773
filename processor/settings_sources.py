"""Where settings come from: a YAML file, environment variables over it, and files that variables point to.

Knows no setting by name: it walks a model whose fields are groups (models) or settings (anything else).

- The file is nested as the model is; an unknown name is an error, a group without content counts as left out.
- `TOCSIN_<GROUP>__<NAME>[__<SUB>]` sets one setting: JSON for lists and maps, the bare text for all others;
  empty is "none" where a setting may be none. `<variable>_FILE` names a file to read it from, of which one
  newline at the end is dropped.
- A TOCSIN_ name without a double underscore is no setting and is left alone, and so is TOCSIN_SECRET_…, which
  rules refer to.

Every error is a `SettingsError` of one line: the setting, where it was set, what it should be. Messages quote
neither the text of a file nor what a variable of a list or map holds: either may be a secret.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import NoneType
from typing import Any, Generic, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError

PREFIX = "TOCSIN_"
CONFIG_VARIABLE = "TOCSIN_CONFIG"

_SECRET_PREFIX = "TOCSIN_SECRET_"  # noqa: S105  (the prefix of names, not a secret)
_FILE_SUFFIX = "_FILE"
_CUSTOM = "tocsin_setting"

SettingPath = tuple[str, ...]
Model = TypeVar("Model", bound=BaseModel)


class SettingsError(Exception):
    """A setting that can't be used; the text is one line for the person who set it."""


class Group(BaseModel):
    """The base of every group of settings: fixed once read, and strict about names."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a model: its path, such as ("sender", "egress", "allow_ports"), and its field."""

    path: SettingPath
    field: FieldInfo

    @property
    def name(self) -> str:
        """As people write it: `sender.egress.allow_ports`."""
        return ".".join(self.path)

    @property
    def variable(self) -> str:
        """The environment variable: `TOCSIN_SENDER__EGRESS__ALLOW_PORTS`."""
        return PREFIX + "__".join(self.path).upper()

    @property
    def is_json(self) -> bool:
        """Whether the variable holds JSON: a list or a map."""
        return get_origin(self.field.annotation) in (tuple, dict)

    @property
    def may_be_none(self) -> bool:
        return NoneType in get_args(self.field.annotation)


def settings_of(model: type[BaseModel], path: SettingPath = ()) -> Iterator[Setting]:
    """Every setting of `model` in its order, groups walked through."""
    for name, field in model.model_fields.items():
        if (group := _as_group(field)) is not None:
            yield from settings_of(group, (*path, name))
        else:
            yield Setting((*path, name), field)


def _as_group(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def wrong(setting: str, message: str) -> PydanticCustomError:
    """The error of a check over several settings: raised in a model's validator, reported at `setting`."""
    return PydanticCustomError(_CUSTOM, "{message}", {"setting": setting, "message": message})


def load_model(model: type[Model], path: Path | None, environ: Mapping[str, str]) -> Model:
    """`model` from the file at `path` (else at TOCSIN_CONFIG), `environ` over it; raises SettingsError."""
    return _Loading(model).load(path, environ)


class _Loading(Generic[Model]):
    """What is known while one model is read: the values so far, and where each came from."""

    def __init__(self, model: type[Model]) -> None:
        self._model = model
        self._settings = {setting.path: setting for setting in settings_of(model)}
        self._groups = {path[:length] for path in self._settings for length in range(len(path))}
        self._values: dict[SettingPath, object] = {}
        self._places: dict[SettingPath, str] = {}

    def load(self, path: Path | None, environ: Mapping[str, str]) -> Model:
        origin = "--config"
        if path is None and environ.get(CONFIG_VARIABLE):
            path, origin = Path(environ[CONFIG_VARIABLE]), CONFIG_VARIABLE
        if path is not None:
            self._take_tree(_read_yaml(path, origin), (), str(path))
        self._take_environment(environ)
        tree: dict[str, Any] = {}
        for setting_path, value in self._values.items():
            branch = tree
            for name in setting_path[:-1]:
                branch = branch.setdefault(name, {})
            branch[setting_path[-1]] = value
        try:
            return self._model.model_validate(tree)
        except ValidationError as error:
            raise self._explain(error.errors(include_url=False)) from None

    def _take_tree(self, tree: Mapping[object, object], above: SettingPath, file: str) -> None:
        for key, value in tree.items():
            path = (*above, str(key))
            name = ".".join(path)
            if path in self._settings:
                self._values[path] = value
                self._places[path] = file
            elif path not in self._groups:
                known = [".".join(p) for p in (*self._settings, *self._groups) if p]
                raise SettingsError(f"{name} ({file}): unknown setting{_did_you_mean(name, known)}")
            elif isinstance(value, Mapping):
                self._take_tree(value, path, file)
            elif value is not None:
                raise SettingsError(f"{name} ({file}): must be a map of settings")

    def _take_environment(self, environ: Mapping[str, str]) -> None:
        variables = {setting.variable: setting for setting in self._settings.values()}
        for variable in sorted(environ):
            if not variable.startswith(PREFIX) or variable.startswith(_SECRET_PREFIX):
                continue
            if "__" not in variable[len(PREFIX) :]:
                continue
            setting = variables.get(variable)
            text = environ[variable]
            if setting is None and variable.endswith(_FILE_SUFFIX):
                bare = variable.removesuffix(_FILE_SUFFIX)
                setting = variables.get(bare)
                if setting is not None:
                    if bare in environ:
                        raise SettingsError(
                            f"{setting.name} ({variable}): {bare} is set as well; set one of them"
                        )
                    text = _read_value(setting, variable, text)
            if setting is None:
                raise SettingsError(f"{variable}: unknown setting{self._meant_variable(variable, variables)}")
            self._values[setting.path] = _from_text(setting, variable, text)
            self._places[setting.path] = variable

    def _meant_variable(self, variable: str, variables: Mapping[str, Setting]) -> str:
        parts = [name for name in variables if name.startswith(f"{variable}__")]
        if parts:
            return f"; it is a group, set {', '.join(parts)}"
        return _did_you_mean(variable, list(variables))

    def _explain(self, errors: list[ErrorDetails]) -> SettingsError:
        lines = list(dict.fromkeys(self._line(error) for error in errors))
        more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
        return SettingsError(f"{lines[0]}{more}")

    def _line(self, error: ErrorDetails) -> str:
        if error["type"] == _CUSTOM:
            path: SettingPath = tuple(error["ctx"]["setting"].split("."))
        else:
            # Below a setting the location names items of a list or members of a union; only the items mean
            # something.
            path = tuple(str(part) for part in error["loc"])
            while path and path not in self._settings:
                path = path[:-1]
        items = [part for part in error["loc"][len(path) :] if isinstance(part, int)]
        name = ".".join(path) + "".join(f"[{item}]" for item in items[:1])
        place = self._places.get(path)
        if place is None:
            variable = self._settings[path].variable
            return f"{name} (not set): {_message(error)}; set it in the file or as {variable}"
        return f"{name} ({place}): {_message(error)}"


_MESSAGES = {
    "string_type": "must be text (in the file: in quotes)",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number (got {input!r})",
    "int_from_float": "must be a whole number (got {input!r})",
    "greater_than_equal": "must be {ge} or more (got {input!r})",
    "less_than_equal": "must be {le} or less (got {input!r})",
    "literal_error": "must be {expected} (got {input!r})",
    "tuple_type": "must be a list",
    "too_short": "must not be empty",
    "path_type": "must be a path",
}


def _message(error: ErrorDetails) -> str:
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    template = _MESSAGES.get(error["type"])
    return template.format(input=error["input"], **error.get("ctx", {})) if template else error["msg"]


def _did_you_mean(name: str, known: list[str]) -> str:
    close = get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else "; docs/settings.md lists them all"


def _read_value(setting: Setting, variable: str, file: str) -> str:
    try:
        text = Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{setting.name} ({variable}): can't read {file}: {error.strerror}") from None
    except ValueError:
        raise SettingsError(f"{setting.name} ({variable}): {file} is not UTF-8 text") from None
    # Text mode has turned \r\n into \n. One newline only: more of them would be part of the value.
    return text.removesuffix("\n")


def _from_text(setting: Setting, variable: str, text: str) -> object:
    if setting.is_json:
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            example = '["…", "…"]' if get_origin(setting.field.annotation) is tuple else '{"…": "…"}'
            raise SettingsError(f"{setting.name} ({variable}): must be JSON, such as {example}") from None
    return None if not text and setting.may_be_none else text


class _UniqueKeys(yaml.SafeLoader):
    """YAML without a key that is there twice: the first of the two would silently have no effect."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise _TwiceError(key.value, key.start_mark.line + 1)
                seen.add(key.value)
        return super().construct_mapping(node, deep)


class _TwiceError(Exception):
    def __init__(self, key: str, line: int) -> None:
        super().__init__(f"{key} is there twice, the second time in line {line}")


def _read_yaml(path: Path, origin: str) -> Mapping[object, object]:
    try:
        with path.open(encoding="utf-8") as file:
            tree = yaml.load(file, Loader=_UniqueKeys)  # noqa: S506  (a SafeLoader)
    except OSError as error:
        raise SettingsError(f"{origin}: can't read {path}: {error.strerror}") from None
    except _TwiceError as error:
        raise SettingsError(f"{path}: {error}; keep one") from None
    except yaml.MarkedYAMLError as error:
        where = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        # Other kinds of problem quote what stands in the file, which may be a password that begins with * or
        # !.
        told = isinstance(error, yaml.scanner.ScannerError | yaml.parser.ParserError) and error.problem
        raise SettingsError(
            f"{path}: not YAML{where}{f': {told}' if told else '; put the value in quotes'}"
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise SettingsError(f"{path}: not YAML in UTF-8") from None
    if tree is None:
        return {}
    if not isinstance(tree, Mapping):
        raise SettingsError(f"{path}: must be a map of settings, as config/tocsin.yaml is")
    return tree
