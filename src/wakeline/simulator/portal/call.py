"""One call of a REST method, whoever makes it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from wakeline.simulator.portal.courier import Courier
from wakeline.simulator.portal.memory import Memory
from wakeline.simulator.portal.php import Tree, number, text, tree


class Caller(msgspec.Struct, frozen=True):
    """Who calls: a user through an application, or through an incoming webhook, which has no client_id."""

    user: int
    scope: tuple[str, ...]
    client_id: str = ""


class Call(msgspec.Struct, frozen=True):
    """The method's parameters by their names in lower case, and what it works on."""

    memory: Memory
    courier: Courier
    caller: Caller
    params: Tree
    now: float
    lifetime_s: int

    def text(self, name: str) -> str:
        """A scalar parameter; empty if it is not there."""
        return text(self.params.get(name))

    def number(self, name: str) -> int:
        """A whole number; 0 if it is not there."""
        return number(self.params.get(name))

    def tree(self, name: str) -> Tree:
        """A map of parameters; empty if it is not there."""
        return tree(self.params.get(name))


class Found(msgspec.Struct, frozen=True):
    """What a method answers; lists say how many there are and where the next page begins."""

    value: object
    total: int | None = None
    next: int | None = None


class Method(msgspec.Struct, frozen=True):
    """One method of the table."""

    name: str
    answer: Callable[[Call], Found]
    scope: str = ""
    """The scope that it needs; empty is none."""
    application_only: bool = False
    """Webhooks are refused with WRONG_AUTH_TYPE."""
