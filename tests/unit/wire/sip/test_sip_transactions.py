"""The four state machines against RFC 3261 section 17, RFC 6026 and RFC 4320: each test is a row of their figures."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wakeline.wire.sip.timers import NEVER, Timers
from wakeline.wire.sip.transactions import (
    Client,
    InviteClient,
    InviteServer,
    NonInviteClient,
    NonInviteServer,
    Server,
    State,
    Todo,
    Todos,
)

TIMERS = Timers()
SEND, TELL, ACK, TRYING, TIMED_OUT = (Todo.SEND,), (Todo.TELL,), (Todo.ACK,), (Todo.TRYING,), (Todo.TIMED_OUT,)


def told(machine: Client | Server, until: float) -> list[tuple[float, Todos]]:
    """Let the machine's timers strike until then; return when it had something to do, and what."""
    done: list[tuple[float, Todos]] = []
    while (due := machine.due) <= until:
        if todos := machine.tick(due):
            done.append((due, todos))
    return done


def invite_client(*, reliable: bool = False) -> InviteClient:
    return InviteClient(0.0, reliable=reliable, timers=TIMERS)


def invite_server(*, reliable: bool = False) -> InviteServer:
    return InviteServer(0.0, reliable=reliable, timers=TIMERS)


def client(*, reliable: bool = False) -> NonInviteClient:
    return NonInviteClient(0.0, reliable=reliable, timers=TIMERS)


def server(*, reliable: bool = False) -> NonInviteServer:
    return NonInviteServer(0.0, reliable=reliable, timers=TIMERS)


class TestInviteClient:
    def test_timer_a_doubles_until_timer_b_ends_it(self) -> None:
        times = told(invite_client(), 100)
        assert times == [
            (0.5, SEND),
            (1.5, SEND),
            (3.5, SEND),
            (7.5, SEND),
            (15.5, SEND),
            (31.5, SEND),
            (32.0, TIMED_OUT),
        ]

    def test_over_tcp_nothing_is_repeated(self) -> None:
        assert told(invite_client(reliable=True), 100) == [(32.0, TIMED_OUT)]

    def test_a_provisional_response_ends_repeating_and_giving_up(self) -> None:
        machine = invite_client()
        assert machine.response(180, 0.2) == TELL
        assert machine.due == NEVER
        assert machine.response(183, 60.0) == TELL

    def test_a_failure_is_told_once_and_acknowledged_each_time_for_32_seconds(self) -> None:
        machine = invite_client()
        assert machine.response(486, 1.0) == (Todo.TELL, Todo.ACK)
        assert machine.response(486, 2.0) == ACK
        assert machine.response(180, 2.5) == ()
        assert told(machine, 32.9) == []
        assert not machine.over
        told(machine, 33.0)
        assert machine.over

    def test_over_tcp_a_failure_ends_it_at_once(self) -> None:
        machine = invite_client(reliable=True)
        assert machine.response(486, 1.0) == (Todo.TELL, Todo.ACK)
        assert machine.over

    @pytest.mark.parametrize("reliable", [False, True])
    def test_each_200_is_told_for_32_seconds_rfc_6026(self, *, reliable: bool) -> None:
        machine = invite_client(reliable=reliable)
        assert machine.response(200, 1.0) == TELL
        assert machine.response(200, 1.5) == TELL
        assert machine.response(180, 1.6) == ()
        assert machine.response(486, 1.6) == ()
        assert told(machine, 33.1) == []
        assert machine.over
        assert machine.response(200, 34.0) == ()

    def test_a_cancelled_one_without_an_end_is_given_up_after_32_seconds(self) -> None:
        machine = invite_client()
        machine.response(180, 1.0)
        machine.cancelled(10.0)
        machine.response(180, 20.0)
        assert told(machine, 100) == [(42.0, TIMED_OUT)]


class TestNonInviteClient:
    def test_timer_e_doubles_up_to_t2_until_timer_f_ends_it(self) -> None:
        times = [when for when, todos in told(client(), 100) if todos == SEND]
        assert times == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
        assert told(client(), 100)[-1] == (32.0, TIMED_OUT)

    def test_behind_a_provisional_response_it_is_repeated_every_t2(self) -> None:
        machine = client()
        assert machine.response(100, 0.1) == TELL
        assert [when for when, todos in told(machine, 13) if todos == SEND] == [0.5, 4.5, 8.5, 12.5]

    def test_a_final_response_is_told_once(self) -> None:
        machine = client()
        assert machine.response(200, 1.0) == TELL
        assert machine.response(200, 1.1) == ()
        assert told(machine, 5.9) == []
        assert not machine.over
        told(machine, 6.0)
        assert machine.over

    def test_over_tcp_it_waits_only_for_the_answer(self) -> None:
        machine = client(reliable=True)
        assert machine.due == 32.0
        machine.response(404, 1.0)
        assert machine.over


