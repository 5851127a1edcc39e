"""Whatever a request or its answer says, the proxy sends it on or refuses it: never a defect, and the next call goes through."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from fuzzing import examples
from sip_calling import BOB, Agent, Calling, firebase
from sip_wire import LOOPBACK
from wakeline.wire.sip.message import Request, parse
from wakeline.wire.sip.responses import answer

DEFECTS = {"sip.defect", "sip.timer_failed"}
METHODS = st.sampled_from(
    ["INVITE", "MESSAGE", "REFER", "NOTIFY", "SUBSCRIBE", "OPTIONS", "BYE", "ACK", "PRACK", "ODD"]
)
TARGETS = st.sampled_from(
    [
        BOB,
        "sips:bob@example.org",
        "sip:b%6fb@example.org",
        "sip:bob@example.org;gr=urn:uuid:1",
        "sip:bob@example.org;gr",
        "sip:bob@example.org:5099",
        "sip:example.org",
        "sip:bob:secret@example.org?subject=a",
        "sip:%ff@example.org",
        f"sip:bob@{LOOPBACK}",
        f"sip:bob@{LOOPBACK};transport=sctp",
        "sip:bob@[::1]",
        "sip:bob@localhost;maddr=example.org",
    ]
)
VALUES = st.sampled_from(
    [
        "",
        "0",
        "-1",
        "99999999999999999999",
        "<sip:p;lr>",
        "<sip:p>",
        "<sip:AAAA@example.org;lr>",
        "<sip:====@example.org;lr>",
        "<sip:example.org;lr>, <sip:p",
        "<sip:alice@h;pn-provider=fcm;pn-prid=x>;a=b",
        "<sip:alice@h;pn-",
        "*",
        "application/im-iscomposing+xml",
        "Application/Resource-Lists+xml;text",
        "message-summary",
        "non-urgent",
        'SIP;cause=200;text="a',
        "a;b;c",
        '"',
        "<",
        ",",
        "\udcff",
        "é",
    ]
)
FIELDS = st.dictionaries(
    st.sampled_from(
        ["contact", "route", "record-route", "expires", "content-type", "priority", "event", "proxy-require", "reason"]
    )
    | st.sampled_from(["user-agent", "replaces", "supported", "require", "warning", "retry-after", "path", "from"]),
    VALUES,
    max_size=4,
)


@settings(max_examples=examples(30))
@given(
    method=METHODS,
    target=TARGETS,
    fields=FIELDS,
    said=FIELDS,
    status=st.sampled_from([100, 180, 200, 299, 302, 401, 407, 486, 503, 603, 699]),
    asleep=st.booleans(),
    in_dialog=st.booleans(),
)
def test_whatever_is_said_the_next_call_goes_through(
    method: str,
    target: str,
    fields: dict[str, str],
    said: dict[str, str],
    status: int,
    asleep: bool,
    in_dialog: bool,
) -> None:
    with capture_logs() as logs:
        asyncio.run(_survived(_Odd(method, target, fields, in_dialog), said, status, asleep=asleep))
    assert DEFECTS.isdisjoint(line["event"] for line in logs)


class _Odd:
    """A request that nobody would send."""

    def __init__(self, method: str, target: str, fields: dict[str, str], in_dialog: bool) -> None:
        self.method = method
        self.target = target
        self.fields = fields
        self.tag = ";tag=made-up" if in_dialog else ""

    def sent_by(self, agent: Agent) -> None:
        odd = Request.make(
            self.method,
            self.target,
            [
                ("via", f"SIP/2.0/UDP {LOOPBACK}:{agent.port};branch=z9hG4bKodd;rport"),
                ("from", "<sip:alice@example.org>;tag=a"),
                ("to", f"<{BOB}>{self.tag}"),
                ("call-id", "odd"),
                ("cseq", f"7 {self.method}"),
            ],
        )
        for name, value in self.fields.items():
            odd.set(name, value)
        agent.say(odd)


async def _survived(odd: _Odd, said: dict[str, str], status: int, *, asleep: bool) -> None:
    async with Calling(peers=("192.0.2.1",)) as edge, Agent(edge) as alice, Agent(edge, "bob") as bob:
        await bob.register(firebase() if asleep else "")
        odd.sent_by(alice)
        await alice.ignore()
        await bob.ignore()
        if asleep:
            await bob.register(firebase())
            await bob.ignore()
        _answer_oddly(bob, said, status)
        await alice.ignore()
        edge.pass_time(200)
        await bob.ignore()
        alice.call_id = "next"
        alice.call()
        await edge.until(
            lambda: any(b"INVITE" in data and b"Call-ID: next" in data for data in [*bob.heard, *_woken(edge, bob)])
        )


def _woken(edge: Calling, bob: Agent) -> list[bytes]:
    """Have a phone that sleeps register as soon as it is called."""
    if edge.world.google.sent:
        bob.keep_alive()
    return []


def _answer_oddly(bob: Agent, said: dict[str, str], status: int) -> None:
    """Answer everything that came with the same odd answer."""
    for request in [each for each in map(parse, bob.heard) if isinstance(each, Request)]:
        odd = answer(request, status, to_tag="b")
        for name, value in said.items():
            odd.set(name, value)
        bob.say(odd)
