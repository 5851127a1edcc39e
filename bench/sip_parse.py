"""Figure "sip-parse": what it costs to read a SIP request as a proxy does; alone: `python -m bench.sip_parse`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import msgspec

from bench import pipeline
from bench.machine import Machine, cost, look
from bench.report import Figure, Goal, Run
from wakeline.wire.sip.faults import fault
from wakeline.wire.sip.message import Request, parse
from wakeline.wire.sip.push_params import hide, push_of

UNIT = "us of CPU, an INVITE"
GOAL = Goal(value=17.0)
MESSAGES = 50_000
PARSED = "found its lines only"
SENT_ON = "read and sent on"
REGISTERED = "REGISTER with push parameters"

_TOKEN = "0123456789abcdef" * 4
_PUSH = (
    f"pn-prid={_TOKEN}:voip&{_TOKEN[::-1]}:remote;pn-provider=apns;pn-param=ABCD1234.org.example.phone.voip&remote;"
    "pn-silent=1;pn-timeout=0"
)
_INSTANCE = '+sip.instance="<urn:uuid:4b3a1f9e-5a55-4c1d-9d52-7a1d3f1f0001>"'
_FIELDS = """
Via: SIP/2.0/TCP 192.0.2.7:5071;branch=z9hG4bK.Uj7lZUuFq;rport
From: "Nadia Petrova" <sip:nadia@sip.example.org>;tag=ZUuF7lUjq
To: "Bob" <sip:bob@sip.example.org>
CSeq: 20 {method}
Call-ID: aQ3fUj7lZUuFqq
Max-Forwards: 70
Route: <sip:proxy.example.org;transport=tcp;lr>
Supported: replaces, outbound, gruu, path, record-aware
Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, MESSAGE, SUBSCRIBE, INFO, PRACK, UPDATE
Contact: <sip:nadia@192.0.2.7:5071;transport=tcp{push}>;{instance};+org.example.specs="conference/2.0,ephemeral/1.1"
User-Agent: ExamplePhone/5.2.3 (Phone 7) SDK/5.3.20
Session-Expires: 1800;refresher=uac
P-Preferred-Identity: <sip:nadia@sip.example.org>
"""
_SIZE = 1916
_METHOD = """A process of its own reads the same INVITE of {size:,} bytes {messages:,} times: it finds the lines, judges the message
(`faults`), and reads what a proxy reads: the transaction's branch and sender, From, To, Call-ID, CSeq, the target's
address-of-record, Max-Forwards, Route, Require and Proxy-Require. "{sent_on}" also changes it as a proxy does and writes it."""


class _Took(msgspec.Struct, frozen=True):
    """CPU seconds by work, and the seconds of all; `understood` of the INVITEs."""

    seconds: dict[str, float]
    wall: float
    understood: int


def invite() -> bytes:
    """An INVITE as a phone of liblinphone's kind sends it, to a Contact with push parameters."""
    lines = _FIELDS.format(method="INVITE", push="", instance=_INSTANCE).strip().splitlines()
    lines = [f"INVITE sip:bob@192.0.2.9:5060;transport=tcp;{_PUSH} SIP/2.0", *lines, "Content-Type: application/sdp"]
    head = "\r\n".join([*lines, "Content-Length: 500", "", ""]).encode()
    body = b"a=rtpmap:96 opus/48000/2\r\n" * 40
    length = _SIZE - len(head)
    return head.replace(b"Content-Length: 500", b"Content-Length: %d" % length) + body[:length]


def register() -> bytes:
    """A REGISTER that asks for pushes."""
    lines = _FIELDS.format(method="REGISTER", push=f";{_PUSH}", instance=_INSTANCE).strip().splitlines()
    lines = ["REGISTER sip:sip.example.org SIP/2.0", *lines, "Expires: 3600", "Content-Length: 0", "", ""]
    return "\r\n".join(lines).encode()


def measure(machine: Machine, *, rounds: int, messages: int = MESSAGES) -> Figure:
    """Read an INVITE `messages` times in each round. Raises RuntimeError if the process fails."""
    return Figure(
        key="sip-parse",
        name="A SIP request, read as a proxy reads it",
        goal=GOAL,
        unit=UNIT,
        payload=f"an INVITE of {_SIZE:,} bytes with push parameters and a session description; a REGISTER",
        durability="nothing is kept",
        method=" ".join(_METHOD.format(size=_SIZE, messages=messages, sent_on=SENT_ON).split()),
        runs=[_run(machine, number, messages) for number in range(1, rounds + 1)],
    )


def _run(machine: Machine, number: int, messages: int) -> Run:
    command = [sys.executable, "-m", "bench.sip_parse", "--work", "--messages", str(messages)]
    done = cost(command, machine.client_core)
    took = msgspec.json.decode(done.output.splitlines()[-1], type=_Took)
    each = {name: seconds / messages * 1e6 for name, seconds in took.seconds.items()}
    return Run(
        round=number,
        program=pipeline.OURS,
        requests=messages,
        server_saw=took.understood,
        value=each.pop(UNIT),
        server_cpu=0.0,
        wall_seconds=took.wall,
        more={f"{name}, us": value for name, value in each.items()},
    )


def _work(messages: int) -> _Took:
    """Do each work so often. Raises RuntimeError if a message is not understood."""
    started = time.monotonic()
    call, registration = invite(), register()
    works: dict[str, Callable[[], object]] = {
        UNIT: lambda: _read(call),
        PARSED: lambda: parse(call),
        SENT_ON: lambda: _send_on(call),
        REGISTERED: lambda: _registered(registration),
    }
    seconds = {name: _seconds(work, messages) for name, work in works.items()}
    understood = messages if _read(call).target.aor == "sip:bob@192.0.2.9" and _registered(registration) else 0
    return _Took(seconds, time.monotonic() - started, understood)


def _seconds(work: Callable[[], object], times: int) -> float:
    begun = time.process_time()
    for _ in range(times):
        work()
    return time.process_time() - begun


def _judged(wire: bytes) -> Request:
    message = parse(wire)
    if not isinstance(message, Request) or fault(message) is not None:
        raise RuntimeError("The request of the bench is not understood")
    return message


def _read(wire: bytes) -> Request:
    message = _judged(wire)
    _ = message.via.branch, message.via.sent_by, message.from_.tag, message.to.tag, message.call_id, message.cseq
    _ = message.target.aor, message.max_forwards, message.route, message.get("require"), message.get("proxy-require")
    return message


def _send_on(wire: bytes) -> bytes:
    message = _read(wire).copy()
    message.uri = "sip:bob@192.0.2.9:5060;transport=tcp"
    hide(message)
    message.set("max-forwards", "69")
    message.remove_first("route")
    message.prepend("record-route", "<sip:proxy.example.org;lr>")
    message.prepend("via", "SIP/2.0/TCP proxy.example.org;branch=z9hG4bK0123456789abcdef;rport")
    return message.to_bytes(stream=True)


def _registered(wire: bytes) -> bool:
    message = _judged(wire)
    _ = message.via.branch, message.from_.tag, message.to.uri, message.call_id, message.cseq, message.seconds("expires")
    return all(push_of(contact) is not None and contact.instance for contact in message.contacts)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.sip_parse", description=__doc__)
    parser.add_argument("--work", action="store_true", help="the process that is measured, alone")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--messages", type=int, default=MESSAGES)
    given = parser.parse_args()
    done: object = (
        _work(given.messages) if given.work else measure(look(), rounds=given.rounds, messages=given.messages)
    )
    print(msgspec.json.encode(done).decode())


if __name__ == "__main__":
    main()
