"""Who may speak to our own Bitrix24 portal: users, applications, incoming webhooks, codes, tokens. Times in Unix ms.

Whatever opens a door is kept as a SHA-256 digest only: the texts have 95 random bits or more, so they need no slow hash.
A user's password is the exception: it is kept as an Argon2 hash.
"""

from __future__ import annotations

import msgspec


class PortalState(msgspec.Struct, frozen=True, kw_only=True):
    """The portal itself, as its operator set it.

    `domain` is the host (and port) by which clients know it, empty: that of the request; `member_id` never changes.
    `closed`: its public part is closed (PORTAL_DELETED); `blocked`: OVERLOAD_LIMIT; not `commercial`: REST is not in its plan.
    `license` is what `app.info` and `feature.get` say of the plan.
    """

    member_id: str
    domain: str = ""
    closed: bool = False
    blocked: bool = False
    commercial: bool = True
    license: str = "en_selfhosted"
    language: str = "en"


class PushPreferences(msgspec.Struct, frozen=True, kw_only=True):
    """What a user wants on their phone. `active` None: nothing was said, which is yes; `smart`: not while they are connected.

    `muted` names types of pushes that are not wanted, as `module|type`.
    """

    active: bool | None = None
    smart: bool = False
    muted: frozenset[str] = frozenset()


class PushChange(msgspec.Struct, frozen=True, kw_only=True):
    """What a user says of their phone: `active` and `smart` None: as before; types to `mute`, and to hear again."""

    active: bool | None = None
    smart: bool | None = None
    mute: frozenset[str] = frozenset()
    unmute: frozenset[str] = frozenset()

    def of(self, was: PushPreferences) -> PushPreferences:
        """Return what they want from now on."""
        return PushPreferences(
            active=was.active if self.active is None else self.active,
            smart=was.smart if self.smart is None else self.smart,
            muted=(was.muted - self.unmute) | self.mute,
        )


class PortalUser(msgspec.Struct, frozen=True, kw_only=True):
    """A user of the portal. `id` is also the user of our registry, as text; `password` is an Argon2 hash (empty: no login)."""

    id: int
    login: str = ""
    password: str = ""
    admin: bool = False
    active: bool = True
    name: str = ""
    last_name: str = ""
    email: str = ""
    gender: str = ""
    photo: str = ""
    time_zone: str = ""
    work_position: str = ""
    personal_mobile: str = ""
    inner_phone: str = ""
    push: PushPreferences = PushPreferences()
    created: int = 0

    def __repr__(self) -> str:
        """Leave out the password's hash, and who it is: a repr ends in logs and tracebacks."""
        return f"PortalUser(id={self.id})"


class PortalApplication(msgspec.Struct, frozen=True, kw_only=True):
    """An application of the portal: whoever holds its tokens sends through our app `app` (row id).

    `scopes` are what its tokens may get; `users` may use it (empty: everyone); `manifest` is False for one whose manifest
    is missing. `application_token` proves that an event comes from this portal: it is sent, so it is kept sealed by the store.
    """

    id: int
    client_id: str
    secret: bytes
    name: str
    app: int
    redirect_uri: str
    scopes: tuple[str, ...]
    users: tuple[int, ...] = ()
    manifest: bool = True
    application_token: str = ""
    version: int = 1
    status: str = "L"
    created: int = 0

    def __repr__(self) -> str:
        """Leave out what opens a door: a repr ends in logs and tracebacks."""
        return f"PortalApplication(id={self.id}, client_id={self.client_id!r})"


class IncomingWebhook(msgspec.Struct, frozen=True, kw_only=True):
    """A door in a URL: `/rest/{user}/{code}/`. `digest` is that of the code."""

    id: int
    user: int
    digest: bytes
    scopes: tuple[str, ...]
    name: str = ""
    created: int = 0
    used: int = 0


class AuthorizationCode(msgspec.Struct, frozen=True, kw_only=True):
    """A code that is good once, for 30 s. `challenge` is that of PKCE (RFC 7636, S256; empty: none was given)."""

    digest: bytes
    application: int
    user: int
    redirect_uri: str
    scopes: tuple[str, ...]
    challenge: str = ""
    expires: int = 0


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """What a user has granted an application once: the pair of tokens in force. A second phone has a grant of its own.

    `former` is the digest of the refresh token before, which is still taken until `former_until`: clients of several
    processes do not tell each other. `session` is the number of steps that events may go on to raise events (7).
    `of`: the grant whose access token before this is, with which it is revoked; 0 for a pair that is in force.
    """

    id: int
    application: int
    user: int
    scopes: tuple[str, ...]
    access: bytes
    access_expires: int
    refresh: bytes
    refresh_expires: int
    former: bytes = b""
    former_until: int = 0
    session: int = 7
    created: int = 0
    of: int = 0
