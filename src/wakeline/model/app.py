"""An app: one mobile application, which owns credentials and devices."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class CallsBy(StrEnum):
    """How a call reaches an iPhone."""

    VOIP = "voip"
    ALERT = "alert"


class ApnsEnvironment(StrEnum):
    """Which APNs environment an app's targets are sent to."""

    AS_REGISTERED = "as_registered"
    PRODUCTION = "production"
    SANDBOX = "sandbox"


class AppSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator may set for an app.

    `limits` switches the per-user limits (DESIGN 5.6); `keep_content` keeps what was sent as long as the ledger keeps the
    notification; `max_devices_per_user` retires the longest unseen device beyond that number. `receipts` puts the
    notification's id and a token for receipts into its pushes, under the key `wakeline` of their data.
    """

    calls_by: CallsBy = CallsBy.VOIP
    apns_environment: ApnsEnvironment = ApnsEnvironment.AS_REGISTERED
    limits: bool = True
    keep_content: bool = True
    receipts: bool = False
    max_devices_per_user: int = 12


class App(msgspec.Struct, frozen=True, kw_only=True):
    """One mobile application. `id` is internal; the world knows the slug. `created` in Unix ms."""

    id: int
    slug: str
    name: str
    settings: AppSettings = AppSettings()
    paused: bool = False
    created: int = 0
