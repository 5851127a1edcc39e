"""A SIP edge with its proxy and registrar over real sockets on loopback, a push service in memory, and small user agents.

Two clocks are moved by hand: `pass_time` the timers' of SIP, `world.clock` that of everything else.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from typing import Any, Self

from sip_wire import LOOPBACK, PATIENCE, HandClock
from stories.world import World
from wakeline.config import Sip
from wakeline.edges.sip.apps import PushApps
from wakeline.edges.sip.authentication import Authenticator
from wakeline.edges.sip.door import Door
from wakeline.edges.sip.endpoint import Bind, Endpoint
from wakeline.edges.sip.flows import Address, Transport
from wakeline.edges.sip.passwords import OurUsers
from wakeline.edges.sip.peers import Peers
from wakeline.edges.sip.phones import Phones
from wakeline.edges.sip.proxy import Proxy, ProxyPorts
from wakeline.edges.sip.registrar import Registrar
from wakeline.edges.sip.transaction_layer import TransactionLayer
from wakeline.edges.sip.waking import Wakes
from wakeline.model.errors import StoreUnavailable
from wakeline.model.sip.binding import Binding
from wakeline.ports.bitrix24_connector import CallBegan, CallEnded
from wakeline.wire.sip.digest import Nonces
from wakeline.wire.sip.fields import Message
from wakeline.wire.sip.framing import Framer
from wakeline.wire.sip.message import Request, Response, parse
from wakeline.wire.sip.responses import answer

DOMAIN = "example.org"
BOB = f"sip:bob@{DOMAIN}"
TOKEN = "a1" * 32
GOOGLE_TOKEN = "f1rebase-token"
BUNDLE = "org.example.phone"
_numbers = itertools.count(1)


def voip(token: str = TOKEN) -> str:
    """Return the push parameters of a phone of Apple that takes VoIP pushes."""
    return f";pn-provider=apns;pn-param=ABCD1234.{BUNDLE}.voip;pn-prid={token}:voip"


def firebase() -> str:
    """Return the push parameters of a phone of Google."""
    return f";pn-provider=fcm;pn-param=acme-1;pn-prid={GOOGLE_TOKEN}"


class Journal:
    """Takes down calls of everybody."""

    def __init__(self) -> None:
        self.begun: list[CallBegan] = []
        self.over: list[CallEnded] = []
        self.full = False

    def keeps(self, app: int, user: str) -> bool:
        return app > 0 and user.startswith("sip:")

    async def began(self, calls: Sequence[CallBegan]) -> None:
        if self.full:
            raise StoreUnavailable("The disk is full")
        self.begun += calls

    async def ended(self, call: CallEnded) -> bool:
        if self.full:
            raise StoreUnavailable("The disk is full")
        self.over.append(call)
        return True


class Calling:
    """The edge. Everybody is believed, unless `settings` say otherwise."""

    def __init__(self, transports: Sequence[Transport] = (Transport.UDP,), **settings: Any) -> None:
        self.world = World()
        self.seconds = HandClock()
        self.journal = Journal()
        self.settings = Sip(**({"domains": (DOMAIN,), "auth": "none"} | settings))
        self._transports = transports

    async def __aenter__(self) -> Self:
        await self.world.open()
        await self.world.android()
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        await self.world.store.close()

    async def start(self) -> None:
        """Begin, also after `stop`: then it is as after a restart, on the same store."""
        store, clock = self.world.store, self.world.clock
        peers = Peers(self.settings.peers)
        self.wakes = Wakes(self.world.pipeline, store.apps, store.sip_bindings, clock, lambda: self.settings)
        self.proxy = Proxy(
            ProxyPorts(
                bindings=store.sip_bindings,
                messages=store.sip_messages,
                wakes=self.wakes,
                journal=self.journal,
                clock=clock,
                settings=lambda: self.settings,
                peers=lambda: peers,
                secret=b"s" * 32,
            )
        )
        apps = PushApps(store.apps, store.credentials, clock, lambda: self.settings.sender_apps, lambda: False)
        phones = Phones(store.devices, store.sip_bindings, store.events, clock)
        registrar = Registrar(lambda: self.settings, store.sip_bindings, apps, phones, clock, self.proxy.registered)
        authenticator = Authenticator(
            lambda: self.settings, lambda: peers, OurUsers(store.sip_users), Nonces(b"n" * 32), clock
        )
        self.door = Door(authenticator, registrar, self.proxy)
        self.layer = TransactionLayer(self.door, clock=self.seconds)
        binds = [Bind(transport, Address(LOOPBACK, 0)) for transport in self._transports]
        self.endpoint = Endpoint(binds, self.layer, clock=self.seconds)
        self.layer.attach(self.endpoint)
        self.proxy.attach(self.layer)
        await self.endpoint.start()

    async def stop(self) -> None:
        """End, as before a restart."""
        self.proxy.end()
        await self.endpoint.stop()
        self.layer.stop()
        await self.door.close()
        await self.proxy.close()

    def at(self, transport: Transport = Transport.UDP) -> int:
        """Return the port of a listener."""
        return next(bind.address.port for bind in self.endpoint.bound if bind.transport is transport)

    def pass_time(self, seconds: float) -> None:
        """Let SIP's timers run."""
        end = self.seconds.seconds + seconds
        while self.seconds.seconds < end:
            self.seconds.seconds = min(end, self.seconds.seconds + 0.05)
            self.layer.run_timers()

    async def pushes(self, count: int = 1) -> list[str]:
        """Return the tokens that were pushed to, once there are so many pushes."""
        await self.until(lambda: len(self.world.apple.sent) + len(self.world.google.sent) >= count)
        return self.world.apple.tokens() + self.world.google.tokens()

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait for something while everything goes on."""
        async with asyncio.timeout(PATIENCE):
            while not true():
                await self.world.step()
                await asyncio.sleep(0.001)

    def bindings(self) -> list[Binding]:
        """Return Bob's phones."""
        return self.world.store.sip_bindings.of(BOB)


