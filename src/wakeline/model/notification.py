"""A notification: what a caller asked for. Audience, content and policy, as section 6 of the contract spells them."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from wakeline.model.device import BrowserSubscription, SubscriptionKeys
from wakeline.model.route import Lane


class PushType(StrEnum):
    """The neutral push types; `call` is APNs `voip` and a high-priority FCM data message."""

    ALERT = "alert"
    BACKGROUND = "background"
    CALL = "call"
    LIVEACTIVITY = "liveactivity"
    LOCATION = "location"
    COMPLICATION = "complication"
    FILEPROVIDER = "fileprovider"
    MDM = "mdm"
    PUSHTOTALK = "pushtotalk"
    WIDGETS = "widgets"
    CONTROLS = "controls"


class Priority(StrEnum):
    """How urgent the caller says it is."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


class OnUnknown(StrEnum):
    """What to do when a request was written and no answer came: it may have been shown already."""

    RETRY = "retry"
    STOP = "stop"


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What callers send: unknown fields are errors, since a misspelt field is a push that silently lacks something."""


class RawTarget(_Strict, frozen=True):
    """A token given directly, for callers who keep their own registry.

    FCM reaches more than tokens: in place of `value`, `fid` is a Firebase installation id, `fcm_topic` a topic's name and
    `condition` a condition over topics. Of a Web Push subscription `value` is the endpoint with `keys` beside it, or the
    browser's own object, as such or as text.
    """

    kind: str
    value: str | BrowserSubscription = ""
    keys: SubscriptionKeys | None = None
    fid: str = ""
    fcm_topic: str = ""
    condition: str = ""
    environment: str = "production"
    topic: str = ""
    project: str = ""

    @property
    def token(self) -> str:
        """Return the token, or the endpoint of a subscription that was given as an object."""
        return self.value if isinstance(self.value, str) else self.value.endpoint


class Audience(_Strict, frozen=True):
    """Whom it is for: any mix of users, devices, raw targets and tags, or everyone of the app."""

    users: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    targets: tuple[RawTarget, ...] = ()
    tags: tuple[str, ...] = ()
    everyone: bool = False

    @property
    def is_broad(self) -> bool:
        """Tell whether it names no recipients and has to be walked."""
        return self.everyone or bool(self.tags)


class Translation(_Strict, frozen=True):
    """Title and body in one language."""

    title: str = ""
    body: str = ""


class Alert(_Strict, frozen=True):
    """What is shown. `localized` maps a locale ("de", "pt-BR") to texts; `*_loc_key` names strings inside the app.

    `badge` is a number, or "+1" to count up for each device. `thread` groups on the phone.
    """

    title: str = ""
    subtitle: str = ""
    body: str = ""
    image: str = ""
    sound: str = ""
    badge: int | str | None = None
    category: str = ""
    thread: str = ""
    title_loc_key: str = ""
    title_loc_args: tuple[str, ...] = ()
    body_loc_key: str = ""
    body_loc_args: tuple[str, ...] = ()
    localized: dict[str, Translation] = {}


class Call(_Strict, frozen=True):
    """A ringing call."""

    id: str
    caller: str = ""
    video: bool = False


class LiveActivityEvent(StrEnum):
    """What happens to a Live Activity."""

    START = "start"
    UPDATE = "update"
    END = "end"


class LiveActivity(_Strict, frozen=True):
    """A Live Activity on an iPhone is started, updated or ended (Apple: "ActivityKit push notifications").

    `content_state` and `attributes` are the app's own; `attributes_type` names the Swift type and starts one, together with
    `attributes`. `stale_at` and `dismiss_at` are RFC 3339 times; `dismiss_at` belongs to an end.
    """

    event: LiveActivityEvent
    content_state: dict[str, Any] = {}
    attributes_type: str = ""
    attributes: dict[str, Any] = {}
    stale_at: str = ""
    dismiss_at: str = ""
    relevance_score: float | None = None


class Override(_Strict, frozen=True):
    """Per-provider additions, merged last: `headers` and `payload` are merged in, `raw` replaces the payload."""

    headers: dict[str, str] = {}
    payload: dict[str, Any] = {}
    raw: dict[str, Any] | None = None


class Content(_Strict, frozen=True):
    """What is sent, apart from whom it is sent to. Stored once a notification."""

    type: PushType = PushType.BACKGROUND
    call: Call | None = None
    alert: Alert | None = None
    liveactivity: LiveActivity | None = None
    data: dict[str, Any] = {}
    priority: Priority = Priority.HIGH
    collapse_id: str = ""
    truncate: bool = False
    on_unknown: OnUnknown = OnUnknown.RETRY
    apns: Override = Override()
    fcm: Override = Override()
    webpush: Override = Override()


class NotificationRequest(_Strict, frozen=True):
    """The body of `POST /v1/apps/{app}/notifications`. `ttl` in seconds; `send_at` an RFC 3339 time.

    `type`, `priority` and `ttl` have defaults that depend on the content (section 6); None means "not said".
    """

    to: Audience
    type: PushType | None = None
    call: Call | None = None
    alert: Alert | None = None
    liveactivity: LiveActivity | None = None
    data: dict[str, Any] = {}
    priority: Priority | None = None
    ttl: int | None = None
    collapse_id: str = ""
    send_at: str | None = None
    only_if_absent: bool = False
    truncate: bool = False
    on_unknown: OnUnknown | None = None
    apns: Override = Override()
    fcm: Override = Override()
    webpush: Override = Override()


class NotificationState(StrEnum):
    """Where a notification as a whole is."""

    SCHEDULED = "scheduled"
    RUNNING = "running"
    HELD = "held"
    DONE = "done"
    CANCELLED = "cancelled"


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Deliveries by state, all always present; `pending` is queued + sending + unknown.

    `accepted` includes what was later acknowledged or opened; every other state counts apart.
    """

    accepted: int = 0
    acknowledged: int = 0
    opened: int = 0
    failed: int = 0
    pending: int = 0
    held: int = 0
    scheduled: int = 0
    expired: int = 0
    cancelled: int = 0
    superseded: int = 0
    skipped: int = 0


NOW_OR_NEVER = 9_999
"""Milliseconds that a push with ttl 0 may take inside the gateway: providers read 0 as "now or never", and now is not nothing.

No ttl in whole seconds is as long, so it tells such a push from all others.
"""


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """A notification as kept. `key` is its integer id (`model.ids`); times in Unix ms.

    `bulk`: its deliveries are 8 bytes each in chunks, without a row. `audience` is kept for fan-out only.
    `recipients`: deliveries made so far; exact once `walked` is true (at once for named recipients).
    """

    key: int
    app: int
    content: Content
    lane: Lane
    due: int
    expires: int
    created: int
    bulk: bool = False
    audience: Audience | None = None
    only_if_absent: bool = False
    recipients: int = 0
    walked: bool = True
    cancelled: bool = False
    request_id: str = ""

    @property
    def now_or_never(self) -> bool:
        """Tell whether the ttl is 0: the push service tries once and stores nothing."""
        return self.expires - self.due in (0, NOW_OR_NEVER)
