"""The transaction layer over real sockets: what is matched, what is handed up, what is repeated."""

from __future__ import annotations

import pytest

from sip_wire import Datagrams, Net, request
from wakeline.edges.sip.flows import Address, Hop, Transport
from wakeline.wire.sip.message import Request, Response, parse

pytestmark = pytest.mark.anyio


def response_to(data: bytes, status: str, tag: str = "b1") -> bytes:
    """Return a peer's response to a request of ours."""
    asked = parse(data)
    response = Response.make(int(status[:3]), status[4:])
    for name in ("via", "from", "to", "call-id", "cseq"):
        response.append_lines(name, asked.lines(name))
    response.set("to", f"{asked.get('to')};tag={tag}")
    return bytes(response)


def our_invite() -> Request:
    """Return an INVITE to send on."""
    made = parse(request("INVITE", "z9hG4bKfrom-a", 5999))
    assert isinstance(made, Request)
    return made


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
        net.layer.send(our_invite(), Hop(Transport.UDP, Address("127.0.0.1", phone.port)), net.user, mark="loop")
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
        net.layer.send(our_invite(), Hop(Transport.UDP, Address("127.0.0.1", phone.port)), net.user)
        sent = await phone.receive()
        phone.send(response_to(sent, "486 Busy Here"), net.at(Transport.UDP))
        assert (await net.user.next_answer()).status == 486
        ack = parse(await phone.receive())
        assert isinstance(ack, Request)
        assert (ack.method, ack.via.branch, ack.to.tag) == ("ACK", parse(sent).via.branch, "b1")
