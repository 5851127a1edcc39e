"""What a wake is: one push to one phone, for as long as it is worth something, on behalf of somebody who is believed."""

from __future__ import annotations

from typing import Any

import pytest

from sip_calling import BOB, DOMAIN, Agent, Calling, firebase, voip
from sip_registering import proving
from stories.post import BAD_TOKEN
from wakeline.model.notification import Notification
from wakeline.model.sip.user import SipUser
from wakeline.wire.sip.digest import secret_hash
from wakeline.wire.sip.message import parse

pytestmark = pytest.mark.anyio

_PASSWORD = "correct horse"


async def _user(edge: Calling, name: str) -> None:
    digests = {each: secret_hash(name, DOMAIN, _PASSWORD, each) for each in ("MD5", "SHA-256")}
    user = SipUser(user=name, domain=DOMAIN, realm=DOMAIN, md5=digests["MD5"], sha256=digests["SHA-256"])
    await edge.world.store.sip_users.put(user)


async def _sign_in(phone: Agent, push: str) -> None:
    """Register with a password: asked first, believed then."""
    asked = phone.ask(
        "REGISTER",
        f"sip:{DOMAIN}",
        ("contact", phone.contact(push)),
        call_id=f"{phone.user}-in",
        to=f"sip:{phone.user}@{DOMAIN}",
    )
    asked.set("via", asked.via.text + "x")
    phone.say(proving(asked, await phone.response(401), _PASSWORD, user=phone.user))
    await phone.response(200)


async def _first(edge: Calling) -> Notification:
    await edge.pushes()
    [sent] = edge.world.apple.sent + edge.world.google.sent
    notification = await edge.world.store.ledger.notification(sent.notification)
    assert notification is not None
    return notification


async def test_who_is_not_believed_wakes_nobody() -> None:
    async with Calling(auth="digest") as edge, Agent(edge, "mallory") as mallory, Agent(edge, "bob") as bob:
        await _user(edge, "bob")
        await _sign_in(bob, voip())
        mallory.call()
        await mallory.response(407)
        mallory.ask("MESSAGE", BOB, ("content-type", "text/plain"), body="hello")
        await mallory.response(407)
        await edge.world.run()
        assert edge.world.apple.sent == []
        assert len(edge.proxy.bucket) == 0
        assert await edge.world.store.sip_messages.count(BOB) == 0


async def test_a_call_is_released_by_a_registration_that_is_believed_and_once() -> None:
    """RFC 8599 section 5.6.2: what is answered 401 releases nothing."""
    settings: dict[str, Any] = {"auth": "digest"}
    async with Calling(**settings) as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await _user(edge, "alice")
        await _user(edge, "bob")
        await _sign_in(bob, voip())
        invite = alice.call()
        invite.set("via", invite.via.text + "y")
        alice.say(proving(invite, await alice.response(407), _PASSWORD, user="alice"))
        await edge.pushes()
        asked = bob.ask("REGISTER", f"sip:{DOMAIN}", ("contact", bob.contact(voip())), call_id="bob-in", to=BOB)
        question = await bob.response(401)
        await edge.world.run()
        assert bob.heard[-1].startswith(b"SIP/2.0 401")
        asked.set("via", asked.via.text + "z")
        bob.say(proving(asked, question, _PASSWORD))
        await bob.response(200)
        call = await bob.request("INVITE")
        assert "proxy-authorization" not in call
        invites = {parse(data).via.branch for data in bob.heard if data.startswith(b"INVITE")}
        assert len(invites) == 1


async def test_a_push_of_a_call_lasts_as_long_as_the_caller_waits_and_says_nothing_of_the_caller() -> None:
    async with Calling(call_fork_timeout=20) as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(voip())
        invite = alice.call()
        pushed = await _first(edge)
        assert pushed.expires - pushed.created == 20_000
        payload = pushed.content.apns.raw
        assert payload is not None
        assert payload["aps"]["call-id"] == invite.call_id
        assert payload["aps"]["uuid"] == f'"<{bob.instance}>"'
        assert "lice" not in repr({**payload, "aps": {**payload["aps"], "call-id": ""}})


async def test_a_push_says_who_calls_where_the_settings_allow_it() -> None:
    async with Calling(display_from_uri=True) as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(voip())
        alice.call()
        payload = (await _first(edge)).content.apns.raw
        assert payload is not None
        assert (payload["from-uri"], payload["display-name"]) == (f"sip:alice@{DOMAIN}", "Alice")


async def test_a_push_of_a_message_lasts_as_long_as_the_message() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(firebase())
        alice.ask("MESSAGE", BOB, ("content-type", "text/plain"), ("expires", "3600"), body="hello")
        pushed = await _first(edge)
        assert pushed.expires - pushed.created == 3_600_000


async def test_a_phone_that_wants_a_moment_before_its_push_gets_it_and_none_if_it_registers_meanwhile() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(voip() + ";pn-timeout=5")
        alice.call()
        await alice.response(100)
        edge.pass_time(4)
        await bob.register(voip() + ";pn-timeout=5")
        await bob.request("INVITE")
        edge.pass_time(4)
        await edge.world.run()
        assert edge.world.apple.sent == []
        await alice.silence()


async def test_a_phone_whose_registration_ended_is_woken_as_long_as_it_asked_to_be_kept() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(firebase(), expires=600, more=";message-expires=604800")
        edge.world.clock.advance(3600)
        alice.call()
        await edge.pushes()
        await bob.register(firebase())
        await bob.request("INVITE")


async def test_a_registration_that_ended_is_woken_no_more() -> None:
    """RFC 8599 section 5.5."""
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(firebase(), expires=600)
        edge.world.clock.advance(3600)
        alice.call()
        await alice.response(404)
        await edge.world.run()
        assert edge.world.google.sent == []


async def test_a_phone_that_was_woken_often_enough_in_a_minute_is_not_woken_again_and_its_caller_hears_so_at_once() -> (
    None
):
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(voip())
        for number in range(6):
            alice.call_id = f"call {number}"
            invite = alice.call()
            await alice.response(100)
            await alice.response(110)
            await edge.pushes(number + 1)
            alice.cancel(invite)
            await alice.response(200)
            alice.acknowledge(invite, await alice.response(487))
        alice.call_id = "one too many"
        alice.call()
        await alice.response(100)
        await alice.response(480)
        assert len(edge.world.apple.sent) == 6


async def test_a_token_in_doubt_is_kept_and_its_next_caller_hears_at_once() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(voip())
        edge.world.apple.to_all = BAD_TOKEN
        for number in range(2):
            alice.call_id = f"call {number}"
            invite = alice.call()
            alice.acknowledge(invite, await alice.final(480))
            await edge.world.run()
        assert edge.bindings()[0].push is not None
        assert len(edge.world.apple.sent) < 4


async def test_a_phone_whose_app_was_deleted_is_away() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(voip())
        await edge.world.store.apps.delete(edge.world.app.id)
        alice.call()
        await alice.response(100)
        bob.answer(await bob.request("INVITE"), 200)
        await alice.response(200)
