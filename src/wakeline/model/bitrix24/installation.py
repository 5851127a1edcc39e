"""An application of ours installed on somebody's Bitrix24 portal, and how we get in there. Times in Unix ms.

What opens a door (`access`, `application_token`) is sent to the portal or compared with what it sends, so it cannot be a digest:
the store keeps it sealed.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class WebhookAccess(msgspec.Struct, frozen=True, kw_only=True, tag="webhook"):
    """An incoming webhook of the portal: `url` is `https://portal/rest/{user}/{code}/`. Its code never changes."""

    url: str

    def __repr__(self) -> str:
        """Leave out the URL: it is the key to the portal."""
        return "WebhookAccess()"


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """A pair of tokens; `refresh` is good once: whoever uses it has to keep the next pair before using that."""

    access: str
    refresh: str
    access_expires: int
    user: int = 0
    scopes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Leave out the tokens: a repr ends in logs and tracebacks."""
        return f"Tokens(user={self.user})"


class ApplicationAccess(msgspec.Struct, frozen=True, kw_only=True, tag="application"):
    """OAuth 2.0 as an application; `tokens` None: it was not installed yet, or the portal took the tokens back."""

    client_id: str
    client_secret: str
    tokens: Tokens | None = None

    def __repr__(self) -> str:
        """Leave out the secrets: a repr ends in logs and tracebacks."""
        return f"ApplicationAccess(client_id={self.client_id!r}, installed={self.tokens is not None})"


Access = WebhookAccess | ApplicationAccess

BY_MEMBER_ID = "{member_id}:"
"""The prefix of users unless an operator chooses another; the id takes its place as soon as it is known."""


class InstallationState(StrEnum):
    """Whether we may ask the portal."""

    WAITING = "waiting"
    """Known here, not yet installed there."""
    ACTIVE = "active"
    DEAD = "dead"
    """The portal does not let us in any more (uninstalled, unpaid, refused tokens): nothing is asked until it is connected anew."""


class Installation(msgspec.Struct, frozen=True, kw_only=True):
    """One portal that we are connected to. What its rules send goes out through our app `app` (row id).

    `name` is in the address that the portal posts to, `/bitrix24/events/{name}`: random, and no proof of anything.
    `member_id` names the portal for ever; a webhook's is learnt with its first proven event. `client_endpoint` and
    `server_endpoint` are where REST and OAuth answer, ending in `/rest/`; a move (302) changes the first.
    `application_token` proves that an event comes from that portal; empty: none is known yet, and no event is believed.
    `prefix` is what stands before the number of a user of the portal to make a user of our registry (`<member_id>:7`; empty: `7`);
    `BY_MEMBER_ID` while the id is not known.
    `mirror`: its users and records are kept in our own portal's store, of at most one installation.
    `telephony`: calls that go through us are registered there. `offline`: its queue of offline events is ours.
    `cause` says why it is not active; `reached`: everything that happened there before is known here. `filled`: when the mirror was
    read whole; 0: it was not since it became one, or since the portal let us in again (nobody tells us later what was deleted).
    """

    id: int
    name: str
    app: int
    access: Access
    client_endpoint: str
    server_endpoint: str = ""
    member_id: str = ""
    application_token: str = ""
    prefix: str = ""
    title: str = ""
    mirror: bool = False
    telephony: bool = False
    offline: bool = False
    state: InstallationState = InstallationState.WAITING
    cause: str = ""
    reached: int = 0
    filled: int = 0
    created: int = 0

    def __post_init__(self) -> None:
        """Put the portal's id into a prefix that waited for it; what is no mirror, or a dead one, is not filled."""
        if self.filled and (not self.mirror or self.state is InstallationState.DEAD):
            msgspec.structs.force_setattr(self, "filled", 0)
        if self.member_id and self.prefix == BY_MEMBER_ID:
            msgspec.structs.force_setattr(self, "prefix", f"{self.member_id}:")

    @property
    def names_users(self) -> bool:
        """Whether it is known who of our registry its users are."""
        return self.prefix != BY_MEMBER_ID

    def user(self, number: int) -> str:
        """Return the user of our registry who is this user of the portal."""
        return f"{self.prefix}{number}"

    def __repr__(self) -> str:
        """Leave out what opens a door: a repr ends in logs and tracebacks."""
        return f"Installation(id={self.id}, client_endpoint={self.client_endpoint!r}, state={self.state.value!r})"
