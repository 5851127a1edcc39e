"""A push on its own: written to its push service by this process, with no store, no queue and no second try.

For a command that shows what a push service says. Which of the credentials at hand is used is decided as the gateway decides
it; the answer is the provider's, as an outcome.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import msgspec

from wakeline.config import Settings
from wakeline.model.credential import Credential, CredentialSecret
from wakeline.model.device import Recipient, TargetKind, TargetState
from wakeline.model.notification import Content, Notification, PushType, RawTarget
from wakeline.model.outcome import Action, Outcome
from wakeline.model.route import Environment, Lane, ProviderKind, Route
from wakeline.pipeline.coverage import Choice, Need, choose, missing, need_of
from wakeline.ports import Preview, Sender, Shipment
from wakeline.service.clock import SystemClock
from wakeline.service.ids import KeyMaker
from wakeline.service.wiring import make_providers
from wakeline.wire.outcomes import Refusal, apns, fcm, ours

_OK = 200
_PATIENCE = 30.0
"""Seconds for one answer, connecting included."""


class Lent(msgspec.Struct, frozen=True, kw_only=True):
    """A credential to push with, and where it is from, in words.

    `app`: the slug of its app, if it is of a store. `any_project`: it is meant, whatever Firebase project a phone names.
    """

    credential: Credential
    secret: CredentialSecret
    where: str
    app: str = ""
    any_project: bool = False


class LonePush(msgspec.Struct, frozen=True, kw_only=True):
    """What goes to one token. `ttl` in seconds."""

    target: RawTarget
    content: Content
    ttl: int


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a push: the request as written (token masked, authorization redacted), and what the answer means."""

    outcome: Outcome
    request: Preview | None = None
    credential: str = ""


class LonePushes:
    """Sends pushes one after the other over shared connections; to be closed."""

    def __init__(self, settings: Settings, lent: Iterable[Lent]) -> None:
        # What is not of a store has no id, and senders tell credentials apart by it.
        self._lent = {
            number: msgspec.structs.replace(one, credential=msgspec.structs.replace(one.credential, id=number))
            for number, one in enumerate(lent, start=1)
        }
        self._sender_apps = settings.sip.sender_apps
        self._clock = SystemClock()
        self._keys = KeyMaker(self._clock.now, 0)
        self._providers, self._http = make_providers(settings, self._clock)
        self._senders: dict[tuple[int, Environment, str], Sender] = {}

    def covers(self, push: LonePush) -> bool:
        """Tell whether there is a credential for a push."""
        return self._choice(need_for(push)) is not None

    def serves(self, provider: ProviderKind) -> bool:
        """Tell whether there is any credential for a push service."""
        return any(one.credential.provider is provider for one in self._lent.values())

    async def send(self, push: LonePush) -> Said:
        """Send a push and wait for its answer. Raises CredentialRefused, ConfigError for what nothing can be sent with."""
        need = need_for(push)
        choice = self._choice(need)
        if choice is None:
            detail = missing((one.credential for one in self._lent.values()), need)
            return Said(outcome=ours(Refusal.NO_CREDENTIAL, detail=detail))
        lent = self._lent[choice.credential.id]
        route = Route(id=0, app=0, provider=need.provider, environment=need.environment, topic=choice.topic)
        notification, recipient = self._notification(push), _recipient(push.target)
        provider = self._providers[need.provider]
        request = provider.preview(notification, route, lent.credential, recipient, self._clock.now())
        sender = self._sender(route, lent)
        outcome = await self._sent(sender, route, notification, recipient)
        if outcome.action is Action.REPLAY:  # it was not looked at: the server was about to leave this connection
            outcome = await self._sent(sender, route, notification, recipient)
        return Said(outcome=outcome, request=request, credential=lent.where)

    async def close(self) -> None:
        """End the connections."""
        for sender in self._senders.values():
            await sender.close(drain=0.0)
        await self._http.aclose()

    def _choice(self, need: Need) -> Choice | None:
        app = self._sender_apps.get(need.topic)
        meant = [one.credential for one in self._lent.values() if one.any_project or (app and one.app == app)]
        return fitting([one.credential for one in self._lent.values()], need, self._clock.now(), meant=meant)

    def _sender(self, route: Route, lent: Lent) -> Sender:
        key = (lent.credential.id, route.environment, route.topic)
        sender = self._senders.get(key)
        if sender is None:
            provider = self._providers[route.provider]
            sender = self._senders[key] = provider.open(route, lent.credential, lent.secret, _nothing)
        return sender

    def _notification(self, push: LonePush) -> Notification:
        now = self._clock.now()
        return Notification(
            key=self._keys.next(),
            app=0,
            content=push.content,
            lane=Lane.CALL if push.content.type is PushType.CALL else Lane.ALERT,
            due=now,
            expires=now + push.ttl * 1000,
            created=now,
        )

    async def _sent(self, sender: Sender, route: Route, notification: Notification, recipient: Recipient) -> Outcome:
        told: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        def answered(_: Shipment, accepted: Sequence[int], others: list[tuple[int, Outcome]]) -> None:
            told.set_result(_accepted(route.provider) if accepted else others[0][1])

        sender.send(
            Shipment(
                route=route,
                lane=notification.lane,
                notification=notification,
                recipients=[recipient],
                deadline=self._clock.monotonic() + _PATIENCE,
                on_results=answered,
            )
        )
        return await told


def fitting(
    credentials: Sequence[Credential], need: Need, now: int, *, meant: Sequence[Credential] = ()
) -> Choice | None:
    """Return the credential for a push; `now` in Unix ms.

    A phone may name its Firebase project by a number, which no service account bears: then it is the one that is `meant`
    by whoever sends or by the settings, else the only one there is.
    """
    found = choose(credentials, need, now)
    if found is not None or need.provider is not ProviderKind.FCM:
        return found
    known = [one for one in credentials if one.provider is ProviderKind.FCM]
    only = known if len(known) == 1 and need.topic.isdecimal() else ()
    return choose(meant or only, need._replace(topic=""), now)


def need_for(push: LonePush) -> Need:
    """Return what sending a push needs."""
    target = push.target
    return need_of(target.kind, Environment(target.environment), target.topic, push.content.type)


def _recipient(target: RawTarget) -> Recipient:
    return Recipient(1, target.token, 0, TargetState.ACTIVE, "", 0, TargetKind(target.kind))


def _accepted(provider: ProviderKind) -> Outcome:
    """Return what a plain 200 means: senders tell it by position alone."""
    return fcm(_OK, b"") if provider is ProviderKind.FCM else apns(_OK, "")


def _nothing() -> None:
    """Wake nobody."""
