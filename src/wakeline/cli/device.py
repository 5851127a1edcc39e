"""`wakeline device`: installations of an app and how their tokens fare."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from rich.console import Group, RenderableType

from wakeline.cli.choosing import AppOption, chosen
from wakeline.cli.context import Ctx
from wakeline.cli.moments import utc
from wakeline.cli.noun import noun
from wakeline.cli.printing import facts, table
from wakeline.edges.rest.device_history import HistoryView, StepView
from wakeline.edges.rest.device_views import DeviceView, EvidenceView, TargetView
from wakeline.edges.rest.devices import DeviceBody, DeviceList, RegisteredView, RestoreBody, RestoredView
from wakeline.edges.rest.inbox import InboxEntry, InboxView
from wakeline.edges.rest.targets import KindedTarget
from wakeline.model.device import TargetKind
from wakeline.model.errors import InvalidRequest
from wakeline.model.route import Environment, ProviderKind

app = noun("device", "Devices and their tokens.")

_STEPS = ("at", "kind", "became", "why", "answer", "dead since", "delivery")
_INBOX = ("created", "notification", "type", "state", "content")
COLUMNS = ("device", "user", "state", "targets", "platform", "app version", "seen")


def row(device: DeviceView) -> tuple[object, ...]:
    """Return a device as a row under COLUMNS."""
    kinds = [
        target.kind if target.state == "active" else f"{target.kind} ({target.state})" for target in device.targets
    ]
    return (device.device_id, device.user, device.state, kinds, device.platform, device.app_version, device.seen)


def _step_row(one: StepView) -> tuple[object, ...]:
    said = one.evidence
    proof = (said.since, said.delivery) if said is not None else (None, None)
    return (one.at, one.kind, one.state, one.reason, _answer(said), *proof)


def _inbox_row(one: InboxEntry) -> tuple[object, ...]:
    shown = one.alert.title or one.alert.body if one.alert is not None else None
    return (one.created, one.id, one.type, one.state, shown or sorted(one.data))


def _target_row(one: TargetView) -> tuple[object, ...]:
    where = (one.kind, one.value, one.environment, one.topic or one.project)
    return (*where, one.state, one.reason, one.since, _answer(one.evidence), one.confirmed)


def _answer(said: EvidenceView | None) -> str | None:
    """Return what a push service said, and how many strikes that makes."""
    if said is None:
        return None
    return " ".join(
        part
        for part in (str(said.status or ""), said.reason, f"(strikes: {said.strikes})" if said.strikes else "")
        if part
    )


def _view(shown: DeviceView) -> RenderableType:
    known = facts(
        [
            ("device", shown.device_id),
            ("user", shown.user),
            ("state", shown.state),
            ("tags", shown.tags),
            ("platform", f"{shown.platform} {shown.os_version}".strip()),
            ("model", shown.model),
            ("app version", shown.app_version),
            ("locale", shown.locale),
            ("notifications", shown.notifications_enabled),
            ("connected until", shown.connected_until),
            ("seen", shown.seen),
        ]
    )
    targets = table(
        ("kind", "token", "environment", "topic", "state", "reason", "since", "evidence", "confirmed"),
        [_target_row(one) for one in shown.targets],
    )
    return Group(known, targets)


@app.command
async def put(
    device: str,
    /,
    *,
    app: AppOption = None,
    user: str | None = None,
    target: list[str] | None = None,
    tag: list[str] | None = None,
    environment: Literal["production", "sandbox"] = "production",
    locale: str = "",
    context: Ctx,
) -> None:
    """Register a device as its app would: the whole truth about it.

    Parameters
    ----------
    device
        The id that the app chose for this installation.
    user
        Whose it is.
    target
        kind=token, such as apns=0a1b..., apns-voip=..., fcm=...; a browser's is webpush= and then what
        JSON.stringify(subscription) says. May be given several times.
    tag
        A tag; may be given several times.
    environment
        Of its APNs tokens: sandbox for development builds.
    locale
        Such as de or pt-BR.
    """
    body = DeviceBody(
        user=user,
        targets=tuple(_target(text, environment) for text in target or ()),
        tags=tuple(tag or ()),
        locale=locale,
    )
    async with context.gateway() as gateway:
        slug = await chosen(gateway, app)
        kept: RegisteredView = await gateway.call("device.put", body=body, app=slug, device=device)
    context.printer.result(kept, lambda: _view(kept))


def _target(text: str, environment: str) -> KindedTarget:
    kind, _, value = text.partition("=")
    try:
        known = TargetKind(kind)
    except ValueError:
        raise InvalidRequest(f"{text!r} is not kind=token.", fix=f"Kinds are {', '.join(TargetKind)}.") from None
    world = environment if known.provider is ProviderKind.APNS else "production"
    return KindedTarget(kind=known, value=value, environment=Environment(world))


@app.command(name="list")
async def list_(
    *,
    app: AppOption = None,
    user: str | None = None,
    state: Literal["active", "quarantined", "retired"] | None = None,
    limit: int = 50,
    cursor: str | None = None,
    context: Ctx,
) -> None:
    """List devices.

    Parameters
    ----------
    user
        Only those of this user.
    state
        Only those with a token in this state.
    limit
        How many at most, up to 500.
    cursor
        Where the list before ended.
    """
    query = {"user": user, "state": state, "limit": limit, "cursor": cursor}
    async with context.gateway() as gateway:
        found: DeviceList = await gateway.call("device.list", query=query, app=await chosen(gateway, app))
    context.printer.result(found, lambda: table(COLUMNS, [row(one) for one in found.devices]))
    if found.next_cursor and not context.printer.as_json:
        context.printer.remark(f"More with --cursor {found.next_cursor}")


@app.command
async def show(device: str, /, *, app: AppOption = None, context: Ctx) -> None:
    """Show a device, its tokens, and what speaks against them."""
    async with context.gateway() as gateway:
        shown: DeviceView = await gateway.call("device.show", app=await chosen(gateway, app), device=device)
    context.printer.result(shown, lambda: _view(shown))


@app.command
async def history(device: str, /, *, app: AppOption = None, limit: int = 50, context: Ctx) -> None:
    """Show what became of a device's tokens, the newest step first, with the evidence.

    Parameters
    ----------
    limit
        How many steps at most, up to 500.
    """
    async with context.gateway() as gateway:
        slug = await chosen(gateway, app)
        shown: HistoryView = await gateway.call("device.history", query={"limit": limit}, app=slug, device=device)
    context.printer.result(shown, lambda: table(_STEPS, [_step_row(one) for one in shown.history]))


@app.command
async def inbox(
    device: str, /, *, app: AppOption = None, after: str | None = None, limit: int = 50, context: Ctx
) -> None:
    """Show what a device has not acknowledged, as its app would be shown it.

    Parameters
    ----------
    after
        The id of a notification: only what comes after it.
    limit
        How many at most, up to 100.
    """
    async with context.gateway() as gateway:
        query = {"app": await chosen(gateway, app), "device": device, "after": after, "limit": limit}
        shown: InboxView = await gateway.call("inbox.show", query=query)
    context.printer.result(shown, lambda: table(_INBOX, [_inbox_row(one) for one in shown.notifications]))
    if shown.next_after and not context.printer.as_json:
        context.printer.remark(f"More with --after {shown.next_after}")


@app.command
async def restore(
    device: str | None = None,
    /,
    *,
    app: AppOption = None,
    since: datetime | None = None,
    until: datetime | None = None,
    context: Ctx,
) -> None:
    """Make quarantined and retired tokens active again: of one device, or all that fell in a range of time.

    Parameters
    ----------
    device
        Its id; all devices of the app if not given.
    since
        From when on; UTC unless it says otherwise.
    until
        Until when.
    """
    body = RestoreBody(since=utc(since), until=utc(until))
    async with context.gateway() as gateway:
        slug = await chosen(gateway, app)
        restored: RestoredView = (
            await gateway.call("device.restore_all", body=body, app=slug)
            if device is None
            else await gateway.call("device.restore", body=body, app=slug, device=device)
        )
    context.printer.result(restored, lambda: f"{restored.restored} tokens are active again.")


@app.command
async def delete(device: str, /, *, app: AppOption = None, context: Ctx) -> None:
    """Forget a device and its tokens."""
    async with context.gateway() as gateway:
        await gateway.call("device.delete", app=await chosen(gateway, app), device=device)
    context.printer.result({"deleted": device}, lambda: f"The device {device} is forgotten.")
