"""Messages to phones that sleep: kept, in order, once each (RFC 3428)."""

from __future__ import annotations

import pytest

from sip_calling import BOB, GOOGLE_TOKEN, Agent, Calling, Wired, firebase, voip
from wakeline.edges.sip.flows import Transport
from wakeline.wire.sip.message import Request

pytestmark = pytest.mark.anyio

_PLAIN = ("content-type", "text/plain")


def _write(alice: Agent, text: str, *fields: tuple[str, str]) -> Request:
    return alice.ask("MESSAGE", BOB, *(fields or (_PLAIN,)), body=text)


async def test_messages_to_a_phone_that_sleeps_are_accepted_and_outlive_a_restart() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(firebase())
        for number in range(10):
            _write(alice, f"message {number}")
        assert await edge.pushes(10) == [GOOGLE_TOKEN] * 10
        edge.pass_time(5.1)
        for _ in range(10):
            await alice.final(202)
        await edge.stop()
        await edge.start()
        await bob.register(firebase())
        for number in range(10):
            message = await bob.request("MESSAGE")
            assert message.body == f"message {number}".encode()
            bob.answer(message, 200)
        await bob.silence()
        await bob.register(firebase())
        await bob.silence()
        assert await edge.world.store.sip_messages.count(BOB) == 0


async def test_a_phone_that_is_awake_answers_for_itself() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register()
        _write(alice, "hello")
        bob.answer(await bob.request("MESSAGE"), 200)
        await alice.response(200)
        edge.pass_time(6)
        await alice.silence()


async def test_what_comes_later_does_not_overtake_what_waits() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(firebase())
        _write(alice, "first")
        await edge.pushes()
        await bob.register(firebase())
        first = await bob.request("MESSAGE")
        _write(alice, "second")
        await edge.pushes(2)
        bob.keep_alive()
        bob.answer(first, 200)
        second = await bob.request("MESSAGE")
        assert (first.body, second.body) == (b"first", b"second")
        bob.answer(second, 200)
        await bob.silence()


async def test_every_phone_gets_a_message_and_the_first_answers_for_all() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as desk, Agent(edge, "bob") as mobile:
        await desk.register()
        await mobile.register(voip("b2" * 32))
        _write(alice, "hello")
        desk.answer(await desk.request("MESSAGE"), 200)
        await alice.response(200)
        await mobile.register(voip("b2" * 32))
        mobile.answer(await mobile.request("MESSAGE"), 200)
        await mobile.silence()
        await alice.silence()


async def test_a_phone_that_will_not_have_a_message_is_not_asked_again() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register()
        _write(alice, "hello")
        bob.answer(await bob.request("MESSAGE"), 415)
        await alice.response(415)
        await bob.register()
        await bob.silence()


async def test_a_phone_that_cannot_take_a_message_now_gets_it_another_time() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register()
        _write(alice, "hello")
        bob.answer(await bob.request("MESSAGE"), 480)
        await bob.silence()
        edge.pass_time(5.1)
        await alice.final(202)
        await bob.register()
        bob.answer(await bob.request("MESSAGE"), 200)
        await bob.silence()


async def test_a_note_that_somebody_is_typing_wakes_nobody_and_is_not_kept() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(firebase())
        _write(alice, "<isComposing/>", ("content-type", "application/im-iscomposing+xml"))
        bob.answer(await bob.request("MESSAGE"), 200)
        await alice.response(200)
        await edge.world.run()
        assert edge.world.google.sent == []
        assert await edge.world.store.sip_messages.count(BOB) == 0


async def test_a_note_that_something_was_read_is_kept_and_wakes_nobody() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(firebase())
        _write(alice, "<imdn/>", ("content-type", "message/imdn+xml"))
        await edge.until(lambda: bool(edge.proxy.messages.senders))
        await edge.world.run()
        assert edge.world.google.sent == []
        edge.pass_time(5.1)
        await alice.final(202)
        await bob.register(firebase())
        await bob.request("MESSAGE")


async def test_a_message_that_is_worth_nothing_later_is_not_kept() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(firebase())
        _write(alice, "ring", _PLAIN, ("expires", "0"))
        await edge.pushes()
        assert await edge.world.store.sip_messages.count(BOB) == 0
        await bob.register(firebase())
        bob.answer(await bob.request("MESSAGE"), 200)
        await alice.response(200)


async def test_a_message_is_forgotten_when_its_own_time_is_over() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(firebase())
        _write(alice, "for a minute", _PLAIN, ("expires", "60"))
        await edge.pushes()
        edge.world.clock.advance(61)
        await bob.register(firebase())
        await bob.silence()


async def test_a_message_that_is_sent_again_is_kept_once() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(firebase())
        _write(alice, "hello")
        await edge.pushes()
        edge.pass_time(5.1)
        await alice.final(202)
        edge.world.clock.advance(6)
        alice.ask("MESSAGE", BOB, _PLAIN, body="hello", sequence=1)
        await alice.final(202)
        await bob.register(firebase())
        bob.answer(await bob.request("MESSAGE"), 200)
        await bob.silence()


async def test_a_message_to_nobody_is_answered_404() -> None:
    async with Calling() as edge, Agent(edge) as alice:
        _write(alice, "hello")
        await alice.response(404)


async def test_a_push_of_a_message_bears_no_text() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(firebase())
        _write(alice, "the secret of alice")
        await edge.pushes()
        notification = await edge.world.store.ledger.notification(edge.world.google.sent[0].notification)
        assert notification is not None
        assert "secret" not in repr(notification.content)
        assert "alice@" not in repr(notification.content)


async def test_a_message_waits_for_a_phone_whose_connection_is_closed() -> None:
    both = (Transport.UDP, Transport.TCP)
    async with Calling(both) as edge, Agent(edge) as alice, Wired(edge, "bob") as bob:
        await bob.register(firebase())
        await bob.hang()
        _write(alice, "hello")
        await edge.pushes()
        edge.pass_time(5.1)
        await alice.final(202)
        await bob.connect()
        await bob.register(firebase())
        bob.answer(await bob.request("MESSAGE"), 200)
        await bob.silence()


async def test_a_message_on_its_way_to_a_connection_that_closes_is_brought_to_the_next_one() -> None:
    both = (Transport.UDP, Transport.TCP)
    async with Calling(both) as edge, Agent(edge) as alice, Wired(edge, "bob") as bob:
        await bob.register(firebase())
        _write(alice, "hello")
        await bob.request("MESSAGE")
        await bob.hang()
        await bob.connect()
        await bob.register(firebase())
        message = await bob.request("MESSAGE")
        bob.answer(message, 200)
        assert message.body == b"hello"
        await alice.response(200)
        await bob.silence()
