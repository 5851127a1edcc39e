"""Phones that were called because they seemed awake, and were not: what their callers hear, and that nobody rings for nothing."""

from __future__ import annotations

import pytest

from sip_calling import BOB, DOMAIN, Agent, Calling, firebase, voip
from stories.post import unregistered
from wakeline.edges.sip.pushing import ANSWERS_WITHIN
from wakeline.model.sip.push import PushProvider
from wakeline.wire.outcomes import fcm
from wakeline.wire.sip.message import Request

pytestmark = pytest.mark.anyio

REFUSED = fcm(400, b'{"error": {"status": "INVALID_ARGUMENT"}}')


async def _dozing(bob: Agent, push: str) -> None:
    """Have a phone register, give a sign of life, and fall asleep."""
    await bob.register(push)
    bob.keep_alive()
    await bob.ignore()


async def _refused(edge: Calling, pushes: int = 1) -> None:
    """Wait until the push service has refused the push, and the fork has heard so."""
    await edge.pushes(pushes)
    refused = [each for each in edge.bindings() if each.push is not None and each.push.provider is PushProvider.FCM]
    await edge.until(lambda: not any(edge.proxy.bucket.is_being_woken(BOB, each.uid) for each in refused))


async def _anew(bob: Agent, before: Request) -> Request:
    """Return the next INVITE that is none of those before, which may have been repeated."""
    came = await bob.next()
    while isinstance(came, Request) and came.cseq.number <= before.cseq.number:
        came = await bob.next()
    assert isinstance(came, Request), came
    return came


async def _repeated(bob: Agent, method: str) -> Request:
    """Return the next request of that method, past what is repeated of the INVITE before it."""
    came = await bob.next()
    while isinstance(came, Request) and came.method == "INVITE" != method:
        came = await bob.next()
    assert isinstance(came, Request), came
    assert came.method == method, came
    return came


async def test_a_phone_whose_push_is_refused_and_that_says_nothing_is_away_within_seconds() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await _dozing(bob, firebase())
        edge.world.google.to_all = REFUSED
        invite = alice.call()
        await _refused(edge)
        await alice.silence_but(100, 110)
        edge.pass_time(ANSWERS_WITHIN + 1)
        alice.acknowledge(invite, await alice.final(480))


async def test_a_phone_whose_push_is_refused_and_that_rings_has_all_the_time_there_is() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await _dozing(bob, firebase())
        edge.world.google.to_all = REFUSED
        alice.call()
        call = await bob.request("INVITE")
        await _refused(edge)
        await alice.silence_but(100, 110)
        bob.answer(call, 180)
        await alice.response(180)
        edge.pass_time(ANSWERS_WITHIN + 1)
        await alice.silence()
        bob.answer(call, 200)
        await alice.response(200)


async def test_a_phone_that_says_its_first_word_when_its_caller_was_sent_away_is_told_to_stop() -> None:
    async with Calling(call_fork_timeout=8) as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await _dozing(bob, firebase())
        invite = alice.call()
        call = await bob.request("INVITE")
        await edge.pushes()
        edge.pass_time(9)
        alice.acknowledge(invite, await alice.final(480))
        bob.answer(call, 180)
        assert (await _repeated(bob, "CANCEL")).via.branch == call.via.branch
        await alice.silence_but(480)


async def test_a_phone_whose_token_is_gone_and_that_rings_too_late_is_told_to_stop() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await _dozing(bob, voip())
        edge.world.apple.to_all = unregistered(edge.world.clock.now() + 1)
        invite = alice.call()
        call = await bob.request("INVITE")
        alice.acknowledge(invite, await alice.final(480))
        bob.answer(call, 180)
        await _repeated(bob, "CANCEL")


async def test_a_phone_whose_push_was_refused_is_called_if_it_registers_while_others_are_waited_for() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob, Agent(edge, "bob") as other:
        await other.register(voip())
        await _dozing(bob, firebase())
        edge.world.google.to_all = REFUSED
        alice.call()
        first = await bob.request("INVITE")
        await _refused(edge, 2)
        await alice.silence_but(100, 110)
        edge.pass_time(ANSWERS_WITHIN + 1)
        await bob.ignore()
        await bob.register(firebase())
        again = await bob.request("INVITE")
        assert again.via.branch == first.via.branch
        bob.answer(again, 180)
        await alice.response(180)
        await bob.silence()


