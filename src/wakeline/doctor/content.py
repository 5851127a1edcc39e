"""What was sent lately: how near it came to the size a push may have, and whether its type is the one that was meant.

Rule: the newest deliveries of an app that are kept one by one are looked at, and its newest broadcasts, of which each counts as one
push to each push service the app uses; content that an app does not keep (its setting `keep_content`) cannot be judged, and the
lines say so. No text of a message is ever part of a line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from wakeline.doctor.answers import CONTENT
from wakeline.doctor.checking import DoctorPorts, failed, fine, skipped, warning
from wakeline.doctor.meaning import of_delivery
from wakeline.model.app import App
from wakeline.model.delivery import Delivery
from wakeline.model.device import TargetKind
from wakeline.model.notification import Alert, Content, PushType
from wakeline.model.route import ProviderKind
from wakeline.observe.health import Check
from wakeline.wire import apns, fcm, webpush
from wakeline.wire.flexisip import external

LATELY = 100
"""Deliveries of an app that are looked at."""
BROADCASTS = 10
"""Broadcasts that are looked at."""
NEAR = 0.8
"""From this share of the limit on, the next longer name or text may be too much."""

_KINDS = frozenset(TargetKind)


class Sent(msgspec.Struct, frozen=True):
    """What was sent lately for an app: deliveries, and what is still kept of their contents with the push service of each."""

    slug: str
    deliveries: tuple[Delivery, ...]
    contents: tuple[tuple[Content, ProviderKind], ...]

    @property
    def among(self) -> str:
        """Return among how many it was counted."""
        return "the last push" if len(self.contents) == 1 else f"the last {len(self.contents)} pushes"


async def look(ports: DoctorPorts) -> Sequence[Check]:
    """Return lines about what each app sent lately."""
    return [line for app in ports.asked() for line in judge(await _sent(ports, app))] or [
        skipped("contents", "There is no app yet.")
    ]


async def _sent(ports: DoctorPorts, app: App) -> Sent:
    deliveries = await ports.ledger.recent(app.id, limit=LATELY)
    known = await ports.ledger.notifications(list({one.notification for one in deliveries}))
    pairs = {
        (one.notification, TargetKind(one.kind).provider): known[one.notification].content
        for one in deliveries
        if one.notification in known and one.kind in _KINDS
    }
    services = {route.provider for route in ports.routes.all() if route.app == app.id}
    for one in await ports.ledger.broadcasts(app.id, limit=BROADCASTS):
        pairs |= {(one.key, provider): one.content for provider in services}
    contents = tuple(
        (content, provider) for (_, provider), content in pairs.items() if content != Content(type=content.type)
    )
    return Sent(app.slug, tuple(deliveries), contents)


def judge(sent: Sent) -> list[Check]:
    """Return the lines about what an app sent."""
    if not sent.deliveries and not sent.contents:
        return [skipped(f"contents of {sent.slug}", "Nothing was sent lately.")]
    return [sizes(sent), types(sent)]


def sizes(sent: Sent) -> Check:
    """Say whether payloads come near the size that is refused, or were refused."""
    name = f"payloads of {sent.slug}"
    fix = (
        "Send an id and have the app fetch the rest, or set `truncate`; `?validate_only=true` shows the size of a push before it "
        "is sent."
    )
    refused = [one for one in sent.deliveries if one.code == CONTENT]
    if refused:
        return _refused(name, refused, among=len(sent.deliveries))
    measured = [(_measure(content, provider), provider) for content, provider in sent.contents]
    if not measured:
        return skipped(name, "Of what was sent no content is kept, so its size is not known.")
    (size, limit), provider = max(measured, key=lambda one: one[0][0] / one[0][1])
    said = f"the largest of {sent.among} has {size} of {limit} bytes ({provider.value})"
    if size < NEAR * limit:
        return fine(name, f"{said[0].upper()}{said[1:]}.")
    return warning(name, f"Near the limit: {said}; what is longer is refused, whatever makes it longer.", fix)


def _refused(name: str, refused: Sequence[Delivery], among: int) -> Check:
    """Say for which reasons pushes were refused: what helps against one, such as a shorter text, is no use against another."""
    reasons = Counter(one.reason or str(one.status) for one in refused).most_common(3)
    listed = ", ".join(f"{number} {reason}" for reason, number in reasons)
    known = of_delivery(next(one for one in refused if (one.reason or str(one.status)) == reasons[0][0]))
    why, fix = (
        (f" {known.cause}", known.fix) if known is not None else ("", "`wakeline explain 913` lists what is refused.")
    )
    say = failed if len(refused) == among else warning
    return say(name, f"Of the last {among} deliveries, {len(refused)} failed with 913 ({listed}).{why}", fix)


def _measure(content: Content, provider: ProviderKind) -> tuple[int, int]:
    """Return how large a push is in its longest language, and how large it may be; in bytes."""
    match provider:
        case ProviderKind.APNS:
            return apns.measure(content)[:2]
        case ProviderKind.FCM:
            return fcm.measure(content)[:2]
        case ProviderKind.WEBPUSH:
            return webpush.measure(content)[:2]
        case ProviderKind.HTTP:
            return len(external.text_of(content)), external.TEXT_LIMIT


def types(sent: Sent) -> Check:
    """Say whether pushes that should wake the app are sent as alerts, or alerts as what wakes it."""
    name = f"push types of {sent.slug}"
    if not sent.contents:
        return skipped(name, "Of what was sent no content is kept, so what was meant is not known.")
    silent = sum(kind is ProviderKind.APNS and _should_wake(content) for content, kind in sent.contents)
    shown = sum(_should_show(content) for content, _ in sent.contents)
    if silent:
        cause = (
            f"Of {sent.among}, {_as(silent, 'an alert', 'alerts')} with nothing to show: an alert is shown by the system, and "
            "the app does not run for it."
        )
        return warning(
            name, cause, 'Send what wakes the app with `"type": "background"`, and let the app show what it fetched.'
        )
    if shown:
        sent_as = _as(shown, "a background push", "background pushes")
        cause = f"Of {sent.among}, {sent_as} with something to show, which nobody sees."
        return warning(name, cause, 'Send what is to be seen with `"alert"`: its type is `alert` then.')
    counted = Counter(content.type for content, _ in sent.contents)
    listed = ", ".join(f"{number} {push_type.value}" for push_type, number in counted.most_common())
    return fine(
        name,
        f"Of {sent.among}: {listed}. Alerts are shown by the system; the app runs for background pushes and calls.",
    )


def _as(number: int, one: str, many: str) -> str:
    """Say how many were sent as what they should not be."""
    return f"1 was sent as {one}" if number == 1 else f"{number} were sent as {many}"


def _should_wake(content: Content) -> bool:
    """Tell whether an alert is meant to wake its app. Apple's alone: with Google, what shows nothing is data, and the app runs."""
    if content.type is not PushType.ALERT:
        return False
    return not _has_something_to_show(content) and content.webpush.raw is None


def _should_show(content: Content) -> bool:
    """Tell whether a background push is meant to be seen."""
    return content.type is PushType.BACKGROUND and _has_something_to_show(content)


def _has_something_to_show(content: Content) -> bool:
    return _shows(content.alert) or _apple_shows(content) or _google_shows(content)


def _shows(alert: Alert | None) -> bool:
    """Tell whether there is anything to see or hear."""
    if alert is None:
        return False
    texts = (alert.title, alert.body, alert.subtitle, alert.title_loc_key, alert.body_loc_key, alert.sound)
    return any(texts) or bool(alert.localized) or alert.badge is not None


def _apple_shows(content: Content) -> bool:
    """Tell whether a caller wrote something for Apple's devices to show."""
    written = content.apns.raw if content.apns.raw is not None else content.apns.payload
    aps = written.get("aps")
    return isinstance(aps, dict) and any(aps.get(key) is not None for key in ("alert", "sound", "badge"))


def _google_shows(content: Content) -> bool:
    """Tell whether a caller wrote something for Google's devices to show."""
    written = content.fcm.raw if content.fcm.raw is not None else content.fcm.payload
    return "notification" in written
