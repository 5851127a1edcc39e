"""Where requests go, and where they do not: this is no relay (RFC 3261 sections 16.3 to 16.6)."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from sip_calling import BOB, DOMAIN, Agent, Calling, Wired
from sip_wire import LOOPBACK
from wakeline.edges.sip.flows import Transport
from wakeline.model.sip.binding import Binding
from wakeline.wire.sip.message import Request, Response

pytestmark = pytest.mark.anyio


async def _talking(alice: Agent, bob: Agent) -> tuple[Request, Response, Response]:
    """Have Alice call Bob; returns the INVITE that he got, what he said, and what she heard."""
    invite = alice.call()
    call = await bob.request("INVITE")
    said = bob.answer(call, 200)
    await alice.response(100)
    heard = await alice.response(200)
    alice.acknowledge(invite, heard)
    await bob.request("ACK")
    return call, said, heard


async def test_a_request_to_a_foreign_domain_goes_nowhere() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge) as stranger:
        alice.ask("INVITE", f"sip:bob@{LOOPBACK}:{stranger.port}")
        await alice.response(403)
        alice.ask("MESSAGE", BOB, ("route", f"<sip:{LOOPBACK}:{stranger.port};lr>"))
        await alice.response(403)
        assert stranger.heard == []


async def test_a_request_to_a_peer_goes_there_and_its_answers_come_back() -> None:
    async with Calling(peers=(LOOPBACK,)) as edge, Agent(edge) as alice, Agent(edge, "pbx") as pbx:
        invite = alice.call(f"sip:100@{LOOPBACK}:{pbx.port}")
        call = await pbx.request("INVITE")
        assert call.max_forwards == 69
        pbx.answer(call, 180)
        await alice.response(100)
        await alice.response(180)
        pbx.answer(call, 200)
        ok = await alice.response(200)
        alice.acknowledge(invite, ok)
        await pbx.request("ACK")
        pbx.hang_up(call, ok)
        await alice.request("BYE")


async def test_a_peer_that_does_not_answer_is_given_up_and_one_that_is_cancelled_hears_it() -> None:
    async with Calling(peers=(LOOPBACK,)) as edge, Agent(edge) as alice, Agent(edge, "pbx") as pbx:
        invite = alice.call(f"sip:100@{LOOPBACK}:{pbx.port}")
        call = await pbx.request("INVITE")
        pbx.answer(call, 180)
        await alice.response(100)
        await alice.response(180)
        alice.cancel(invite, ("reason", "SIP;cause=487"))
        await alice.response(200)
        assert (await pbx.request("CANCEL")).get("reason") == "SIP;cause=487"
        pbx.answer(call, 487)
        await pbx.request("ACK")
        alice.acknowledge(invite, await alice.response(487))
        alice.call(f"sip:101@{LOOPBACK}:{pbx.port}")
        await alice.response(100)
        await pbx.request("INVITE")
        edge.pass_time(33)
        await alice.response(408)


async def test_a_request_within_a_dialog_needs_the_route_that_we_gave() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register()
        _, _, heard = await _talking(alice, bob)
        aim = bob.contact().partition("<")[2].partition(">")[0]
        alice.ask("BYE", aim, to_tag=heard.to.tag)
        await alice.response(403)
        routes = [("route", route) for route in reversed(heard.values("record-route"))]
        alice.ask("BYE", aim, *routes, to_tag=heard.to.tag, call_id="another")
        await alice.response(403)
        await bob.silence()


async def test_a_dialog_outlives_a_restart() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register()
        _, _, heard = await _talking(alice, bob)
        await edge.stop()
        await edge.start()
        alice.within(heard, "BYE")
        await bob.request("BYE")


async def test_a_dialog_follows_a_phone_with_a_gruu_to_where_it_is_now() -> None:
    both = (Transport.UDP, Transport.TCP)
    async with Calling(both) as edge, Agent(edge) as alice, Wired(edge, "bob") as bob:
        [gruu] = [each.gruu for each in await _registered(edge, bob)]
        invite = alice.call()
        call = await bob.request("INVITE")
        bob.answer(call, 200, contact=f"<{gruu}>")
        await alice.response(100)
        heard = await alice.response(200)
        alice.acknowledge(invite, heard)
        await bob.request("ACK")
        await bob.hang()
        await bob.connect()
        await bob.register()
        alice.within(heard, "BYE")
        assert (await bob.request("BYE")).uri.startswith(f"sip:bob@{LOOPBACK}:")


async def _registered(edge: Calling, bob: Agent) -> list[Binding]:
    await bob.register()
    return edge.bindings()


async def test_a_request_that_made_all_its_hops_goes_no_further() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register()
        alice.ask("INVITE", BOB, max_forwards=0)
        await alice.response(483)
        await bob.silence()


async def test_a_request_that_comes_back_unchanged_is_a_loop() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register()
        alice.ask("INFO", BOB)
        back = await bob.request("INFO")
        back.prepend("via", f"SIP/2.0/UDP {LOOPBACK}:{bob.port};branch=z9hG4bKback;rport")
        back.uri = BOB
        bob.say(back)
        await bob.response(482)


async def test_what_no_proxy_here_can_do_is_refused_by_name() -> None:
    async with Calling() as edge, Agent(edge) as alice:
        alice.ask("INVITE", BOB, ("proxy-require", "sec-agree"))
        assert (await alice.response(420)).get("unsupported") == "sec-agree"


async def test_a_question_to_the_proxy_itself_is_answered() -> None:
    async with Calling() as edge, Agent(edge) as alice:
        alice.ask("OPTIONS", f"sip:{LOOPBACK}:{edge.at()}")
        assert "MESSAGE" in ((await alice.response(200)).get("allow") or "")
        alice.ask("INFO", f"sip:{DOMAIN}")
        await alice.response(404)


async def test_a_route_to_us_is_taken_off_first() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register()
        alice.call(BOB, ("route", f"<sip:{LOOPBACK}:{edge.at()};lr>"))
        assert "route" not in await bob.request("INVITE")


async def test_push_parameters_reach_nobody_else() -> None:
    """RFC 8599 section 13."""
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        push = ";pn-provider=fcm;pn-param=acme-1;pn-prid=secret-of-alice"
        await bob.register()
        alice.ask("INVITE", BOB, ("contact", alice.contact(push)))
        call = await bob.request("INVITE")
        bob.answer(call, 180, contact=bob.contact(push.replace("alice", "bob")))
        bob.answer(call, 200, contact=bob.contact(push.replace("alice", "bob")))
        await alice.response(100)
        await alice.response(180)
        await alice.response(200)
        assert not any(b"secret" in data for agent in (alice, bob) for data in agent.heard)


@pytest.mark.parametrize(
    "field",
    [
        *("refer-to", "referred-by", "reply-to", "history-info", "diversion", "remote-party-id"),
        *("p-called-party-id", "p-asserted-identity", "p-preferred-identity"),
    ],
)
async def test_a_field_that_quotes_a_contact_leaves_without_push_parameters(field: str) -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register()
        quoted = '"A; pn-x" <sip:alice@example.org;pn-provider=fcm;pn-prid=secret;user=phone>'
        alice.ask("INVITE", BOB, ("contact", alice.contact()), (field, quoted), body="pn-prid=theirs")
        call = await bob.request("INVITE")
        assert call.get(field) == '"A; pn-x" <sip:alice@example.org;user=phone>'
        assert call.body == b"pn-prid=theirs"


async def test_strays_write_no_line_each_that_an_operator_would_see() -> None:
    async with Calling() as edge, Agent(edge) as alice:
        with capture_logs() as lines:
            alice.ask("ACK", BOB, to_tag="made-up")
            alice.ask("BYE", BOB, to_tag="made-up")
            await alice.response(403)
        assert [line for line in lines if line["log_level"] != "debug"] == []


async def test_a_pbx_beside_us_on_the_same_machine_is_not_us() -> None:
    both = (LOOPBACK, DOMAIN)
    async with Calling(peers=(LOOPBACK,), domains=both) as edge, Agent(edge) as alice, Agent(edge, "pbx") as pbx:
        alice.call(f"sip:100@{LOOPBACK}:{pbx.port}")
        await pbx.request("INVITE")
        alice.call(f"sip:100@{LOOPBACK}:{edge.at()}")
        await alice.response(100)
        await alice.response(404)


async def test_a_dialog_that_somebody_made_up_costs_one_answer_for_one_request() -> None:
    async with Calling() as edge, Agent(edge) as alice:
        alice.ask("INVITE", BOB, to_tag="made-up")
        await alice.response(403)
        edge.pass_time(10)
        await alice.silence()
        assert len(edge.layer) <= 1  # the question of `silence`


async def test_a_cancel_of_nothing_costs_one_answer_and_no_memory() -> None:
    async with Calling() as edge, Agent(edge) as alice:
        asked = alice.ask("OPTIONS", f"sip:{DOMAIN}")
        await alice.response(200)
        before = len(edge.layer)
        alice.cancel(asked)
        await alice.response(481)
        assert len(edge.layer) == before


async def test_a_pbx_may_name_us_by_our_address() -> None:
    async with Calling(peers=(LOOPBACK,)) as edge, Agent(edge, "pbx") as pbx, Agent(edge, "bob") as bob:
        await bob.register()
        pbx.call(f"sip:bob@{LOOPBACK}:{edge.at()}")
        await bob.request("INVITE")


async def test_an_ack_that_made_all_its_hops_is_dropped() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register()
        _, _, heard = await _talking(alice, bob)
        routes = [("route", route) for route in reversed(heard.values("record-route"))]
        alice.ask("ACK", heard.contacts[0].uri, *routes, to_tag=heard.to.tag, call_id=heard.call_id, max_forwards=0)
        await alice.silence()
        await bob.silence()


async def test_nobody_has_us_connect_to_somebody_else_by_a_dialog_or_a_contact() -> None:
    both = (Transport.UDP, Transport.TCP)
    async with Calling(both) as edge, Agent(edge) as alice, Wired(edge, "bob") as bob, Agent(edge) as stranger:
        await bob.register()
        _, _, heard = await _talking(alice, bob)
        await bob.hang()
        aim = f"sip:inside@localhost:{stranger.port}"
        routes = [("route", route) for route in reversed(heard.values("record-route"))]
        alice.ask("BYE", aim, *routes, to_tag=heard.to.tag, call_id=heard.call_id)
        await alice.response(430)  # RFC 5626 section 5.3.1
        await bob.connect()
        contact = ("contact", f"<{aim}>")
        bob.ask("REGISTER", f"sip:{DOMAIN}", contact, to=BOB, call_id="another")
        await bob.response(200)
        await bob.hang()
        alice.ask("OPTIONS", BOB)
        await alice.response(480)
        assert stranger.heard == []


async def test_a_softphone_that_lost_its_connection_is_called_where_it_registered_from() -> None:
    both = (Transport.UDP, Transport.TCP)
    async with Calling(both) as edge, Agent(edge) as alice, Wired(edge, "bob") as bob, Agent(edge, "bob") as listening:
        contact = ("contact", f"<sip:bob@{LOOPBACK}:{listening.port}>")
        bob.ask("REGISTER", f"sip:{DOMAIN}", contact, to=BOB)
        await bob.response(200)
        await bob.hang()
        alice.call()
        await listening.request("INVITE")
