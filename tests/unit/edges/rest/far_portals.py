"""Connected portals that answer as a test says: without a network."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from wakeline.connectors.bitrix24.rules import compiled
from wakeline.model.bitrix24.inbox import ReceivedEvent
from wakeline.model.bitrix24.installation import Installation, InstallationState
from wakeline.model.bitrix24.rule import Rule, RuleTrial
from wakeline.model.errors import WakelineError
from wakeline.model.notification import Alert, Audience, NotificationRequest
from wakeline.ports.bitrix24_connector import SyncProgress


class FarPortals:
    """`down` is what every request comes to, if set; `member_id` is who answers, `meanwhile` what happens
    until it does; the rest is what was asked of it."""

    def __init__(self) -> None:
        self.down: WakelineError | None = None
        self.member_id = ""
        self.meanwhile: Callable[[], Awaitable[None]] | None = None
        self.rung: list[int] = []
        self.heard: list[str] = []
        self.bound: list[int] = []
        self.tried: list[ReceivedEvent] = []
        self.progresses: dict[int, SyncProgress] = {}

    def ring(self, installation: int) -> None:
        self.rung.append(installation)

    def rules_changed(self) -> None:
        self.heard.append("rules")

    def connected(self, installation: int) -> None:
        self.heard.append(f"connected {installation}")

    def disconnected(self, installation: int) -> None:
        self.heard.append(f"disconnected {installation}")

    async def verify(self, installation: Installation) -> Installation:
        self._answer()
        if self.meanwhile is not None:
            await self.meanwhile()
        return msgspec.structs.replace(
            installation, member_id=self.member_id or installation.member_id, state=InstallationState.ACTIVE
        )

    async def redeem(self, installation: Installation, code: str) -> Installation:
        return await self.verify(msgspec.structs.replace(installation, title=code))

    async def bind(self, installation: Installation) -> tuple[str, ...]:
        self._answer()
        self.bound.append(installation.id)
        return ("ONCRMDEALADD",)

    def check(self, rule: Rule) -> None:
        """Judge a rule as the connector does."""
        compiled(rule)

    async def attempt(self, rule: Rule, event: ReceivedEvent) -> RuleTrial:
        self._answer()
        self.tried.append(event)
        if rule.event not in ("*", event.event):
            return RuleTrial(applies=False, cause=f"the rule is for {rule.event}")
        users = (f"m:{event.user}",)
        request = NotificationRequest(to=Audience(users=users), alert=Alert(title=rule.title))
        return RuleTrial(applies=True, users=users, request=request, record={"ID": str(event.record)})

    def synchronise(self, installation: int) -> SyncProgress:
        return self.progresses.setdefault(installation, SyncProgress(began=1000, total={"crm.deal": 9}))

    def progress(self, installation: int) -> SyncProgress | None:
        return self.progresses.get(installation)

    def _answer(self) -> None:
        if self.down is not None:
            raise self.down
