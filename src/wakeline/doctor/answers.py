"""What push services, and the gateway itself, answered lately: the reasons for which pushes failed, the most frequent first.

Rule: the newest deliveries of an app that are kept one by one, of the last day; who asks for a user gets those to the devices of
that user. What was cancelled, superseded or not needed is no failure. What was refused for its content (913) has a line of its
own, about the app: `doctor.content`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from wakeline.doctor.checking import DAY, DoctorPorts, failed, fine, skipped, warning
from wakeline.doctor.meaning import of_delivery
from wakeline.model.app import App
from wakeline.model.delivery import Delivery, DeliveryState
from wakeline.model.outcome import Outcome
from wakeline.observe.health import Check

LATELY = 100
"""Deliveries that are looked at."""
REASONS = 3
"""Reasons that get a line each."""
CONTENT = 913
"""The code of what is refused for its content."""
PHONES = 12
"""Devices of a user whose deliveries are looked at."""

_ENDED = frozenset({DeliveryState.FAILED, DeliveryState.EXPIRED})
_WELL = frozenset({DeliveryState.ACCEPTED, DeliveryState.ACKNOWLEDGED, DeliveryState.OPENED})


async def look(ports: DoctorPorts) -> Sequence[Check]:
    """Return lines about the answers that each app got lately."""
    alone = bool(ports.user)
    found = [line for app in ports.asked() for line in judge(app.slug, await _lately(ports, app), of_user=alone)]
    return found or [skipped("answers", "There is no app yet.")]


async def _lately(ports: DoctorPorts, app: App) -> list[Delivery]:
    since = ports.clock.now() - DAY
    if not ports.user:
        found = await ports.ledger.recent(app.id, limit=LATELY)
    else:
        own = await ports.devices.find(app.id, user=ports.user, limit=PHONES)
        found = [one for device in own.devices for one in await ports.ledger.recent(app.id, device=device.id)]
    return [one for one in found if one.at >= since]


def judge(slug: str, deliveries: Sequence[Delivery], *, of_user: bool = False) -> list[Check]:
    """Return a line for each frequent reason of failure among deliveries, or one that says that there is none.

    `of_user`: they are those of one user, and a 913 among them is told here as well.
    """
    name = f"answers of {slug}"
    well = sum(one.state in _WELL for one in deliveries)
    reasons: Counter[tuple[str, int, int, str]] = Counter()
    example: dict[tuple[str, int, int, str], Delivery] = {}
    content = 0
    for one in deliveries:
        if one.state in _ENDED and one.code == CONTENT and not of_user:
            content += 1
        elif one.state in _ENDED:
            key = one.kind, one.code, one.status, one.reason
            reasons[key] += 1
            example.setdefault(key, one)
    total = well + reasons.total() + content
    if not total:
        return [skipped(name, "No push to anybody by name was answered in the last day.")]
    if not reasons:
        return [fine(name, _well(total, content, slug))]
    say = warning if well else failed
    return [
        say(name, *_worded(example[key], number, total, of_delivery(example[key])))
        for key, number in reasons.most_common(REASONS)
    ]


def _worded(one: Delivery, number: int, total: int, known: Outcome | None) -> tuple[str, str]:
    """Return cause and fix of a reason that so many deliveries failed for."""
    said = " ".join(part for part in (str(one.status or ""), one.reason) if part)
    code = f", code {one.code}" if one.code else ""
    kind = f"{one.kind}: " if one.kind else ""  # of a device that was forgotten since, nobody knows it any more
    which = "The only push" if total == 1 else f"{number} of the last {total} pushes"
    cause = f"{which} in the last day failed ({kind}{said}{code})."
    if known is None:
        return cause, "`wakeline explain` with the id of such a notification shows what happened."
    return f"{cause} {known.cause}", known.fix


def _well(total: int, content: int, slug: str) -> str:
    """Say that all were accepted, but for those of which the lines about contents speak."""
    if content:
        number = "one push" if total == 1 else f"{total} pushes"
        return f"Of {number} in the last day none failed but for its content: see `payloads of {slug}`."
    return (
        "The only push in the last day was accepted."
        if total == 1
        else f"The last {total} pushes in the last day: all accepted."
    )
