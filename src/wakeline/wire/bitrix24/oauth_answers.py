"""What an OAuth host answers: a pair of tokens, or what it knows of an access token.

Rules (Bitrix24: "OAuth 2.0", "Automatic renewal of tokens"): `expires_in` counts seconds from the answer; `scope` is a list with
commas, in older answers with spaces. `app.info` of the OAuth host, unlike the portal's own, says to which portal a token belongs.
"""

from __future__ import annotations

import re

import msgspec

from wakeline.wire.bitrix24.answer import UNEXPECTED, Refusal, Reply, read, whole
from wakeline.wire.bitrix24.commands import by_key

_USUAL_LIFETIME = 3600
# Shorter ones would have us renew before each call, for which Bitrix24 blocks applications.
_SHORTEST_LIFETIME, _LONGEST_LIFETIME = 60, 366 * 86_400


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """A pair of tokens, and whose they are. `lifetime` of the access token in seconds."""

    access: str
    refresh: str
    lifetime: int
    member_id: str
    client_endpoint: str
    server_endpoint: str
    user: int
    scopes: tuple[str, ...]

    def __repr__(self) -> str:
        """Leave out the tokens: a repr ends in logs and tracebacks."""
        return f"Grant(member_id={self.member_id!r}, user={self.user})"


class TokenFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the OAuth host says of an access token."""

    client_id: str
    member_id: str
    client_endpoint: str
    installed: bool
    user: int
    scopes: tuple[str, ...]


def read_grant(status: int, body: bytes) -> Grant | Refusal:
    """Return what `/oauth/token/` answered."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        document = None
    said = by_key(document)
    access, refresh = _text(said, "access_token"), _text(said, "refresh_token")
    if status == 200 and access and refresh and "error" not in said:
        return Grant(
            access=access,
            refresh=refresh,
            lifetime=_lifetime(said.get("expires_in")),
            member_id=_text(said, "member_id"),
            client_endpoint=_text(said, "client_endpoint"),
            server_endpoint=_text(said, "server_endpoint"),
            user=whole(said.get("user_id")) or 0,
            scopes=_scopes(said),
        )
    answered = read(status, {}, body)
    return answered if isinstance(answered, Refusal) else Refusal(status=status, code=UNEXPECTED, text="No tokens")


def token_facts(reply: Reply) -> TokenFacts | None:
    """Return what the OAuth host's `app.info` says; None if that is something else."""
    said = by_key(reply.result)
    install = by_key(said.get("install"))
    if not _text(said, "client_id") or not _text(install, "member_id"):
        return None
    return TokenFacts(
        client_id=_text(said, "client_id"),
        member_id=_text(install, "member_id"),
        client_endpoint=_text(install, "client_endpoint"),
        installed=install.get("installed") is not False,
        user=whole(said.get("user_id")) or 0,
        scopes=_scopes(said),
    )


def _lifetime(said: object) -> int:
    return max(_SHORTEST_LIFETIME, min(whole(said) or _USUAL_LIFETIME, _LONGEST_LIFETIME))


def _text(said: dict[str, object], name: str) -> str:
    value = said.get(name)
    return value if isinstance(value, str) else ""


def _scopes(said: dict[str, object]) -> tuple[str, ...]:
    return tuple(scope for scope in re.split(r"[,\s]+", _text(said, "scope")) if scope)
