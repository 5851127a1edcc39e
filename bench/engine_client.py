"""Our side of "engine alone", as its own process: sends requests through the pool and checks that each was accepted once.

Usage: python -m bench.engine_client PORT CA_FILE REQUESTS
At most 500 requests are in flight, as with h2load; they are given to the pool in batches of 250, the size of its turns.
Paths and ids are made before the first one is sent, as many as h2load gets paths, and used in turn.
"""

from __future__ import annotations

import asyncio
import gc
import sys

from bench import payload
from wakeline.transport.http2_connect import Origin
from wakeline.transport.http2_pool import Pool, PoolSettings
from wakeline.transport.tls import client_context
from wakeline.wire.http2 import Answer, Fields, RequestBatch

_BATCH = payload.IN_FLIGHT // 2
_SECONDS = 60.0


class Sender:
    """Keeps `payload.IN_FLIGHT` requests on their way until `requests` are answered."""

    def __init__(self, pool: Pool, requests: int, port: int) -> None:
        self._pool = pool
        self._requests = requests
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
        while self._submitted < self._requests and self._submitted - self._answered + _BATCH <= payload.IN_FLIGHT:
            self._submit(min(_BATCH, self._requests - self._submitted))

    def _submit(self, count: int) -> None:
        paths, extra = self._ready[self._submitted // _BATCH % len(self._ready)]
        self._submitted += count
        batch = RequestBatch(
            stable=self._stable,
            literal=self._literal,
            paths=paths[:count],
            extra=extra[:count],
            body=payload.BODY,
            deadline=asyncio.get_running_loop().time() + _SECONDS,
            on_answers=self._on_answers,
        )
        self._pool.submit(batch)

    def _on_answers(self, _: RequestBatch, accepted: list[int], others: list[tuple[int, Answer]]) -> None:
        if others and not self.done.done():
            self.done.set_exception(RuntimeError(f"not accepted: {others[0][1]}"))
        self._answered += len(accepted)
        if self._answered >= self._requests and not self.done.done():
            self.done.set_result(None)
        self.more()


def _ready(numbers: range) -> tuple[list[bytes], list[Fields]]:
    """Paths and own fields of one batch."""
    head = payload.APNS_ID[:24].encode()
    paths = [b"/3/device/%064x" % number for number in numbers]
    extra: list[Fields] = [((b"apns-id", b"%b%012x" % (head, number)),) for number in numbers]
    return paths, extra


async def run(port: int, ca_file: str, requests: int) -> None:
    """Send `requests` over one verified connection. Raises RuntimeError if one is not accepted."""
    origin = Origin(host="127.0.0.1", port=port, ssl_context=client_context(ca_file=ca_file))
    pool = Pool(origin, wake=lambda: None, settings=PoolSettings(max_connections=1))
    sender = Sender(pool, requests, port)
    gc.freeze()  # as the service does after its start
    sender.more()
    await sender.done
    await pool.close(drain=1)


if __name__ == "__main__":
    asyncio.run(run(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
