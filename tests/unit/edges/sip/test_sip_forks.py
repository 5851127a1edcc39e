"""One request to several phones: who is asked, who is told to stop, and what the caller hears (RFC 3261 section 16.7)."""

from __future__ import annotations

import pytest

from sip_calling import BOB, TOKEN, Agent, Calling, Wired, firebase, voip
from wakeline.edges.sip.flows import Transport
from wakeline.wire.sip.message import Request, Response, parse

pytestmark = pytest.mark.anyio


async def _rung(edge: Calling, alice: Agent, *phones: Agent) -> tuple[Request, list[Request]]:
    """Have Alice call phones that are awake; returns her INVITE and theirs."""
    for phone in phones:
        await phone.register()
    invite = alice.call()
    await alice.response(100)
    return invite, [await phone.request("INVITE") for phone in phones]


async def test_the_first_phone_that_answers_has_the_call_and_the_others_are_told_so() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as desk, Agent(edge, "bob") as mobile:
        _, (at_desk, at_mobile) = await _rung(edge, alice, desk, mobile)
        desk.answer(at_desk, 180)
        mobile.answer(at_mobile, 180)
        await alice.response(180)
        await alice.response(180)
        desk.answer(at_desk, 200)
        await alice.response(200)
        cancel = await mobile.request("CANCEL")
        assert cancel.get("reason") == 'SIP;cause=200;text="Call completed elsewhere"'
        mobile.answer(at_mobile, 487)
        await mobile.request("ACK")
        await alice.silence()


async def test_a_phone_that_declines_for_everybody_ends_the_call() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as desk, Agent(edge, "bob") as mobile:
        invite, (at_desk, at_mobile) = await _rung(edge, alice, desk, mobile)
        mobile.answer(at_mobile, 180)
        await alice.response(180)
        desk.answer(at_desk, 603)
        await desk.request("ACK")
        assert (await mobile.request("CANCEL")).get("reason") == 'SIP;cause=600;text="Busy Everywhere"'
        mobile.answer(at_mobile, 487)
        alice.acknowledge(invite, await alice.response(603))


async def test_the_best_answer_goes_on_when_all_have_ended() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as desk, Agent(edge, "bob") as mobile:
        _, (at_desk, at_mobile) = await _rung(edge, alice, desk, mobile)
        desk.answer(at_desk, 486)
        await desk.request("ACK")
        await alice.silence()
        mobile.answer(at_mobile, 503)
        await alice.response(486)


async def test_a_busy_phone_does_not_end_the_wait_for_one_that_sleeps() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as desk, Agent(edge, "bob") as mobile:
        await desk.register()
        await mobile.register(voip())
        alice.call()
        desk.answer(await desk.request("INVITE"), 486)
        await desk.request("ACK")
        await edge.pushes()
        await mobile.register(voip())
        mobile.answer(await mobile.request("INVITE"), 200)
        await alice.response(100)
        await alice.response(110)
        await alice.response(200)


async def test_another_phone_that_registers_lets_no_call_go() -> None:
    """RFC 8599 section 5.3: what is released is what the REGISTER's own Contact was pushed for."""
    async with (
        Calling(fork_late=False) as edge,
        Agent(edge) as alice,
        Agent(edge, "bob") as desk,
        Agent(edge, "bob") as mobile,
    ):
        await mobile.register(voip())
        alice.call()
        await edge.pushes()
        await desk.register(firebase())
        await desk.silence()
        await mobile.silence()
        await mobile.register(voip())
        await mobile.request("INVITE")


async def test_a_phone_that_registers_while_it_rings_elsewhere_is_called_too() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as desk, Agent(edge, "bob") as mobile:
        _, (at_desk,) = await _rung(edge, alice, desk)
        desk.answer(at_desk, 180)
        await alice.response(180)
        await mobile.register()
        mobile.answer(await mobile.request("INVITE"), 200)
        await alice.response(200)
        await desk.request("CANCEL")


async def test_an_app_that_was_installed_again_gets_the_call_that_its_token_was_pushed_for() -> None:
    async with Calling(fork_late=False) as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(voip())
        alice.call()
        assert await edge.pushes() == [TOKEN]
        bob.instance = "urn:uuid:00000000-0000-4000-8000-0000000000ff"
        await bob.register(voip())
        await bob.request("INVITE")
        await bob.silence()


