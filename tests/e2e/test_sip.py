"""A real gateway calls a phone that sleeps: the push service hears of it, the phone registers, and the call goes on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from acme import APP, BUNDLE, furnish
from processes import Gateway, Simulator, gateway, pointing_at, until
from sip_registering import PASSWORD, call, proving, register
from sip_wire import LOOPBACK, Stream, response_to
from wakeline.wire.sip.message import Request, Response, parse

pytestmark = pytest.mark.anyio

TOKEN = "c3" * 32
PHONE = "urn:uuid:00000000-0000-4000-8000-0000000000e2"
PUSH = f"pn-provider=apns;pn-param=ABCD1234.{BUNDLE}.voip;pn-prid={TOKEN}"
SIP = '[sip]\nlisten = ["tcp:127.0.0.1:0"]\ndomains = ["example.org"]\n'


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory, fake: Simulator) -> Iterator[Gateway]:
    with gateway(tmp_path_factory.mktemp("sip"), pointing_at(fake) + SIP) as running:
        furnish(running, fake)
        with running.client() as operator:
            for user in ("bob", "alice"):
                operator.put(f"/v1/sip/users/{user}@example.org", json={"password": PASSWORD}).raise_for_status()
        yield running


class Agent:
    """A phone, or who calls one: a connection on which it answers what is asked of it."""

    def __init__(self, stream: Stream, user: str) -> None:
        self.stream = stream
        self.user = user
        self.seen: list[Request | Response] = []
        self._branch = 0

    async def receive(self) -> Request | Response:
        """Return the next message."""
        message = parse(await self.stream.receive())
        self.seen.append(message)
        return message

    async def answered(self, asked: Request) -> Response:
        """Send a request and return its first answer."""
        self._branch += 1
        sent = asked.copy()
        sent.prepend("via", f"SIP/2.0/TCP {LOOPBACK}:{self.stream.port};branch=z9hG4bK{self.user}{self._branch};rport")
        self.stream.send(sent.to_bytes(stream=True))
        message = await self.receive()
        assert isinstance(message, Response)
        return message

    async def proven(self, asked: Request) -> Response:
        """Send a request, prove who sent it, and return the first answer to that."""
        question = await self.answered(asked)
        assert question.status in (401, 407)
        return await self.answered(proving(asked, question, user=self.user))

    async def register(self, call_id: str) -> None:
        """Register the phone."""
        contact = f'<sip:bob@{LOOPBACK}:{self.stream.port};transport=tcp;{PUSH}>;+sip.instance="<{PHONE}>"'
        answer = await self.proven(register(contact, call_id=call_id, supported="gruu, outbound"))
        assert (answer.status, answer.get("feature-caps")) == (200, '*;+sip.pns="apns"')


def port(running: Gateway) -> int:
    """Return where it speaks SIP now."""
    (address,) = running.events("sip.listening")[-1]["at"]
    return int(address.rpartition(":")[2])


async def test_a_phone_that_sleeps_is_woken_also_after_a_restart(edge: Gateway, fake: Simulator) -> None:
    async with Stream(port(edge)) as stream:
        await Agent(stream, "bob").register("asleep")
    assert edge.json("device", "show", PHONE, "--app", APP)["user"] == "sip:bob@example.org"
    edge.kill()
    edge.start()
    async with Stream(port(edge)) as calling, Stream(port(edge)) as woken:
        alice, bob = Agent(calling, "alice"), Agent(woken, "bob")
        assert (await alice.proven(call(contact=f"<sip:alice@{LOOPBACK}>"))).status == 100
        sent = until(lambda: fake.requests(TOKEN) or None, "the phone is woken")
        assert [(one["headers"]["apns-push-type"], one["body"]["aps"]["loc-key"]) for one in sent] == [
            ("voip", "IC_MSG")
        ]
        await bob.register("after")
        invite = await bob.receive()
        assert isinstance(invite, Request)
        assert invite.method == "INVITE"
        bob.stream.send(response_to(bytes(invite), "200 OK"))
        statuses = []
        while 200 not in statuses:
            message = await alice.receive()
            assert isinstance(message, Response)
            statuses.append(message.status)
        assert statuses == [110, 200]
        assert not [one for one in alice.seen if b"pn-" in bytes(one) or TOKEN.encode() in bytes(one)]


async def test_who_proves_nothing_wakes_nobody(edge: Gateway, fake: Simulator) -> None:
    before = len(fake.requests(TOKEN))
    async with Stream(port(edge)) as stream, Stream(port(edge)) as strange:
        await Agent(stream, "bob").register("before")
        mallory = Agent(strange, "alice")
        question = await mallory.answered(call())
        assert question.status == 407
        assert (await mallory.answered(proving(call(), question, "guessed", user="alice"))).status == 407
        assert (await mallory.answered(call(domain="example.com"))).status == 403
        assert (await mallory.answered(call(to="<sip:bob@example.org>;tag=forged"))).status == 403
    assert len(fake.requests(TOKEN)) == before
