"""What a call held goes with it, without the garbage collector: at some hundred calls a second, collections would stop them all."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from sip_calling import Agent, Calling, voip
from wakeline.edges.sip.client_transactions import ClientTransaction
from wakeline.edges.sip.forking import Fork
from wakeline.edges.sip.relaying import Relay
from wakeline.edges.sip.server_transactions import Kept, ServerTransaction

pytestmark = pytest.mark.anyio

_OF_A_CALL = (ClientTransaction, Fork, Kept, Relay, ServerTransaction)
_ALL_TIMERS = 200
"""Seconds."""


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def _left() -> list[str]:
    return sorted(type(each).__name__ for each in gc.get_objects() if type(each) in _OF_A_CALL)


async def test_a_call_that_was_answered_and_hung_up_leaves_nothing_behind() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register()
        await _call(alice, bob)
        _pass_all_timers(edge)
        assert _left() == []


async def test_a_call_that_the_phone_refused_leaves_nothing_behind() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register()
        await _refused_call(alice, bob)
        _pass_all_timers(edge)
        assert _left() == []


async def test_a_call_that_nobody_answers_leaves_nothing_behind() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register()
        await _call_in_vain(edge, alice)
        _pass_all_timers(edge)
        assert _left() == []


async def test_a_call_that_woke_its_phone_leaves_nothing_behind() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(voip())
        await _woken_call(edge, alice, bob)
        _pass_all_timers(edge)
        assert _left() == []


def _pass_all_timers(edge: Calling) -> None:
    for _ in range(2):
        edge.pass_time(_ALL_TIMERS)


async def _call(alice: Agent, bob: Agent) -> None:
    invite = alice.call()
    await alice.response(100)
    call = await bob.request("INVITE")
    bob.answer(call, 180)
    await alice.response(180)
    bob.answer(call, 200)
    ok = await alice.response(200)
    alice.acknowledge(invite, ok)
    await bob.request("ACK")
    alice.within(ok, "BYE")
    bob.answer(await bob.request("BYE"), 200)
    await alice.response(200)


async def _refused_call(alice: Agent, bob: Agent) -> None:
    invite = alice.call()
    await alice.response(100)
    bob.answer(await bob.request("INVITE"), 486)
    alice.acknowledge(invite, await alice.response(486))


async def _call_in_vain(edge: Calling, alice: Agent) -> None:
    invite = alice.call()
    await alice.response(100)
    edge.pass_time(40)
    alice.acknowledge(invite, await alice.response(408))


async def _woken_call(edge: Calling, alice: Agent, bob: Agent) -> None:
    invite = alice.call()
    await alice.response(100)
    await alice.response(110)
    await edge.pushes()
    await bob.register(voip())
    bob.answer(await bob.request("INVITE"), 200)
    alice.acknowledge(invite, await alice.response(200))
    await bob.request("ACK")
