"""The way to a connected portal, for tests: it may be down, or lose what the portal answers."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from wakeline.model.errors import ConnectFailed, TransportError
from wakeline.ports import HttpAnswer, HttpClient


class Way(Enum):
    OPEN = "open"
    DOWN = "down"
    """Nobody listens."""
    LOSES_ANSWERS = "loses answers"
    """The portal does what it is asked, and nothing comes back."""
    LOSES_REQUESTS = "loses requests"
    """The connection breaks after the request was written, and the portal never sees it."""


class Weather:
    """Implements `HttpClient`; counts what left."""

    def __init__(self, http: HttpClient) -> None:
        self._http = http
        self.way = Way.OPEN
        self.only = ""
        """Only requests for this method meet the weather; empty: all."""
        self.times = -1
        """How many requests meet it still; negative: all."""
        self.left = 0

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float) -> HttpAnswer:
        way = self.way if self.only in url and self.times else Way.OPEN
        if way is not Way.OPEN:
            self.times -= 1
        if way is Way.DOWN:
            raise ConnectFailed("the portal is down")
        self.left += 1
        if way is Way.LOSES_REQUESTS:
            raise TransportError("the connection broke")
        answer = await self._http.post(url, body, headers, timeout=timeout)
        if way is Way.LOSES_ANSWERS:
            raise TransportError("the connection broke")
        return answer
