"""A generator of POSTs that costs little beside what it measures: raw sockets in one loop, requests made before the run.

Usage: python -m bench.poster PORT KEY APP KIND REQUESTS DEVICES RATE
KIND is what a request asks for (`Kind`), RATE is requests a second, by the clock; 0: as fast as answers come. Prints one
`Posted` as JSON; fails unless every answer is a 202.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections import deque
from enum import StrEnum
from statistics import quantiles

import msgspec

from bench import gateway, pipeline

CONNECTIONS = 64
LINES = 100
"""Notifications of a request of kind `LINES`."""
_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = b"content-length: "


class Kind(StrEnum):
    """One notification to one user; a hundred of them as NDJSON; one to everyone of the app."""

    ONE = "one"
    LINES = "lines"
    EVERYONE = "everyone"


class Posted(msgspec.Struct, frozen=True):
    """What it took: seconds from the first request to the last answer, and of single requests."""

    seconds: float
    p50: float
    p99: float


class _Connection(asyncio.Protocol):
    """One keep-alive connection with one request under way."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._received = b""
        self._due = 0.0
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def send(self, request: bytes, due: float) -> None:
        self._due = due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        received = self._received = self._received + data
        end = received.find(_END_OF_HEAD)
        if end < 0:
            return
        at = received.find(_LENGTH, 0, end) + len(_LENGTH)
        if len(received) < end + len(_END_OF_HEAD) + int(received[at : received.find(b"\r", at)]):
            return
        self._received = b""
        self._run.answered(self, self._due, accepted=received.startswith(b"HTTP/1.1 202"), answer=received)

    def connection_lost(self, error: Exception | None) -> None:
        self._run.fail(f"the gateway hung up: {error}")


class _Run:
    """All requests, and the connections that are free."""

    def __init__(self, requests: list[bytes], rate: float) -> None:
        self._requests = requests
        self._rate = rate
        self._next = 0
        self._free: deque[_Connection] = deque()
        self._started = 0.0
        self._timer_set = False
        self.times: list[float] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def start(self, connections: list[_Connection]) -> None:
        self._free.extend(connections)
        self._started = time.perf_counter()
        self._send()

    def answered(self, connection: _Connection, due: float, *, accepted: bool, answer: bytes) -> None:
        if not accepted:
            self.fail(answer.decode("latin-1"))
        self.times.append(time.perf_counter() - due)
        self._free.append(connection)
        if len(self.times) == len(self._requests) and not self.done.done():
            self.done.set_result(None)
        self._send()

    def fail(self, what: str) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError(what[:2000]))

    def _send(self) -> None:
        """Send what is due. A request that finds no free connection waits, and its time runs."""
        now = time.perf_counter()
        while self._free and self._next < len(self._requests):
            due = self._started + self._next / self._rate if self._rate else now
            if due > now:
                self._wait(due - now)
                return
            self._free.popleft().send(self._requests[self._next], due)
            self._next += 1

    def _wait(self, seconds: float) -> None:
        if not self._timer_set:
            self._timer_set = True
            asyncio.get_running_loop().call_later(seconds, self._rung)

    def _rung(self) -> None:
        self._timer_set = False
        self._send()


def _ready(key: str, app: str, kind: Kind, first: int, devices: int) -> bytes:
    """One request, whole. `first` is the device that it is for, or the first of them."""
    match kind:
        case Kind.ONE:
            media, body = "application/json", _notification({"users": [gateway.user(first % devices)]})
        case Kind.LINES:
            media, body = pipeline.NDJSON, pipeline.lines(LINES, devices, first=first)
        case Kind.EVERYONE:
            media, body = "application/json", _notification({"everyone": True})
    head = (
        f"POST /v1/apps/{app}/notifications HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: {media}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _notification(to: dict[str, object]) -> bytes:
    return json.dumps({"to": to, **pipeline.CONTENT}).encode()


async def run(port: int, key: str, app: str, kind: Kind, requests: int, devices: int, rate: float) -> Posted:
    """Send all requests. Raises RuntimeError if one is not accepted."""
    loop = asyncio.get_running_loop()
    step = LINES if kind is Kind.LINES else 1
    running = _Run([_ready(key, app, kind, number * step, devices) for number in range(requests)], rate)
    pairs = [await loop.create_connection(lambda: _Connection(running), "127.0.0.1", port) for _ in range(CONNECTIONS)]
    gc.freeze()
    started = time.perf_counter()
    running.start([connection for _, connection in pairs])
    await running.done
    seconds = time.perf_counter() - started
    for transport, _ in pairs:
        transport.close()
    cuts = quantiles(running.times, n=100)
    return Posted(seconds=seconds, p50=cuts[49], p99=cuts[98])


if __name__ == "__main__":
    port, key, app, kind, requests, devices, rate = sys.argv[1:]
    posted = asyncio.run(run(int(port), key, app, Kind(kind), int(requests), int(devices), float(rate)))
    print(msgspec.json.encode(posted).decode())
