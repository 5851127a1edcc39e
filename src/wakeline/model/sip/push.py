"""How a phone says that it can be woken: the push parameters of its Contact (RFC 8599 section 4, and liblinphone's older form)."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class PushProvider(StrEnum):
    """Values of `pn-provider` that we serve (RFC 8599 section 13.3; `apns.dev` is liblinphone's)."""

    APNS = "apns"
    APNS_DEV = "apns.dev"
    FCM = "fcm"
    WEBPUSH = "webpush"


class PushToken(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One token: `service` is `voip` or `remote` for APNs, empty elsewhere; `topic` is APNs' (with `.voip`), or FCM's project."""

    service: str
    value: str
    topic: str = ""

    def __repr__(self) -> str:
        """Leave out all but the end of the token: a repr ends in logs and tracebacks."""
        return f"PushToken({self.service!r}, {self.topic!r}, ...{self.value[-6:]})"


class PushTexts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Keys of texts and names of sounds that a phone of Apple wants in its pushes; defaults are Flexisip's."""

    message: str = "IM_MSG"
    call: str = "IC_MSG"
    group_chat: str = "GC_MSG"
    message_waiting: str = "MWI_NOTIFY_STR"
    call_sound: str = "empty"
    message_sound: str = "empty"
    missed: str = "Missing call"
    accepted_elsewhere: str = "Accepted elsewhere"
    declined_elsewhere: str = "Declined elsewhere"


class PushParams(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Push parameters as they were understood. `provider` is what the Contact said; `param` and `prid` as they came.

    `legacy`: they came in the form from before RFC 8599 (`pn-type`, `app-id`, `pn-tok`). `timeout` is the wish of the phone for
    seconds to wait before a push (None: ours); `repeat` for seconds between pushes of a ringing call. `warnings` are things that
    were understood against their letter.
    """

    provider: PushProvider
    param: str
    prid: str
    tokens: tuple[PushToken, ...]
    texts: PushTexts = PushTexts()
    legacy: bool = False
    timeout: float | None = None
    repeat: float | None = None
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Leave out tokens: a repr ends in logs and tracebacks."""
        return f"PushParams({self.provider.value}, {self.param!r}, {self.tokens})"

    def token(self, service: str) -> PushToken | None:
        """Return the token of a service."""
        return next((token for token in self.tokens if token.service == service), None)

    @property
    def key(self) -> tuple[str, str, str]:
        """Return what makes two Contacts the same phone."""
        return self.provider.value, self.param, self.prid
