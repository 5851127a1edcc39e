"""A gateway in front of a PBX: the PBX decides who registers, its calls find the phones, and it never sees a push parameter."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sip_registering import APNS, call, contact, proving, register
from sip_wire import LOOPBACK, PATIENCE, Datagrams, request, response_to
from wakeline.config import SecretsSection, Server, Settings, Sip, Storage
from wakeline.service import wiring
from wakeline.wire.sip.digest import challenges
from wakeline.wire.sip.message import Request, Response, parse
from wakeline.wire.sip.responses import answer

pytestmark = pytest.mark.anyio

AT = "127.0.0.2"
"""Where the PBX is: an address of its own, since it is believed by it."""


class Pbx(Datagrams):
    """A PBX that speaks UDP; what it is asked once more, since it took its time to answer, is no news to it."""

    host = AT

    def __init__(self) -> None:
        super().__init__()
        self._known: set[bytes] = set()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if data not in self._known:
            self._known.add(data)
            super().datagram_received(data, addr)

    async def asked(self) -> Request:
        """Return the next request."""
        message = parse(await self.receive())
        assert isinstance(message, Request)
        return message

    def answer(self, asked: Request, status: int, port: int, *fields: tuple[str, str]) -> None:
        """Answer a request of the gateway's."""
        self.send(bytes(answer(asked, status, to_tag="pbx", fields=fields)), port)


class Phone:
    """A phone that speaks UDP to the gateway."""

    def __init__(self, socket: Datagrams, gateway: int) -> None:
        self._socket = socket
        self._gateway = gateway
        self._branch = 0

    def say(self, asked: Request) -> None:
        """Send a request."""
        self._branch += 1
        sent = asked.copy()
        sent.prepend("via", f"SIP/2.0/UDP {LOOPBACK}:{self._socket.port};branch=z9hG4bKphone{self._branch};rport")
        self._socket.send(sent.to_bytes(), self._gateway)

    async def answer(self) -> Response:
        """Return the next answer that says something."""
        while True:
            message = parse(await self._socket.receive())
            assert isinstance(message, Response)
            if message.status != 100:
                return message


class Front:
    """The gateway, its PBX and a phone."""

    def __init__(self, pbx: Pbx, socket: Datagrams, port: int) -> None:
        self.pbx = pbx
        self.socket = socket
        self.port = port
        self.phone = Phone(socket, port)

    async def register(self, asked: Request, status: int = 200, *, granted: int | None = None) -> Response:
        """Have a REGISTER decided by the PBX, and return what the phone hears; what the PBX heard is `heard`."""
        self.phone.say(asked)
        self.heard = await self.pbx.asked()
        given = [] if granted is None else [("contact", f"<{self.heard.contacts[0].uri}>;expires={granted}")]
        self.pbx.answer(self.heard, status, self.port, *given)
        return await self.phone.answer()


@contextlib.asynccontextmanager
async def front(folder: Path, transport: str = "udp") -> AsyncIterator[Front]:
    async with Pbx() as pbx, Datagrams() as socket:
        settings = Settings(
            server=Server(data_dir=str(folder)),
            storage=Storage(url=f"sqlite:///{folder}/wakeline.db", ballast=0, low_disk=0),
            secrets=SecretsSection(master_key_file=str(folder / "master.key")),
            sip=Sip(listen=(f"udp:{LOOPBACK}:0",), domains=("example.org",), pbx=f"{transport}:{AT}:{pbx.port}"),
        )
        async with wiring.opened(settings) as gateway:
            await gateway.sip.start()
            yield Front(pbx, socket, gateway.sip.bound[0].address.port)


def phones(answer: Response) -> list[str]:
    """Return what an answer says is registered."""
    return [one.uri for one in answer.contacts]


async def test_the_pbx_asks_for_the_password_and_the_phone_answers_it(tmp_path: Path) -> None:
    async with front(tmp_path) as edge:
        asked = register(contact(APNS))
        edge.phone.say(asked)
        heard = await edge.pbx.asked()
        edge.pbx.answer(heard, 401, edge.port, *(("www-authenticate", one) for one in challenges("asterisk", "n1")))
        question = await edge.phone.answer()
        assert question.status == 401
        assert 'realm="asterisk"' in question.all("www-authenticate")[0]
        said = await edge.register(proving(asked, question), granted=1800)
        assert edge.heard.get("authorization") is not None
        assert said.status == 200
        assert said.contacts[0].number("expires") == 1800


