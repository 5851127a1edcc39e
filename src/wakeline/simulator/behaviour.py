"""How a fake service behaves as a whole, apart from single targets (`POST /behave`)."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

PROVIDERS = ("apns", "fcm", "oauth", "webpush", "portal")

# Apple's observed SETTINGS_MAX_CONCURRENT_STREAMS is 1000; Google's front end announces 100.
DEFAULT_STREAMS = {"apns": 1000, "fcm": 100, "oauth": 100, "webpush": 100, "portal": 100}
# Apple: "Refresh your token no more than once every 20 minutes".
TOKEN_UPDATE_INTERVAL_S = 20 * 60
# Google's access tokens live an hour.
ACCESS_TOKEN_LIFETIME_S = 3599
# Bitrix24's too, to the second.
PORTAL_TOKEN_LIFETIME_S = 3600


class Behaviour(msgspec.Struct):
    """The switches of one provider; mutable, because tests turn them while connections live."""

    max_streams: int
    goaway_after: int = 0
    """GOAWAY after this many requests of a connection; 0 is never."""
    goaway_reason: str = "Shutdown"
    silent: bool = False
    min_latency_ms: float = 0.0
    token_update_interval_s: float = TOKEN_UPDATE_INTERVAL_S
    expires_in_s: int = ACCESS_TOKEN_LIFETIME_S


class BehaviourChange(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST /behave`: only the fields given change, null is the default; no provider means all."""

    provider: str | None = None
    goaway_after: int | UnsetType | None = UNSET
    goaway_reason: str | UnsetType | None = UNSET
    max_streams: int | UnsetType | None = UNSET
    silent: bool | UnsetType | None = UNSET
    min_latency_ms: float | UnsetType | None = UNSET
    token_update_interval_s: float | UnsetType | None = UNSET
    expires_in_s: int | UnsetType | None = UNSET


def defaults(provider: str) -> Behaviour:
    """How `provider` behaves when nobody said anything."""
    lifetime = PORTAL_TOKEN_LIFETIME_S if provider == "portal" else ACCESS_TOKEN_LIFETIME_S
    return Behaviour(max_streams=DEFAULT_STREAMS[provider], expires_in_s=lifetime)


def changed(behaviour: Behaviour, provider: str, change: BehaviourChange) -> Behaviour:
    """`behaviour` with what `change` says, fields set to null being back at `provider`'s default."""
    usual = defaults(provider)
    given = {
        name: getattr(usual, name) if value is None else value
        for name, value in msgspec.structs.asdict(change).items()
        if name != "provider" and value is not UNSET
    }
    return msgspec.structs.replace(behaviour, **given)
