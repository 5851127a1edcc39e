"""What each type of event means, and what its `data` tells: a table, from which docs/reference/events.md is drawn."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from wakeline.model.event import EventType
from wakeline.wire.event_json import EventDataView

PUSH = ("app", "notification", "delivery", "device", "users", "target", "kind", "outcome")
TARGET = ("app", "device", "users", "target", "kind", "outcome")


class Meaning(msgspec.Struct, frozen=True):
    """`words` say what happened; `fields` are those of `data` that tell more."""

    words: str
    fields: tuple[str, ...]


MEANINGS: Mapping[EventType, Meaning] = {
    EventType.PUSH_ACCEPTED: Meaning(
        "The push service took the push. Told of single notifications, never of broadcasts; in a debug window with "
        "`request` and `response`.",
        (*PUSH, "attempts", "request", "response"),
    ),
    EventType.PUSH_FAILED: Meaning(
        "The push cannot be delivered. `outcome` says why and what to do; `request` and `response` what was sent and "
        "answered, `response.code` 901 to 914 where the gateway itself refused.",
        (*PUSH, "attempts", "request", "response", "note"),
    ),
    EventType.PUSH_EXPIRED: Meaning(
        "Its `ttl` ended before a push service took it; `outcome` says what it waited for.", (*PUSH, "attempts")
    ),
    EventType.PUSH_CANCELLED: Meaning("It was taken back before it was sent.", PUSH),
    EventType.PUSH_SUPERSEDED: Meaning(
        "A later one with the same `collapse_id` took its place before it was sent.", PUSH
    ),
    EventType.PUSH_SKIPPED: Meaning(
        "It was not meant to be sent after all: the device is connected, or who was named has nothing to send to.", PUSH
    ),
    EventType.PUSH_ACKNOWLEDGED: Meaning("The app on the device said that it has the push.", PUSH),
    EventType.PUSH_OPENED: Meaning("The app on the device said that its user opened the push.", PUSH),
    EventType.NOTIFICATION_COMPLETED: Meaning(
        "Every delivery of a notification has ended; `note` counts how.", ("app", "notification", "note")
    ),
    EventType.TARGET_RETIRED: Meaning(
        "A token is dead: the push service proved it, or nobody has heard of its app for long. Nothing more is sent to it "
        "until the app registers again.",
        (*TARGET, "note"),
    ),
    EventType.TARGET_QUARANTINED: Meaning(
        "A token is in doubt. It is sent nothing for a day, and tried again with the next push after that.", TARGET
    ),
    EventType.TARGET_MOVED: Meaning(
        "A token turned up with another device of the app and belongs to it now. An import moves tokens without a word.",
        TARGET,
    ),
    EventType.TARGETS_DYING: Meaning(
        "Suddenly many tokens of a route are dead by proof; at most once a day and route.", ("app", "route", "note")
    ),
    EventType.CREDENTIAL_EXPIRING: Meaning(
        "A credential ends soon: told 30, 14, 7, 3 and 1 days before.", ("app", "credential", "note")
    ),
    EventType.CREDENTIAL_EXPIRED: Meaning(
        "A credential has ended; its pushes wait (903).", ("app", "credential", "note")
    ),
    EventType.CREDENTIAL_FAILED: Meaning(
        "A push service refuses a credential, so its pushes wait; or a file in the directory of credentials is refused.",
        ("app", "credential", "outcome", "note"),
    ),
    EventType.CREDENTIAL_RECOVERED: Meaning(
        "It is accepted again, and what waited goes out.", ("app", "credential", "note")
    ),
    EventType.CHANGE_TAKEN_BACK: Meaning(
        "A change of a credential or an environment did worse than what was there before, and was taken back.",
        ("app", "credential", "outcome", "note"),
    ),
    EventType.BRAKE_CLOSED: Meaning(
        "Suddenly many tokens of a route look dead, which is rather a wrong setting: the route waits for an operator.",
        ("app", "route", "note"),
    ),
    EventType.BRAKE_RELEASED: Meaning("The route goes on.", ("app", "route")),
    EventType.QUEUE_STALLED: Meaning("Work is due and nothing moves.", ("note",)),
    EventType.PORTAL_MOVED: Meaning("A Bitrix24 portal comes from, or answers at, another address.", ("app", "note")),
    EventType.PORTAL_CLOSED: Meaning("There is no access to a connected Bitrix24 portal any more.", ("app", "note")),
    EventType.SILENCE_SUSPECTED: Meaning(
        "Pushes are accepted and not acknowledged as usual; `note` names the slice of devices and the likely cause.",
        ("app", "note"),
    ),
    EventType.SILENCE_ENDED: Meaning(
        "The devices that fell silent acknowledge as usual again, or have been silent for a week; `note` says which.",
        ("app", "note"),
    ),
    EventType.WEBHOOK_TEST: Meaning(
        "Somebody tried the webhook out. Sent to it alone and whatever it is told of; never in the feed.", ("note",)
    ),
}

FIELDS: Mapping[str, str] = {
    "app": "the app's id; absent for what concerns the installation",
    "notification": "id of the notification",
    "delivery": "id of the delivery: one notification to one target; APNs knows it as `apns-id`",
    "device": "the device's id, as the app chose it",
    "users": "the device's users",
    "target": "number of the target; never its token",
    "kind": "kind of the target: `apns`, `apns-voip`, `fcm`, `webpush`, ...",
    "outcome": "`class`, `code` (0, 901-905, 911-914), `status` and `reason` as the push service said them, `cause` and `fix` "
    "in words",
    "attempts": "requests it took",
    "credential": "id of the credential",
    "route": "app, provider, environment and topic, such as `acme/apns/production/com.acme`",
    "note": "what there is to say, in words",
    "request": "what was sent to the push service: `method`, `url`, `headers`, `body`; authorization redacted, token masked",
    "response": "what it answered: `code` (its HTTP status, or 901 to 914 where the gateway refused), `reason`, `body`",
}
"""What each field of `data` is: those of `EventDataView`, in its order."""

_INTRODUCTION = """# Events

What `GET /v1/events` shows and [webhooks](../guide/webhooks.md) are told, as `{"type", "timestamp", "data"}`. Of `data`, only what
applies is there. Drawn from `EventType` and the type of `data` by `make draw`.
"""


def page() -> str:
    """Return the page about events as it stands in the documentation."""
    rows = [f"| `{kind.value}` | {MEANINGS[kind].words} | {_list(MEANINGS[kind].fields)} |" for kind in EventType]
    fields = [f"| `{name}` | {FIELDS[name]} |" for name in EventDataView.__struct_fields__]
    return "\n".join(
        [
            _INTRODUCTION,
            "| type | what happened | `data` |",
            "|---|---|---|",
            *rows,
            "",
            "## The fields of `data`",
            "",
            "| field | meaning |",
            "|---|---|",
            *fields,
            "",
        ]
    )


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)
