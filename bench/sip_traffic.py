"""Phones for the figure "sip-calls": one socket that calls, one that is called, a message at a time and nothing twice.

They repeat nothing and wait for everything: a message that is lost ends the bench. What they say is what sipp's own scenarios
say, with a Contact as liblinphone writes it.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable

_SECONDS = 20.0
DOMAIN = "sip.example.org"
_HOST = "127.0.0.1"
_HEAD = """{method} {uri} SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{branch};rport
{route}Max-Forwards: 70
From: <sip:{user}@sip.example.org>;tag=f{number}
To: <sip:{peer}@sip.example.org>{tag}
Call-ID: {call}
CSeq: {cseq} {method}
Contact: {contact}
User-Agent: ExamplePhone/5.2.3 (Phone 7) SDK/5.3.20
Supported: replaces, outbound, gruu, path
{more}Content-Length: {length}

{body}"""
_TOKEN = "0123456789abcdef" * 4
_BODY = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0 8 96\r\n"
_COPIED = re.compile(rb"(?:Via|Record-Route|From|To|Call-ID|CSeq): [^\r]*\r\n", re.IGNORECASE)
_CALL_ID = re.compile(rb"\r\nCall-ID: ([^\r]*)\r\n", re.IGNORECASE)
_ROUTES = re.compile(rb"\r\nRecord-Route: ([^\r]*)", re.IGNORECASE)
_CONTACT = re.compile(rb"\r\nContact: <([^>]*)>", re.IGNORECASE)
_TAG = re.compile(rb"\r\nTo: [^\r]*;tag=([^\r;]*)", re.IGNORECASE)


class _Socket(asyncio.DatagramProtocol):
    """A UDP socket; each datagram is handed to `take`."""

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self.take = take
        self.transport: asyncio.DatagramTransport | None = None

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:  # noqa: ARG002 - asyncio's name
        self.take(data)

    def send(self, data: bytes, port: int) -> None:
        if self.transport is None:
            raise RuntimeError("The socket is not open")
        self.transport.sendto(data, (_HOST, port))

    @property
    def port(self) -> int:
        if self.transport is None:
            raise RuntimeError("The socket is not open")
        return int(self.transport.get_extra_info("sockname")[1])


class Phones:
    """Callers and those who are called, at a proxy on a port of this machine."""

    def __init__(self, proxy: int) -> None:
        self._proxy = proxy
        self._callers = _Socket(self._answered)
        self._called = _Socket(self._rung)
        self._waiting: dict[bytes, asyncio.Queue[bytes]] = {}
        self.rang: list[float] = []
        """Seconds from an INVITE to its 180."""

    async def open(self) -> None:
        """Bind both sockets."""
        loop = asyncio.get_running_loop()
        for one in (self._callers, self._called):
            one.transport, _ = await loop.create_datagram_endpoint(lambda one=one: one, local_addr=(_HOST, 0))  # type: ignore[misc] # the socket of this turn

    def close(self) -> None:
        """Close them."""
        for one in (self._callers, self._called):
            if one.transport is not None:
                one.transport.close()

    async def register(self, number: int) -> None:
        """Register a phone that is called. Raises RuntimeError for any answer but 200."""
        contact = (
            f"<sip:u{number}@{_HOST}:{self._called.port};pn-provider=apns;pn-param=ABCD1234.org.example.phone.voip;"
            f'pn-prid={_TOKEN[:56]}{number:08x}>;+sip.instance="<urn:uuid:00000000-0000-4000-8000-{number:012d}>"'
        )
        call = f"r{number}-{time.monotonic_ns()}"
        text = self._text("REGISTER", f"sip:{DOMAIN}", number, call, contact=contact, more="Expires: 3600\n")
        await self._ask(call, text)

    async def call(self, number: int) -> None:
        """Call a phone, be answered, acknowledge, hang up. Raises RuntimeError if it goes otherwise."""
        call = f"c{number}-{time.monotonic_ns()}"
        peer = f"u{number}"
        began = time.monotonic()
        answer = await self._ask(
            call,
            self._text(
                "INVITE", f"sip:{peer}@{DOMAIN}", number, call, body=_BODY, more="Content-Type: application/sdp\n"
            ),
            on_ringing=lambda: self.rang.append(time.monotonic() - began),
        )
        contact, tag = _CONTACT.search(answer), _TAG.search(answer)
        if contact is None or tag is None:
            raise RuntimeError(f"an answer without Contact or tag:\n{answer.decode(errors='replace')}")
        routes = [route.decode() for route in reversed(_ROUTES.findall(answer))]
        route, to = "".join(f"Route: {route}\n" for route in routes), f";tag={tag[1].decode()}"
        uri = contact[1].decode()
        self._callers.send(self._text("ACK", uri, number, call, branch=f"a{call}", route=route, tag=to), self._proxy)
        await self._ask(call, self._text("BYE", uri, number, call, branch=f"b{call}", cseq=2, route=route, tag=to))

    def _text(
        self,
        method: str,
        uri: str,
        number: int,
        call: str,
        *,
        branch: str = "",
        cseq: int = 1,
        contact: str = "",
        route: str = "",
        tag: str = "",
        more: str = "",
        body: str = "",
    ) -> bytes:
        """Return a request of a caller, or the REGISTER of one who is called."""
        mine = method == "REGISTER"
        text = _HEAD.format(
            method=method,
            uri=uri,
            port=self._callers.port,
            branch=branch or call,
            route=route,
            user=f"u{number}" if mine else f"caller{number}",
            peer=f"u{number}",
            number=number,
            tag=tag,
            call=call,
            cseq=cseq,
            contact=contact or f"<sip:caller{number}@{_HOST}:{self._callers.port}>",
            more=more,
            length=len(body),
            body="",
        )
        return text.replace("\n", "\r\n").encode() + body.encode()

    async def _ask(self, call: str, data: bytes, on_ringing: Callable[[], None] | None = None) -> bytes:
        """Send a request and return its 200. Raises RuntimeError for another final answer, or none."""
        key = call.encode()
        answers = self._waiting[key] = asyncio.Queue()
        self._callers.send(data, self._proxy)
        try:
            async with asyncio.timeout(_SECONDS):
                while True:
                    answer = await answers.get()
                    status = int(answer[8:11])
                    if status == 180 and on_ringing is not None:
                        on_ringing()
                    if status >= 300:
                        raise RuntimeError(f"refused: {answer[:60]!r} to {data[:60]!r}")
                    if status >= 200:
                        return answer
        except TimeoutError:
            raise RuntimeError(f"no answer to {data[:60]!r}") from None
        finally:
            del self._waiting[key]

    def _answered(self, data: bytes) -> None:
        call = _CALL_ID.search(data)
        if call is not None and (waiting := self._waiting.get(call[1])) is not None:
            waiting.put_nowait(data)

    def _rung(self, data: bytes) -> None:
        """Answer what comes to a phone: 180 and 200 to an INVITE, 200 to a BYE."""
        method = data.partition(b" ")[0]
        if method == b"INVITE":
            self._say(data, b"180 Ringing")
        if method in (b"INVITE", b"BYE"):
            self._say(data, b"200 OK")

    def _say(self, asked: bytes, status: bytes) -> None:
        copied = b"".join(
            line if not line.lower().startswith(b"to:") or b";tag=" in line else line[:-2] + b";tag=t1\r\n"
            for line in _COPIED.findall(asked)
        )
        contact = b"Contact: <sip:phone@127.0.0.1:%d>\r\n" % self._called.port
        self._called.send(b"SIP/2.0 %s\r\n%s%sContent-Length: 0\r\n\r\n" % (status, copied, contact), self._proxy)


async def paced(work: Callable[[int], Awaitable[None]], count: int, rate: float) -> None:
    """Begin work so often a second, by the clock, and wait until all of it is done. Raises what it raises."""
    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
            group.create_task(_done(work, number))


async def _done(work: Callable[[int], Awaitable[None]], number: int) -> None:
    await work(number)
