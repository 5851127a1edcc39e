"""Looking up names that callers gave, apart from all other look-ups.

The system's look-up blocks a thread, for tens of seconds where a name server does not answer, and the loop has few threads.
Whoever owns a name could take them all, and no push service would be found. So each look-up here has a thread of its own, those
who ask for the same name share one, and there is a limit.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence
from functools import partial

MOST = 64
"""Look-ups at the same time; more are refused at once."""

_Place = tuple[str, int]


def look_up(host: str, port: int) -> Sequence[str]:
    """Return the addresses of `host` as the operating system knows them; blocks. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]).partition("%")[0] for *_, sockaddr in found]


class ApartResolver:
    """Implements `transport.guard.Resolve`."""

    def __init__(self, look_up: Callable[[str, int], Sequence[str]] = look_up) -> None:
        self._look_up = look_up
        self._under_way: dict[_Place, asyncio.Future[Sequence[str]]] = {}

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses of a host. Raises OSError."""
        place = (host, port)
        found = self._under_way.get(place)
        if found is None:
            if len(self._under_way) >= MOST:
                raise OSError(f"{MOST} other names are being looked up")
            found = self._under_way[place] = asyncio.get_running_loop().create_future()
            found.add_done_callback(partial(self._ended, place))
            # No pool: the end of the process would wait for its threads, however long a name server takes.
            threading.Thread(target=self._run, args=(place, found), daemon=True).start()
        return await asyncio.shield(found)

    def _run(self, place: _Place, found: asyncio.Future[Sequence[str]]) -> None:
        try:
            addresses = self._look_up(*place)
        except (OSError, UnicodeError) as error:
            _tell(found, partial(found.set_exception, error))
        else:
            _tell(found, partial(found.set_result, addresses))

    def _ended(self, place: _Place, found: asyncio.Future[Sequence[str]]) -> None:
        del self._under_way[place]
        if not found.cancelled():
            found.exception()  # whoever asked may not wait any more


def _tell(found: asyncio.Future[Sequence[str]], answer: Callable[[], None]) -> None:
    """Have a future answered in its loop, unless the gateway has ended meanwhile."""
    loop = found.get_loop()
    if not loop.is_closed():
        loop.call_soon_threadsafe(lambda: None if found.done() else answer())
