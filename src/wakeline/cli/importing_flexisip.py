"""`wakeline import flexisip`: a flexisip.conf as settings of ours, with a word on each of its lines."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter
from rich.console import Group, RenderableType
from rich.text import Text

from wakeline.cli import private_file
from wakeline.cli.choosing import AppOption
from wakeline.cli.context import Ctx
from wakeline.cli.printing import table
from wakeline.config import rules
from wakeline.config.flat import of_values
from wakeline.config.reference import toml
from wakeline.model.errors import NotFound
from wakeline.wire.flexisip.rules import translate
from wakeline.wire.flexisip.settings import Becomes, Translated, Value, merged

_HEAD = "# From {file}, by `wakeline import flexisip`. Every key: `wakeline config example`.\n"


class ImportedSetting(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the file: taken, changed, obsolete or unused, why, and the keys of ours that it sets."""

    line: int
    section: str
    name: str
    value: str
    becomes: Becomes
    keys: tuple[str, ...]
    why: str


class ImportedFlexisip(msgspec.Struct, frozen=True, kw_only=True):
    """What `import flexisip` prints: `toml` is the settings file that says the same; `written` where it was put."""

    file: str
    settings: tuple[ImportedSetting, ...]
    toml: str
    written: str


async def flexisip(
    file: Annotated[Path, Parameter(allow_leading_hyphen=False)],
    /,
    *,
    app: AppOption = None,
    output: Path | None = None,
    unused: bool = False,
    context: Ctx,
) -> None:
    """Say of every setting of a flexisip.conf what becomes of it, and print or write the settings file that says the same.

    Nothing else is changed. Certificates of Apple need no step of their own: the directory that Flexisip reads them from is
    watched once the settings are in force.

    Parameters
    ----------
    file
        Usually /etc/flexisip/flexisip.conf.
    app
        The app that Firebase projects of the file belong to; APP stands in its place if it is not given.
    output
        Where to write the settings; a file that is there is never changed. Passwords of the file are in it.
    unused
        Show settings of parts that have no counterpart here, too.
    """
    translated = translate(_text(file), app or "APP")
    values = merged(translated)
    written = _written(file, values)
    for problem in _wrong(values):
        context.printer.remark(f"To be set right by hand: {problem}")
    if output is not None:
        private_file.write(output, written.encode())
    shown = [one for one in translated if unused or one.verdict.becomes is not Becomes.UNUSED]
    imported = ImportedFlexisip(
        file=str(file),
        settings=tuple(map(_view, shown)),
        toml=written,
        written=str(output) if output else "",
    )
    context.printer.result(imported, lambda: _drawn(imported, len(translated) - len(shown)))


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8", "replace")
    except OSError as error:
        raise NotFound(f"The file {file} cannot be read: {error.strerror}.") from None


def _written(file: Path, values: Mapping[str, Value]) -> str:
    """Return settings as TOML, table by table."""
    pairs: list[tuple[str, str, Value]] = sorted(
        (*key.rsplit(".", 1), value)  # type: ignore[misc]  # a dotted key has two parts
        for key, value in values.items()
    )
    parts = [_HEAD.format(file=file.name)]
    for section, keys in itertools.groupby(pairs, key=lambda pair: pair[0]):
        parts.append("\n".join([f"[{section}]", *(f"{name} = {toml(value)}" for _, name, value in keys)]) + "\n")
    return "\n".join(parts)


def _wrong(values: Mapping[str, Value]) -> list[str]:
    """Return what is wrong with settings that were made: what the file says may not go together here."""
    try:
        settings = of_values(values)
    except msgspec.ValidationError as error:
        return [str(error)]
    return [f"{key}: {what}" for key, what in rules.problems(settings)]


def _view(one: Translated) -> ImportedSetting:
    return ImportedSetting(
        line=one.setting.line,
        section=one.setting.section,
        name=one.setting.name,
        value=one.shown,
        becomes=one.verdict.becomes,
        keys=tuple(key for key, _ in one.verdict.sets),
        why=one.verdict.why,
    )


def _drawn(imported: ImportedFlexisip, left_out: int) -> RenderableType:
    columns = ("line", "setting", "value", "becomes", "here", "why")
    rows = [
        (
            one.line,
            f"{one.section.removeprefix('module::')}/{one.name}",
            one.value,
            one.becomes,
            "\n".join(one.keys),
            one.why,
        )
        for one in imported.settings
    ]
    parts: list[RenderableType] = [table(columns, rows, title=imported.file)]
    if left_out:
        parts.append(Text(f"{left_out} settings of parts that have no counterpart are left out: --unused shows them."))
    parts.append(Text(f"Written to {imported.written}." if imported.written else f"\n{imported.toml}"))
    return Group(*parts)
