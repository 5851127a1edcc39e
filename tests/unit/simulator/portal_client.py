"""A portal with its client and a handler of its events, for the tests of the fake portal."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from urllib.parse import parse_qsl

import httpx2
import msgspec

from wakeline.simulator import Simulator
from wakeline.simulator.portal.memory import CLIENT_ID, CLIENT_SECRET

DEADLINE_S = 20.0


class Clock:
    """The simulator's time, which stands still until a test moves it on."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self._began = time.time()

    def __call__(self) -> float:
        return self._began + self.ahead


class Handler:
    """Somebody's event handler on a port of its own."""

    def __init__(self) -> None:
        self.forms: list[dict[str, str]] = []
        self.url = ""
        self._came = asyncio.Condition()

    async def open(self) -> asyncio.Server:
        server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/events"
        return server

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
            body = await reader.readexactly(length)
            async with self._came:
                self.forms.append(dict(parse_qsl(body.decode(), keep_blank_values=True)))
                self._came.notify_all()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        finally:
            writer.close()

    async def heard(self, count: int) -> list[dict[str, str]]:
        """The forms, once there are so many."""
        async with asyncio.timeout(DEADLINE_S), self._came:
            await self._came.wait_for(lambda: len(self.forms) >= count)
        return self.forms


class PortalClient:
    """Speaks to the fake portal as an application or through the webhook, and to its control port."""

    def __init__(self, simulator: Simulator, clock: Clock, http: httpx2.AsyncClient) -> None:
        self.simulator = simulator
        self.clock = clock
        self.http = http
        ready = simulator.ready()
        self.origin, self.oauth, self.hook = (str(ready[n]) for n in ("portal", "portal_oauth", "portal_webhook"))
        self.tokens: dict[str, Any] = {}

    async def call(self, method: str, **params: Any) -> httpx2.Response:
        return await self.http.post(f"{self.hook}{method}.json", json=params)

    async def result(self, method: str, **params: Any) -> Any:
        reply = await self.call(method, **params)
        assert reply.status_code == 200, reply.text
        return reply.json()["result"]

    async def as_app(self, method: str, **params: Any) -> httpx2.Response:
        body = {**params, "auth": self.tokens["access_token"]}
        return await self.http.post(f"{self.origin}/rest/{method}", json=body)

    async def control(self, path: str, **body: Any) -> Any:
        base = f"http://127.0.0.1:{self.simulator.ports.control}"
        reply = await self.http.post(f"{base}{path}", content=msgspec.json.encode(body))
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def shown(self, path: str) -> Any:
        return (await self.http.get(f"http://127.0.0.1:{self.simulator.ports.control}{path}")).json()

    async def script(self, target: str, *answers: dict[str, Any]) -> None:
        await self.control("/script", target=target, provider="portal", answers=list(answers))

    async def code(self, **more: str) -> dict[str, str]:
        said = {"client_id": CLIENT_ID, "state": "s1", "redirect_uri": "https://app.test/back", **more}
        reply = await self.http.get(f"{self.origin}/oauth/authorize/", params=said)
        assert reply.status_code == 302, reply.text
        return dict(parse_qsl(reply.headers["location"].partition("?")[2]))

    async def token(self, grant: str, **said: str) -> httpx2.Response:
        said = {"grant_type": grant, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, **said}
        return await self.http.get(f"{self.oauth}/oauth/token/", params=said)

    async def sign_in(self) -> None:
        """Takes a pair of tokens by a code."""
        reply = await self.token("authorization_code", code=(await self.code())["code"])
        self.tokens = reply.json()
        assert reply.status_code == 200, reply.text