class Agent:
    """A user agent over UDP: says what it is told to say, and keeps what it hears."""

    def __init__(self, edge: Calling, user: str = "alice") -> None:
        self.edge = edge
        self.user = user
        self.call_id = f"{user}-{next(_numbers)}"
        self.instance = f"urn:uuid:00000000-0000-4000-8000-{next(_numbers):012d}"
        self.heard: list[bytes] = []
        self._came: asyncio.Queue[Request | Response] = asyncio.Queue()
        self._sequence = 0

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: _Ear(self.hear), local_addr=(LOOPBACK, 0))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._transport.close()

    @property
    def port(self) -> int:
        """Return where it listens."""
        port: int = self._transport.get_extra_info("sockname")[1]
        return port

    @property
    def transport_name(self) -> str:
        """Return what its Via says."""
        return "UDP"

    def hear(self, data: bytes) -> None:
        """Take a message."""
        self.heard.append(data)
        self._came.put_nowait(parse(data))

    def say(self, message: Message) -> None:
        """Send a message."""
        self._transport.sendto(message.to_bytes(), (LOOPBACK, self.edge.at()))

    def keep_alive(self) -> None:
        """Give a sign of life that is no message (RFC 5626 section 4.4.1)."""
        self._transport.sendto(b"\r\n\r\n", (LOOPBACK, self.edge.at()))

    # --- hearing

    async def next(self) -> Request | Response:
        """Return what comes next."""
        async with asyncio.timeout(PATIENCE):
            while self._came.empty():
                await self.edge.world.step()
                await asyncio.sleep(0.001)
        return self._came.get_nowait()

    async def ignore(self) -> None:
        """Look at nothing that came up to the answer to a question that is asked now."""
        asked = self.ask("OPTIONS", f"sip:{DOMAIN}")
        came = await self.next()
        while not (isinstance(came, Response) and came.cseq == asked.cseq):
            came = await self.next()

    async def response(self, status: int) -> Response:
        """Return the next response, which has this status."""
        came = await self.next()
        assert isinstance(came, Response), came
        assert came.status == status, came
        return came

    async def final(self, status: int) -> Response:
        """Return the next final response, which has this status."""
        came = await self.next()
        while isinstance(came, Response) and not came.is_final:
            came = await self.next()
        assert isinstance(came, Response), came
        assert came.status == status, came
        return came

    async def request(self, method: str) -> Request:
        """Return the next request, which has this method."""
        came = await self.next()
        assert isinstance(came, Request), came
        assert came.method == method, came
        return came

    async def silence(self) -> None:
        """Make sure that nothing more came, behind an answer to a question that is asked now."""
        await self.silence_but()

    async def silence_but(self, *statuses: int) -> None:
        """Make sure that nothing more came but responses of these statuses."""
        asked = self.ask("OPTIONS", f"sip:{DOMAIN}")
        came = await self.next()
        while isinstance(came, Response) and came.status in statuses:
            came = await self.next()
        assert isinstance(came, Response), came
        assert came.cseq == asked.cseq, came

    # --- saying

    def contact(self, push: str = "") -> str:
        """Return its Contact."""
        return f'<sip:{self.user}@{LOOPBACK}:{self.port}{push}>;+sip.instance="<{self.instance}>"'

    def ask(
        self,
        method: str,
        uri: str,
        *fields: tuple[str, str],
        body: str = "",
        call_id: str = "",
        to: str = "",
        to_tag: str = "",
        sequence: int = 0,
        max_forwards: int = 70,
    ) -> Request:
        """Send a request, which is returned as it was sent."""
        self._sequence = sequence or self._sequence + 1
        request = Request.make(
            method,
            uri,
            [
                ("via", f"SIP/2.0/{self.transport_name} {LOOPBACK}:{self.port};branch=z9hG4bK{next(_numbers)};rport"),
                ("max-forwards", str(max_forwards)),
                ("from", f'"Alice" <sip:{self.user}@{DOMAIN}>;tag={self.user}1'),
                ("to", f"<{to or uri}>" + (f";tag={to_tag}" if to_tag else "")),
                ("call-id", call_id or self.call_id),
                ("cseq", f"{self._sequence} {method}"),
                *fields,
            ],
            body.encode(),
        )
        self.say(request)
        return request

    async def register(self, push: str = "", *, expires: int = 3600, more: str = "") -> Response:
        """Register, and return the 200."""
        contact = ("contact", self.contact(push) + more)
        self.ask(
            "REGISTER",
            f"sip:{DOMAIN}",
            ("expires", str(expires)),
            ("supported", "gruu"),
            contact,
            call_id=f"{self.instance}-r",
            to=f"sip:{self.user}@{DOMAIN}",
        )
        return await self.response(200)

    def call(self, uri: str = BOB, *fields: tuple[str, str]) -> Request:
        """Send an INVITE with an offer."""
        return self.ask(
            "INVITE", uri, ("contact", self.contact()), ("content-type", "application/sdp"), *fields, body="v=0\r\n"
        )

    def cancel(self, invite: Request, *fields: tuple[str, str]) -> None:
        """Give an INVITE up."""
        cancel = Request.make("CANCEL", invite.uri, [("via", invite.via.text), ("max-forwards", "70")])
        for name in ("from", "to", "call-id"):
            cancel.append_lines(name, invite.lines(name))
        cancel.append("cseq", f"{invite.cseq.number} CANCEL")
        for name, value in fields:
            cancel.append(name, value)
        self.say(cancel)

    def answer(self, request: Request, status: int, *fields: tuple[str, str], contact: str = "") -> Response:
        """Answer a request; 1xx and 2xx to an INVITE bear a Contact and the routes."""
        made = answer(request, status, to_tag=f"{self.user}2", fields=fields)
        made.append_lines("record-route", request.lines("record-route"))
        if request.method == "INVITE" and status < 300:
            made.append("contact", contact or self.contact())
        self.say(made)
        return made

    def acknowledge(self, invite: Request, response: Response) -> None:
        """Send the ACK of a final response: within the dialog for a 2xx, else as the INVITE went."""
        if response.status >= 300:
            ack = Request.make("ACK", invite.uri, [("via", invite.via.text), ("max-forwards", "70")])
            for name in ("from", "call-id"):
                ack.append_lines(name, invite.lines(name))
            ack.append_lines("to", response.lines("to"))
            ack.append("cseq", f"{invite.cseq.number} ACK")
            self.say(ack)
        else:
            self.within(response, "ACK", sequence=invite.cseq.number)

    def within(self, established: Response, method: str, *, sequence: int = 0) -> Request:
        """Send a request in the dialog that a 2xx to us made (RFC 3261 section 12.2.1.1)."""
        routes = [("route", route) for route in reversed(established.values("record-route"))]
        to = established.to
        return self.ask(
            method, established.contacts[0].uri, *routes, to_tag=to.tag, call_id=established.call_id, sequence=sequence
        )

    def hang_up(self, invite: Request, said: Response) -> Request:
        """Send the BYE of who was called, in the dialog that the 2xx it said made."""
        routes = [("route", route) for route in invite.values("record-route")]
        bye = Request.make(
            "BYE",
            invite.contacts[0].uri,
            [
                ("via", f"SIP/2.0/{self.transport_name} {LOOPBACK}:{self.port};branch=z9hG4bK{next(_numbers)};rport"),
                ("max-forwards", "70"),
                *routes,
                ("from", said.get("to") or ""),
                ("to", said.get("from") or ""),
                ("call-id", said.call_id),
                ("cseq", "1 BYE"),
            ],
        )
        self.say(bye)
        return bye


