"""`explain`: one answer to "where is it?", for whatever the question names.

Order in which a bare word is understood: id of a notification or delivery, code or provider reason, token, device, user, address.
`device:`, `user:`, `token:`, `reason:`, and `sip:` of an address, in front leave nothing to guess.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import msgspec

from wakeline import ports
from wakeline.doctor.explain_delivery import DeliveryExplainer
from wakeline.doctor.explain_device import DeviceExplainer
from wakeline.doctor.explain_reason import of_reason
from wakeline.doctor.explain_sip import SipExplainer, SipExplainPorts
from wakeline.doctor.explanation import Explanation
from wakeline.model import ids
from wakeline.model.app import App
from wakeline.model.device import Device, TargetKind
from wakeline.model.errors import NotFound
from wakeline.model.notification import Notification
from wakeline.pipeline import Pipeline

Finder = Callable[[str, Sequence[App]], Awaitable[Explanation | None]]

_ADDRESSES = ("sip:", "sips:")


class ExplainPorts(msgspec.Struct, frozen=True, kw_only=True):
    """Where explanations are read from."""

    clock: ports.Clock
    devices: ports.Devices
    credentials: ports.Credentials
    routes: ports.Routes
    ledger: ports.Ledger
    pipeline: Pipeline
    sip: SipExplainPorts | None = None
    """None for those who may not see registrations: they belong to no app."""
    stale_after: int = 30 * 86400
    """Seconds of silence after which a device is said to be stale ([devices] stale_after)."""


class Explainer:
    """Answers questions about what was kept; asks no provider and changes nothing."""

    def __init__(self, parts: ExplainPorts) -> None:
        """Read from these."""
        self._parts = parts
        self._deliveries = DeliveryExplainer(
            parts.clock, parts.devices, parts.routes, parts.ledger, parts.pipeline.silence.suspicions
        )
        self._devices = DeviceExplainer(
            parts.clock,
            parts.devices,
            parts.credentials,
            parts.routes,
            parts.ledger,
            parts.pipeline,
            stale_after=parts.stale_after,
        )

    async def explain(self, question: str, apps: Sequence[App]) -> Explanation:
        """Answer a question about anything in these apps. Raises NotFound when it names nothing that is known."""
        asked = question.strip()
        if asked.lower().startswith(_ADDRESSES):
            return await self._first(asked, apps, (self._address, self._user))
        for prefix, finder in self._prefixes().items():
            if asked.lower().startswith(prefix):
                return await self._first(asked[len(prefix) :].strip(), apps, (finder,))
        return await self._first(
            asked, apps, (self._id, self._reason, self._token, self._device, self._user, self._bare)
        )

    async def notification(self, notification: Notification, app: App) -> Explanation:
        """Explain a notification."""
        return await self._deliveries.notification(notification, app)

    def _prefixes(self) -> dict[str, Finder]:
        return {"device:": self._device, "user:": self._user, "token:": self._token, "reason:": self._reason}

    async def _first(self, asked: str, apps: Sequence[App], finders: Sequence[Finder]) -> Explanation:
        for finder in finders:
            found = await finder(asked, apps)
            if found is not None:
                return found
        raise NotFound(
            f"nothing here is called {asked[:64]!r}",
            fix="Ask for the id of a notification or delivery, a device, a user, a token, a SIP address such as "
            "sip:bob@example.org, a code such as 905, or a reason such as BadDeviceToken.",
        )

    async def _id(self, asked: str, apps: Sequence[App]) -> Explanation | None:
        try:
            key, target = ids.parse(asked)
        except NotFound:
            return None
        notification = await self._parts.ledger.notification(key)
        app = next((app for app in apps if notification is not None and app.id == notification.app), None)
        if notification is None or app is None:
            return None
        if target is None:
            return await self._deliveries.notification(notification, app)
        delivery = await self._parts.ledger.delivery(key, target, self._parts.clock.now())
        return None if delivery is None else await self._deliveries.delivery(notification, delivery, app)

    async def _reason(self, asked: str, _apps: Sequence[App]) -> Explanation | None:
        return of_reason(asked)

    async def _token(self, asked: str, apps: Sequence[App]) -> Explanation | None:
        if asked.startswith(("https://", "http://")):
            return await self._endpoint(asked, apps)
        for app in apps:
            for kind in TargetKind:
                for value in dict.fromkeys((asked, asked.lower())):
                    device = await self._parts.devices.by_target(app.id, kind, value)
                    if device is not None:
                        return await self._devices.token(app, device, kind, value)
        return None

    async def _endpoint(self, asked: str, apps: Sequence[App]) -> Explanation | None:
        """Explain the Web Push subscription at this endpoint; who asks need not know its keys."""
        for app in apps:
            device = await self._parts.devices.by_endpoint(app.id, asked)
            for target in device.targets if device is not None else ():
                if device is not None and target.value.startswith(f"{asked} "):
                    return await self._devices.token(app, device, target.kind, target.value)
        return None

    async def _device(self, asked: str, apps: Sequence[App]) -> Explanation | None:
        for app in apps:
            device = await self._parts.devices.get(app.id, asked)
            if device is not None:
                return await self._devices.device(app, device)
        return None

    async def _address(self, asked: str, apps: Sequence[App]) -> Explanation | None:
        parts = self._parts
        if parts.sip is None:
            return None
        explainer = SipExplainer(parts.clock, parts.devices, parts.credentials, parts.ledger, self._devices, parts.sip)
        return await explainer.address(asked, apps)

    async def _bare(self, asked: str, apps: Sequence[App]) -> Explanation | None:
        """Explain what is an address but for its `sip:`, if its domain is served."""
        _, at, domain = asked.rpartition("@")
        served = self._parts.sip is not None and domain.lower() in self._parts.sip.settings.domains
        return await self._address(f"sip:{asked}", apps) if at and served else None

    async def _user(self, asked: str, apps: Sequence[App]) -> Explanation | None:
        found: list[tuple[App, Device]] = []
        for app in apps:
            page = await self._parts.devices.find(app.id, user=asked)
            found += [(app, device) for device in page.devices]
        return await self._devices.user(asked, found) if found else None
