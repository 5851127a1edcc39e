"""Reading settings: file, then environment; every mistake is collected and told at once, each with its key.

Rule: a key we do not know is an error and names its nearest neighbour; a wrong value names its key and where it was written.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from wakeline.config import rules
from wakeline.config.flat import of_values
from wakeline.config.keys import PREFIX, Key, keys, sections
from wakeline.config.tree import Settings
from wakeline.model.errors import ConfigError

DEFAULT_FILE = "wakeline.toml"


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """Settings and where each value came from: dotted key -> "default", "file ..." or "environment ..."."""

    settings: Settings
    origins: dict[str, str]
    file: Path | None


class _Given(msgspec.Struct, frozen=True):
    """A raw value and its origin; `text` marks one from the environment, which is converted leniently."""

    value: Any
    origin: str
    text: bool = False


def find_file(explicit: Path | None, directory: Path) -> Path | None:
    """Return the file to read: the one named, else `wakeline.toml` in `directory` if it is there."""
    if explicit is not None:
        return explicit
    default = directory / DEFAULT_FILE
    return default if default.exists() else None


def load(file: Path | None, environment: Mapping[str, str]) -> Loaded:
    """Read settings from `file` (None: no file) and `environment`. Raises ConfigError naming every mistake."""
    problems: list[str] = []
    given: dict[str, _Given] = {}
    if file is not None:
        given.update(_from_file(file, problems))
    given.update(_from_environment(environment, problems))
    values = {path: _convert(keys()[path], raw, problems) for path, raw in given.items()}
    if problems:
        raise _error(problems)
    settings = _build(values)
    if problems := [f"{path}: {text} ({_origin(given, path)})" for path, text in rules.problems(settings)]:
        raise _error(problems)
    return Loaded(settings=settings, origins={path: _origin(given, path) for path in keys()}, file=file)


def _error(problems: list[str]) -> ConfigError:
    return ConfigError(
        "\n".join(problems), fix="`wakeline config example` prints every setting with its meaning and default."
    )


def _origin(given: Mapping[str, _Given], path: str) -> str:
    return given[path].origin if path in given else "default"


def _from_file(file: Path, problems: list[str]) -> dict[str, _Given]:
    try:
        table = tomllib.loads(file.read_text())
    except FileNotFoundError:
        raise ConfigError(
            f"There is no settings file {file}", fix="`wakeline config example` prints one to start from."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The settings file {file} cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"The settings file {file} is not TOML: {error}") from None
    found: dict[str, _Given] = {}
    for path, value in _leaves(table, ""):
        if path in keys():
            found[path] = _Given(value, f"file {file}")
        else:
            problems.append(_unknown(path, f"file {file}"))
    return found


def _leaves(table: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    """Walk a TOML table; a table that is no section of ours counts as one unknown key."""
    for name, value in table.items():
        inner = f"{path}.{name}" if path else name
        if isinstance(value, dict) and _is_section(inner):
            yield from _leaves(value, inner)
        else:
            yield inner, value


def _is_section(path: str) -> bool:
    return any(section.path == path or section.path.startswith(f"{path}.") for section in sections())


def _unknown(path: str, origin: str) -> str:
    if _is_section(path):
        return f"{path}: is a section and takes keys ({origin})"
    names = [*keys(), *(section.path for section in sections())]
    near = difflib.get_close_matches(path, names, n=1, cutoff=0.5)
    last = path.rpartition(".")[2]
    same = [name for name in names if name.rpartition(".")[2] == last]
    nearest = (same if len(same) == 1 else near)[:1]
    hint = f"; did you mean {nearest[0]}?" if nearest else ""
    return f"{path}: there is no such setting{hint} ({origin})"


def _from_environment(environment: Mapping[str, str], problems: list[str]) -> dict[str, _Given]:
    by_variable = {key.variable: key for key in keys().values()}
    by_letters = {variable.replace("_", ""): variable for variable in by_variable}
    found: dict[str, _Given] = {}
    for name, value in environment.items():
        if not name.startswith(PREFIX):
            continue
        if name in by_variable:
            found[by_variable[name].path] = _Given(value, f"environment {name}", text=True)
        elif name.replace("_", "") in by_letters:
            meant = by_letters[name.replace("_", "")]
            problems.append(f"{name}: there is no such variable; did you mean {meant}? (environment)")
        elif "__" in name:  # others are not ours: Kubernetes writes WAKELINE_PORT for a service of that name
            problems.append(_unknown(name.removeprefix(PREFIX).lower().replace("__", "."), f"environment {name}"))
    return found


def _convert(key: Key, given: _Given, problems: list[str]) -> Any:
    try:
        value = _listed(given.value) if given.text and key.is_list else given.value
        return msgspec.convert(value, key.type, strict=not given.text)
    except (msgspec.ValidationError, json.JSONDecodeError) as error:
        problems.append(f"{key.path}: {str(error).partition(' - at ')[0]}; it is: {key.words} ({given.origin})")
        return None


def _listed(text: str) -> Any:
    """Read a list from the environment: a JSON array, or values between commas."""
    if text.lstrip().startswith("["):
        return json.loads(text)
    return [part.strip() for part in text.split(",") if part.strip()]


def _build(values: Mapping[str, Any]) -> Settings:
    given = {path: values.get(path, key.default) for path, key in keys().items()}
    data_dir = given["server.data_dir"]
    return of_values({path: _substitute(value, data_dir) for path, value in given.items()})


def _substitute(value: Any, data_dir: str) -> Any:
    """Put the data directory in place of `{data_dir}` in a text."""
    return value.replace("{data_dir}", data_dir) if isinstance(value, str) else value
