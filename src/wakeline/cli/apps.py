"""`wakeline app`: the mobile applications that this gateway serves."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter
from msgspec import UNSET
from rich.console import Group, RenderableType

from wakeline.cli.context import Ctx
from wakeline.cli.noun import noun
from wakeline.cli.printing import facts, table
from wakeline.edges.rest.apps import AppList, AppPatch, AppStatus, AppView, NewApp, SettingsPatch, TargetsView
from wakeline.edges.rest.debugging import DebugBody, DebugView
from wakeline.model.app import ApnsEnvironment, CallsBy

app = noun("app", "Mobile applications.")
debug = noun("debug", "Debug windows: events carry the request and the answer of every push, of successes too.")
app.command(debug)


def _view(shown: AppView) -> RenderableType:
    return facts(
        [
            ("app", shown.id),
            ("name", shown.name),
            ("paused", shown.paused),
            ("calls by", shown.settings.calls_by),
            ("APNs environment", shown.settings.apns_environment),
            ("limits", shown.settings.limits),
            ("keep content", shown.settings.keep_content),
            ("receipts", shown.settings.receipts),
            ("devices a user", shown.settings.max_devices_per_user),
            ("created", shown.created),
        ]
    )


def _targets(shown: TargetsView) -> RenderableType:
    stale = (
        None if shown.stale is None else f"{shown.stale} (of {shown.stale_devices} devices, {shown.stale_at:%Y-%m-%d})"
    )
    return table(
        ("active", "quarantined", "retired", "stale"), [(shown.active, shown.quarantined, shown.retired, stale)]
    )


@app.command
async def create(slug: str, /, *, name: str = "", context: Ctx) -> None:
    """Make an app.

    Parameters
    ----------
    slug
        Its id for ever, such as acme-chat.
    name
        What people call it; the slug if not given.
    """
    async with context.gateway() as gateway:
        made: AppView = await gateway.call("app.create", body=NewApp(id=slug, name=name))
    context.printer.result(made, lambda: _view(made))


@app.command(name="list")
async def list_(*, context: Ctx) -> None:
    """List the apps."""
    async with context.gateway() as gateway:
        found: AppList = await gateway.call("app.list")
    context.printer.result(
        found,
        lambda: table(
            ("app", "name", "paused", "created"), [(one.id, one.name, one.paused, one.created) for one in found.apps]
        ),
    )


@app.command
async def show(slug: str, /, *, context: Ctx) -> None:
    """Show an app, its settings, and how its tokens fare."""
    async with context.gateway() as gateway:
        shown: AppStatus = await gateway.call("app.show", app=slug)
    context.printer.result(shown, lambda: Group(_view(shown), _targets(shown.targets)))


@app.command(name="set")
async def set_(
    slug: str,
    /,
    *,
    name: str | None = None,
    calls_by: Literal["voip", "alert"] | None = None,
    apns_environment: Literal["as_registered", "production", "sandbox"] | None = None,
    limits: Annotated[bool | None, Parameter(negative="--no-limits")] = None,
    keep_content: Annotated[bool | None, Parameter(negative="--no-keep-content")] = None,
    receipts: Annotated[bool | None, Parameter(negative="--no-receipts")] = None,
    max_devices_per_user: int | None = None,
    canary: Annotated[bool, Parameter(negative="--no-canary")] = True,
    context: Ctx,
) -> None:
    """Change an app; what is not given stays.

    Parameters
    ----------
    name
        What people call it.
    calls_by
        How a call reaches an iPhone.
    apns_environment
        Which APNs environment its targets are sent to.
    limits
        Whether the per-user limits hold.
    keep_content
        Whether what was sent is kept as long as the ledger keeps the notification.
    receipts
        Whether pushes bear what a phone needs to say that it has them.
    max_devices_per_user
        Beyond this number the longest unseen device is retired; 0 is no limit.
    canary
        Have the first pushes try another APNs environment, and go back if it is worse.
    """
    settings = SettingsPatch(
        calls_by=UNSET if calls_by is None else CallsBy(calls_by),
        apns_environment=UNSET if apns_environment is None else ApnsEnvironment(apns_environment),
        limits=UNSET if limits is None else limits,
        keep_content=UNSET if keep_content is None else keep_content,
        receipts=UNSET if receipts is None else receipts,
        max_devices_per_user=UNSET if max_devices_per_user is None else max_devices_per_user,
    )
    patch = AppPatch(name=UNSET if name is None else name, settings=settings, canary=canary)
    await _patch(context, slug, patch)


@app.command
async def pause(slug: str, /, *, context: Ctx) -> None:
    """Stop sending for an app; its pushes wait, its calls fail at once."""
    await _patch(context, slug, AppPatch(paused=True))


@app.command
async def resume(slug: str, /, *, context: Ctx) -> None:
    """Send for a paused app again."""
    await _patch(context, slug, AppPatch(paused=False))


async def _patch(context: Ctx, slug: str, patch: AppPatch) -> None:
    async with context.gateway() as gateway:
        changed: AppView = await gateway.call("app.change", body=patch, app=slug)
    context.printer.result(changed, lambda: _view(changed))


@app.command
async def delete(slug: str, /, *, context: Ctx) -> None:
    """Forget an app with its credentials, devices and whatever waits."""
    async with context.gateway() as gateway:
        await gateway.call("app.delete", app=slug)
    context.printer.result({"deleted": slug}, lambda: f"The app {slug} is forgotten.")


def _window(shown: DebugView) -> RenderableType:
    requests = "1 request" if shown.recorded == 1 else f"{shown.recorded} requests"
    return facts(
        [
            ("open", shown.open),
            ("since", shown.since),
            ("until", "somebody closes it" if shown.open and shown.until is None else shown.until),
            ("may be opened again", shown.next_at),
            ("recorded", f"{requests}, in {shown.spent_ms:.1f} ms of processor time"),
        ]
    )


@debug.command
async def on(slug: str, /, *, seconds: int | None = None, context: Ctx) -> None:
    """Open the debug window of an app: by default for three hours of every eight.

    Parameters
    ----------
    seconds
        For how long; without it, as long as [debug] allows.
    """
    async with context.gateway() as gateway:
        shown: DebugView = await gateway.call("app.debug_on", body=DebugBody(seconds=seconds), app=slug)
    context.printer.result(shown, lambda: _window(shown))


@debug.command
async def off(slug: str, /, *, context: Ctx) -> None:
    """Close the debug window of an app."""
    async with context.gateway() as gateway:
        shown: DebugView = await gateway.call("app.debug_off", app=slug)
    context.printer.result(shown, lambda: _window(shown))


@debug.command(name="show")
async def show_debug(slug: str, /, *, context: Ctx) -> None:
    """Show the debug window of an app, and what it cost."""
    async with context.gateway() as gateway:
        shown: DebugView = await gateway.call("app.debug", app=slug)
    context.printer.result(shown, lambda: _window(shown))
