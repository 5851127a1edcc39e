"""Lists on the command line: commas, or the flag several times, or both."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from wakeline.model.errors import ConfigError

Words = Annotated[list[str] | None, Parameter(consume_multiple=True)]
"""`--scope crm,pull`, `--scope crm --scope pull` and `--scope crm pull` are the same."""


def words(given: list[str] | None) -> tuple[str, ...]:
    """Return the words of a list."""
    return tuple(word for text in given or () for word in text.replace(",", " ").split())


def numbers(given: list[str] | None, flag: str) -> tuple[int, ...]:
    """Return the numbers of a list. Raises ConfigError (a usage error)."""
    try:
        return tuple(int(word) for word in words(given))
    except ValueError:
        raise ConfigError(f"{flag} takes numbers of users.", fix=f"Such as {flag} 1,7.") from None
