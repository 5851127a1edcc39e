"""What devices declared about their tokens, against what the app can send with.

Rule: of an app with millions of devices the first two thousand are looked at, and the lines say so; wrong settings show in
those as in all. Whoever asks for a user gets all devices of that user.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import msgspec

from wakeline.doctor import phones
from wakeline.doctor.checking import DoctorPorts, failed, fine, many, skipped, warning
from wakeline.doctor.sender import lacking
from wakeline.doctor.users import of_one, of_users
from wakeline.model.app import ApnsEnvironment, App
from wakeline.model.credential import Credential
from wakeline.model.device import Device, Target, TargetState
from wakeline.model.route import Environment, ProviderKind
from wakeline.observe.health import Check
from wakeline.observe.masking import masked_token
from wakeline.wire import apns

MOST, PAGE = 2_000, 200
SECONDS = 3.0
"""For so long devices are read."""
MANY_SANDBOX = 0.1
"""A share of sandbox tokens that is no handful of developers any more."""

_APPLE = ("ios", "ipados", "iphone", "ipad")
_APNS_TOKEN = 64
"""Hexadecimal digits of an APNs token today: an FCM token is never made of them alone."""


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """Devices of an app; `whole`: there are no others."""

    app: App
    devices: tuple[Device, ...]
    credentials: tuple[Credential, ...]
    whole: bool
    now: int

    @property
    def among(self) -> str:
        """Return among how many it was counted."""
        number = many(len(self.devices), "device")
        return number if self.whole else f"the first {number}"

    def active(self) -> Iterator[tuple[Device, Target]]:
        """Yield the targets that are sent to."""
        for device in self.devices:
            for target in device.targets:
                if target.state is TargetState.ACTIVE:
                    yield device, target


async def look(ports: DoctorPorts) -> Sequence[Check]:
    """Return lines about the devices of each app."""
    until = ports.clock.monotonic() + SECONDS
    samples = [await _sample(ports, app, until) for app in ports.asked()]
    if ports.user and len(samples) > 1 and any(sample.devices for sample in samples):
        # Nobody has to use every app.
        samples = [sample for sample in samples if sample.devices]
    found = [line for sample in samples for line in judge(sample, ports)]
    return found or [skipped("devices", "There is no app yet.")]


async def _sample(ports: DoctorPorts, app: App, until: float) -> Sample:
    devices: list[Device] = []
    cursor: int | None = 0
    while cursor is not None and len(devices) < MOST and ports.clock.monotonic() < until:
        page = await ports.devices.find(app.id, user=ports.user or None, cursor=cursor, limit=PAGE)
        devices += page.devices
        cursor = page.cursor
    return Sample(
        app=app,
        devices=tuple(devices),
        credentials=tuple(ports.credentials.of_app(app.id)),
        whole=cursor is None,
        now=ports.clock.now(),
    )


def judge(sample: Sample, ports: DoctorPorts) -> list[Check]:
    """Return the lines about some devices of an app."""
    slug = sample.app.slug
    if not sample.devices and not sample.whole:
        return [
            skipped(f"devices of {slug}", f"There was no time left to look at them: `wakeline doctor --app {slug}`.")
        ]
    stale = 1000 * ports.settings.devices.stale_after
    if ports.user:
        own = of_one(slug, ports.user, sample.devices, sample.now, stale)
    elif not sample.devices:
        return [skipped(f"devices of {slug}", "No device is registered.")]
    else:
        own = of_users(slug, sample.devices, sample.now)
    if not sample.devices:
        return [own]
    told = (
        phones.of_user(slug, ports.user, sample.devices, sample.now)
        if ports.user
        else phones.of_app(slug, sample.devices, sample.among)
    )
    return [covered(sample), apple_by_google(sample), environments(sample), shapes(sample), own, told]


def covered(sample: Sample) -> Check:
    """Say whether a credential covers the environment, topic or project of each token."""
    name = f"topics of {sample.app.slug}"
    if not sample.credentials:
        return skipped(name, "The app has no credential that they could be compared with.")
    known: dict[tuple[str, str, str], str] = {}
    bare: Counter[str] = Counter()
    for _, target in sample.active():
        key = target.kind.value, target.environment.value, target.topic
        if key not in known:
            found = lacking(sample.app, target, sample.credentials, sample.now)
            known[key] = "" if found is None else f"no credential covers it ({found[0]}). {found[1]}"
        bare[f"{' '.join(key).strip()}: {known[key]}"] += bool(known[key])
    uncovered = +bare
    if not uncovered:
        return _undeclared(name, sample) or fine(name, f"Credentials cover the tokens of {sample.among}.")
    said = " ".join(f"{many(number, 'token')} {what}" for what, number in uncovered.most_common(3))
    cause = f"Of {sample.among}, {many(sum(uncovered.values()), 'token')} cannot be sent to. {said}"
    fix = (
        "Compare the bundle id (iOS) or the project of google-services.json (Android) of the app build with "
        f"`wakeline credential list`; then upload what is missing: `wakeline credential add FILE --app {sample.app.slug}`. A .p8 "
        "key serves development and production alike."
    )
    return failed(name, cause, fix)


def _undeclared(name: str, sample: Sample) -> Check | None:
    """Say which tokens do not name their bundle id or project, where the app has credentials of several."""
    for provider, what, field in ((ProviderKind.APNS, "bundle id", "topic"), (ProviderKind.FCM, "project", "project")):
        number = sum(target.kind.provider is provider and not target.topic for _, target in sample.active())
        fitting = (one for one in sample.credentials if one.provider is provider)
        names = sorted({known for one in fitting for known in _names(one, sample.now)})
        if number and len(names) > 1:
            tokens = f"{many(number, f'{provider.value} token')} {'names' if number == 1 else 'name'}"
            cause = (
                f"Of {sample.among}, {tokens} no {what}, and the credentials are of several: {', '.join(names)}. Such a token is "
                "sent to with the newest of them, right or wrong."
            )
            return warning(name, cause, f"Have the app register with its {what}, as `{field}` of the target.")
    return None


def _names(credential: Credential, now: int) -> set[str]:
    """Return the bundle ids or projects of a credential that is still good."""
    if credential.not_after is not None and credential.not_after <= now:
        return set()
    return {apns.bundle_of(topic) for topic in credential.topics}


def apple_by_google(sample: Sample) -> Check:
    """Say whether iPhones with FCM tokens can be reached: APNs credentials alone do not help them."""
    name = f"FCM on iOS of {sample.app.slug}"
    number = sum(
        target.kind.provider is ProviderKind.FCM and device.facts.platform.lower().startswith(_APPLE)
        for device, target in sample.active()
    )
    if not number:
        return skipped(name, f"None of {sample.among} says to be an iPhone with an FCM token.")
    phones = f"{many(number, 'FCM token')} {'belongs' if number == 1 else 'belong'} to iPhones"
    if any(one.provider is ProviderKind.FCM for one in sample.credentials):
        return fine(
            name, f"{phones}, and the app has an FCM credential; Firebase needs an APNs key of its own for them."
        )
    cause = f"{phones}, and the app has no FCM credential: an APNs key or certificate cannot send to FCM tokens."
    fix = (
        "Best have the iOS app register its own APNs token (kind `apns`). Else upload the service account of its Firebase "
        "project here, and an APNs key in the Firebase console (Cloud Messaging)."
    )
    return failed(name, cause, fix)


def environments(sample: Sample) -> Check:
    """Say whether sandbox and production are mixed up."""
    name = f"APNs environments of {sample.app.slug}"
    worlds: Counter[Environment] = Counter()
    by_device: defaultdict[int, set[Environment]] = defaultdict(set)
    for device, target in sample.active():
        if target.kind.provider is ProviderKind.APNS:
            worlds[target.environment] += 1
            by_device[device.id].add(target.environment)
    if not worlds:
        return skipped(name, f"None of {sample.among} has an APNs token.")
    sandbox, production = worlds[Environment.SANDBOX], worlds[Environment.PRODUCTION]
    counted = f"Of {sample.among}, {many(production, 'token')} for production, {sandbox} for sandbox"
    doubt = _doubt(sample, sandbox, production, sum(len(both) > 1 for both in by_device.values()))
    if not doubt:
        return fine(name, f"{counted}.")
    fix = (
        "Development builds register `sandbox`, TestFlight and App Store builds `production`: have the app say which, from its "
        "aps-environment entitlement, and leave `apns_environment` of the app at `as_registered`."
    )
    return warning(name, f"{counted}: {doubt}", fix)


def _doubt(sample: Sample, sandbox: int, production: int, both: int) -> str:
    forced = sample.app.settings.apns_environment
    against = {ApnsEnvironment.PRODUCTION: sandbox, ApnsEnvironment.SANDBOX: production}.get(forced, 0)
    if against:
        return f"all are sent to {forced.value}, which {against} of them are not registered for."
    if both:
        return f"{many(both, 'device')} with tokens of both, which no one build gets."
    if sandbox and production and sandbox >= MANY_SANDBOX * (sandbox + production):
        return (
            "so many for sandbox are hardly all development builds; what is registered wrongly answers BadDeviceToken."
        )
    return ""


def shapes(sample: Sample) -> Check:
    """Say whether tokens look as their push service makes them."""
    name = f"tokens of {sample.app.slug}"
    odd = [(target, said) for _, target in sample.active() for said in [_misshapen(target)] if said]
    number = sum(not device.targets for device in sample.devices)
    empty = f"Of {sample.among}, {number} registered without any token and cannot be woken."
    later = "Have the app register once it has its token (iOS: after didRegister..., Android: from onNewToken on)."
    if odd:
        target, said = odd[0]
        cause = f"Of {sample.among}, {many(len(odd), 'token')} cannot be right: {masked_token(target.value)} {said}"
        fix = "Register the token as the phone gives it: hexadecimal as kind `apns`, Firebase's unchanged string as `fcm`."
        return failed(name, f"{cause} {empty}" if number else cause, f"{fix} {later}" if number else fix)
    if number:
        return warning(name, empty, later)
    return fine(name, f"The tokens of {sample.among} look right.")


def _misshapen(target: Target) -> str:
    value = target.value
    match target.kind.provider:
        case ProviderKind.APNS if not apns.normal_token(value):
            return "is registered for APNs and is not hexadecimal, as tokens of FCM are."
        case ProviderKind.APNS if len(value) % 2 or not value.strip("0"):
            return "is registered for APNs and was cut or is a placeholder."
        case ProviderKind.FCM if len(value) == _APNS_TOKEN and apns.normal_token(value):
            return "is registered for FCM and has the shape of an APNs token."
        case _:
            return ""
