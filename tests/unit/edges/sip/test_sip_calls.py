"""Calls to phones that sleep: held, pushed, released, answered, ended (RFC 3261 section 16, RFC 8599 section 5.6.2)."""

from __future__ import annotations

import pytest

from sip_calling import BOB, TOKEN, Agent, Calling, voip

pytestmark = pytest.mark.anyio


async def test_a_call_waits_for_a_phone_that_sleeps_until_its_push_makes_it_register() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(voip())
        invite = alice.call()
        await alice.response(100)
        await alice.response(110)
        assert await edge.pushes() == [TOKEN]
        await bob.register(voip())
        call = await bob.request("INVITE")
        bob.answer(call, 180)
        await alice.response(180)
        bob.answer(call, 200)
        ok = await alice.response(200)
        alice.acknowledge(invite, ok)
        assert (await bob.request("ACK")).cseq.number == invite.cseq.number
        alice.within(ok, "BYE")
        bye = await bob.request("BYE")
        bob.answer(bye, 200)
        await alice.response(200)
        assert not any(b"pn-" in data for data in alice.heard)
        await bob.silence()
        assert BOB in {each.aor for each in edge.bindings()}
