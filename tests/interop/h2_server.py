"""A push service on the `h2` library: checks every request it gets, answers it, and says goodbye now and then.

Usage: h2_server.py CERTIFICATE KEY STREAMS WINDOW PER_CONNECTION
Each request carries `x-digest`, the SHA-256 of path, apns-id and body; an answer is 200 with `apns-id` if it is right and
500 if not. After PER_CONNECTION requests a connection gets a GOAWAY, and what is below its last stream is answered; the
client is left to close it. Prints {"port":N}, and the books at the end of its input.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import ssl
import sys
from collections import Counter

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded
from h2.settings import SettingCodes
from hyperframe.frame import GoAwayFrame

STREAMS, WINDOW, PER_CONNECTION = map(int, sys.argv[3:6])


class Books:
    """What all connections saw."""

    def __init__(self) -> None:
        self.connections = 0
        self.wrong = 0
        self.answered: Counter[str] = Counter()


class Service(asyncio.Protocol):
    def __init__(self, books: Books) -> None:
        self._books = books
        self._http = H2Connection(H2Configuration(client_side=False, header_encoding="ascii"))
        self._open: dict[int, tuple[dict[str, str], bytearray]] = {}
        self._answered = 0
        self._last: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._books.connections += 1
        self._http.initiate_connection()
        self._http.update_settings(
            {SettingCodes.MAX_CONCURRENT_STREAMS: STREAMS, SettingCodes.INITIAL_WINDOW_SIZE: WINDOW}
        )
        self._flush()

    def data_received(self, data: bytes) -> None:
        for event in self._http.receive_data(data):
            match event:
                case RequestReceived(stream_id=stream, headers=headers):
                    self._open[stream] = ({str(name): str(value) for name, value in headers}, bytearray())
                case DataReceived(stream_id=stream, data=part, flow_controlled_length=size):
                    self._open[stream][1].extend(part)
                    self._http.acknowledge_received_data(size, stream)
                case StreamEnded(stream_id=stream) if self._last is None or stream <= self._last:
                    self._answer(stream)
                case _:
                    pass
        self._flush()

    def _answer(self, stream: int) -> None:
        headers, body = self._open.pop(stream)
        content = headers[":path"].encode() + headers["apns-id"].encode() + body
        right = hashlib.sha256(content).hexdigest() == headers["x-digest"]
        self._books.wrong += not right
        self._books.answered[headers["apns-id"]] += 1
        status = "200" if right else "500"
        self._http.send_headers(stream, [(":status", status), ("apns-id", headers["apns-id"])], end_stream=True)
        self._answered += 1
        if self._answered == PER_CONNECTION:
            self._last = self._http.highest_inbound_stream_id
            self._flush()
            self._transport.write(GoAwayFrame(0, last_stream_id=self._last).serialize())

    def _flush(self) -> None:
        self._transport.write(self._http.data_to_send())


async def main() -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(sys.argv[1], sys.argv[2])
    tls.set_alpn_protocols(["h2"])
    books = Books()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Service(books), "127.0.0.1", 0, ssl=tls)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)  # noqa: T201 - how the test reads it
    await loop.run_in_executor(None, sys.stdin.read)
    once = sum(count == 1 for count in books.answered.values())
    print(json.dumps({"connections": books.connections, "wrong": books.wrong, "once": once}), flush=True)  # noqa: T201 - the same


asyncio.run(main())
