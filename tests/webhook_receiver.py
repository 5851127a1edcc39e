"""Somebody's program that is told of events: an HTTP server that verifies each message with the `standardwebhooks` library."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
from standardwebhooks import Webhook, WebhookVerificationError


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One request as it came: when (monotonic seconds), its headers in lower case, its body, and what it was answered."""

    at: float
    headers: dict[str, str]
    body: bytes
    verified: bool
    answered: int

    @property
    def id(self) -> str:
        """Return its `webhook-id`."""
        return self.headers["webhook-id"]

    def json(self) -> dict[str, Any]:
        """Return its body."""
        found: dict[str, Any] = msgspec.json.decode(self.body)
        return found


class Receiver:
    """What came. `answer` is the status of the next answers; `delay` seconds pass before each; `secret` verifies."""

    def __init__(self) -> None:
        self.secret = ""
        self.answer = 204
        self.delay = 0.0
        self.url = ""
        self._came: list[Message] = []
        self._lock = threading.Lock()

    def take(self, headers: dict[str, str], body: bytes) -> int:
        """Keep a message and return what to answer: 401 for one that is not signed with our secret."""
        if self.delay:
            time.sleep(self.delay)
        verified = self._verified(headers, body)
        status = self.answer if verified or not self.secret else 401
        with self._lock:
            self._came.append(
                Message(at=time.monotonic(), headers=headers, body=body, verified=verified, answered=status)
            )
        return status

    def _verified(self, headers: dict[str, str], body: bytes) -> bool:
        if not self.secret:
            return False
        try:
            Webhook(self.secret).verify(body, headers, json_parse=False)
        except WebhookVerificationError:
            return False
        return True

    def came(self) -> list[Message]:
        """Return all requests, oldest first."""
        with self._lock:
            return list(self._came)

    def messages(self) -> list[dict[str, Any]]:
        """Return the bodies of what was verified and taken, oldest first, each id once."""
        taken = {one.id: one for one in reversed(self.came()) if one.verified and 200 <= one.answered < 300}
        return [one.json() for one in reversed(taken.values())]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    """Connections that may wait to be taken; who finds no room is let in a second later, when it asks again."""


@contextlib.contextmanager
def receiving(receiver: Receiver | None = None, port: int = 0) -> Iterator[Receiver]:
    """Run a receiver on a port of the loopback interface until the context ends."""
    receiver = receiver or Receiver()
    known = receiver

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers.get("content-length", "0"))
            body = self.rfile.read(length)
            if len(body) < length:  # who was sending it is no more
                self.close_connection = True
                return
            status = known.take({name.lower(): value for name, value in self.headers.items()}, body)
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = _Server(("127.0.0.1", port), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
