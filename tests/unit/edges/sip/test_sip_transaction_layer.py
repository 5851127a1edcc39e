"""The transaction layer over real sockets: what is matched, what is handed up, what is repeated."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sip_wire import Datagrams, Net, our_request, request, response_to
from wakeline.edges.sip.client_transactions import Failure
from wakeline.edges.sip.flows import Address, Flow, Hop, Transport
from wakeline.edges.sip.sources import UNACKNOWLEDGED
from wakeline.wire.sip.message import Request, Response, parse

pytestmark = pytest.mark.anyio


async def test_a_request_over_udp_is_handed_up_once_and_its_answer_repeated() -> None:
    async with Net() as net, Datagrams() as phone:
        register = request("REGISTER", "z9hG4bK1", phone.port)
        phone.send(register, net.at(Transport.UDP))
        server = await net.user.next_request()
        server.answer(200, fields=[("contact", "<sip:bob@192.0.2.7>;expires=60")])
        first = await phone.receive()
        phone.send(register, net.at(Transport.UDP))
        assert await phone.receive() == first
        assert first.startswith(b"SIP/2.0 200 OK\r\n")
        assert f";rport={phone.port}".encode() in first
        assert b";received=127.0.0.1" in first
        assert net.user.unread == 0


async def test_an_invite_that_is_refused_is_repeated_until_its_ack_comes() -> None:
    async with Net() as net, Datagrams() as phone:
        at = net.at(Transport.UDP)
        phone.send(request("INVITE", "z9hG4bK2", phone.port), at)
        server = await net.user.next_request()
        server.answer(480)
        answer = await phone.receive()
        net.pass_time(1.6)
        assert [await phone.receive() for _ in range(2)] == [answer, answer]
        phone.send(request("ACK", "z9hG4bK2", phone.port, to_tag=server.tag), at)
        phone.send(request("OPTIONS", "z9hG4bK3", phone.port), at)
        assert (await net.user.next_request()).request.method == "OPTIONS"
        net.pass_time(40)
        assert net.user.unread == 0
        assert phone.unread == 0
        assert len(net.layer) == 0


async def test_a_request_of_ours_is_repeated_and_its_answer_told_without_our_via() -> None:
    async with Net() as net, Datagrams() as phone:
        net.layer.send(our_request(), Hop(Transport.UDP, Address("127.0.0.1", phone.port)), net.user, mark="loop")
        sent = await phone.receive()
        via = parse(sent).via
        assert via.sent_by == f"127.0.0.1:{net.at(Transport.UDP)}"
        assert via.branch.endswith(".loop")
        net.pass_time(0.6)
        assert await phone.receive() == sent
        phone.send(response_to(sent, "180 Ringing"), net.at(Transport.UDP))
        ringing = await net.user.next_answer()
        assert [via.partition(";")[0] for via in ringing.values("via")] == ["SIP/2.0/UDP 127.0.0.1:5999"]


async def test_a_failure_is_acknowledged_hop_by_hop() -> None:
    async with Net() as net, Datagrams() as phone:
        net.layer.send(our_request(), Hop(Transport.UDP, Address("127.0.0.1", phone.port)), net.user)
        sent = await phone.receive()
        phone.send(response_to(sent, "486 Busy Here"), net.at(Transport.UDP))
        assert (await net.user.next_answer()).status == 486
        ack = parse(await phone.receive())
        assert isinstance(ack, Request)
        assert (ack.method, ack.via.branch, ack.to.tag) == ("ACK", parse(sent).via.branch, "b1")


async def test_a_cancel_is_answered_here_and_told_to_whoever_has_the_invite() -> None:
    async with Net() as net, Datagrams() as phone:
        at = net.at(Transport.UDP)
        phone.send(request("INVITE", "z9hG4bK4", phone.port), at)
        server = await net.user.next_request()
        cancels: list[Request] = []
        server.on_cancel = cancels.append
        server.answer(180)
        assert (await phone.receive()).startswith(b"SIP/2.0 180 ")
        phone.send(request("CANCEL", "z9hG4bK4", phone.port, more="Reason: SIP;cause=200\r\n"), at)
        done = parse(await phone.receive())
        assert (done.status, done.cseq.method) == (200, "CANCEL") if isinstance(done, Response) else False
        assert [cancel.get("reason") for cancel in cancels] == ["SIP;cause=200"]
        server.answer(487)
        assert (await phone.receive()).startswith(b"SIP/2.0 487 ")
        assert net.user.unread == 0


async def test_a_cancel_of_nothing_is_answered_481() -> None:
    async with Net() as net, Datagrams() as phone:
        phone.send(request("CANCEL", "z9hG4bK5", phone.port), net.at(Transport.UDP))
        assert (await phone.receive()).startswith(b"SIP/2.0 481 ")


async def test_a_refusal_is_sent_once_and_its_ack_goes_no_further() -> None:
    async with Net() as net, Datagrams() as phone:
        at = net.at(Transport.UDP)
        phone.send(request("INVITE", "z9hG4bK6", phone.port), at)
        server = await net.user.next_request()
        server.refuse(407, fields=[("proxy-authenticate", 'Digest realm="example.org"')])
        refusal = parse(await phone.receive())
        assert len(net.layer) == 0
        net.pass_time(40)
        phone.send(request("ACK", "z9hG4bK6", phone.port, to_tag=refusal.to.tag), at)
        phone.send(request("ACK", "z9hG4bK7", phone.port, to_tag="of-a-phone"), at)
        assert (await net.user.next_ack()).to.tag == "of-a-phone"
        assert net.user.unread == 0
        assert phone.unread == 0


async def test_an_ack_to_a_200_is_handed_up_and_sent_on_with_our_via() -> None:
    async with Net() as net, Datagrams() as caller, Datagrams() as phone:
        caller.send(request("ACK", "z9hG4bK8", caller.port, to_tag="b1"), net.at(Transport.UDP))
        ack = await net.user.next_ack()
        flow = net.endpoint.flow(f"udp:127.0.0.1:{phone.port}")
        assert flow is not None
        net.layer.forward_ack(ack, flow)
        sent = parse(await phone.receive())
        assert [via.partition(";")[0] for via in sent.values("via")] == [
            f"SIP/2.0/UDP 127.0.0.1:{net.at(Transport.UDP)}",
            f"SIP/2.0/UDP 127.0.0.1:{caller.port}",
        ]


async def test_every_200_to_an_invite_goes_through_and_a_late_failure_does_not() -> None:
    async with Net() as net, Datagrams() as caller, Datagrams() as phone:
        at = net.at(Transport.UDP)
        caller.send(request("INVITE", "z9hG4bK9", caller.port), at)
        server = await net.user.next_request()
        net.layer.send(server.request.copy(), Hop(Transport.UDP, Address("127.0.0.1", phone.port)), net.user)
        sent = await phone.receive()
        for _ in range(2):
            phone.send(response_to(sent, "200 OK"), at)
            assert server.respond(await net.user.next_answer())
            assert (await caller.receive()).startswith(b"SIP/2.0 200 ")
        assert not server.answer(486)
        assert server.status == 200


async def test_a_cancelled_request_is_cancelled_behind_its_first_provisional_response() -> None:
    async with Net() as net, Datagrams() as phone:
        client = net.layer.send(our_request(), Hop(Transport.UDP, Address("127.0.0.1", phone.port)), net.user)
        invite = await phone.receive()
        client.cancel([("reason", 'SIP;cause=200;text="Call completed elsewhere"')])
        assert phone.unread == 0
        phone.send(response_to(invite, "180 Ringing"), net.at(Transport.UDP))
        cancel = parse(await phone.receive())
        assert isinstance(cancel, Request)
        assert (cancel.method, cancel.via.branch, cancel.cseq.number) == ("CANCEL", parse(invite).via.branch, 1)
        assert cancel.get("reason") == 'SIP;cause=200;text="Call completed elsewhere"'
        phone.send(response_to(bytes(cancel), "200 OK"), net.at(Transport.UDP))
        assert (await net.user.next_answer()).status == 180
        net.pass_time(40)
        assert await net.user.next_failure() is Failure.CANCELLED
        assert len(net.layer) == 0


async def test_a_request_that_nobody_answers_fails_after_32_seconds() -> None:
    async with Net() as net, Datagrams() as phone:
        net.layer.send(our_request("MESSAGE"), Hop(Transport.UDP, Address("127.0.0.1", phone.port)), net.user)
        await phone.receive()
        net.pass_time(32.1)
        assert await net.user.next_failure() is Failure.TIMEOUT


async def test_answers_go_to_the_port_of_via_where_rport_is_not_asked_for() -> None:
    async with Net() as net, Datagrams() as sender, Datagrams() as listener:
        asked = request("OPTIONS", "z9hG4bK10", listener.port).replace(b";rport", b"")
        sender.send(asked, net.at(Transport.UDP))
        server = await net.user.next_request()
        assert server.flow.remote.port == sender.port
        server.answer(200)
        assert (await listener.receive()).startswith(b"SIP/2.0 200 ")


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        (lambda text: text.replace(b"SIP/2.0\r\nVia", b"SIP/3.0\r\nVia"), 505),
        (lambda text: text.replace(b"CSeq: 1 OPTIONS", b"CSeq: 1 INVITE"), 400),
        (lambda text: text.replace(b"Call-ID", b"X-Call-ID"), 400),
        (lambda text: text.replace(b"sip:bob@example.org SIP", b"tel:+4930 SIP"), 416),
    ],
)
async def test_what_is_wrong_with_a_request_is_said_and_goes_no_further(
    wrong: Callable[[bytes], bytes], status: int
) -> None:
    async with Net() as net, Datagrams() as phone:
        phone.send(wrong(request("OPTIONS", "z9hG4bK11", phone.port)), net.at(Transport.UDP))
        assert (await phone.receive()).startswith(b"SIP/2.0 %d " % status)
        assert net.user.unread == 0


async def test_no_sip_is_dropped_and_what_follows_is_read() -> None:
    async with Net() as net, Datagrams() as phone:
        for junk in (b"\r\n\r\n", b"", b"\x00\x01\x00\x00", b"GET / HTTP/1.1\r\n\r\n", bytes(range(256))):
            phone.send(junk, net.at(Transport.UDP))
        phone.send(request("OPTIONS", "z9hG4bK12", phone.port), net.at(Transport.UDP))
        assert (await net.user.next_request()).request.method == "OPTIONS"
        assert phone.unread == 0


async def test_a_user_who_raises_is_answered_500_for() -> None:
    async with Net() as net, Datagrams() as phone:
        net.user.broken = True
        phone.send(request("OPTIONS", "z9hG4bK13", phone.port), net.at(Transport.UDP))
        assert (await phone.receive()).startswith(b"SIP/2.0 500 ")


async def test_one_source_gets_half_of_the_room_and_503_beyond() -> None:
    async with Net(room=20) as net, Datagrams() as phone:
        for number in range(12):
            phone.send(request("INVITE", f"z9hG4bKf{number}", phone.port), net.at(Transport.UDP))
        refusals = [parse(await phone.receive()) for _ in range(2)]
        assert [refusal.get("retry-after") for refusal in refusals] == ["5", "5"]
        assert len(net.layer) == 10
        assert net.user.unread == 10


async def test_whoever_acknowledges_nothing_gets_one_answer_for_one_request() -> None:
    async with Net() as net, Datagrams() as phone:
        at = net.at(Transport.UDP)
        for number in range(UNACKNOWLEDGED + 1):
            phone.send(request("INVITE", f"z9hG4bKu{number}", phone.port), at)
            (await net.user.next_request()).answer(404)
            await phone.receive()
        net.pass_time(0.6)
        again = [parse(await phone.receive()).via.branch for _ in range(UNACKNOWLEDGED)]
        assert set(again) == {f"z9hG4bKu{number}" for number in range(UNACKNOWLEDGED)}
        for number in range(UNACKNOWLEDGED + 1):
            phone.send(request("ACK", f"z9hG4bKu{number}", phone.port), at)
        phone.send(request("INVITE", "z9hG4bKagain", phone.port), at)
        (await net.user.next_request()).answer(404)
        await phone.receive()
        net.pass_time(0.6)
        assert parse(await phone.receive()).via.branch == "z9hG4bKagain"
        assert phone.unread == 0


async def test_an_alarm_rings_in_time_unless_cancelled() -> None:
    async with Net() as net:
        rung: list[str] = []
        net.layer.after(1.0, lambda: rung.append("one"))
        net.layer.after(1.0, lambda: rung.append("cancelled")).cancel()
        net.layer.after(2.0, lambda: rung.append("two"))
        net.pass_time(0.9)
        assert rung == []
        net.pass_time(0.2)
        assert rung == ["one"]
        net.pass_time(1.0)
        assert rung == ["one", "two"]


async def test_requests_of_before_rfc_3261_are_known_by_what_they_say() -> None:
    async with Net() as net, Datagrams() as phone:
        at = net.at(Transport.UDP)
        for branch in ("z9hG4bK", "1"):
            invite = request("INVITE", branch, phone.port)
            phone.send(invite, at)
            server = await net.user.next_request()
            server.answer(486)
            first = await phone.receive()
            phone.send(invite, at)
            assert await phone.receive() == first
            phone.send(request("ACK", branch, phone.port, to_tag=server.tag), at)
            phone.send(request("OPTIONS", f"z9hG4bKx{branch}", phone.port), at)
            (await net.user.next_request()).answer(200)
            await phone.receive()
            net.pass_time(1)
            assert phone.unread == 0


async def test_an_ack_to_a_200_with_the_branch_of_its_invite_is_handed_up() -> None:
    async with Net() as net, Datagrams() as phone:
        phone.send(request("INVITE", "z9hG4bK1", phone.port), net.at(Transport.UDP))
        server = await net.user.next_request()
        server.answer(200)
        await phone.receive()
        phone.send(request("ACK", "z9hG4bK1", phone.port, to_tag=server.tag), net.at(Transport.UDP))
        assert (await net.user.next_ack()).to.tag == server.tag


async def test_an_ack_finds_its_hop_and_one_that_finds_none_is_dropped() -> None:
    async with Net() as net, Net((Transport.TCP,)) as far, Datagrams() as nobody:
        net.layer.forward_ack(our_request("ACK"), Hop(Transport.TCP, Address("127.0.0.1", nobody.port)))
        net.layer.forward_ack(our_request("ACK"), Hop(Transport.TCP, Address("127.0.0.1", far.at(Transport.TCP))))
        assert (await far.user.next_ack()).via.transport == "TCP"


async def test_a_silent_user_of_an_invite_has_100_said_for_it() -> None:
    async with Net() as net, Datagrams() as phone:
        phone.send(request("INVITE", "z9hG4bK1", phone.port), net.at(Transport.UDP))
        server = await net.user.next_request()
        net.pass_time(0.25)
        trying = parse(await phone.receive())
        assert isinstance(trying, Response)
        assert (trying.status, trying.to.tag) == (100, "")
        assert not server.answered


async def test_a_defect_in_a_timer_does_not_stop_the_others() -> None:
    async with Net() as net:
        rung: list[int] = []
        net.layer.after(1.0, lambda: rung.append(1 // 0))
        net.layer.after(1.0, lambda: rung.append(2))
        net.pass_time(1.1)
        assert rung == [2]


async def test_responses_to_nothing_are_dropped() -> None:
    async with Net() as net, Datagrams() as phone:
        stray = response_to(request("INVITE", "z9hG4bK1", phone.port), "200 OK")
        phone.send(stray, net.at(Transport.UDP))
        phone.send(stray.replace(b"CSeq: 1", b"CSeq: x"), net.at(Transport.UDP))
        phone.send(request("OPTIONS", "z9hG4bK2", phone.port), net.at(Transport.UDP))
        await net.user.next_request()
        assert phone.unread == 0


async def test_a_refusal_after_an_answer_is_none() -> None:
    async with Net() as net, Datagrams() as phone:
        phone.send(request("MESSAGE", "z9hG4bK1", phone.port), net.at(Transport.UDP))
        server = await net.user.next_request()
        server.answer(200)
        server.refuse(403)
        assert not server.answer(500)
        assert (await phone.receive()).startswith(b"SIP/2.0 200 ")
        assert server.status == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_request_that_cannot_be_made_ready_fails(host: str) -> None:
    def broken(request: Request, flow: Flow) -> None:
        raise ZeroDivisionError(f"{request} {flow}")

    async with Net() as net:
        net.layer.send(our_request(), Hop(Transport.UDP, Address(host, 5060)), net.user, prepare=broken)
        assert await net.user.next_failure() is Failure.UNREACHABLE
        assert len(net.layer) == 0
