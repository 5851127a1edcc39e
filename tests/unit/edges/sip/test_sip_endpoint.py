"""The sockets themselves: names of flows, strangers who say nothing, floods, keep-alives over UDP."""

from __future__ import annotations

import asyncio
import gc
import socket

import pytest

from sip_wire import LOOPBACK, Datagrams, Net, Stream, our_request, request
from wakeline.edges.sip import connections, open_connections, outlet
from wakeline.edges.sip.client_transactions import Failure
from wakeline.edges.sip.flows import Address, Hop, Transport
from wakeline.model.errors import ConfigError
from wakeline.wire.sip.broken import Broken
from wakeline.wire.sip.message import parse
from wakeline.wire.sip.uri import parse_uri

pytestmark = pytest.mark.anyio

TWO = (Transport.UDP, Transport.UDP)


async def test_a_flow_is_found_by_its_name_and_leaves_by_the_socket_it_came_to() -> None:
    async with Net(TWO) as net, Datagrams() as phone:
        for port in [bind.address.port for bind in net.endpoint.bound]:
            phone.send(request("REGISTER", f"z9hG4bK{port}", phone.port), port)
            name = (await net.user.next_request()).flow.name
            flow = net.endpoint.flow(name)
            assert flow is not None
            assert flow.name == name
            net.layer.send(our_request("OPTIONS"), flow, net.user)
            assert parse(await phone.receive()).via.sent_by == f"{LOOPBACK}:{port}"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "udp:",
        "udp:example.org:5060",
        "udp:192.0.2.7",
        "udp:192.0.2.7:x",
        "udp:[2001:db8::1]:5060",
        "udp:192.0.2.7:1@2",
    ],
)
async def test_names_of_no_flow_find_none(name: str) -> None:
    async with Net() as net:
        assert net.endpoint.flow(name) is None
        assert net.endpoint.flow(f"tcp:{name}") is None


async def test_ipv6() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as tried:
        try:
            tried.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
    async with Net(host="::1") as far, Net(host="::1") as net:
        net.layer.send(our_request("OPTIONS"), Hop(Transport.UDP, Address("::1", far.at(Transport.UDP))), net.user)
        came = await far.user.next_request()
        assert came.flow.name == f"udp:[::1]:{net.at(Transport.UDP)}"
        assert far.endpoint.flow(came.flow.name) is not None
        assert came.request.via.sent_by == f"[::1]:{net.at(Transport.UDP)}"
        came.answer(200)
        assert (await net.user.next_answer()).status == 200


async def test_a_stun_keep_alive_is_answered_with_where_it_came_from() -> None:
    async with Net() as net, Datagrams() as phone:
        phone.send(bytes.fromhex("000100002112a442") + bytes(12), net.at(Transport.UDP))
        answer = await phone.receive()
        assert answer[:2] == b"\x01\x01"
        assert int.from_bytes(answer[26:28]) ^ 0x2112 == phone.port
        assert (await net.user.next_alive()).remote.port == phone.port


async def test_an_empty_line_over_udp_is_a_sign_of_life() -> None:
    async with Net() as net, Datagrams() as phone:
        phone.send(b"\r\n\r\n", net.at(Transport.UDP))
        assert (await net.user.next_alive()).name == f"udp:127.0.0.1:{phone.port}"
        assert phone.unread == 0


@pytest.mark.parametrize("said", [b"", b"OPTIONS sip:bob@example.org SIP/2.0\r\n"])
async def test_who_says_nothing_whole_is_hung_up_on(monkeypatch: pytest.MonkeyPatch, said: bytes) -> None:
    monkeypatch.setattr(connections, "GREETING", 0.05)
    async with Net((Transport.TCP,)) as net, Stream(net.at(Transport.TCP)) as stranger:
        stranger.send(said)
        await stranger.end()
        assert net.endpoint.connections == 0


async def test_who_was_heard_may_be_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "GREETING", 0.05)
    async with Net((Transport.TCP,)) as net, Stream(net.at(Transport.TCP)) as phone:
        phone.send(request("OPTIONS", "z9hG4bK1", phone.port))
        flow = (await net.user.next_request()).flow
        async with Stream(net.at(Transport.TCP)) as stranger:
            await stranger.end()
        assert flow.open


async def test_one_source_gets_so_many_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_connections, "PER_SOURCE", 2)
    async with Net((Transport.TCP,)) as net:
        at = net.at(Transport.TCP)
        async with Stream(at) as one, Stream(at) as other, Stream(at) as third:
            await third.end()
            for phone in (one, other):
                phone.send(request("OPTIONS", f"z9hG4bK{phone.port}", phone.port))
                assert (await net.user.next_request()).flow.remote.port == phone.port


