"""Credentials: of which kind, for how long, and what their push service last thought of them."""

from __future__ import annotations

from collections.abc import Sequence

from wakeline.doctor.checking import DAY, DoctorPorts, failed, fine, many, skipped, warning
from wakeline.model.app import App
from wakeline.model.credential import Credential, CredentialKind, CredentialState, Grade
from wakeline.observe.health import Check

SOON = 30 * DAY
"""A certificate that ends earlier is worth a line, as the first event about it is."""

_WORDS = {
    CredentialKind.APNS_KEY: "APNs key (.p8)",
    CredentialKind.APNS_CERTIFICATE: "APNs certificate",
    CredentialKind.FCM_SERVICE_ACCOUNT: "FCM service account",
    CredentialKind.VAPID_KEY: "VAPID key",
    CredentialKind.EXTERNAL_PUSH: "external push URI",
}
_SAID = {
    CredentialState.UNPROVEN: "no push service has seen it yet",
    CredentialState.WORKING: "its push service takes it",
    CredentialState.FAILED: "its push service refuses it",
}


async def look(ports: DoctorPorts) -> Sequence[Check]:
    """Return a line about each credential of each app."""
    found = [line for app in ports.asked() for line in await _of_app(ports, app)]
    return found or [skipped("credentials", "There is no app yet.")]


async def _of_app(ports: DoctorPorts, app: App) -> list[Check]:
    known, now = ports.credentials.of_app(app.id), ports.clock.now()
    if known:
        return [_line(one, [other for other in known if other.id != one.id], app, now) for one in known]
    name = f"credentials of {app.slug}"
    if not (await ports.devices.find(app.id, limit=1)).devices:
        return [skipped(name, "It has neither devices nor credentials yet.")]
    cause = "It has devices and no credential, so that each push fails at once with 901."
    return [failed(name, cause, f"{_add(app)}: a .p8 key (iPhone), a service account (Android).")]


def _line(one: Credential, others: Sequence[Credential], app: App, now: int) -> Check:
    name = f"credential {one.id} of {app.slug}"
    what = " ".join(part for part in (_WORDS[one.kind], one.key_id, ", ".join(one.topics)) if part)
    left = None if one.not_after is None else one.not_after - now
    if left is not None and left <= 0:
        return _ended(
            name, f"{what} ended {_days(-left)} ago", [other for other in others if _stands_in(other, one, now)], app
        )
    if one.state is CredentialState.FAILED:
        note = f": {one.state_note}" if one.state_note else "."
        return failed(name, f"{what}: {_SAID[one.state]}{note}", f"{_add(app)}; what waits goes out by itself then.")
    if left is not None and left < SOON:
        fix = f"{_add(app)}, best a .p8 key: it never ends, and serves both environments."
        return warning(name, f"{what} ends in {_days(left)}; from then on its pushes wait with 903.", fix)
    lasts = "it does not end" if left is None else f"{_days(left)} left"
    if one.verdict.grade is not Grade.OK and one.verdict.notes:
        return warning(name, f"{what}, {lasts}.", " ".join(one.verdict.notes))
    return fine(name, f"{what}: {lasts}, {_SAID[one.state]}.")


def _ended(name: str, ended: str, instead: Sequence[Credential], app: App) -> Check:
    if instead:
        cause = f"{ended}; credential {instead[0].id} does its work."
        return warning(name, cause, "Delete it, so that nobody takes it for one that is used.")
    return failed(
        name, f"{ended}: its pushes wait with 903, and calls fail.", f"{_add(app)}, best a .p8 key, which never ends."
    )


def _stands_in(other: Credential, ended: Credential, now: int) -> bool:
    """Tell whether another credential that works covers all that an ended one covered."""
    lasts = other.not_after is None or other.not_after > now
    if other.provider is not ended.provider or not lasts or other.state is CredentialState.FAILED:
        return False
    if not set(ended.environments) <= set(other.environments):
        return False
    return not other.topics or all(any(_within(topic, own, other) for own in other.topics) for topic in ended.topics)


def _within(topic: str, own: str, other: Credential) -> bool:
    """Tell whether a topic is covered by one of a credential: a key's bundle id covers its suffixes too."""
    return topic == own or (other.kind is CredentialKind.APNS_KEY and topic.startswith(f"{own}."))


def _days(milliseconds: int) -> str:
    return many(milliseconds // DAY, "day") if milliseconds >= DAY else "less than a day"


def _add(app: App) -> str:
    return f"`wakeline credential add FILE --app {app.slug}`"
