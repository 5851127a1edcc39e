"""A wake that somebody else's SIP proxy asks for: the call or message is theirs, the push is ours.

Rules: the push parameters say which app it is, as for phones that register here; the token goes as a raw target, because a proxy
that repeats what a phone once said is no proof that the token is good today. A token that a push service has called gone, or
doubted, gets nothing, and is refused at once (410), so that the proxy can answer its caller. The same wake asked for twice is one
push.
"""

from __future__ import annotations

import hashlib

import msgspec

from wakeline.config import Settings
from wakeline.edges.rest.caller import Caller
from wakeline.edges.rest.ports import RestPorts
from wakeline.edges.sip.apps import Covered, PushApps
from wakeline.model.app import App
from wakeline.model.device import TargetClaim, TargetKind, TargetState
from wakeline.model.errors import InvalidRequest, NoCredential, TokenGone, WakelineError
from wakeline.model.ids import uuid_of
from wakeline.model.notification import Audience, NotificationRequest, RawTarget
from wakeline.model.route import ProviderKind
from wakeline.model.sip.push import PushParams
from wakeline.pipeline import Pipeline, Submission, Taken
from wakeline.ports import Devices, IdempotencyKey, Replayed, Reply
from wakeline.wire.flexisip.payloads import Occasion, Push, request
from wakeline.wire.flexisip.placeholders import token_for

_WHOLE = frozenset({TargetKind.HTTP, TargetKind.WEBPUSH})
"""Kinds of target that stand for all tokens of a phone."""

_FOR_REGISTERING = 3600
"""Seconds that a push is good for that only asks for a registration."""


class Wake(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for: the phone, and what is to be sent to it. `scope` is whose repeats are one and the same."""

    params: PushParams
    push: Push
    scope: str
    idempotency: IdempotencyKey | None = None
    request_id: str = ""


class Delegate:
    """Takes wakes. Raises what an edge has to answer."""

    def __init__(self, apps: PushApps, devices: Devices, pipeline: Pipeline) -> None:
        self._apps = apps
        self._devices = devices
        self._pipeline = pipeline

    async def take(self, wake: Wake, caller: Caller) -> tuple[App, Reply]:
        """Have a phone woken; returns its app and the answer, which is on disk with the push.

        Raises NoCredential (also if the caller may not know of the app), InvalidRequest, TokenGone, RateLimited (the quota of its
        key), and what accepting raises.
        """
        covered = self._apps.among(caller.sees).cover(wake.params)
        if isinstance(covered, str):
            raise NoCredential(
                covered,
                pointer="/pn_param",
                fix="`wakeline credential list` shows what each app can send to; [sip] senders names the app of a Firebase number.",
            )
        target = _target(covered, wake)
        wanted = request(wake.params, wake.push, Audience(targets=(_raw(target),)))
        if wanted is None:
            raise _no_token()
        await self._check_alive(covered.app, target)
        if caller.quota is not None:
            caller.quota.take()
        return covered.app, await self._accepted(covered.app, wake, wanted, caller)

    async def _check_alive(self, app: App, target: TargetClaim) -> None:
        device = await self._devices.by_target(app.id, target.kind, target.value)
        known = (
            next((each for each in device.targets if _same(each.kind, each.value, target)), None) if device else None
        )
        if known is not None and known.state is not TargetState.ACTIVE:
            raise TokenGone(
                f"Nothing is sent to this token, for the push service said {known.reason or 'that it is gone'}",
                fix="Forget the registration; the app registers with a new token.",
            )

    async def _accepted(self, app: App, wake: Wake, wanted: NotificationRequest, caller: Caller) -> Reply:
        submission = Submission(
            request=wanted,
            idempotency=wake.idempotency or _key(wake),
            reply=lambda taken: reply_of(app, taken),
            request_id=wake.request_id,
        )
        [result] = await self._pipeline.accept.accept(app, [submission])
        if caller.quota is not None and not isinstance(result, Taken):
            caller.quota.give_back(1)
        match result:
            case Taken():
                return reply_of(app, result)
            case Replayed(reply=reply):
                return reply
            case WakelineError():
                raise result


def delegate_of(ports: RestPorts) -> Delegate:
    """Return the delegate over the parts of the REST edge."""
    apps = PushApps(
        ports.apps,
        ports.credentials,
        ports.clock,
        lambda: ports.settings.sip.sender_apps,
        lambda: ports.settings.providers.webpush.allow_http,
    )
    return Delegate(apps, ports.devices, ports.pipeline)


class WokenView(msgspec.Struct, frozen=True, kw_only=True):
    """A wake that is kept: the notification's id, and the app whose it is."""

    id: str
    app: str


def reply_of(app: App, taken: Taken) -> Reply:
    """Return the 202 for a wake that is kept."""
    return Reply(status=202, body=msgspec.json.encode(WokenView(id=uuid_of(taken.key), app=app.slug)))


def lifetime(occasion: Occasion, settings: Settings) -> int:
    """Return the seconds that a push is good for where nobody said: what our own proxy would wait."""
    match occasion:
        case Occasion.CALL | Occasion.OTHER:
            return settings.sip.call_fork_timeout
        case Occasion.REGISTER:
            return _FOR_REGISTERING
        case _:
            return settings.sip.message_delivery_timeout


def _target(covered: Covered, wake: Wake) -> TargetClaim:
    """Return the token that this push goes to. Raises InvalidRequest."""
    token = token_for(wake.params, wake.push.occasion)
    for target in covered.targets:
        if token is not None and (target.kind in _WHOLE or target.value.lower() == token.value.lower()):
            return target
    raise _no_token()


def _no_token() -> InvalidRequest:
    return InvalidRequest(
        "No token of this phone may be used for this: a VoIP token is for calls alone",
        pointer="/pn_prid",
        fix="The app gives its other token too, as <token>:voip&<token>:remote.",
    )


def _raw(target: TargetClaim) -> RawTarget:
    """Return the target as a notification names it. Raises InvalidRequest."""
    if target.kind is TargetKind.WEBPUSH:
        raise InvalidRequest(
            "A Web Push endpoint alone cannot be pushed to for others: nothing can be encrypted without its keys",
            pointer="/pn_provider",
            fix="Register it as a device with its keys, and send a notification of type call to it.",
        )
    return RawTarget(
        kind=target.kind.value, value=target.value, environment=target.environment.value, topic=target.topic
    )


def _same(kind: TargetKind, value: str, target: TargetClaim) -> bool:
    if kind.provider is ProviderKind.APNS:
        return (kind, value.lower()) == (target.kind, target.value.lower())
    return (kind, value) == (target.kind, target.value)


def _key(wake: Wake) -> IdempotencyKey | None:
    """Return what makes a repeat one: the call, the token and why it is woken; None: each push is another.

    So it is without a Call-ID, and where requests share one: within a dialog, and from one registration to the next.
    """
    if not wake.push.call_id or wake.push.occasion in (Occasion.OTHER, Occasion.REGISTER):
        return None
    marks = "\n".join((wake.push.call_id, *wake.params.key, wake.push.occasion))
    digest = hashlib.sha256(marks.encode(errors="surrogateescape"))
    return IdempotencyKey(scope=wake.scope, key=digest.hexdigest(), fingerprint=b"")
