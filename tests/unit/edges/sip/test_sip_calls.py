"""Calls to phones that sleep: held, pushed, released, answered, ended (RFC 3261 section 16, RFC 8599 section 5.6.2)."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from sip_calling import BOB, BUNDLE, TOKEN, Agent, Calling, Wired, firebase, voip
from stories.post import unregistered
from wakeline.edges.sip.flows import Transport
from wakeline.model.sip.binding import TOKEN_GONE
from wakeline.wire.outcomes import fcm

pytestmark = pytest.mark.anyio


async def test_a_call_waits_for_a_phone_that_sleeps_until_its_push_makes_it_register() -> None:
    """RFC 8599 sections 5.3 and 5.6.2: held until a 2xx to the REGISTER."""
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


async def test_a_phone_that_does_not_wake_counts_as_away_when_the_time_is_over() -> None:
    """RFC 8599 section 5.6.2: 480 when the time is over."""
    async with Calling(call_fork_timeout=20) as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(voip())
        invite = alice.call()
        await alice.response(100)
        await alice.response(110)
        edge.pass_time(19)
        await alice.silence()
        edge.pass_time(2)
        alice.acknowledge(invite, await alice.response(480))
        await bob.register(voip())
        await bob.silence()
        assert len(edge.proxy.bucket) == 0


async def test_a_token_that_the_push_service_calls_gone_ends_the_call_at_once_and_leaves_the_registration() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(voip())
        edge.world.apple.to_all = unregistered(edge.world.clock.now() + 1)
        alice.call()
        await alice.response(100)
        await alice.response(110)
        await alice.response(480)
        await edge.until(lambda: edge.bindings()[0].push is None)
        [left] = edge.bindings()
        assert left.why_not == TOKEN_GONE
        assert left.app == 0


async def test_a_push_that_is_refused_ends_the_call_at_once_and_the_token_stays() -> None:
    """RFC 8599 section 5.6.2: a push that fails is answered at once."""
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(firebase())
        edge.world.google.to_all = fcm(400, b'{"error": {"status": "INVALID_ARGUMENT"}}')
        alice.call()
        await alice.response(100)
        await alice.response(110)
        await alice.response(480)
        assert edge.bindings()[0].push is not None


async def test_a_push_that_cannot_even_be_kept_ends_the_call_at_once() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(voip())
        edge.world.disk.low = True
        alice.call()
        await alice.response(100)
        await alice.response(480)


async def test_a_caller_who_gives_up_before_the_push_was_sent_wakes_nobody() -> None:
    """RFC 8599 section 5.2: who gives up takes the request out of the bucket."""
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(voip())
        edge.world.apple.capacity = 0
        invite = alice.call()
        await alice.response(100)
        await alice.response(110)
        alice.cancel(invite)
        assert {(await alice.next()).get("cseq"), (await alice.next()).get("cseq")} == {"1 CANCEL", "1 INVITE"}
        for _ in range(5):
            await edge.world.step()
        edge.world.apple.capacity = 100
        await edge.world.run()
        assert edge.world.apple.sent == []
        await bob.register(voip())
        await bob.silence()


@pytest.mark.parametrize(("push", "shown"), [(voip(), True), (firebase(), False)])
async def test_a_caller_who_gave_up_is_shown_by_a_phone_that_was_woken_by_a_voip_push_and_by_no_other(
    push: str, *, shown: bool
) -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(push)
        invite = alice.call()
        await alice.response(100)
        await alice.response(110)
        await edge.pushes()
        alice.cancel(invite, ("reason", 'SIP;cause=487;text="Gone"'))
        assert (await alice.response(200)).cseq.method == "CANCEL"
        alice.acknowledge(invite, await alice.response(487))
        await bob.register(push)
        if shown:
            call = await bob.request("INVITE")
            bob.answer(call, 180)
            assert (await bob.request("CANCEL")).get("reason") == 'SIP;cause=487;text="Gone"'
            bob.answer(call, 487)
            await bob.request("ACK")
        await bob.silence()
        await alice.silence()


async def test_no_phone_is_shown_a_call_that_is_over_where_the_settings_say_so() -> None:
    async with Calling(call_after_cancel=False) as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(voip())
        invite = alice.call()
        await alice.response(100)
        await alice.response(110)
        await edge.pushes()
        alice.cancel(invite)
        await alice.response(200)
        await alice.response(487)
        await bob.register(voip())
        await bob.silence()


async def test_a_caller_who_gives_up_while_it_rings_ends_the_ringing() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register()
        invite = alice.call()
        call = await bob.request("INVITE")
        bob.answer(call, 180)
        await alice.response(100)
        await alice.response(180)
        alice.cancel(invite)
        await alice.response(200)
        bob.answer(await bob.request("CANCEL"), 200)
        bob.answer(call, 487)
        await bob.request("ACK")
        alice.acknowledge(invite, await alice.response(487))
        await alice.silence()


async def test_a_phone_that_registers_twice_is_called_once() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(voip())
        alice.call()
        await edge.pushes()
        await bob.register(voip())
        await bob.request("INVITE")
        await bob.register(voip())
        await bob.silence()


async def test_a_phone_that_leaves_is_waited_for_no_more() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(voip())
        alice.call()
        await edge.pushes()
        await bob.register(voip(), expires=0)
        await alice.response(100)
        await alice.response(110)
        await alice.response(480)


async def test_a_sign_of_life_from_where_the_phone_was_lets_the_call_go() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(voip())
        alice.call()
        await edge.pushes()
        bob.keep_alive()
        await bob.request("INVITE")


async def test_a_call_to_nobody_is_answered_404_and_waits_for_nobody() -> None:
    async with Calling() as edge, Agent(edge) as alice:
        alice.call()
        await alice.response(404)
        assert len(edge.proxy.bucket) == 0


@pytest.mark.parametrize(("program", "settings"), [("LinphoneiOS/4.1 (iPhone)", {}), ("Zoiper", {"push_sent": False})])
async def test_programs_that_end_a_call_by_110_do_not_hear_of_pushes(program: str, settings: dict[str, Any]) -> None:
    async with Calling(**settings) as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(voip())
        alice.call(BOB, ("user-agent", program))
        await alice.response(100)
        await edge.pushes()
        await bob.register(voip())
        bob.answer(await bob.request("INVITE"), 180)
        await alice.response(180)


async def test_a_phone_whose_connection_is_open_is_called_and_woken_at_once() -> None:
    """RFC 8599 section 5.6.2: a phone that is known to be awake need not be waited for."""
    both = (Transport.UDP, Transport.TCP)
    async with Calling(both) as edge, Agent(edge) as alice, Wired(edge, "bob") as bob:
        await bob.register(voip())
        alice.call()
        call = await bob.request("INVITE")
        assert await edge.pushes() == [TOKEN]
        bob.answer(call, 200)
        await bob.register(voip())
        await bob.silence()


async def test_a_phone_whose_connection_is_closed_is_called_over_the_one_that_its_push_brings() -> None:
    both = (Transport.UDP, Transport.TCP)
    async with Calling(both) as edge, Agent(edge) as alice, Wired(edge, "bob") as bob:
        await bob.register(voip())
        await bob.hang()
        invite = alice.call()
        await edge.pushes()
        await bob.connect()
        await bob.register(voip())
        call = await bob.request("INVITE")
        bob.answer(call, 200)
        await alice.response(100)
        await alice.response(110)
        ok = await alice.response(200)
        alice.acknowledge(invite, ok)
        await bob.request("ACK")
        bob.hang_up(call, bob.answer(call, 200))
        again = await alice.response(200)
        assert again.cseq.method == "INVITE"
        bye = await alice.request("BYE")
        alice.answer(bye, 200)
        assert (await bob.response(200)).cseq.method == "BYE"


async def test_a_phone_that_went_to_sleep_with_the_call_on_its_way_is_called_again_where_it_wakes() -> None:
    both = (Transport.UDP, Transport.TCP)
    async with Calling(both) as edge, Agent(edge) as alice, Wired(edge, "bob") as bob:
        await bob.register(voip())
        alice.call()
        await bob.request("INVITE")
        await bob.hang()
        await edge.pushes()
        await bob.connect()
        await bob.register(voip())
        bob.answer(await bob.request("INVITE"), 200)
        await alice.response(100)
        await alice.response(110)
        await alice.response(200)


async def test_calls_are_in_the_journal_from_their_invite_to_their_end() -> None:
    async with Calling() as edge, Agent(edge, "4930123456") as alice, Agent(edge, "bob") as bob:
        await bob.register(voip())
        invite = alice.call()
        await edge.pushes()
        await bob.register(voip())
        call = await bob.request("INVITE")
        bob.answer(call, 200)
        for status in (100, 110):
            await alice.response(status)
        ok = await alice.response(200)
        alice.acknowledge(invite, ok)
        edge.world.clock.advance(42)
        alice.within(ok, "BYE")
        await edge.until(lambda: bool(edge.journal.over))
        [begun], [over] = edge.journal.begun, edge.journal.over
        assert (begun.users, begun.phone, begun.line, begun.call_id) == ((BOB,), "4930123456", "", invite.call_id)
        assert (over.status, over.duration, over.user) == (200, 42, BOB)


async def test_a_call_of_a_name_that_is_no_number_is_in_no_journal() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(voip())
        alice.call()
        await edge.pushes()
        assert edge.journal.begun == []


async def test_a_call_that_nobody_took_ends_in_the_journal_with_its_status() -> None:
    async with Calling() as edge, Agent(edge, "+493012") as alice, Agent(edge, "bob") as bob:
        await bob.register(voip())
        invite = alice.call()
        await edge.pushes()
        alice.cancel(invite)
        await edge.until(lambda: bool(edge.journal.over))
        assert [(each.status, each.duration, each.user) for each in edge.journal.over] == [(487, 0, "")]


async def test_what_another_user_says_who_is_called_by_the_same_call_id_ends_no_call_in_the_journal() -> None:
    async with Calling() as edge, Agent(edge, "+493012") as alice, Agent(edge, "bob") as bob, Agent(edge, "ann") as ann:
        await bob.register(voip())
        await ann.register(firebase())
        alice.call()
        await bob.register(voip())
        alice.call("sip:ann@example.org")
        await ann.register(firebase())
        ann.answer(await ann.request("INVITE"), 486)
        await ann.request("ACK")
        bob.answer(await bob.request("INVITE"), 603)
        await bob.request("ACK")
        await edge.until(lambda: bool(edge.journal.over))
        assert [each.users for each in edge.journal.begun] == [(BOB,)]
        assert [each.status for each in edge.journal.over] == [603]


async def test_a_flood_of_calls_uses_up_the_pushes_of_a_user_and_keeps_no_other_caller_from_waiting_along() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "mallory") as mallory, Agent(edge, "bob") as bob:
        await bob.register(voip())
        for number in range(10):
            mallory.call_id = f"flood {number}"
            mallory.call()
        await edge.pushes()
        alice.call()
        await alice.response(100)
        await alice.response(110)
        await bob.register(voip())
        calls = [await bob.request("INVITE") for _ in range(11)]
        bob.answer(next(each for each in calls if each.call_id == alice.call_id), 200)
        await alice.response(200)
        assert len(edge.world.apple.sent) < 10


async def test_a_phone_that_rings_for_ever_is_told_to_stop() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register()
        alice.call()
        call = await bob.request("INVITE")
        bob.answer(call, 180)
        await alice.response(100)
        await alice.response(180)
        edge.pass_time(185.1)
        await bob.request("CANCEL")
        bob.answer(call, 487)
        await bob.request("ACK")
        await alice.response(487)


async def test_a_phone_that_says_100_and_then_nothing_is_given_up() -> None:
    """Timer C runs from the request on, whatever 100 says (RFC 3261 sections 16.6 step 11 and 16.7 step 2)."""
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register()
        invite = alice.call()
        bob.answer(await bob.request("INVITE"), 100)
        await alice.response(100)
        await bob.ignore()
        edge.pass_time(185.1)
        await bob.request("CANCEL")
        edge.pass_time(33)
        alice.acknowledge(invite, await alice.response(487))


@pytest.mark.parametrize("first", ["moves", "gives up"])
@pytest.mark.parametrize("noticed", [True, False])
async def test_a_phone_that_changes_its_network_while_it_rings_is_told_there_to_stop(
    first: str, *, noticed: bool
) -> None:
    both = (Transport.UDP, Transport.TCP)
    async with Calling(both) as edge, Agent(edge) as alice, Wired(edge, "bob") as bob, Wired(edge, "bob") as there:
        there.instance = bob.instance
        await there.ignore()
        await bob.register()
        invite = alice.call()
        call = await bob.request("INVITE")
        bob.answer(call, 180)
        await alice.response(100)
        await alice.response(180)
        if noticed:
            await bob.hang()
            await edge.until(lambda: edge.endpoint.connections == 1)
        if first == "gives up":
            alice.cancel(invite)
            await alice.response(200)
        await there.register()
        if first == "moves":
            alice.cancel(invite)
            await alice.response(200)
        await there.request("CANCEL")
        there.answer(call, 487)
        await there.request("ACK")
        alice.acknowledge(invite, await alice.response(487))


async def test_an_invite_for_an_open_dialog_passes_in_both_directions() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register()
        invite = alice.call()
        call = await bob.request("INVITE")
        said = bob.answer(call, 200)
        await alice.response(100)
        ok = await alice.response(200)
        alice.acknowledge(invite, ok)
        await bob.request("ACK")
        held = alice.within(ok, "INVITE")
        again = await bob.request("INVITE")
        assert again.cseq.number == held.cseq.number
        bob.answer(again, 200)
        await alice.response(100)
        await alice.response(200)
        bob.hang_up(call, said)
        await alice.request("BYE")


def _by_alerts(seconds: int) -> str:
    token = f"pn-prid={'c3' * 32}"
    return f";pn-provider=apns;pn-param=ABCD1234.{BUNDLE}.remote;{token};pn-call-remote-push-interval={seconds}"


async def test_a_phone_without_voip_pushes_rings_by_alerts_until_a_last_one_says_that_the_call_was_missed() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(_by_alerts(5))
        invite = alice.call()
        await alice.response(100)
        await alice.response(110)
        await edge.pushes(1)
        edge.pass_time(5.1)
        await edge.pushes(2)
        alice.cancel(invite)
        await alice.response(200)
        await alice.response(487)
        await edge.pushes(3)
        edge.pass_time(11)
        await edge.world.run()
        sent = [await edge.world.store.ledger.notification(each.notification) for each in edge.world.apple.sent]
        keys = [each.content.apns.raw["aps"]["alert"]["loc-key"] for each in sent if each and each.content.apns.raw]
        assert keys == ["IC_MSG", "IC_MSG", "Missing call"]
        assert len({each.content.collapse_id for each in sent if each}) == 1


async def test_an_alert_beyond_the_limit_of_a_user_ends_no_call_that_rings_by_those_before() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(_by_alerts(1))
        alice.call()
        await alice.response(100)
        await alice.response(110)
        with capture_logs() as lines:
            for _ in range(10):
                edge.pass_time(1.1)
                await edge.world.step()
            await edge.until(lambda: any("limit" in line.get("why", "") for line in lines))
        await bob.register(_by_alerts(1))
        bob.answer(await bob.request("INVITE"), 200)
        await alice.response(200)


async def test_a_phone_that_asks_for_no_repetition_is_pushed_once() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(_by_alerts(0))
        invite = alice.call()
        await alice.response(100)
        await edge.pushes(1)
        edge.pass_time(31)
        await alice.response(110)
        alice.cancel(invite)
        await alice.response(200)
        await alice.response(487)
        await edge.world.run()
        assert len(edge.world.apple.sent) == 1


async def test_a_phone_that_does_not_answer_at_all_is_given_up() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register()
        alice.call()
        await bob.request("INVITE")
        await alice.response(100)
        edge.pass_time(32.5)
        await alice.response(408)


async def test_a_store_that_fails_the_journal_fails_no_call() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(voip())
        edge.journal.full = True
        alice.user = "105"
        invite = alice.call()
        await edge.pushes()
        await bob.register(voip())
        bob.answer(await bob.request("INVITE"), 486)
        alice.acknowledge(invite, await alice.final(486))
        await edge.world.run()
        assert (edge.journal.begun, edge.journal.over) == ([], [])


async def test_a_phone_that_sends_keep_alives_is_called_at_once_even_if_no_push_can_be_sent() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(firebase())
        bob.keep_alive()
        await bob.ignore()
        edge.world.disk.low = True
        alice.call()
        bob.answer(await bob.request("INVITE"), 200)
        await alice.response(100)
        await alice.response(200)


async def test_a_phone_that_slept_through_its_call_gets_it_again_when_it_registers() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(firebase())
        bob.keep_alive()
        await bob.ignore()
        alice.call()
        first = await bob.request("INVITE")
        await edge.pushes()
        await bob.register(firebase())
        again = await bob.request("INVITE")
        assert again.via.branch == first.via.branch
        bob.answer(again, 180)
        await bob.register(firebase())
        await bob.silence()


async def test_a_phone_whose_last_keep_alive_is_long_ago_is_taken_to_sleep() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(firebase())
        bob.keep_alive()
        await bob.ignore()
        edge.pass_time(36)
        alice.call()
        await edge.pushes()
        await bob.silence()


async def test_a_keep_alive_over_the_connection_that_a_call_went_over_brings_no_second_one() -> None:
    both = (Transport.UDP, Transport.TCP)
    async with Calling(both) as edge, Agent(edge) as alice, Wired(edge, "bob") as bob:
        await bob.register(voip())
        alice.call()
        await bob.request("INVITE")
        bob.keep_alive()
        await bob.silence()
        bob.keep_alive()
        await bob.silence()


async def test_a_phone_whose_token_is_gone_is_away_even_if_it_sent_a_keep_alive_just_now() -> None:
    async with Calling() as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(voip())
        bob.keep_alive()
        await bob.ignore()
        edge.world.apple.to_all = unregistered(edge.world.clock.now() + 1)
        alice.call()
        await bob.request("INVITE")
        await alice.final(480)


async def test_a_phone_is_connected_while_it_is_registered_and_gives_signs_of_life() -> None:
    async with Calling() as edge, Agent(edge, "bob") as bob:
        await bob.register(firebase())
        [bound] = edge.bindings()
        asleep = edge.proxy.connected(bound.app, bound.device)
        bob.keep_alive()
        await edge.until(lambda: edge.proxy.connected(bound.app, bound.device))
        stranger = edge.proxy.connected(bound.app + 1, bound.device)
        edge.pass_time(60)
        late = edge.proxy.connected(bound.app, bound.device)
        bob.keep_alive()
        await edge.until(lambda: edge.proxy.connected(bound.app, bound.device))
        await bob.register(firebase(), expires=0)
        gone = edge.proxy.connected(bound.app, bound.device)

    assert (asleep, stranger, late, gone) == (False, False, False, False)


async def test_a_phone_is_connected_while_its_connection_is_open() -> None:
    async with Calling((Transport.TCP,)) as edge:
        async with Wired(edge, "bob") as bob:
            await bob.register(firebase())
            [bound] = edge.bindings()
            there = edge.proxy.connected(bound.app, bound.device)
        await edge.until(lambda: not edge.proxy.connected(bound.app, bound.device))

    assert there
