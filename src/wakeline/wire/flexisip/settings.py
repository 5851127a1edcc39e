"""A flexisip.conf: its settings one by one, and what becomes of each here.

    taken     there is a setting of ours that means the same; its key and value are told
    changed   it is done here too, in another way, or by another part; the words say how
    obsolete  nothing is left of it to set
    unused    it concerns a part of Flexisip that has no counterpart

The table is `rules`; this module reads the file and puts the answers together. Keys and passwords are shown in none of these lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum

import msgspec

Value = str | int | bool | tuple[str, ...]
"""What a setting of ours may be."""

_SECTION = re.compile(r"\[\s*([^\]]+?)\s*\]")
_PAIR = re.compile(r"([\w./-]+)\s*=\s*(.*)", re.DOTALL)


class Becomes(StrEnum):
    """What a setting becomes."""

    TAKEN = "taken"
    CHANGED = "changed"
    OBSOLETE = "obsolete"
    UNUSED = "unused"


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the file: `module::Router`, `fork-late`, `true`, and its number from 1."""

    section: str
    name: str
    value: str
    line: int


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a setting. `sets` are dotted keys of ours with their values; `secret`: its value is not to be shown."""

    becomes: Becomes
    why: str
    sets: tuple[tuple[str, Value], ...] = ()
    secret: bool = False


class Translated(msgspec.Struct, frozen=True, kw_only=True):
    """A setting with its verdict."""

    setting: Setting
    verdict: Verdict

    @property
    def shown(self) -> str:
        """Return the value as it may be shown."""
        return "***" if self.verdict.secret and self.setting.value else self.setting.value


def read(text: str) -> list[Setting]:
    """Return the settings of a file in their order. A line that ends in a backslash goes on in the next; others are left out."""
    found: list[Setting] = []
    section, number = "", 0
    lines = text.removeprefix("\ufeff").splitlines()
    while number < len(lines):
        first = number + 1
        line = lines[number].strip()
        while line.endswith("\\") and not line.startswith("#") and first <= number + 1 < len(lines):
            number += 1
            line = f"{line[:-1].rstrip()} {lines[number].strip()}"
        number += 1
        if match := _SECTION.fullmatch(line):
            section = match[1]
        elif not line.startswith("#") and (match := _PAIR.fullmatch(line)):
            found.append(Setting(section=section, name=match[1], value=match[2].strip(), line=first))
    return found


def last_of(settings: Iterable[Setting]) -> dict[tuple[str, str], Setting]:
    """Return the settings by section and name: of one given twice the last counts, as in Flexisip."""
    return {(setting.section, setting.name): setting for setting in settings}


def merged(translated: Iterable[Translated]) -> Mapping[str, Value]:
    """Return all that is to be set; lists from several settings are joined."""
    found: dict[str, Value] = {}
    for one in translated:
        for key, value in one.verdict.sets:
            known = found.get(key)
            if isinstance(known, tuple) and isinstance(value, tuple):
                found[key] = tuple(dict.fromkeys((*known, *value)))
            else:
                found[key] = value
    return found
