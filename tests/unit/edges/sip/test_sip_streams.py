"""SIP over TCP and TLS: flows, keep-alives, connections that end, requests too large for a datagram."""

from __future__ import annotations

import ssl
from importlib.util import find_spec

import pytest
import trustme

from sip_wire import Accepting, Datagrams, Net, Stream, our_request, request, response_to
from wakeline.edges.sip.client_transactions import Failure
from wakeline.edges.sip.flows import Address, Hop, Transport
from wakeline.wire.sip.message import Response, parse

LOOPS = [
    pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
    pytest.param(
        ("asyncio", {"use_uvloop": True}),
        id="uvloop",
        marks=pytest.mark.skipif(find_spec("uvloop") is None, reason="the extra uvloop is not installed"),
    ),
]
pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", LOOPS)]

TCP = (Transport.TCP,)
BOTH = (Transport.UDP, Transport.TCP)


def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return what a server and its clients use."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("sip.example.org", "127.0.0.1").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


async def test_requests_over_tcp_are_answered_on_their_connection() -> None:
    async with Net(TCP) as net, Stream(net.at(Transport.TCP)) as phone:
        phone.send(
            request("REGISTER", "z9hG4bK1", phone.port, transport="TCP")
            + request("OPTIONS", "z9hG4bK2", phone.port)[:50]
        )
        (await net.user.next_request()).answer(200)
        assert (await phone.receive()).startswith(b"SIP/2.0 200 ")
        phone.send(request("OPTIONS", "z9hG4bK2", phone.port)[50:])
        (await net.user.next_request()).answer(404)
        assert (await phone.receive()).startswith(b"SIP/2.0 404 ")
        assert len(net.layer) == 0


async def test_a_phone_is_called_over_the_connection_that_it_registered_from() -> None:
    async with Net(TCP) as net, Stream(net.at(Transport.TCP)) as phone:
        phone.send(request("REGISTER", "z9hG4bK1", phone.port, transport="TCP"))
        name = (await net.user.next_request()).flow.name
        assert name.startswith(f"tcp:127.0.0.1:{phone.port}#")
        flow = net.endpoint.flow(name)
        assert flow is not None
        net.layer.send(our_request(), flow, net.user)
        via = parse(await phone.receive()).via
        assert (via.transport, via.sent_by) == ("TCP", f"127.0.0.1:{net.at(Transport.TCP)}")


async def test_a_ping_is_answered_with_a_pong_and_is_a_sign_of_life() -> None:
    async with Net(TCP) as net, Stream(net.at(Transport.TCP)) as phone:
        phone.send(b"\r\n\r\n")
        assert await phone.receive_bytes(2) == b"\r\n"
        assert (await net.user.next_alive()).remote.port == phone.port


async def test_a_flood_of_pings_is_worked_off_in_pieces_and_reading_goes_on() -> None:
    async with Net(TCP) as net, Stream(net.at(Transport.TCP)) as phone, Stream(net.at(Transport.TCP)) as other:
        phone.send(b"\r\n\r\n" * 100_000 + request("OPTIONS", "z9hG4bK1", phone.port))
        other.send(request("OPTIONS", "z9hG4bK2", other.port))
        first = await net.user.next_request()
        assert first.request.via.branch == "z9hG4bK2"
        assert (await net.user.next_request()).request.via.branch == "z9hG4bK1"


async def test_a_connection_that_ends_fails_what_was_not_heard_of_and_is_found_no_more() -> None:
    async with Net(TCP) as net:
        async with Stream(net.at(Transport.TCP)) as phone:
            phone.send(request("REGISTER", "z9hG4bK1", phone.port, transport="TCP"))
            flow = (await net.user.next_request()).flow
            net.layer.send(our_request("MESSAGE"), flow, net.user)
            await phone.receive()
        assert (await net.user.next_lost()).name == flow.name
        assert await net.user.next_failure() is Failure.UNREACHABLE
        assert net.endpoint.flow(flow.name) is None
        net.layer.send(our_request("MESSAGE"), flow, net.user)
        assert await net.user.next_failure() is Failure.UNREACHABLE


async def test_a_call_that_rings_outlives_its_connection() -> None:
    async with Net(TCP) as net:
        async with Stream(net.at(Transport.TCP)) as phone:
            phone.send(request("REGISTER", "z9hG4bK1", phone.port, transport="TCP"))
            net.layer.send(our_request(), (await net.user.next_request()).flow, net.user)
            invite = await phone.receive()
            phone.send(response_to(invite, "180 Ringing"))
            assert (await net.user.next_answer()).status == 180
        await net.user.next_lost()
        async with Stream(net.at(Transport.TCP)) as again:
            again.send(response_to(invite, "200 OK"))
            assert (await net.user.next_answer()).status == 200


async def test_an_answer_to_a_peer_that_hung_up_goes_to_where_it_listens() -> None:
    async with Net(TCP) as net, Accepting() as peer:
        async with Stream(net.at(Transport.TCP)) as caller:
            caller.send(request("OPTIONS", "z9hG4bK1", peer.port, transport="TCP"))
            server = await net.user.next_request()
        await net.user.next_lost()
        server.answer(200)
        assert (await peer.line()) == b"SIP/2.0 200 OK\r\n"


