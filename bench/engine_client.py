"""Our side of "engine alone", as its own process: sends requests through the pool and checks that each was accepted once.

Usage: python -m bench.engine_client PORT CA_FILE REQUESTS IN_FLIGHT RATE BODY_FILE
RATE 0: as fast as answers come, at most IN_FLIGHT of them unanswered as with h2load, given to the pool in batches of up to
250, the size of its turns. Paths and ids are made before the first one is sent, as many as h2load gets paths, and used in
turn. Otherwise RATE a second by the clock, and for each the microseconds from when it was due to its answer are printed,
one a line.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench import payload
from wakeline.transport.http2_connect import Origin
from wakeline.transport.http2_pool import Pool, PoolSettings
from wakeline.transport.tls import client_context
from wakeline.wire.http2 import Answer, Fields, RequestBatch

_BATCH = 250
_SECONDS = 60.0
_LOOK_EVERY = 0.0005


class Sender:
    """Keeps `in_flight` requests on their way until `requests` are answered."""

    def __init__(self, pool: Pool, port: int, requests: int, body: bytes, in_flight: int) -> None:
        self._pool = pool
        self._requests = requests
        self._body = body
        self._in_flight = in_flight
        self._submitted = 0
        self._answered = 0
        self._stable: Fields = tuple(
            (name.encode(), value.encode())
            for name, value in {
                ":method": "POST",
                ":scheme": "https",
                ":authority": f"127.0.0.1:{port}",
                **payload.HEADERS,
            }.items()
        )
        self._literal: Fields = ((b"authorization", payload.AUTHORIZATION.encode()),)
        self._ready = [_ready(range(first, first + _BATCH)) for first in range(0, payload.PATHS, _BATCH)]
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def more(self) -> None:
        """Submit whole batches as long as they fit."""
        while self._submitted < self._requests and self._submitted - self._answered + _BATCH <= self._in_flight:
            self.submit(min(_BATCH, self._requests - self._submitted))

    def submit(self, count: int) -> None:
        """Submit `count` requests, at most a batch."""
        paths, extra = self._ready[self._submitted // _BATCH % len(self._ready)]
        self._submitted += count
        batch = RequestBatch(
            stable=self._stable,
            literal=self._literal,
            paths=paths[:count],
            extra=extra[:count],
            body=self._body,
            deadline=asyncio.get_running_loop().time() + _SECONDS,
            on_answers=self._on_answers,
        )
        self._pool.submit(batch)

    def _on_answers(self, _: RequestBatch, accepted: Sequence[int], others: list[tuple[int, Answer]]) -> None:
        if others and not self.done.done():
            self.done.set_exception(RuntimeError(f"not accepted: {others[0][1]}"))
        self._answered += len(accepted)
        self.answered(len(accepted))
        if self._answered >= self._requests and not self.done.done():
            self.done.set_result(None)

    def answered(self, count: int) -> None:
        """`count` requests were accepted."""
        del count
        self.more()


class PacedSender(Sender):
    """Sends one by the clock; `took` has the seconds from when each was due to its answer."""

    def __init__(self, pool: Pool, port: int, requests: int, body: bytes, in_flight: int) -> None:
        super().__init__(pool, port, requests, body, in_flight)
        self.took: list[float] = []
        self._dues: list[float] = []

    async def pace(self, rate: float) -> None:
        """Submit every request when it is due. Answers come in order: the server holds none back."""
        started = time.perf_counter()
        while len(self._dues) < self._requests:
            due = started + len(self._dues) / rate
            if due > time.perf_counter():
                await asyncio.sleep(_LOOK_EVERY)
                continue
            self._dues.append(due)
            self.submit(1)

    def answered(self, count: int) -> None:
        """Take the time of the oldest `count`."""
        now, first = time.perf_counter(), len(self.took)
        self.took += [now - due for due in self._dues[first : first + count]]


def _ready(numbers: range) -> tuple[list[bytes], list[Fields]]:
    """Paths and own fields of one batch."""
    head = payload.APNS_ID[:24].encode()
    paths = [b"/3/device/%064x" % number for number in numbers]
    extra: list[Fields] = [((b"apns-id", b"%b%012x" % (head, number)),) for number in numbers]
    return paths, extra


async def run(port: int, ca_file: str, requests: int, in_flight: int, rate: float, body: bytes) -> list[float]:
    """Send `requests` over one verified connection. Raises RuntimeError if one is not accepted."""
    origin = Origin(host="127.0.0.1", port=port, ssl_context=client_context(ca_file=ca_file))
    pool = Pool(origin, wake=lambda: None, settings=PoolSettings(max_connections=1))
    took: list[float] = []
    if rate:
        paced = PacedSender(pool, port, requests, body, in_flight)
        await paced.pace(rate)
        await paced.done
        took = paced.took
    else:
        sender = Sender(pool, port, requests, body, in_flight)
        gc.freeze()  # as the service does after its start
        sender.more()
        await sender.done
    await pool.close(drain=1)
    return took


if __name__ == "__main__":
    port, ca_file, requests, in_flight, rate, body_file = sys.argv[1:]
    arguments = int(port), ca_file, int(requests), int(in_flight), float(rate), Path(body_file).read_bytes()
    for seconds in asyncio.run(run(*arguments)):
        print(round(seconds * 1e6))