async def test_a_phone_whose_token_is_gone_is_away_at_once_until_it_gives_a_sign_of_life() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(voip())
        edge.world.apple.to_all = unregistered(edge.world.clock.now() + 1)
        alice.acknowledge(alice.call(), await alice.final(480))
        await edge.until(lambda: edge.bindings()[0].push is None)
        invite = alice.call()
        alice.acknowledge(invite, await alice.final(480))
        await bob.silence()
        bob.keep_alive()
        await bob.ignore()
        invite = alice.call()
        await bob.request("INVITE")
        edge.pass_time(ANSWERS_WITHIN + 1)
        alice.acknowledge(invite, await alice.final(480))
        await alice.ignore()
        alice.call()
        bob.answer(await _anew(bob, invite), 180)
        await alice.response(100)
        await alice.response(180)


async def test_a_phone_that_takes_the_call_up_is_awake_whatever_becomes_of_its_push() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await _dozing(bob, voip())
        edge.world.apple.capacity = 0
        alice.call()
        call = await bob.request("INVITE")
        bob.answer(call, 100)
        await bob.ignore()
        edge.world.apple.to_all = unregistered(edge.world.clock.now() + 1)
        edge.world.apple.capacity = 100
        await edge.until(lambda: edge.bindings()[0].push is None)
        await alice.silence_but(100, 110)
        bob.answer(call, 200)
        await alice.response(200)


async def test_nobody_is_waited_for_when_a_phone_that_said_no_more_than_100_is_given_up() -> None:
    async with Calling(call_fork_timeout=8) as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await _dozing(bob, voip())
        alice.call()
        bob.answer(await bob.request("INVITE"), 100)
        await bob.ignore()
        edge.pass_time(250)
        await alice.final(487)
        assert len(edge.proxy.bucket) == 0


async def _moves(edge: Calling, alice: Agent, bob: Agent, elsewhere: Agent) -> tuple[Request, Request, Request]:
    """Have a phone be asked where it seemed awake, and again where it registers then; return the caller's INVITE and both."""
    elsewhere.instance = bob.instance
    await _dozing(bob, voip())
    invite = alice.call()
    before = await bob.request("INVITE")
    await edge.pushes()
    elsewhere.ask("OPTIONS", f"sip:{DOMAIN}", sequence=100)  # its REGISTER goes on from there
    await elsewhere.response(200)
    await elsewhere.register(voip())
    return invite, before, await elsewhere.request("INVITE")


async def test_where_a_phone_was_asked_first_nothing_rings_any_more_once_it_answered_elsewhere() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob, Agent(edge, "bob") as elsewhere:
        _, before, now = await _moves(edge, alice, bob, elsewhere)
        elsewhere.answer(now, 200)
        await alice.final(200)
        bob.answer(before, 180)
        cancel = await _repeated(bob, "CANCEL")
        assert cancel.via.branch == before.via.branch
        assert cancel.get("reason") == 'SIP;cause=200;text="Call completed elsewhere"'


async def test_where_a_phone_was_asked_first_nothing_rings_any_more_once_its_caller_gave_up() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob, Agent(edge, "bob") as elsewhere:
        invite, before, now = await _moves(edge, alice, bob, elsewhere)
        elsewhere.answer(now, 180)
        await edge.until(lambda: any(said.startswith(b"SIP/2.0 180") for said in alice.heard))
        alice.cancel(invite)
        elsewhere.answer(await elsewhere.request("CANCEL"), 200)
        elsewhere.answer(now, 487)
        await edge.until(lambda: any(said.startswith(b"SIP/2.0 487") for said in alice.heard))
        bob.answer(before, 180)
        assert (await _repeated(bob, "CANCEL")).via.branch == before.via.branch
