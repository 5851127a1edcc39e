"""What the tree looks like to people: the commented example, the reference page and the effective settings, secrets masked.

Everything here is drawn from the tree; the committed files are compared with it in the tests.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import msgspec

from wakeline.config.changes import takes_effect
from wakeline.config.flat import values
from wakeline.config.keys import Key, Section, sections
from wakeline.config.loading import Loaded

_WIDTH = 118
_STARS = "***"

SECRET = frozenset({"secrets.master_key"})
"""Keys whose values are never shown."""

_EXAMPLE_HEAD = """\
# Wakeline settings. Every key is here with its default; what you do not write keeps it.
#
# Each key is also an environment variable, which wins over this file: [server] listen is WAKELINE_SERVER__LISTEN,
# [providers.apns] ca_file is WAKELINE_PROVIDERS__APNS__CA_FILE; lists are JSON or values between commas.
# {data_dir} stands for [server] data_dir. Unknown keys are errors. `wakeline config check` reads this file and says what
# is wrong with it, `wakeline config show` prints what is in force and where each value came from.
# `kill -HUP` reads it again: keys marked (restart) take effect at the next start, all others at once.
"""


class Effective(msgspec.Struct, frozen=True, kw_only=True):
    """One setting in force: dotted key, value (secrets masked), origin."""

    key: str
    value: Any
    origin: str


def example() -> str:
    """Return the commented `wakeline.toml.example`: every key, commented out, with its default."""
    return "\n".join([_EXAMPLE_HEAD, *(_example_section(section) for section in sections())])


def _example_section(section: Section) -> str:
    lines = [*_comment(section.words), f"[{section.path}]"]
    for key in section.keys:
        lines += ["", *_comment(f"{key.words}{'' if takes_effect(key.path) else ' (restart)'}")]
        lines.append(f"#{key.name} = {toml(key.default)}")
    return "\n".join(lines) + "\n"


def _comment(text: str) -> list[str]:
    return textwrap.wrap(" ".join(text.split()), _WIDTH, initial_indent="# ", subsequent_indent="# ")


def toml(value: Any) -> str:
    """Return a default as TOML spells it (strings, numbers, booleans and lists of strings)."""
    match value:
        case bool():
            return "true" if value else "false"
        case tuple():
            return f"[{', '.join(toml(item) for item in value)}]"
        case _:
            return json.dumps(value, ensure_ascii=False)


def page() -> str:
    """Return docs/reference/configuration.md."""
    return "\n".join([_PAGE_HEAD, *(_page_section(section) for section in sections())])


_PAGE_HEAD = """\
# Configuration

Settings come from `wakeline.toml` (`--config FILE`; without it `./wakeline.toml` if present), then from the environment;
the last one wins. Unknown keys and values of a wrong type are errors that name the key. Lists in the environment are
JSON or values between commas. `{data_dir}` in a value stands for `[server] data_dir`.

`wakeline config check` says what is wrong, `wakeline config show` what is in force and where it came from,
`wakeline config example` prints the commented file. SIGHUP reads everything again: a wrong file changes nothing; keys
whose column *reload* says "restart" keep their value until the next start, and the log names them.
"""


def _page_section(section: Section) -> str:
    rows = "\n".join(_row(key) for key in section.keys)
    head = "| key | default | environment | reload | meaning |\n|---|---|---|---|---|"
    return f"## [{section.path}]\n\n{section.words}\n\n{head}\n{rows}\n"


def _row(key: Key) -> str:
    reload = "at once" if takes_effect(key.path) else "restart"
    words = key.words.replace("|", "\\|")
    return f"| `{key.name}` | `{toml(key.default)}` | `{key.variable}` | {reload} | {words} |"


def effective(loaded: Loaded) -> Iterator[Effective]:
    """Yield every setting in force, in the order of the tree."""
    for path, value in values(loaded.settings).items():
        shown = _STARS if path in SECRET and value else masked(value)
        yield Effective(key=path, value=shown, origin=loaded.origins[path])


def masked(value: Any) -> Any:
    """Return the value with a password inside a URL replaced by stars."""
    if not isinstance(value, str) or "://" not in value:
        return value
    password = urlsplit(value).password
    return value.replace(f":{password}@", ":***@") if password else value
