"""`wakeline bitrix24 portal set` and `audit`: our portal's name and switches, and what is missing before it works."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter
from msgspec import UNSET
from rich.console import RenderableType

from wakeline.cli.context import Context, Ctx
from wakeline.cli.noun import noun
from wakeline.cli.printing import facts, table
from wakeline.edges.bitrix24.audit import Grade
from wakeline.edges.rest.bitrix24.portal import AuditView, Plan, PortalPatch, PortalView

portal = noun("portal", "Our own portal, and portals that we are connected to.")


def _drawn(shown: PortalView) -> RenderableType:
    return facts(
        [
            ("member id", shown.member_id),
            ("domain", shown.domain),
            ("address", shown.address),
            ("OAuth server", shown.server_endpoint),
            ("closed", shown.closed),
            ("blocked", shown.blocked),
            ("plan", shown.plan),
            ("license", shown.license),
            ("language", shown.language),
        ]
    )


async def show_ours(context: Context) -> None:
    """Show our own portal."""
    async with context.gateway() as gateway:
        shown: PortalView = await gateway.call("bitrix24.portal.show")
    context.printer.result(shown, lambda: _drawn(shown))


@portal.command(name="set")
async def set_(
    *,
    domain: str | None = None,
    closed: Annotated[bool | None, Parameter(negative="--open")] = None,
    blocked: Annotated[bool | None, Parameter(negative="--unblocked")] = None,
    plan: Plan | None = None,
    license: str | None = None,  # noqa: A002 - the name of the flag
    language: str | None = None,
    context: Ctx,
) -> None:
    """Change our own portal; what is not given stays.

    Parameters
    ----------
    domain
        Its host as clients know it, with the port if it is not 443; empty: the one by which they ask.
    closed
        Its public part is closed: every call gets PORTAL_DELETED.
    blocked
        Its REST is blocked: every call gets OVERLOAD_LIMIT.
    plan
        On the plan free there is no REST: every call gets ACCESS_DENIED.
    license
        What methods say of the plan.
    language
        Its language, such as en.
    """
    patch = PortalPatch(
        domain=UNSET if domain is None else domain,
        closed=UNSET if closed is None else closed,
        blocked=UNSET if blocked is None else blocked,
        plan=UNSET if plan is None else plan,
        license=UNSET if license is None else license,
        language=UNSET if language is None else language,
    )
    async with context.gateway() as gateway:
        changed: PortalView = await gateway.call("bitrix24.portal.change", body=patch)
    context.printer.result(changed, lambda: _drawn(changed))


async def audit(*, context: Ctx) -> int:
    """Say what of our own portal and of connected ones is configured, and what is missing; exit code 1 if something cannot work."""
    async with context.gateway() as gateway:
        found: AuditView = await gateway.call("bitrix24.audit")
    rows = [(one.status, one.name, one.cause, one.fix) for one in found.checks]
    context.printer.result(found, lambda: table(("status", "about", "finding", "what to do"), rows))
    return int(any(one.status is Grade.FAILED for one in found.checks))
