"""A client that goes away before its request is complete, as an ASGI server tells of it."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message


async def asked_and_left(app: ASGIApp, path: str) -> list[Message]:
    """Post half a body and go; returns what was answered."""
    parts = urlsplit(path)
    heard: list[Message] = [
        {"type": "http.request", "body": b"grant_type=refresh", "more_body": True},
        {"type": "http.disconnect"},
    ]
    said: list[Message] = []

    async def receive() -> Message:
        return heard.pop(0)

    async def send(message: Message) -> None:
        said.append(message)

    headers = [(b"host", b"portal.test"), (b"content-type", b"application/x-www-form-urlencoded")]
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "scheme": "https",
        "headers": headers,
        "client": ("192.0.2.1", 4711),
        "server": ("portal.test", 443),
    }
    await app(scope, receive, send)
    return said
