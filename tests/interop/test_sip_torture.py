"""Judged by sipsak and by what RFC 4475 describes, over real sockets: what is wrong is refused or dropped; the edge serves on."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import subprocess
import uuid
from collections.abc import Callable, Iterator

import pytest

from processes import Gateway, gateway

needs_sipsak = pytest.mark.skipif(shutil.which("sipsak") is None, reason="sipsak is not installed")
pytestmark = pytest.mark.interop

SETTINGS = '[sip]\nlisten = ["udp:127.0.0.1:0", "tcp:127.0.0.1:0"]\ndomains = ["example.org"]\nauth = "none"\n'
_FIELDS = {
    "Via": "SIP/2.0/UDP 127.0.0.1:5;branch=z9hG4bKtorture{number};rport",
    "From": "<sip:otto@example.org>;tag=44",
    "To": "<sip:nobody@example.org>",
    "Call-ID": "torture{number}",
    "CSeq": "5 OPTIONS",
    "Max-Forwards": "70",
    "Content-Length": "0",
}
_START = "OPTIONS sip:nobody@example.org SIP/2.0"


def made(start: str = _START, *more: str, body: str = "", **changed: str) -> str:
    """Return a message that is good but for what is changed."""
    fields = {**_FIELDS, **{name.replace("_", "-"): value for name, value in changed.items()}}
    return (
        "\r\n".join([start, *(f"{name}: {value}" for name, value in fields.items() if value), *more])
        + "\r\n\r\n"
        + body
    )


REFUSED = {
    "3.1.2.1 separators": made(Via="SIP/2.0/UDP 127.0.0.1:5;;,,;;branch=z9hG4bKtorture{number}"),
    "3.1.2.2 a body shorter than told": made(Content_Length="9999", body="short"),
    "3.1.2.3 a negative length": made(Content_Length="-999", body="body"),
    "3.1.2.4 numbers that overflow": made(CSeq="36893488147419103232 OPTIONS", Max_Forwards="300"),
    "3.1.2.6 an open quote": made(To='"Lena <sip:nobody@example.org>'),
    "3.1.2.7 a target in brackets": made("OPTIONS <sip:nobody@example.org> SIP/2.0"),
    "3.1.2.8 a space in the target": made("OPTIONS sip:nobody@example.org; lr SIP/2.0"),
    "3.1.2.9 two spaces": made("OPTIONS  sip:nobody@example.org  SIP/2.0"),
    "3.1.2.14 spaces in an address": made(To='"Otto, Lena" < sip:nobody@example.org > x'),
    "3.1.2.16 another version": made("OPTIONS sip:nobody@example.org SIP/7.0"),
    "3.1.2.17 methods that differ": made(CSeq="8 INVITE"),
    "3.1.2.19 a status too large": made("SIP/2.0 4294967301 better not"),
    "3.3.1 nothing that is needed": made(From="", To="", CSeq=""),
    "3.3.2 a scheme of nobody": made("OPTIONS nobodyknows:anything SIP/2.0"),
    "3.3.8 one field twice": made(_START, "Call-ID: another"),
    "3.3.9 lengths that differ": made(_START, "Content-Length: 17"),
    "not SIP": "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "nothing but noise": "\x00\xff\x80" * 400,
}
_NO_REQUEST = {"3.1.2.19 a status too large", "not SIP", "nothing but noise"}
DROPPED = {
    "udp": _NO_REQUEST | {"3.1.2.1 separators"},  # nobody knows where an answer would go
    "tcp": _NO_REQUEST | {"3.1.2.2 a body shorter than told"},  # the rest may come yet
}
_STATUS = re.compile(r"^SIP/2\.0 (\d{3}) ", re.MULTILINE)
_PATIENCE = 30.0


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with gateway(tmp_path_factory.mktemp("edge"), SETTINGS) as running:
        yield running


def port(running: Gateway, transport: str) -> int:
    """Return where it speaks SIP."""
    (listening,) = running.events("sip.listening")
    return next(int(place.rpartition(":")[2]) for place in listening["at"] if place.startswith(f"{transport}:"))


def answer_to(running: Gateway, text: str) -> int:
    """Send a request that is good, again until it is answered, as over UDP one has to; return the status."""
    wire = text.format(number=uuid.uuid4().hex).encode("latin-1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(0.5)
        for _ in range(20):
            asking.sendto(wire, ("127.0.0.1", port(running, "udp")))
            with contextlib.suppress(TimeoutError):
                return int(asking.recv(65_535).split(b" ", 2)[1])
    raise AssertionError("it does not answer any more")


def serves(running: Gateway) -> None:
    """See that it runs, answers, and noted no defect of its own."""
    assert running.process is not None
    assert running.process.poll() is None
    assert answer_to(running, made()) in (200, 404)
    text = running.log.read_text()
    assert "Traceback" not in text
    assert '"level":"error"' not in text


def said_to_datagram(running: Gateway, wire: bytes) -> str:
    """Return what it says to a datagram: all that comes before its answer to a good request that follows."""
    mark = uuid.uuid4().hex
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.connect(("127.0.0.1", port(running, "udp")))
        peer.settimeout(_PATIENCE)
        peer.send(wire)
        peer.send(made().format(number=mark).encode())
        said = ""
        while mark not in (got := peer.recv(65_535).decode()):
            said += got
        return said


def said_to_stream(running: Gateway, wire: bytes) -> str:
    """Return what it says to a connection that sends this and no more."""
    said = b""
    with socket.create_connection(("127.0.0.1", port(running, "tcp")), _PATIENCE) as peer:
        peer.sendall(wire)
        peer.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            while got := peer.recv(65_535):
                said += got
    return said.decode()


@pytest.mark.parametrize(("transport", "said_to"), [("udp", said_to_datagram), ("tcp", said_to_stream)])
def test_what_rfc_4475_says_is_wrong_is_refused_or_dropped(
    edge: Gateway, transport: str, said_to: Callable[[Gateway, bytes], str]
) -> None:
    said = {
        name: said_to(edge, text.format(number=f"{transport}{number}").encode("latin-1"))
        for number, (name, text) in enumerate(REFUSED.items())
    }

    statuses = {name: [int(found) for found in _STATUS.findall(text)] for name, text in said.items()}
    assert {name for name, found in statuses.items() if not found} == DROPPED[transport]
    assert all(len(found) <= 1 for found in statuses.values())
    assert {status for found in statuses.values() for status in found} == {400, 416, 505}
    serves(edge)


@needs_sipsak
def test_sipsak_floods_it_and_it_serves_on(edge: Gateway) -> None:
    command = ["sipsak", "-F", "-e", "3000", "-s", f"sip:nobody@127.0.0.1:{port(edge, 'udp')}"]
    flood = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=True)

    assert "to send 3000 request" in flood.stdout
    serves(edge)


@needs_sipsak
def test_sipsak_sends_trash_and_it_serves_on(edge: Gateway) -> None:
    """It waits for ever for an answer to what was dropped, so it is ended after a second."""
    command = ["sipsak", "-R", "-t", "40", "-s", f"sip:nobody@127.0.0.1:{port(edge, 'udp')}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as trash:
        with contextlib.suppress(subprocess.TimeoutExpired):
            trash.wait(1)
        trash.kill()

    serves(edge)