async def test_a_sleeping_phone_is_shown_what_another_one_answered() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as desk, Agent(edge, "bob") as mobile:
        await desk.register()
        await mobile.register(voip())
        alice.call()
        at_desk = await desk.request("INVITE")
        await edge.pushes()
        desk.answer(at_desk, 200)
        await mobile.register(voip())
        at_mobile = await mobile.request("INVITE")
        mobile.answer(at_mobile, 180)
        cancel = await mobile.request("CANCEL")
        assert cancel.get("reason") == 'SIP;cause=200;text="Call completed elsewhere"'
        mobile.answer(at_mobile, 487)
        await mobile.request("ACK")
        for status in (100, 110, 200):
            await alice.response(status)
        await alice.silence()


async def test_a_gruu_reaches_the_one_phone_that_has_it() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as desk, Agent(edge, "bob") as mobile:
        await desk.register()
        await mobile.register()
        alice.call(f"{BOB};gr={mobile.instance}")
        await mobile.request("INVITE")
        await desk.silence()


async def test_a_sips_call_is_for_phones_that_registered_over_tls() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register()
        alice.call("sips:bob@example.org")
        assert (await alice.response(480)).get("warning") == '380 wakeline "SIPS Not Allowed"'


async def test_what_is_no_call_waits_ten_seconds_for_a_phone() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(voip())
        alice.ask("REFER", BOB, ("contact", alice.contact()), ("refer-to", "<sip:carol@example.org>"))
        edge.pass_time(9)
        await alice.silence()
        edge.pass_time(2)
        await alice.response(480)


async def test_a_question_of_programs_wakes_nobody() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(firebase())
        alice.ask("OPTIONS", BOB)
        bob.answer(await bob.request("OPTIONS"), 200)
        await alice.response(200)
        await edge.world.run()
        assert edge.world.google.sent == []


async def _ends(edge: Calling, alice: Agent, bob: Agent, how: str) -> None:
    """Have a call to a sleeping phone end in a way of its own."""
    alice.call_id = f"call {how}"
    invite = alice.call()
    if how in ("away", "given up"):
        await edge.until(lambda: any(data.startswith(b"SIP/2.0 110") and how.encode() in data for data in alice.heard))
        edge.pass_time(33) if how == "away" else alice.cancel(invite)
    else:
        await bob.register(firebase())
        call = await bob.request("INVITE")
        said = bob.answer(call, 486 if how == "busy" else 200)
        if how == "answered":
            await edge.until(lambda: any(b"SIP/2.0 200" in data and b"answered" in data for data in alice.heard))
            bob.hang_up(call, said)
    await edge.until(lambda: any(b"call " + how.encode() in data and _is_final(data) for data in alice.heard))
    final = next(parse(data) for data in alice.heard if b"call " + how.encode() in data and _is_final(data))
    assert isinstance(final, Response)
    alice.acknowledge(invite, final)
    if how == "answered":
        await edge.until(lambda: any(data.startswith(b"ACK") for data in bob.heard))
    await edge.world.run()


def _is_final(data: bytes) -> bool:
    return data.startswith(b"SIP/2.0 ") and data[8:9] >= b"2" and b"INVITE\r\n" in data


async def test_nothing_is_left_of_calls_however_they_ended() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        for how in ("answered", "busy", "given up", "away"):
            await bob.register(firebase())
            await _ends(edge, alice, bob, how)
            await bob.ignore()
        edge.pass_time(70)
        assert len(edge.proxy.bucket) == 0
        assert len(edge.layer) == 0
        assert len(edge.world.pipeline.settle.hearing) == 0


async def test_nothing_is_left_of_a_call_to_a_phone_that_woke_elsewhere() -> None:
    both = (Transport.UDP, Transport.TCP)
    async with Calling(both) as edge, Agent(edge) as alice, Wired(edge, "bob") as bob:
        await bob.register(voip())
        await bob.hang()
        await edge.until(lambda: edge.endpoint.connections == 0)
        alice.call()
        await edge.pushes()
        await bob.connect()
        await bob.register(voip())
        bob.answer(await bob.request("INVITE"), 486)
        await bob.request("ACK")
        assert len(edge.proxy.bucket) == 0


async def test_callers_hear_that_the_gateway_ends_and_phones_stop_ringing() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as desk, Agent(edge, "bob") as mobile:
        await mobile.register(voip())
        _, (at_desk,) = await _rung(edge, alice, desk)
        desk.answer(at_desk, 180)
        await alice.response(110)
        await alice.response(180)
        edge.proxy.end()
        await desk.request("CANCEL")
        assert (await alice.response(503)).get("retry-after") == "5"
