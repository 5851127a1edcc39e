"""What each phone gets: the token to use, and the push that its app expects (facts of Flexisip's tool: ttl, texts).

A PushKit push is a call, kept 90 seconds; every other is a message, kept as long as a push service keeps one.
"""

from __future__ import annotations

from typing import Any

import msgspec

from wakeline.model.device import TargetKind
from wakeline.model.notification import Audience, NotificationRequest, RawTarget
from wakeline.model.outcome import Outcome
from wakeline.model.sip.push import PushParams, PushProvider, PushToken
from wakeline.service.lone_push import LonePush
from wakeline.wire.fcm.message import LONGEST_TTL
from wakeline.wire.flexisip import payloads
from wakeline.wire.flexisip.payloads import Form, Occasion
from wakeline.wire.outcomes import Refusal, ours

_CALL_TTL = 90
_CALLER = "Pusher"
_VOIP, _REMOTE = "voip", "remote"


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What the flags say about the push. `form` None: as the token allows."""

    form: Form | None = None
    call_id: str
    custom: dict[str, Any] = {}


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One push to one token."""

    params: PushParams
    target: RawTarget
    push: payloads.Push
    form: Form | None

    def lone(self) -> LonePush:
        """Return it as it is sent from here."""
        content = payloads.content(self.params, self.push, self.form)
        assert content is not None  # noqa: S101 - `form` was chosen for a token that is there
        return LonePush(target=self.target, content=content, ttl=self.push.ttl)

    def request(self) -> NotificationRequest:
        """Return it as a gateway is asked to send it."""
        made = payloads.request(self.params, self.push, Audience(targets=(self.target,)), self.form)
        assert made is not None  # noqa: S101 - `form` was chosen for a token that is there
        return made


def plan(params: PushParams, wishes: Wishes, now: int) -> Plan | Outcome:
    """Return what a phone gets, or why none of its tokens can take it; `now` in Unix ms."""
    apple = params.provider is not PushProvider.FCM
    form = (wishes.form or _usual_form(params)) if apple else None
    token = params.token(_service(form)) if apple else params.tokens[0]
    if token is None:
        return _without_token(form)
    call = form is Form.PUSHKIT
    push = payloads.Push(
        occasion=Occasion.CALL if call else Occasion.MESSAGE,
        ttl=_CALL_TTL if call else LONGEST_TTL,
        at=now,
        call_id=wishes.call_id,
        from_name=_CALLER,
        custom=wishes.custom,
    )
    return Plan(params=params, target=_target(params, token), push=push, form=form)


def _usual_form(params: PushParams) -> Form:
    """Return what Flexisip's tool sends by default since 2.2, but to a phone that has a VoIP token alone."""
    return Form.BACKGROUND if params.token(_REMOTE) is not None else Form.PUSHKIT


def _service(form: Form | None) -> str:
    return _VOIP if form is Form.PUSHKIT else _REMOTE


def _target(params: PushParams, token: PushToken) -> RawTarget:
    if params.provider is PushProvider.FCM:
        return RawTarget(kind=TargetKind.FCM, value=token.value, topic=token.topic)
    kind = TargetKind.APNS_VOIP if token.service == _VOIP else TargetKind.APNS
    environment = "sandbox" if params.provider is PushProvider.APNS_DEV else "production"
    topic = token.topic.removesuffix(f".{_VOIP}")
    return RawTarget(kind=kind, value=token.value, environment=environment, topic=topic)


def _without_token(form: Form | None) -> Outcome:
    refused = ours(Refusal.NO_TARGET)
    if form is Form.PUSHKIT:
        cause = "A PushKit push goes to the token of PushKit, and these parameters have none."
        fix = "Give --pn-param <team>.<bundle id>.voip with the token that PushKit gave to the app."
    else:
        cause = (
            f"A {form} push goes to the token of remote notifications, and these parameters have only one of PushKit, which iOS "
            "keeps for calls."
        )
        fix = "Use --apple-push-type PushKit, or give --pn-param without .voip and the other token."
    return msgspec.structs.replace(refused, cause=cause, fix=fix)
