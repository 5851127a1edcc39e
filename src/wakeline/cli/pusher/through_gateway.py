"""A push through the gateway that runs: it has the store, so it sends, and is watched until it knows what became of the push.

Whoever tries a push wants its first answer. A push that waits (its route is held, the push service wants it later) is taken
back and counts as failed, so that it does not arrive when nobody looks any more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

import msgspec

from wakeline.cli.client import Client
from wakeline.cli.pusher.plans import Plan
from wakeline.edges.rest.apps import AppList
from wakeline.edges.rest.credentials import CredentialList
from wakeline.edges.rest.notification_views import DeliveryView, NotificationView, OutcomeView
from wakeline.edges.rest.previews import PreviewView
from wakeline.edges.rest.sending import TakenView
from wakeline.model.credential import Credential
from wakeline.model.delivery import DeliveryState
from wakeline.model.notification import NotificationRequest, RawTarget
from wakeline.model.outcome import Action, Outcome
from wakeline.model.route import ProviderKind
from wakeline.pipeline.coverage import Choice, missing
from wakeline.ports import Preview
from wakeline.service.lone_push import Said, fitting, need_for
from wakeline.wire.outcomes import Loss, Refusal, lost, ours

_PATIENCE = 30.0
_POLL = 0.05
_ON_ITS_WAY = frozenset(
    {DeliveryState.SCHEDULED, DeliveryState.QUEUED, DeliveryState.SENDING, DeliveryState.UNKNOWN, DeliveryState.HELD}
)
_ACCEPTED = frozenset({DeliveryState.ACCEPTED, DeliveryState.ACKNOWLEDGED, DeliveryState.OPENED})


class ThroughGateway:
    """Sends through the gateway. `apps` are the apps of its credentials, by the credentials' ids here."""

    def __init__(
        self,
        gateway: Client,
        credentials: list[Credential],
        apps: Mapping[int, str],
        senders: Mapping[str, str],
        *,
        preview: bool,
    ) -> None:
        self._gateway = gateway
        self._credentials = credentials
        self._apps = apps
        self._senders = senders
        self._preview = preview

    @classmethod
    async def of(cls, gateway: Client, senders: Mapping[str, str], *, preview: bool) -> ThroughGateway:
        """Look what the gateway has.

        `senders`: numbers of Firebase projects and the slugs of their apps; `preview`: ask for each request as it is written.
        """
        credentials: list[Credential] = []
        apps: dict[int, str] = {}
        listed: AppList = await gateway.call("app.list")
        for app in listed.apps:
            found: CredentialList = await gateway.call("credential.list", app=app.id)
            for one in found.credentials:
                number = len(credentials) + 1
                apps[number] = app.id
                credentials.append(
                    Credential(
                        id=number,
                        app=0,
                        kind=one.kind,
                        environments=one.environments,
                        topics=one.topics,
                        state=one.state,
                        not_after=None if one.not_after is None else int(one.not_after.timestamp() * 1000),
                    )
                )
        return cls(gateway, credentials, apps, senders, preview=preview)

    def serves(self, provider: ProviderKind) -> bool:
        """See `Way`."""
        return any(one.provider is provider for one in self._credentials)

    def covers(self, plan: Plan) -> bool:
        """Tell whether there is a credential for a push."""
        return self._choice(plan) is not None

    async def send(self, plan: Plan) -> Said:
        """See `Way`. Raises Refused for what the gateway does not take."""
        choice = self._choice(plan)
        if choice is None:
            detail = missing(self._credentials, need_for(plan.lone()))
            return Said(outcome=ours(Refusal.NO_CREDENTIAL, detail=detail))
        app = self._apps[choice.credential.id]
        request = msgspec.structs.replace(plan, target=_of_topic(plan, choice)).request()
        shown = await self._shown(app, request) if self._preview else None
        taken: TakenView = await self._gateway.call("notification.send", body=request, app=app)
        outcome = await self._settled(app, taken.id)
        return Said(outcome=outcome, request=shown, credential=f"app {app} of the gateway that runs")

    def _choice(self, plan: Plan) -> Choice | None:
        need = need_for(plan.lone())
        app = self._senders.get(need.topic)
        meant = [one for one in self._credentials if app and self._apps[one.id] == app]
        return fitting(self._credentials, need, time.time_ns() // 1_000_000, meant=meant)

    async def _shown(self, app: str, request: NotificationRequest) -> Preview | None:
        shown: PreviewView = await self._gateway.call(
            "notification.send", body=request, query={"validate_only": "true"}, response=PreviewView, app=app
        )
        (item,) = shown.requests
        if item.request is None:
            return None
        return Preview(
            method=item.request.method,
            url=item.request.url,
            headers=tuple(item.request.headers.items()),
            body=item.request.body,
            size=item.size,
            limit=item.limit,
            warnings=item.warnings,
        )

    async def _settled(self, app: str, notification: str) -> Outcome:
        end = time.monotonic() + _PATIENCE
        while True:
            delivery = await self._delivery(app, notification)
            if delivery is not None and (_is_over(delivery) or _waits(delivery)):
                break
            if time.monotonic() >= end:
                break
            await asyncio.sleep(_POLL)
        if delivery is None or not _is_over(delivery):
            await self._gateway.call("notification.cancel", app=app, notification=notification)
            last = await self._delivery(app, notification)
            if last is not None and last.state in _ACCEPTED:
                delivery = last
        return _outcome(delivery)

    async def _delivery(self, app: str, notification: str) -> DeliveryView | None:
        shown: NotificationView = await self._gateway.call("notification.show", app=app, notification=notification)
        return next(iter(shown.deliveries), None)


def _of_topic(plan: Plan, choice: Choice) -> RawTarget:
    return msgspec.structs.replace(plan.target, topic=choice.topic)


def _is_over(delivery: DeliveryView) -> bool:
    return delivery.state not in _ON_ITS_WAY


def _waits(delivery: DeliveryView) -> bool:
    """Tell whether it is held, or is to be tried again later."""
    return delivery.state is DeliveryState.HELD or any(one.retry_at is not None for one in delivery.attempts)


def _outcome(delivery: DeliveryView | None) -> Outcome:
    if delivery is None or delivery.outcome is None:
        return lost(Loss.TIMEOUT)
    accepted = delivery.state in _ACCEPTED
    said: OutcomeView = delivery.outcome
    return Outcome(
        outcome_class=said.outcome_class,
        action=Action.DONE if accepted else Action.FAIL,
        code=said.code,
        status=said.status,
        reason=said.reason,
        cause=said.cause,
        fix=said.fix,
    )
