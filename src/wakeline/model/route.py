"""Routes and lanes: where pushes wait, and in which order."""

from __future__ import annotations

from enum import IntEnum, StrEnum

import msgspec


class ProviderKind(StrEnum):
    """A push service we speak to."""

    APNS = "apns"
    FCM = "fcm"
    WEBPUSH = "webpush"
    HTTP = "http"
    """A program of somebody's that sends on: an external push URI, as Flexisip calls it."""


class Environment(StrEnum):
    """APNs keeps two worlds apart; every other provider has one."""

    PRODUCTION = "production"
    SANDBOX = "sandbox"


class Lane(IntEnum):
    """Priority class; a lower number goes first."""

    CALL = 0
    ALERT = 1
    BACKGROUND = 2
    BULK = 3


class HoldReason(StrEnum):
    """Why a route waits."""

    CREDENTIAL = "credential"
    """The provider rejected our credential (promise 3)."""
    OPERATOR = "operator"
    """`wakeline route hold`, a paused app, or a restored backup."""
    BREAKER = "breaker"
    """The provider does not answer."""
    BRAKE = "brake"
    """Too many tokens look dead at once (promise 2)."""


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """A route that waits: why, since when (Unix ms), with which code (902-905), in words."""

    reason: HoldReason
    code: int
    since: int
    cause: str
    fix: str = ""


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """Provider, environment and topic of an app: with the credential that covers them, the unit of hold, pacing and brake.

    `topic` is an APNs bundle id, an FCM project id or the origin of Web Push endpoints; empty means "the credential's only
    one", resolved when sending.
    `id` is the store's small integer, stable for ever.
    """

    id: int
    app: int
    provider: ProviderKind
    environment: Environment
    topic: str = ""
    hold: Hold | None = None