async def test_what_is_no_sip_is_hung_up_on() -> None:
    async with Net(TCP) as net, Stream(net.at(Transport.TCP)) as stranger:
        stranger.send(
            request("OPTIONS", "z9hG4bK1", stranger.port).replace(b"Content-Length: 0", b"Content-Length: 99999999")
        )
        refusal = parse(await stranger.receive())
        assert isinstance(refusal, Response)
        assert refusal.status == 513
        await stranger.end()
        assert net.user.unread == 0


async def test_tls_both_ways() -> None:
    server_tls, client_tls = contexts()
    async with (
        Net((Transport.TLS,), server_tls=server_tls) as far,
        Net((Transport.TLS,), server_tls=server_tls, client_tls=client_tls) as net,
        Stream(net.at(Transport.TLS), client_tls) as phone,
    ):
        phone.send(request("OPTIONS", "z9hG4bK1", phone.port, transport="TLS"))
        (await net.user.next_request()).answer(200)
        assert (await phone.receive()).startswith(b"SIP/2.0 200 ")
        for _ in range(2):
            net.layer.send(
                our_request("MESSAGE"), Hop(Transport.TLS, Address("127.0.0.1", far.at(Transport.TLS))), net.user
            )
            came = await far.user.next_request()
            assert came.flow.transport is Transport.TLS
            came.answer(202)
            assert (await net.user.next_answer()).status == 202
        assert far.endpoint.connections == 1


async def test_a_peer_whose_certificate_is_not_trusted_is_not_spoken_to() -> None:
    server_tls, _ = contexts()
    async with (
        Net((Transport.TLS,), server_tls=server_tls) as far,
        Net((Transport.UDP,), client_tls=ssl.create_default_context()) as net,
    ):
        net.layer.send(
            our_request("MESSAGE"), Hop(Transport.TLS, Address("127.0.0.1", far.at(Transport.TLS))), net.user
        )
        assert await net.user.next_failure() is Failure.UNREACHABLE
        assert far.user.unread == 0


async def test_a_request_too_large_for_a_datagram_goes_by_tcp() -> None:
    async with Net(TCP) as far, Net() as net:
        hop = Hop(Transport.UDP, Address("127.0.0.1", far.at(Transport.TCP)))
        net.layer.send(our_request("MESSAGE", body="x" * 1300), hop, net.user)
        came = await far.user.next_request()
        assert came.flow.transport is Transport.TCP
        assert came.request.via.transport == "TCP"
        came.answer(200)
        assert (await net.user.next_answer()).status == 200


async def test_and_by_udp_after_all_where_nobody_accepts_a_connection() -> None:
    async with Net() as net, Datagrams() as phone:
        for _ in range(2):
            hop = Hop(Transport.UDP, Address("127.0.0.1", phone.port))
            net.layer.send(our_request("MESSAGE", body="x" * 1300), hop, net.user)
            assert parse(await phone.receive()).via.transport == "UDP"


async def test_a_hop_that_refuses_connections_fails_and_a_cancelled_one_says_so() -> None:
    async with Net() as net, Datagrams() as nobody:
        hop = Hop(Transport.TCP, Address("127.0.0.1", nobody.port))
        net.layer.send(our_request("MESSAGE"), hop, net.user)
        assert await net.user.next_failure() is Failure.UNREACHABLE


async def test_an_invite_cancelled_before_it_is_sent_is_not_sent() -> None:
    async with Net(TCP) as far, Net() as net:
        hop = Hop(Transport.TCP, Address("127.0.0.1", far.at(Transport.TCP)))
        net.layer.send(our_request(), hop, net.user).cancel()
        assert await net.user.next_failure() is Failure.CANCELLED
        assert far.user.unread == 0


async def test_hops_with_names_are_looked_up() -> None:
    async with Net() as net, Datagrams() as phone:
        net.layer.send(our_request("OPTIONS"), Hop(Transport.UDP, Address("localhost", phone.port)), net.user)
        assert parse(await phone.receive()).cseq.method == "OPTIONS"


async def test_a_web_page_registers_over_websocket_and_is_called_over_it() -> None:
    async with Net((Transport.WS,)) as net, Stream(net.at(Transport.WS)) as page:
        page.send(
            b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\n\r\n"
        )
        assert (await page.receive_until(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        register = request("REGISTER", "z9hG4bK1", 9, transport="WS").replace(b"127.0.0.1:9", b"df7jal23ls0d.invalid")
        page.send(b"\x81\xfe" + len(register).to_bytes(2) + bytes(4) + register)
        server = await net.user.next_request()
        assert server.flow.name.startswith(f"ws:127.0.0.1:{page.port}#")
        server.answer(200)
        assert (await page.receive_bytes(4))[:2] == b"\x81\x7e"
        await page.receive_until(b"\r\n\r\n")
        net.layer.send(our_request("MESSAGE"), server.flow, net.user)
        await page.receive_bytes(4)
        sent = parse(await page.receive_until(b"\r\n\r\n"))
        assert (sent.via.transport, sent.via.port) == ("WS", net.at(Transport.WS))
        page.send(b"\x88\x80" + bytes(4))
        await page.end()
        assert (await net.user.next_lost()).name == server.flow.name


async def test_nobody_connects_to_a_web_page() -> None:
    async with Net((Transport.WS,)) as net:
        net.layer.send(our_request("MESSAGE"), Hop(Transport.WS, Address("127.0.0.1", net.at(Transport.WS))), net.user)
        assert await net.user.next_failure() is Failure.UNREACHABLE
