"""Phones of a portal's users: registered in the memory store, and what their push services were sent."""

from __future__ import annotations

import json
from typing import Any

from unit.edges.bitrix24.portal import Portal
from wakeline.model.device import DeviceClaim, TargetClaim, TargetKind
from wakeline.model.notification import Notification
from wakeline.model.route import ProviderKind
from wakeline.wire import apns, fcm, webpush

APNS_TOKEN = "ab" * 32


async def phone(portal: Portal, user: int, kind: str = "apns", value: str = "") -> str:
    """Register a phone of a user and return its token."""
    app = portal.store.apps.get("acme-chat")
    assert app is not None
    token = value or (f"{user:064x}" if kind == "apns" else f"token-of-{user}")
    topic = "com.acme.chat" if kind == "apns" else ""
    claim = DeviceClaim(
        app=app.id,
        device_id=f"{kind}-{user}-{token[-6:]}",
        users=(str(user),),
        targets=(TargetClaim(kind=TargetKind(kind), value=token, topic=topic),),
        at=portal.clock.now(),
    )
    await portal.store.devices.put([claim])
    return token


async def settled(portal: Portal) -> None:
    """Let everything happen that can happen now."""
    pipeline, posts = portal.gateway.pipeline, portal.gateway.posts
    for _ in range(1000):
        pipeline.watch.refresh()
        busy = await pipeline.dispatch.turn()
        busy |= await pipeline.fanout.turn()
        for post in posts.values():
            busy |= post.deliver(portal.clock.monotonic())
        if not pipeline.settle.idle:
            busy |= await pipeline.settle.flush()
        if not busy:
            wait = pipeline.dispatch.next()
            if wait is None or wait > 0.25:
                return
            portal.clock.advance(max(wait, 0.001))
    raise AssertionError("it never comes to rest")


async def reached(portal: Portal, kind: ProviderKind = ProviderKind.APNS) -> list[str]:
    """Return the tokens that a push service was sent so far."""
    await settled(portal)
    return portal.gateway.posts[kind].tokens()


async def sent(portal: Portal, kind: ProviderKind = ProviderKind.APNS) -> Notification:
    """Return the last notification that a push service was sent."""
    await settled(portal)
    notification = await portal.store.ledger.notification(portal.gateway.posts[kind].sent[-1].notification)
    assert notification is not None
    return notification


def on_apple(notification: Notification) -> dict[str, Any]:
    """Return the payload that Apple gets."""
    rule = apns.rule_for(notification.content.type)
    found: dict[str, Any] = json.loads(apns.prepare(notification, "com.acme.chat", rule).body("", None))
    return found


def on_google(notification: Notification) -> dict[str, Any]:
    """Return the message that Google gets, without its target."""
    prepared = fcm.prepare(notification, notification.created)
    found: dict[str, Any] = json.loads(prepared.body("token", "", None))["message"]
    return {name: said for name, said in found.items() if name != "token"}


def in_browser(notification: Notification) -> dict[str, Any]:
    """Return what a service worker reads."""
    found: dict[str, Any] = json.loads(webpush.prepare(notification, notification.created).plaintext("", None))
    return found