async def test_the_pbx_knows_one_short_contact_of_ours(tmp_path: Path) -> None:
    async with front(tmp_path) as edge:
        await edge.register(register(contact(APNS, more=";message-expires=86400"), supported="gruu, outbound"))
        (known,) = edge.heard.contacts
        assert known.uri == f"sip:bob@{LOOPBACK}:{edge.port}"
        assert known.number("expires") == 86_400
        assert "pn-" not in bytes(edge.heard).decode()
        assert "supported" not in edge.heard


@pytest.mark.parametrize("status", [403, 404, 503])
async def test_whom_the_pbx_refuses_is_not_registered(tmp_path: Path, status: int) -> None:
    async with front(tmp_path) as edge:
        assert (await edge.register(register(contact()), status)).status == status
        said = await edge.register(register(expires=None, cseq=2))
        assert phones(said) == []


async def test_a_pbx_that_cannot_be_reached_is_504_and_registers_nobody(tmp_path: Path) -> None:
    async with front(tmp_path, "tcp") as edge:
        edge.phone.say(register(contact()))
        assert (await edge.phone.answer()).status == 504


async def test_what_cannot_be_registered_here_is_not_asked_of_the_pbx(tmp_path: Path) -> None:
    async with front(tmp_path) as edge:
        edge.phone.say(register(contact("pn-provider=pigeon;pn-param=a;pn-prid=b")))
        assert (await edge.phone.answer()).status == 555
        assert edge.pbx.unread == 0


async def test_a_phone_that_leaves_takes_our_contact_away_only_if_it_is_the_last(tmp_path: Path) -> None:
    async with front(tmp_path) as edge:
        one, other = contact(), contact(instance="urn:uuid:other", host="192.0.2.8")
        await edge.register(register(one, call_id="c1"))
        await edge.register(register(other, call_id="c2"))
        assert phones(await edge.register(register(one, call_id="c1", cseq=2, expires=0))) == [
            "sip:bob@192.0.2.8;transport=tcp"
        ]
        assert (edge.heard.contacts[0].number("expires") or 0) > 3500
        assert phones(await edge.register(register(other, call_id="c2", cseq=2, expires=0))) == []
        assert edge.heard.contacts[0].number("expires") == 0


async def test_a_pbx_that_asks_whether_we_are_there_is_answered_for_phones_that_sleep(tmp_path: Path) -> None:
    async with front(tmp_path) as edge:
        await edge.register(register(contact(APNS)))
        asked = request("OPTIONS", "z9hG4bKthere", edge.pbx.port).replace(b"UDP 127.0.0.1:", f"UDP {AT}:".encode())
        edge.pbx.send(
            asked.replace(b"sip:bob@example.org SIP/2.0", f"{edge.heard.contacts[0].uri} SIP/2.0".encode()), edge.port
        )
        assert (await edge.pbx.receive()).startswith(b"SIP/2.0 200")


async def test_a_call_of_the_pbx_finds_the_phone_and_a_call_of_the_phone_the_pbx(tmp_path: Path) -> None:
    async with front(tmp_path) as edge:
        await edge.register(register(f"<sip:bob@{LOOPBACK}:{edge.socket.port}>"))
        ours = edge.heard.contacts[0].uri
        ringing = request("INVITE", "z9hG4bKpbx", edge.pbx.port, more="Contact: <sip:pbx@127.0.0.2>\r\n")
        ringing = ringing.replace(b"UDP 127.0.0.1:", f"UDP {AT}:".encode())
        edge.pbx.send(ringing.replace(b"sip:bob@example.org SIP/2.0", f"{ours} SIP/2.0".encode(), 1), edge.port)
        invite = await edge.socket.receive()
        assert invite.startswith(f"INVITE sip:bob@{LOOPBACK}:{edge.socket.port} SIP/2.0".encode())
        edge.socket.send(response_to(invite, "486 Busy Here"), edge.port)
        async with asyncio.timeout(PATIENCE):
            while not (await edge.pbx.receive()).startswith(b"SIP/2.0 486"):
                pass
        outward = call(user="bob", contact=f"<sip:bob@{LOOPBACK}:{edge.socket.port};{APNS}>")
        outward.uri = "sip:100@example.org"
        edge.phone.say(outward)
        async with asyncio.timeout(PATIENCE):
            while not (heard := await edge.pbx.receive()).startswith(b"INVITE sip:100@example.org"):
                pass
        assert b"pn-" not in heard
        assert b"Record-Route" in heard