async def test_tls_without_a_certificate_does_not_start_and_leaves_nothing_open() -> None:
    net = Net((Transport.UDP, Transport.TLS))
    with pytest.raises(ConfigError):
        await net.endpoint.start()
    again = Net((Transport.UDP,), port=net.at(Transport.UDP))
    async with again:
        assert again.at(Transport.UDP) == net.at(Transport.UDP)


@pytest.mark.parametrize(
    ("uri", "hop"),
    [
        ("sip:bob@192.0.2.7", "udp 192.0.2.7:5060"),
        ("sip:bob@192.0.2.7:5070;transport=tcp", "tcp 192.0.2.7:5070"),
        ("sip:bob@Example.org;transport=TLS", "tls example.org:5061"),
        ("sips:bob@example.org", "tls example.org:5061"),
        ("sip:bob@[2001:db8::7]", "udp [2001:db8::7]:5060"),
        ("sip:bob@example.org;maddr=192.0.2.9", "udp 192.0.2.9:5060"),
    ],
)
async def test_where_a_uri_leads(uri: str, hop: str) -> None:
    found = Hop.of(parse_uri(uri))
    assert f"{found.transport.value} {found.address}" == hop


async def test_a_transport_that_is_not_spoken_leads_nowhere() -> None:
    with pytest.raises(Broken):
        Hop.of(parse_uri("sip:bob@example.org;transport=sctp"))


async def test_a_socket_on_all_addresses_says_the_one_that_its_peer_reaches() -> None:
    async with Net(host="0.0.0.0") as net, Datagrams() as phone:  # noqa: S104 - what is tested
        phone.send(request("REGISTER", "z9hG4bK1", phone.port), net.at(Transport.UDP))
        flow = (await net.user.next_request()).flow
        assert flow.local == Address(LOOPBACK, net.at(Transport.UDP))
    async with Net((Transport.TCP,), host="0.0.0.0") as net, Stream(net.at(Transport.TCP)) as page:  # noqa: S104 - the same
        page.send(request("REGISTER", "z9hG4bK1", page.port))
        flow = (await net.user.next_request()).flow
        assert flow.local == Address(LOOPBACK, net.at(Transport.TCP))


async def test_the_public_host_is_what_peers_are_told() -> None:
    async with (
        Net((Transport.UDP, Transport.TCP), public_host="sip.example.org") as net,
        Stream(net.at(Transport.TCP)) as phone,
    ):
        phone.send(request("REGISTER", "z9hG4bK1", phone.port))
        assert (await net.user.next_request()).flow.local == Address("sip.example.org", net.at(Transport.TCP))
        flow = net.endpoint.flow("udp:127.0.0.1:5060")
        assert flow is not None
        assert flow.local == Address("sip.example.org", net.at(Transport.UDP))


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example.org", "255.255.255.255"])
@pytest.mark.parametrize("transport", [Transport.UDP, Transport.TCP])
async def test_a_hop_that_is_nowhere_fails(host: str, transport: Transport) -> None:
    async with Net() as net:
        net.layer.send(our_request("MESSAGE"), Hop(transport, Address(host, 5060)), net.user)
        assert await net.user.next_failure() is Failure.UNREACHABLE
        assert len(net.layer) == 0


async def test_a_hop_of_the_other_family_fails() -> None:
    async with Net() as net:
        net.layer.send(our_request("MESSAGE"), Hop(Transport.UDP, Address("::1", 5060)), net.user)
        assert await net.user.next_failure() is Failure.UNREACHABLE


async def test_requests_sent_at_once_share_one_connection() -> None:
    async with Net((Transport.TCP,)) as far, Net() as net:
        hop = Hop(Transport.TCP, Address(LOOPBACK, far.at(Transport.TCP)))
        for _ in range(3):
            net.layer.send(our_request("MESSAGE"), hop, net.user)
        for _ in range(3):
            (await far.user.next_request()).answer(200)
            assert (await net.user.next_answer()).status == 200
        assert far.endpoint.connections == 1


async def test_a_peer_that_does_not_say_whether_it_accepts_connections_is_sent_a_datagram(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outlet, "TRY_TCP", 0.0)
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    async with Net() as net, Datagrams() as phone:
        hop = Hop(Transport.UDP, Address(LOOPBACK, phone.port))
        net.layer.send(our_request("MESSAGE", body="x" * 1300), hop, net.user)
        assert parse(await phone.receive()).via.transport == "UDP"
    gc.collect()
    assert reported == []
