"""`wakeline send`: send a notification from a shell; a whole request from a file or standard input for what has no flag."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from cyclopts import Parameter
from rich.console import Group, RenderableType

from wakeline.cli.choosing import AppOption, chosen
from wakeline.cli.client import Client
from wakeline.cli.context import Ctx
from wakeline.cli.printing import facts, table
from wakeline.edges.rest.notification_views import DeliveryView, NotificationView
from wakeline.edges.rest.previews import PreviewItemView, PreviewView
from wakeline.edges.rest.sending import TakenView
from wakeline.model.errors import MalformedRequest, NotFound
from wakeline.model.notification import (
    Alert,
    Audience,
    Call,
    NotificationRequest,
    NotificationState,
    Priority,
    PushType,
)

_FAILED = 1
_POLL = 0.1
_SETTLED = frozenset({NotificationState.DONE, NotificationState.CANCELLED})


async def send(
    *,
    app: AppOption = None,
    user: list[str] | None = None,
    device: list[str] | None = None,
    tag: list[str] | None = None,
    everyone: bool = False,
    title: str = "",
    body: str = "",
    data: str | None = None,
    kind: Annotated[Literal["alert", "background", "call"] | None, Parameter(name="--type")] = None,
    call: str | None = None,
    caller: str = "",
    video: bool = False,
    priority: Literal["high", "normal", "low"] | None = None,
    ttl: int | None = None,
    collapse_id: str = "",
    file: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
    dry_run: bool = False,
    wait: float = 0.0,
    context: Ctx,
) -> int:
    """Send a notification.

    Parameters
    ----------
    user
        To all devices of this user; may be given several times, as may device and tag.
    device
        To this device.
    tag
        To all devices with this tag.
    everyone
        To all devices of the app.
    title
        What is shown in bold.
    body
        What is shown below it.
    data
        A JSON object for the app.
    kind
        What it is; follows from the rest if not given.
    call
        The id of a call that rings.
    caller
        Who calls.
    video
        It is a video call.
    priority
        How urgent.
    ttl
        Seconds after which it is not worth sending any more.
    collapse_id
        A newer push with the same id takes the place of an older one.
    file
        A whole request as JSON, as `POST /v1/apps/{app}/notifications` takes it; - is standard input.
    dry_run
        Show the requests that would be sent, and send nothing.
    wait
        Seconds to wait until every delivery is settled; exit code 1 if one failed.
    """
    if file is not None:
        request = _from_file(file)
    else:
        request = NotificationRequest(
            to=Audience(users=tuple(user or ()), devices=tuple(device or ()), tags=tuple(tag or ()), everyone=everyone),
            type=PushType(kind) if kind else None,
            call=Call(id=call, caller=caller, video=video) if call else None,
            alert=Alert(title=title, body=body) if title or body else None,
            data=_object(data),
            priority=Priority(priority) if priority else None,
            ttl=ttl,
            collapse_id=collapse_id,
        )
    async with context.gateway() as gateway:
        slug = await chosen(gateway, app)
        if dry_run:
            return await _preview(context, gateway, slug, request)
        taken: TakenView = await gateway.call("notification.send", body=request, app=slug)
        if wait > 0:
            return await _settled(context, gateway, slug, taken.id, wait)
    context.printer.result(taken, lambda: _taken(taken))
    return 0


def _from_file(file: Path) -> NotificationRequest:
    try:
        content = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        return msgspec.json.decode(content, type=NotificationRequest)
    except OSError as error:
        raise NotFound(f"The file {file} cannot be read: {error.strerror}.") from None
    except msgspec.MsgspecError as error:
        raise MalformedRequest(
            f"{file}: {error}", fix="See /docs of the gateway for the shape of a notification."
        ) from None


def _object(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise MalformedRequest(f"--data is no JSON object: {error}") from None


def _taken(taken: TakenView) -> RenderableType:
    number = f"{taken.recipients}" if taken.estimate is None else f"about {taken.estimate}"
    failures = [(f"code {one.code}", f"{one.cause} {one.fix}") for one in taken.failures]
    return facts([("id", taken.id), ("recipients", number), *failures])


async def _preview(context: Ctx, gateway: Client, slug: str, request: NotificationRequest) -> int:
    """Print what would be sent; the answer's type differs from a send's, so it is asked for by name."""
    shown: PreviewView = await gateway.call(
        "notification.send", body=request, query={"validate_only": "true"}, response=PreviewView, app=slug
    )
    columns = ("device", "target", "host", "bytes", "body", "remarks")
    context.printer.result(shown, lambda: table(columns, [_preview_row(one) for one in shown.requests]))
    return 0


def _preview_row(one: PreviewItemView) -> tuple[object, ...]:
    remarks = "; ".join(one.warnings) or (one.outcome.cause if one.outcome else "")
    body = one.request.body if one.request else ""
    return (one.device, one.target, one.host, f"{one.size} of {one.limit}", body, remarks)


async def _settled(context: Ctx, gateway: Client, slug: str, notification: str, seconds: float) -> int:
    end = time.monotonic() + seconds
    while True:
        shown: NotificationView = await gateway.call("notification.show", app=slug, notification=notification)
        if shown.state in _SETTLED or time.monotonic() >= end:
            break
        await asyncio.sleep(_POLL)
    context.printer.result(shown, lambda: _view(shown))
    return 0 if shown.state in _SETTLED and shown.counts.accepted == shown.recipients else _FAILED


def _view(shown: NotificationView) -> RenderableType:
    columns = ("device", "target", "state", "tries", "cause", "fix")
    return Group(
        facts([("id", shown.id), ("state", shown.state)]), table(columns, [_row(one) for one in shown.deliveries])
    )


def _row(one: DeliveryView) -> tuple[object, ...]:
    words = (one.outcome.cause, one.outcome.fix) if one.outcome else ("", "")
    return (one.device, one.target, one.state, one.tries, *words)
