"""Judged by linphonec and sipp: a phone whose program has ended is woken by a push, and rings the caller's call, once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from acme import furnish
from interop.sip.programs import PASSWORD, Caller, Phone, needs_linphonec, needs_sipp, registered
from processes import Gateway, Simulator, gateway, pointing_at, simulator, until
from wakeline.cli.demo.material import PROJECT

pytestmark = [pytest.mark.interop, needs_linphonec, needs_sipp]

PRID = "cZx" + "A" * 60 + ":APA91bBob"
PUSH = f"pn-provider=fcm;pn-prid={PRID};pn-param={PROJECT}"
SETTINGS = '[sip]\nlisten = ["udp:127.0.0.1:0", "tcp:127.0.0.1:0", "tls:127.0.0.1:0"]\ndomains = ["example.org"]\n'
SETTINGS += "message_accept_timeout = 1\n"
SETTINGS += 'digest_algorithms = ["MD5", "SHA-256"]\n'  # sipp looks at the first question alone


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with simulator(tmp_path_factory.mktemp("fake")) as running:
        yield running


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate for this machine; returns the directory with it, its key, and who signed it."""
    directory, ca = tmp_path_factory.mktemp("authority"), trustme.CA()
    signed = ca.issue_cert("localhost")
    ca.cert_pem.write_to_path(directory / "ca.pem")
    signed.private_key_pem.write_to_path(directory / "key.pem")
    for blob in signed.cert_chain_pems:
        blob.write_to_path(directory / "certificate.pem", append=True)
    return directory


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory, fake: Simulator, authority: Path) -> Iterator[Gateway]:
    tls = f'tls_certificate = "{authority / "certificate.pem"}"\ntls_key = "{authority / "key.pem"}"\n'
    with gateway(tmp_path_factory.mktemp("edge"), pointing_at(fake) + SETTINGS + tls) as running:
        furnish(running, fake)
        with running.client() as operator:
            for user in ("bob", "ben", "alice"):
                operator.put(f"/v1/sip/users/{user}@example.org", json={"password": PASSWORD}).raise_for_status()
        yield running


def ports(running: Gateway) -> dict[str, int]:
    """Return where it speaks SIP now, by transport."""
    lines = [json.loads(line) for line in running.log.read_text().splitlines() if line.startswith("{")]
    places = [line["at"] for line in lines if line["event"] == "sip.listening"][-1]
    return {place.partition(":")[0]: int(place.rpartition(":")[2]) for place in places}


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_a_sleeping_phone_is_woken_and_rings_once(
    edge: Gateway, fake: Simulator, authority: Path, tmp_path: Path, transport: str
) -> None:
    uuid, ca_file = "11111111-2222-3333-4444-555555555555", str(authority / "ca.pem")
    phone = Phone(
        tmp_path / "phone", ports(edge)[transport], transport, PUSH, uuid=uuid, host="localhost", ca_file=ca_file
    )
    registered(phone)
    before = len(fake.requests(PRID))

    spoken = "udp" if transport == "tls" else transport  # Debian's sipp speaks no TLS
    caller = Caller(tmp_path / "caller", ports(edge)[spoken], "call", transport=spoken, more=("-m", "1"))
    try:
        (push,) = until(lambda: fake.requests(PRID)[before:] or None, "the phone is woken")
        phone.wake()
        assert caller.succeeded(), caller.messages
    finally:
        phone.sleep()

    assert push["body"]["message"]["android"]["priority"].lower() == "high"
    assert caller.statuses() == [407, 100, 110, 180, 200, 200]
    assert phone.received("INVITE") == 1
    assert not [one for one in caller.received() if "pn-" in one or PRID in one]


def test_messages_wait_for_a_sleeping_phone_over_a_kill_and_arrive_once_in_their_order(
    edge: Gateway, fake: Simulator, tmp_path: Path
) -> None:
    uuid = "22222222-2222-3333-4444-555555555555"
    push = PUSH.replace("Bob", "Ben")
    phone = Phone(tmp_path / "phone", ports(edge)["udp"], "udp", push, user="ben", uuid=uuid)
    registered(phone)

    # One after the other: what is under way at the same time has no order.
    more = ("-m", "5", "-l", "1", "-r", "10")
    caller = Caller(tmp_path / "caller", ports(edge)["udp"], "message", more=more, to="ben")
    assert caller.succeeded(), caller.messages
    edge.kill()
    edge.start()
    phone.turn_to(ports(edge)["udp"])
    try:
        phone.wake()
        until(lambda: "message 5 of Alice" in phone.texts(r"message \d+ of Alice"), "the last one is there")
    finally:
        phone.sleep()

    assert phone.texts(r"message \d+ of Alice") == [f"message {number} of Alice" for number in range(1, 6)]
