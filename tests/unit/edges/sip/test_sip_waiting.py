"""Messages that wait: how many may, and that each is brought once, whatever happens while a courier comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import pytest

from sip_calling import BOB, Agent, Calling, voip
from wakeline.model.sip.binding import BindingChange
from wakeline.wire.sip.message import Request

pytestmark = pytest.mark.anyio


def text(agent: Agent, body: str, *, call_id: str = "") -> Request:
    return agent.ask("MESSAGE", BOB, ("content-type", "text/plain"), body=body, call_id=call_id)


async def test_of_too_many_messages_the_next_is_refused() -> None:
    async with Calling(max_waiting=2) as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(voip())
        waiting = edge.world.store.sip_messages._messages
        text(alice, "one")
        await edge.until(lambda: len(waiting) == 1)
        text(alice, "two")
        await edge.until(lambda: len(waiting) == 2)
        text(alice, "too many")
        await alice.response(480)

        assert await edge.world.store.sip_messages.count(BOB) == 2


async def test_a_message_without_a_name_that_can_be_kept_is_refused() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(voip())
        text(alice, "hello", call_id="\udcff")
        await alice.response(400)

        assert await edge.world.store.sip_messages.count(BOB) == 0


async def test_a_phone_that_registers_the_moment_its_courier_is_back_gets_each_message_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register()
        store, taken = edge.world.store.sip_messages, edge.world.store.sip_messages.taken

        async def and_one_more(uid: str, messages: Collection[int]) -> None:
            await taken(uid, messages)
            monkeypatch.undo()
            await store.put(second)
            # It runs when the courier's way has ended, and before anybody heard that it has.
            asyncio.get_running_loop().call_soon(edge.proxy.registered, again)

        text(alice, "first")
        came = await bob.request("MESSAGE")
        (first,) = await store.waiting(BOB, edge.bindings()[0].uid, now=0, limit=9)
        second = type(first)(
            id=0,
            aor=BOB,
            request=first.request.replace(b"first", b"other"),
            key="other 1",
            call_id="other",
            at=first.at,
            expires=first.expires,
            uids=first.uids,
        )
        again = BindingChange(aor=BOB, put=tuple(edge.bindings()))
        monkeypatch.setattr(store, "taken", and_one_more)
        bob.answer(came, 200)
        await alice.response(200)

        other = await bob.request("MESSAGE")
        assert other.body == b"other"
        edge.proxy.registered(again)
        await bob.silence()
        bob.answer(other, 200)
        await edge.until(lambda: not store._messages)
