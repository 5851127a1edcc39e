"""Rules of connected Bitrix24 portals that every adapter follows: what may not be twice, what stays when something is changed."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from wakeline.model.bitrix24.installation import BY_MEMBER_ID, ApplicationAccess, Installation, Tokens
from wakeline.model.bitrix24.outbox import PortalWrite, WriteState
from wakeline.model.errors import Conflict, NotFound

OPEN = (WriteState.WAITING, WriteState.SENT)
"""States of a write that the portal has not answered yet."""

_NOBODYS = ("", BY_MEMBER_ID)
"""Prefixes that tell no user of a portal from others."""

OVER = (WriteState.DONE, WriteState.REFUSED, WriteState.DROPPED)
"""States of a write that nobody has to care for any more."""


def tokens_of(installation: Installation) -> Tokens | None:
    """Return its tokens: a webhook has none, and neither has what was not installed yet."""
    access = installation.access
    return access.tokens if isinstance(access, ApplicationAccess) else None


def refresh_of(installation: Installation) -> str:
    """Return the refresh token in force; empty: none is."""
    tokens = tokens_of(installation)
    return "" if tokens is None else tokens.refresh


def with_tokens(installation: Installation, tokens: Tokens | None) -> Installation:
    """Return it with these tokens; only an application has any."""
    access = installation.access
    if not isinstance(access, ApplicationAccess):
        return installation
    return msgspec.structs.replace(installation, access=msgspec.structs.replace(access, tokens=tokens))


def changed(present: Installation, wanted: Installation, of: Installation | None = None) -> Installation:
    """Return what a change makes: tokens and `reached` have ways of their own, and whoever changes a title has old ones.

    `of`: what the change was made of; what it has in common with that stays as it is.
    """
    if of is not None:
        before, after = msgspec.structs.asdict(of), msgspec.structs.asdict(wanted)
        wanted = msgspec.structs.replace(
            present, **{name: value for name, value in after.items() if value != before[name]}
        )
    return msgspec.structs.replace(with_tokens(wanted, tokens_of(present)), reached=present.reached)


def check_installation(installation: Installation, others: Iterable[Installation]) -> None:
    """Raise Conflict if one of the others has its name, or is the mirror that this one wants to be."""
    for other in others:
        if other.id == installation.id:
            continue
        if other.name == installation.name:
            raise name_exists(installation.name)
        if other.mirror and installation.mirror:
            raise mirror_exists(other.id)


def longest_prefix(user: str, installations: Iterable[Installation]) -> Installation | None:
    """Return the installation with the longest prefix of a user's name; of several with the same the oldest."""
    fitting = (each for each in installations if each.prefix not in _NOBODYS and user.startswith(each.prefix))
    return max(fitting, key=lambda each: (len(each.prefix), -each.id), default=None)


def replaced(present: PortalWrite | None, write: PortalWrite) -> PortalWrite | None:
    """Return what takes the place of a write with the same key, or None: that one stays."""
    if present is None or present.state is not WriteState.WAITING:
        return None
    return msgspec.structs.replace(write, id=present.id)


def no_installation(number: int) -> NotFound:
    """Say that an installation does not exist."""
    return NotFound(f"There is no installation {number}")


def name_exists(name: str) -> Conflict:
    """Say that an installation has another's name."""
    return Conflict(f"An installation named {name!r} exists already", pointer="/name")


def mirror_exists(number: int) -> Conflict:
    """Say that there is a mirror already."""
    return Conflict(f"Installation {number} is the mirror already, and there is one at most", pointer="/mirror")


def no_rule(number: int) -> NotFound:
    """Say that a rule does not exist."""
    return NotFound(f"There is no rule {number}")


def rule_exists(name: str) -> Conflict:
    """Say that a rule has another's name."""
    return Conflict(f"A rule named {name!r} exists already", pointer="/name")
