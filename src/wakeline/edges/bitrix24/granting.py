"""Pairs of tokens: an access token for an hour, a refresh token for months. Only digests are kept; the texts are in the answer.

Whoever gives tokens makes them here: the token endpoint, the administrator's `token create`, and events that carry one.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from wakeline.config import Settings
from wakeline.edges.bitrix24.secrets import digest, new_token
from wakeline.model.bitrix24.access import Grant, PortalApplication, PortalUser

_SECOND = 1000
_KNOWN = 86_400 * _SECOND


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Two tokens as their owner gets them, and the grant as it is kept."""

    access: str
    refresh: str
    grant: Grant

    def __repr__(self) -> str:
        """Leave the tokens out: a repr ends in logs and tracebacks."""
        return f"Pair(grant={self.grant.id})"


def new_pair(application: int, user: int, scopes: Sequence[str], settings: Settings, now: int) -> Pair:
    """Return a first pair for what a user grants an application; its grant is not kept yet. `now` in Unix ms."""
    empty = Grant(
        id=0,
        application=application,
        user=user,
        scopes=tuple(scopes),
        access=b"",
        access_expires=0,
        refresh=b"",
        refresh_expires=0,
        created=now,
    )
    return _renewed(empty, settings, now)


def next_pair(grant: Grant, scopes: Sequence[str], settings: Settings, now: int) -> Pair:
    """Return the pair that follows a grant's: its refresh token is taken for some seconds yet."""
    until = now + settings.bitrix24.refresh_token_grace * _SECOND
    former = msgspec.structs.replace(grant, scopes=tuple(scopes), former=grant.refresh, former_until=until)
    return _renewed(former, settings, now)


def what_is_left(former: Grant, renewed: Grant) -> Grant:
    """Return what is kept of the pair before: its access token, which is known as expired for a day after the grace."""
    until = min(former.access_expires, renewed.former_until)
    # Nobody has this refresh token.
    nobodys = digest(new_token())
    return msgspec.structs.replace(
        former,
        id=0,
        access_expires=until,
        refresh=nobodys,
        refresh_expires=until + _KNOWN,
        former=b"",
        former_until=0,
        of=former.id,
    )


def may_use(application: PortalApplication, user: PortalUser) -> bool:
    """Tell whether an application is open to a user: he is active, and it is not restricted to others."""
    return user.active and (not application.users or user.id in application.users)


def _renewed(grant: Grant, settings: Settings, now: int) -> Pair:
    lives = settings.bitrix24
    access, refresh = new_token(), new_token()
    renewed = msgspec.structs.replace(
        grant,
        access=digest(access),
        access_expires=now + lives.access_token_lifetime * _SECOND,
        refresh=digest(refresh),
        refresh_expires=now + lives.refresh_token_lifetime * _SECOND,
    )
    return Pair(access=access, refresh=refresh, grant=renewed)
