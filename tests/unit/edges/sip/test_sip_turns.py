"""One thing, one at a time: others do not wait, and who gives up holds nobody up."""

from __future__ import annotations

import asyncio

import pytest

from wakeline.edges.sip.turns import Turns

pytestmark = pytest.mark.anyio


class Table:
    """What happened in which order, with as many as like to at a time."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.said: list[str] = []
        self.go_on = asyncio.Event()

    async def have(self, thing: str, name: str) -> None:
        async with self.turns.of(thing):
            self.said.append(f"{name} begins")
            await self.go_on.wait()
            self.said.append(f"{name} ends")

    def come(self, thing: str, name: str) -> asyncio.Task[None]:
        return asyncio.ensure_future(self.have(thing, name))


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_turns_with_one_thing_come_in_order_and_others_do_not_wait() -> None:
    table = Table()
    coming = [table.come("bob", "first"), table.come("bob", "second"), table.come("alice", "other")]
    await settled()
    assert table.said == ["first begins", "other begins"]

    table.go_on.set()
    await asyncio.gather(*coming)

    assert [each for each in table.said if "other" not in each] == [
        "first begins",
        "first ends",
        "second begins",
        "second ends",
    ]


@pytest.mark.parametrize("come_already", [False, True])
async def test_who_is_cancelled_before_the_turn_passes_it_on(*, come_already: bool) -> None:
    table = Table()
    first, second, third = (table.come("bob", name) for name in ("first", "second", "third"))
    await settled()
    if come_already:
        first.cancel()
        await asyncio.sleep(0)  # the second's turn has come, and it has not begun
    second.cancel()
    table.go_on.set()

    said = await asyncio.gather(first, second, third, return_exceptions=True)

    assert isinstance(said[1], asyncio.CancelledError)
    assert "second begins" not in table.said
    assert table.said[-2:] == ["third begins", "third ends"]
    async with asyncio.timeout(20), table.turns.of("bob"):
        pass