class Wired(Agent):
    """A user agent over TCP."""

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.hang()

    @property
    def transport_name(self) -> str:
        return "TCP"

    @property
    def port(self) -> int:
        port: int = self._stream.get_extra_info("sockname")[1]
        return port

    async def connect(self) -> None:
        """Open a connection."""
        loop = asyncio.get_running_loop()
        self._stream, _ = await loop.create_connection(lambda: _Line(self.hear), LOOPBACK, self.edge.at(Transport.TCP))

    async def hang(self) -> None:
        """Close the connection, as an app does that is put to sleep; the edge has noticed then."""
        port = self.port
        self._stream.close()
        async with asyncio.timeout(PATIENCE):
            while any(each.remote.port == port for each in self.edge.endpoint._connections):  # noqa: ASYNC110 - tells nobody
                await asyncio.sleep(0.001)

    def say(self, message: Message) -> None:
        self._stream.write(message.to_bytes(stream=True))

    def keep_alive(self) -> None:
        self._stream.write(b"\r\n\r\n")

    def contact(self, push: str = "") -> str:
        return f'<sip:{self.user}@{LOOPBACK}:{self.port};transport=tcp{push}>;+sip.instance="<{self.instance}>"'


class _Ear(asyncio.DatagramProtocol):
    def __init__(self, hear: Callable[[bytes], None]) -> None:
        self._hear = hear

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._hear(data)


class _Line(asyncio.Protocol):
    def __init__(self, hear: Callable[[bytes], None]) -> None:
        self._hear = hear
        self._framer = Framer()

    def data_received(self, data: bytes) -> None:
        for item in self._framer.feed(data):
            if isinstance(item, bytes):
                self._hear(item)
