"""What came and was not looked at yet, by source: each source that has something waiting gets its turn.

One source that sends more than is worked off fills its own share, and what is beyond is dropped (a datagram; its sender repeats
it) or left in the kernel (a connection; TCP slows its sender down). The others wait behind one message of its, not behind all.
Work goes on in slices of 5 ms, so that the rest of the process has its turns as well.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

import structlog

from wakeline.edges.sip.flows import Flow

SLICE = 0.005
"""Seconds of work before everybody else in the process has a turn."""
SHARE = 2 * 1024 * 1024
"""Bytes that may wait of one source."""
ROOM = 32 * 1024 * 1024
"""Bytes that may wait in all."""
LOG_EVERY = 10.0
"""Seconds between lines about what is dropped: a flood must not become one of lines."""
_OVERHEAD = 512
"""What a waiting message costs beside its bytes, so that small ones do not come cheap."""

_log = structlog.get_logger()


class Held(Protocol):
    """Something that stops reading while its source has too much waiting."""

    def resume(self) -> None:
        """Read again."""


class _Source:
    """What waits of one address."""

    __slots__ = ("held", "messages", "size")

    def __init__(self) -> None:
        self.messages: deque[tuple[Flow, bytes]] = deque()
        self.size = 0
        self.held: list[Held] = []


class Inbox:
    """Takes messages from sockets, hands them to `work` in turns. `work` does not raise."""

    def __init__(self, work: Callable[[Flow, bytes], None], clock: Callable[[], float]) -> None:
        self._work = work
        self._clock = clock
        self._sources: dict[str, _Source] = {}
        self._turns: deque[str] = deque()
        self._size = 0
        self._scheduled = False
        self._log_at = 0.0
        self.dropped = 0
        """Datagrams that found no room."""

    def datagram(self, flow: Flow, data: bytes) -> None:
        """Take a datagram, or drop it where there is no room."""
        if self._full(flow.remote.host):
            self._drop(flow.remote.host)
        else:
            self._put(flow, data)

    def streamed(self, flow: Flow, data: bytes) -> None:
        """Take a message of a connection; `hold` says whether to read on."""
        self._put(flow, data)

    def hold(self, host: str, reader: Held) -> bool:
        """Return whether a connection from there is to stop reading; if so it is told when to go on."""
        if not self._full(host):
            return False
        source = self._sources.get(host)
        if source is None:
            return False  # others fill the room; what is read next will wait its turn
        source.held.append(reader)
        return True

    def _full(self, host: str) -> bool:
        source = self._sources.get(host)
        return self._size > ROOM or (source is not None and source.size > SHARE)

    def _drop(self, host: str) -> None:
        self.dropped += 1
        now = self._clock()
        if now >= self._log_at:
            self._log_at = now + LOG_EVERY
            _log.warning("sip.datagrams_dropped", source=host, in_all=self.dropped)

    def _put(self, flow: Flow, data: bytes) -> None:
        host = flow.remote.host
        source = self._sources.get(host)
        if source is None:
            source = self._sources[host] = _Source()
            self._turns.append(host)
        source.messages.append((flow, data))
        cost = len(data) + _OVERHEAD
        source.size += cost
        self._size += cost
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._run)

    def _run(self) -> None:
        end = self._clock() + SLICE
        while self._turns:
            self._one()
            if self._clock() >= end:
                break
        self._scheduled = bool(self._turns)
        if self._scheduled:
            asyncio.get_running_loop().call_soon(self._run)

    def _one(self) -> None:
        """Work off one message of the source whose turn it is."""
        host = self._turns.popleft()
        source = self._sources[host]
        flow, data = source.messages.popleft()
        cost = len(data) + _OVERHEAD
        source.size -= cost
        self._size -= cost
        if source.messages:
            self._turns.append(host)
        else:
            del self._sources[host]
        if source.held and source.size <= SHARE // 2:
            held, source.held = source.held, []
            for reader in held:
                reader.resume()
        self._work(flow, data)
