"""How a noun of the command line is made."""

from __future__ import annotations

from cyclopts import App, Parameter

NO_NEGATIVE = Parameter(negative="")
"""A switch is off unless it is given; `--no-...` exists only where there are three states."""


def noun(name: str, words: str) -> App:
    """Return an empty noun, to be filled with verbs."""
    return App(name=name, help=words, default_parameter=NO_NEGATIVE)
