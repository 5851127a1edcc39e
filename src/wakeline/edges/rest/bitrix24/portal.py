"""The portal itself: its name, and the switches by which its operator closes it. And what is missing before it works."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType

from wakeline.edges.bitrix24 import audit_connected
from wakeline.edges.bitrix24.addresses import public
from wakeline.edges.bitrix24.audit import Facts, Finding, audit
from wakeline.edges.bitrix24.audit_connected import ConnectedFacts
from wakeline.edges.rest.operations import Answer, Call, Operation, Reach
from wakeline.edges.rest.shapes import Strict, View
from wakeline.model.bitrix24.access import PortalState
from wakeline.model.bitrix24.outbox import WriteState
from wakeline.model.key import Scope

_COUNTED = 1000
_DOMAIN = r"^([A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?(:[0-9]{1,5})?)?(?!\n)$"
_WORD = r"^[a-z][a-z0-9_]{1,31}(?!\n)$"

Plan = Literal["free", "commercial"]


class PortalPatch(Strict, frozen=True, kw_only=True):
    """What to change of the portal; what is absent stays. `domain`: host, and port if it is not 443; empty: as asked for.

    `closed`: its public part is closed; `blocked`: its REST is, for overload; on the plan `free` there is no REST.
    `license` is what methods say of the plan.
    """

    domain: Annotated[str, msgspec.Meta(pattern=_DOMAIN, max_length=260)] | UnsetType = UNSET
    closed: bool | UnsetType = UNSET
    blocked: bool | UnsetType = UNSET
    plan: Plan | UnsetType = UNSET
    license: Annotated[str, msgspec.Meta(pattern=_WORD)] | UnsetType = UNSET
    language: Annotated[str, msgspec.Meta(pattern=r"^[a-z]{2}(?!\n)$")] | UnsetType = UNSET


class PortalView(View, frozen=True, kw_only=True):
    """The portal. `address` is where clients find it, `server_endpoint` where its OAuth server is."""

    member_id: str
    domain: str
    address: str
    server_endpoint: str
    closed: bool
    blocked: bool
    plan: Plan
    license: str
    language: str


class AuditView(View, frozen=True, kw_only=True):
    """What was looked at, in sentences."""

    checks: tuple[Finding, ...]


def view(call: Call, portal: PortalState) -> PortalView:
    """Return the portal as the world sees it."""
    where = public(call.ports.settings, portal)
    return PortalView(
        member_id=portal.member_id,
        domain=portal.domain,
        address=where.portal,
        server_endpoint=where.server_endpoint,
        closed=portal.closed,
        blocked=portal.blocked,
        plan="commercial" if portal.commercial else "free",
        license=portal.license,
        language=portal.language,
    )


async def show(call: Call) -> Answer:
    """Show the portal."""
    return Answer(body=view(call, call.ports.portal.portal()))


async def change(call: Call) -> Answer:
    """Change the portal."""
    patch: PortalPatch = call.body
    given = {name: value for name, value in msgspec.structs.asdict(patch).items() if value is not UNSET}
    if "plan" in given:
        given["commercial"] = given.pop("plan") == "commercial"
    await call.ports.portal.set_portal(msgspec.structs.replace(call.ports.portal.portal(), **given))
    return await show(call)


async def findings(call: Call) -> list[Finding]:
    """Return what is configured and what is missing."""
    access = call.ports.portal
    applications = access.applications()
    facts = Facts(
        now=call.now,
        settings=call.ports.settings,
        portal=access.portal(),
        users=tuple(await access.users()),
        applications=tuple(applications),
        webhooks=tuple(access.webhooks()),
        apps={one.id: one.slug for one in call.ports.apps.all()},
        credentials=frozenset(one.app for one in call.ports.credentials.all()),
    )
    return list(audit(facts))


async def in_use(call: Call) -> bool:
    """Tell whether anybody uses our own portal."""
    access = call.ports.portal
    return bool(access.applications() or access.webhooks() or await access.users())


async def connected_findings(call: Call) -> list[Finding]:
    """Return what is configured and what is missing of the portals that we are connected to."""
    connected = call.ports.connected
    doubtful = await connected.outbox.recorded(state=WriteState.DOUBTFUL, limit=_COUNTED)
    facts = ConnectedFacts(
        now=call.now,
        settings=call.ports.settings,
        installations=tuple(connected.installations.all()),
        rules=tuple(connected.rules.all()),
        apps={one.id: one.slug for one in call.ports.apps.all()},
        credentials=frozenset(one.app for one in call.ports.credentials.all()),
        events=await connected.inbox.next_due(),
        writes=await connected.outbox.next_due(),
        doubtful=Counter(write.installation for write in doubtful),
    )
    return list(audit_connected.audit(facts))


async def look(call: Call) -> Answer:
    """Say what is configured and what is missing; of our own portal only if it is used, or nothing else is."""
    connected = await connected_findings(call)
    ours = await findings(call) if not connected or await in_use(call) else []
    return Answer(body=AuditView(checks=(*ours, *connected)))


OPERATIONS = (
    Operation(
        name="bitrix24.portal.show",
        method="GET",
        path="/v1/bitrix24/portal",
        handler=show,
        summary="Show our own Bitrix24 portal",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        response=PortalView,
    ),
    Operation(
        name="bitrix24.portal.change",
        method="PATCH",
        path="/v1/bitrix24/portal",
        handler=change,
        summary="Change our own Bitrix24 portal: its name, its plan, whether it is open",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        request=PortalPatch,
        response=PortalView,
    ),
    Operation(
        name="bitrix24.audit",
        method="GET",
        path="/v1/bitrix24/audit",
        handler=look,
        summary="Say what of our Bitrix24 portal and of connected ones is configured, and what is missing",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        response=AuditView,
    ),
)