class TestInviteServer:
    def test_a_silent_user_gets_100_said_after_200_ms(self) -> None:
        machine = invite_server()
        assert machine.request() == ()
        assert told(machine, 100) == [(0.2, TRYING)]

    def test_a_repeated_invite_gets_the_last_provisional_response(self) -> None:
        machine = invite_server()
        assert machine.response(180, 0.1) == SEND
        assert machine.request() == SEND
        assert machine.due == NEVER

    def test_a_failure_is_repeated_up_to_t2_until_timer_h(self) -> None:
        machine = invite_server()
        assert machine.response(480, 1.0) == SEND
        times = told(machine, 100)
        assert [when for when, todos in times if todos == SEND] == [
            1.5,
            2.5,
            4.5,
            8.5,
            12.5,
            16.5,
            20.5,
            24.5,
            28.5,
            32.5,
        ]
        assert times[-1] == (33.0, TIMED_OUT)
        assert machine.over

    def test_an_ack_ends_repeating_and_is_kept(self) -> None:
        machine = invite_server()
        machine.response(480, 1.0)
        assert machine.ack(1.2) == ()
        assert machine.request() == ()
        assert machine.ack(1.3) == ()
        assert told(machine, 6.1) == []
        assert not machine.over
        told(machine, 6.2)
        assert machine.over

    def test_over_tcp_a_failure_is_said_once_and_its_ack_awaited(self) -> None:
        machine = invite_server(reliable=True)
        machine.response(480, 1.0)
        assert machine.due == 33.0
        machine.ack(1.1)
        assert machine.over

    def test_behind_a_200_only_200s_go_and_repeated_invites_are_swallowed_rfc_6026(self) -> None:
        machine = invite_server()
        assert machine.response(200, 1.0) == SEND
        assert machine.request() == ()
        assert machine.response(200, 1.5) == SEND
        assert machine.response(486, 1.6) == ()
        assert machine.response(180, 1.6) == ()
        assert machine.ack(1.7) == TELL
        assert told(machine, 33.1) == []
        assert machine.over

    def test_behind_a_failure_nothing_goes(self) -> None:
        machine = invite_server()
        machine.response(487, 1.0)
        assert machine.response(200, 1.1) == ()
        assert machine.response(180, 1.1) == ()


class TestNonInviteServer:
    def test_100_goes_when_timer_e_is_t2_and_no_sooner_rfc_4320(self) -> None:
        machine = server()
        assert machine.request() == ()
        assert told(machine, 31.9) == [(3.5, TRYING)]
        assert machine.request() == SEND

    def test_what_is_not_answered_in_32_seconds_is_answered_no_more_rfc_4320(self) -> None:
        machine = server()
        assert told(machine, 100)[-1] == (32.0, TIMED_OUT)
        assert machine.over
        assert machine.response(200, 32.1) == ()

    def test_408_is_never_sent_rfc_4320(self) -> None:
        machine = server()
        assert machine.response(408, 1.0) == ()
        assert machine.over

    def test_provisional_responses_of_others_do_not_go_rfc_4320(self) -> None:
        machine = server()
        assert machine.response(183, 1.0) == ()
        assert machine.response(100, 1.0) == ()
        assert machine.response(200, 2.0) == SEND

    def test_a_repeated_request_gets_the_answer_again_for_32_seconds(self) -> None:
        machine = server()
        assert machine.response(200, 1.0) == SEND
        assert machine.request() == SEND
        assert machine.response(500, 1.1) == ()
        assert told(machine, 32.9) == []
        assert machine.request() == SEND
        told(machine, 33.0)
        assert machine.over

    def test_over_tcp_an_answer_ends_it(self) -> None:
        machine = server(reliable=True)
        assert machine.response(200, 1.0) == SEND
        assert machine.over


_EVENTS = st.lists(
    st.tuples(st.sampled_from(["tick", "request", "ack", 100, 180, 200, 408, 486, 603]), st.floats(0, 10))
)


@given(events=_EVENTS, reliable=st.booleans(), kind=st.sampled_from([InviteServer, NonInviteServer]))
def test_a_server_says_at_most_one_kind_of_final_answer_and_ends(
    events: list[Any], reliable: bool, kind: type[Server]
) -> None:
    machine, now, finals = kind(0.0, reliable=reliable, timers=TIMERS), 0.0, set[int]()
    for event, wait in events:
        now += wait
        match event:
            case "tick":
                machine.tick(now)
            case "request":
                machine.request()
            case "ack" if isinstance(machine, InviteServer):
                machine.ack(now)
            case int():
                if Todo.SEND in machine.response(event, now) and event >= 200:
                    finals.add(event)
    assert len(finals) <= 1
    if finals:
        told(machine, now + 100)
        assert machine.over


@given(statuses=st.lists(st.tuples(st.sampled_from([100, 180, 200, 486]), st.floats(0, 10))), reliable=st.booleans())
def test_a_client_is_told_of_an_end_once(statuses: list[tuple[int, float]], reliable: bool) -> None:
    machine, now, ends = InviteClient(0.0, reliable=reliable, timers=TIMERS), 0.0, 0
    for status, wait in statuses:
        ends += sum(todos == TIMED_OUT for _, todos in told(machine, now + wait))
        now += wait
        if Todo.TELL in machine.response(status, now) and status >= 300:
            ends += 1
        ends += machine.state is State.ACCEPTED and status == 200 and ends == 0
    machine.cancelled(now)
    ends += sum(todos == TIMED_OUT for _, todos in told(machine, now + 100))
    assert ends == 1
    assert machine.over
