"""Names that callers gave are looked up without keeping any other look-up waiting."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from wakeline.transport.apart_resolver import MOST, ApartResolver
from wakeline.transport.guard import system_resolver

pytestmark = pytest.mark.anyio


class NameServer:
    """Answers when it is let to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers = threading.Event()

    def look_up(self, host: str, _port: int) -> Sequence[str]:
        self.asked.append(host)
        assert self.answers.wait(30)
        if host.startswith("no"):
            raise OSError("no such name")
        return ["93.184.216.34"]


async def test_names_whose_server_does_not_answer_keep_no_other_look_up_waiting() -> None:
    server = NameServer()
    resolve = ApartResolver(server.look_up)
    waiting = [asyncio.create_task(resolve(f"hang-{number}.example", 443)) for number in range(MOST)]
    async with asyncio.timeout(20):
        assert "127.0.0.1" in await system_resolver("127.0.0.1", 443)
        with pytest.raises(OSError, match="being looked up"):
            await resolve("one-too-many.example", 443)
    server.answers.set()
    assert await asyncio.gather(*waiting) == [["93.184.216.34"]] * MOST
    assert await resolve("one-too-many.example", 443) == ["93.184.216.34"]


async def test_those_who_ask_for_the_same_name_share_a_look_up_and_one_that_leaves_ends_it_for_nobody() -> None:
    server = NameServer()
    resolve = ApartResolver(server.look_up)
    first, second = (asyncio.create_task(resolve("hooks.example", 443)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    server.answers.set()
    assert await second == ["93.184.216.34"]
    assert server.asked == ["hooks.example"]


async def test_a_name_without_addresses_is_an_error_each_time() -> None:
    server = NameServer()
    server.answers.set()
    resolve = ApartResolver(server.look_up)
    for _ in range(2):
        with pytest.raises(OSError, match="no such name"):
            await resolve("no.example", 443)
    assert server.asked == ["no.example"] * 2
