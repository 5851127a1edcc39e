"""Webhook endpoints and messages that fill in what a test does not care about."""

from __future__ import annotations

from typing import Any

from storing import NOW, Store
from wakeline.model.event import EventType
from wakeline.model.webhook import Endpoint, EndpointHealth, Message, MessageState
from wakeline.ports.webhooks import Progress

SECRET = b"first secret, of 24 bytes"


def endpoint(name: str = "", **facts: Any) -> Endpoint:
    return Endpoint(url="https://receiver.example.org/hook", name=name, created=NOW, **facts)


async def listening(store: Store, name: str = "", *, secret: bytes = SECRET, cursor: int = 0, **facts: Any) -> Endpoint:
    """Return an endpoint that the store keeps."""
    return await store.endpoints.create(endpoint(name, **facts), secret, cursor=cursor)


def message(of: Endpoint | int, seq: int, state: MessageState = MessageState.TAKEN, **facts: Any) -> Message:
    number = of if isinstance(of, int) else of.id
    known = {"type": EventType.PUSH_FAILED, "app": "acme-chat", "tries": 1, "at": NOW, "first": NOW, **facts}
    return Message(endpoint=number, seq=seq, state=state, **known)


async def told(store: Store, of: Endpoint, *messages: Message, health: EndpointHealth | None = None) -> None:
    """Record what became of messages."""
    await store.endpoints.record(
        [Progress(endpoint=of.id, health=health or store.endpoints.health(of.id), messages=messages)]
    )
