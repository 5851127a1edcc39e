"""deploy/kamailio, run by Debian's Kamailio: a phone sleeps, is pushed through a gateway, wakes and gets its call."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from acme import APP, BUNDLE, Stack
from contract import only_push
from interop.sip.programs import PASSWORD, Caller, Phone, needs_linphonec, needs_sipp, registered
from ports import free_port
from processes import end, until
from udp_phone import UdpPhone
from wakeline.cli.demo.material import PROJECT

DEPLOY = Path(__file__).parents[2] / "deploy" / "kamailio"
DOMAIN = "example.org"
KAMAILIO = shutil.which("kamailio", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")

pytestmark = pytest.mark.skipif(KAMAILIO is None, reason="Debian's package kamailio judges deploy/kamailio")


class Proxy(msgspec.Struct, frozen=True):
    """A Kamailio that runs."""

    port: int
    log: Path


def laid_out(directory: Path, port: int, *settings: str) -> Path:
    """Put the configuration and its local settings into a directory."""
    directory.mkdir(parents=True, exist_ok=True)
    for file in ("kamailio.cfg", "wakeline.cfg"):
        shutil.copy(DEPLOY / file, directory)
    lines = (
        f"#!define LISTEN udp:127.0.0.1:{port}",
        f"#!define LISTEN_TOO tcp:127.0.0.1:{port}",
        f'#!define DOMAIN "{DOMAIN}"',
        *settings,
    )
    (directory / "local.cfg").write_text("".join(f"{line}\n" for line in lines))
    return directory / "kamailio.cfg"


def running(directory: Path, *settings: str) -> Iterator[Proxy]:
    """Run Kamailio until the generator ends."""
    assert KAMAILIO is not None
    port = free_port()
    config = laid_out(directory, port, *settings)
    log = directory / "log"
    command = [KAMAILIO, "-f", str(config), "-DD", "-E", "-m", "64", "-M", "8", "-Y", str(directory)]
    with log.open("wb") as errors:
        process = subprocess.Popen(command, cwd=directory, stdout=errors, stderr=errors, start_new_session=True)
        try:
            with UdpPhone("probe", DOMAIN, port) as probe:
                until(lambda: _answers(probe), f"kamailio serves: {log}")
            yield Proxy(port, log)
        finally:
            end(process)
            with contextlib.suppress(ProcessLookupError):  # children that outlive a parent that had to be killed
                os.killpg(process.pid, signal.SIGKILL)


def _answers(probe: UdpPhone) -> bool:
    probe.send("OPTIONS", f"sip:nobody@{DOMAIN}", f"sip:nobody@{DOMAIN}")
    return bool(probe.seen(0.2))


def settings(stack: Stack) -> list[str]:
    """Return settings that lead to the gateway.

    One process reads the socket, so that a registration is over before the next message is looked at: what comes within the
    same moment would go to its phone, which is awake.
    """
    key = stack.gateway.json("key", "create", "--scope", "send", "--app", APP)["key"]
    address = f"{stack.gateway.address}/v1/sip/push"
    defined = {"WAKELINE_URL": f'"{address}"', "WAKELINE_KEY": f'"{key}"', "CHILDREN": "1", "OPEN": ""}
    return [f"#!define {name} {value}".rstrip() for name, value in defined.items()]


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory, stack: Stack) -> Iterator[Proxy]:
    yield from running(tmp_path_factory.mktemp("kamailio"), *settings(stack))


_users = iter(range(1000))


class Sleeper:
    """A phone registered with push parameters, of a user whom no other test has unless it says so."""

    def __init__(self, proxy: Proxy, bundle: str = BUNDLE, user: str = "") -> None:
        number = next(_users)
        self.token = f"{number:04x}".rjust(64, "c")
        self.user = user or f"bob{number}"
        push = f";pn-provider=apns;pn-param=ABCD1234.{bundle}.voip;pn-prid={self.token}:voip;pn-silent=1"
        self.phone = UdpPhone(self.user, DOMAIN, proxy.port, push=push)

    def __enter__(self) -> UdpPhone:
        answer = self.phone.register()
        assert answer.status == 200
        assert answer.all("Feature-Caps") == ['*;+sip.pns="apns"']
        return self.phone

    def __exit__(self, *_: object) -> None:
        self.phone.__exit__(None, None, None)


def pushed(stack: Stack, token: str) -> dict[str, Any]:
    """Wait for the push to a token."""
    return only_push(until(lambda: stack.simulator.requests(token), "the push arrives"))


def calls_of(stack: Stack, token: str) -> set[str]:
    """Return the calls of which a token was pushed."""
    return {one["body"]["aps"]["call-id"] for one in stack.simulator.requests(token)}


def test_kamailio_accepts_the_configuration(tmp_path: Path) -> None:
    assert KAMAILIO is not None
    config = laid_out(tmp_path, free_port())
    done = subprocess.run(
        [KAMAILIO, "-c", "-f", str(config)], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "config file ok" in done.stderr
    assert "WARNING" not in done.stderr


def test_a_sleeping_phone_is_pushed_and_gets_its_call_once(proxy: Proxy, stack: Stack) -> None:
    asleep, secret = Sleeper(proxy), ";app-id=of-alice;pn-provider=fcm;pn-param=p;pn-prid=of-alice"
    with asleep as bob, UdpPhone("alice", DOMAIN, proxy.port, push=secret) as alice:
        alice.invite(bob.aor, "wakes")
        alice.response(110, "INVITE", "wakes")
        push = pushed(stack, asleep.token)
        bob.register()
        invite = bob.request("INVITE", "wakes")
        bob.answer(invite, 180, "Ringing", contact=True)
        ringing = alice.response(180, "INVITE", "wakes")
        bob.answer(invite, 200, "OK", contact=True)
        answered = alice.response(200, "INVITE", "wakes")
        bob.register()

        assert not [one for one in bob.seen(0.2) if one.head.startswith("INVITE")]
        others = alice.seen()
    assert push["headers"]["apns-push-type"] == "voip"
    assert push["body"]["aps"]["call-id"] == "wakes"
    assert push["body"]["aps"]["uuid"].strip('"') == bob.instance
    assert invite.all("Record-Route")
    assert invite.all("Contact") == [f"<sip:alice@127.0.0.1:{alice.port}>"]
    for message in (ringing, answered, *others):
        assert "pn-" not in message.text


def test_what_the_woken_phone_says_is_told_at_once(proxy: Proxy, stack: Stack) -> None:
    asleep = Sleeper(proxy)
    with asleep as bob, UdpPhone("alice", DOMAIN, proxy.port) as alice:
        alice.invite(bob.aor, "busy")
        pushed(stack, asleep.token)
        bob.register()
        bob.answer(bob.request("INVITE", "busy"), 486, "Busy Here")

        alice.response(486, "INVITE", "busy")


def test_whose_gruu_is_called_is_woken_and_nobody_else(proxy: Proxy, stack: Stack) -> None:
    meant = Sleeper(proxy)
    other = Sleeper(proxy, user=meant.user)
    with meant as bob, other as tablet, UdpPhone("alice", DOMAIN, proxy.port) as alice:
        alice.invite(f"{bob.aor};gr={bob.instance.strip('<>')}", "gruu")
        pushed(stack, meant.token)
        tablet.register()
        bob.register()
        bob.request("INVITE", "gruu")

        assert tablet.seen() == []
    assert stack.simulator.requests(other.token) == []


def test_two_calls_wait_for_one_phone(proxy: Proxy, stack: Stack) -> None:
    asleep = Sleeper(proxy)
    with asleep as bob, UdpPhone("alice", DOMAIN, proxy.port) as alice, UdpPhone("eve", DOMAIN, proxy.port) as eve:
        alice.invite(bob.aor, "first")
        eve.invite(bob.aor, "second")
        until(lambda: len(calls_of(stack, asleep.token)) == 2, "both pushes arrive")
        bob.register()

        assert {bob.request("INVITE", call).one("Call-ID") for call in ("first", "second")} == {"first", "second"}


def test_a_phone_that_does_not_wake_is_480_when_the_time_is_up_and_gets_nothing_later(
    tmp_path: Path, stack: Stack
) -> None:
    for hasty in running(tmp_path, "#!define WAKELINE_CALL_WAITS 300", *settings(stack)):
        with Sleeper(hasty) as bob, UdpPhone("alice", DOMAIN, hasty.port) as alice:
            alice.invite(bob.aor, "asleep")
            alice.response(480, "INVITE", "asleep")
            bob.register()

            assert bob.seen(0.2) == []


def test_a_phone_that_nobody_can_push_to_is_480_at_once(proxy: Proxy) -> None:
    with Sleeper(proxy, bundle="org.example.unknown") as bob, UdpPhone("alice", DOMAIN, proxy.port) as alice:
        alice.invite(bob.aor, "no app")
        alice.response(480, "INVITE", "no app")

    until(lambda: "cannot be woken: 4" in proxy.log.read_text(), "the log says so")


def test_who_hangs_up_before_the_phone_wakes_does_not_call_it(proxy: Proxy, stack: Stack) -> None:
    asleep = Sleeper(proxy)
    with asleep as bob, UdpPhone("alice", DOMAIN, proxy.port) as alice:
        branch = alice.invite(bob.aor, "gone")
        alice.response(110, "INVITE", "gone")
        alice.send("CANCEL", bob.aor, bob.aor, call="gone", branch=branch)
        alice.response(200, "CANCEL", "gone")
        alice.response(487, "INVITE", "gone")
        pushed(stack, asleep.token)
        bob.register()

        assert bob.seen(0.2) == []


def test_a_phone_that_is_awake_rings_at_once_and_the_one_that_wakes_joins(proxy: Proxy, stack: Stack) -> None:
    asleep = Sleeper(proxy)
    with (
        asleep as bob,
        UdpPhone(asleep.user, DOMAIN, proxy.port) as desk,
        UdpPhone("alice", DOMAIN, proxy.port) as alice,
    ):
        desk.register()
        alice.invite(bob.aor, "both")
        desk.answer(desk.request("INVITE", "both"), 180, "Ringing")
        alice.response(180, "INVITE", "both")
        pushed(stack, asleep.token)
        assert not [one for one in bob.seen() if one.head.startswith("INVITE")]
        bob.register()
        bob.answer(bob.request("INVITE", "both"), 200, "OK", contact=True)

        alice.response(200, "INVITE", "both")
        desk.request("CANCEL", "both")


def test_a_message_waits_as_a_call_does(proxy: Proxy, stack: Stack) -> None:
    number = next(_users)
    token = f"{number:04x}".rjust(64, "d")
    push = f";pn-provider=apns;pn-param=ABCD1234.{BUNDLE}.remote;pn-prid={token}:remote"
    with (
        UdpPhone(f"bob{number}", DOMAIN, proxy.port, push=push) as bob,
        UdpPhone("alice", DOMAIN, proxy.port) as alice,
    ):
        bob.register()
        alice.send("MESSAGE", bob.aor, bob.aor, call="words", more="Content-Type: text/plain\r\n", body="hello")
        request = pushed(stack, token)
        bob.register()
        message = bob.request("MESSAGE", "words")
        bob.answer(message, 200, "OK")

        alice.response(200, "MESSAGE", "words")
    assert message.text.endswith("hello")
    assert request["headers"]["apns-push-type"] == "alert"


def test_nobody_registers_or_is_relayed_without_a_password(tmp_path: Path) -> None:
    for closed in running(tmp_path):
        with UdpPhone("mallory", DOMAIN, closed.port) as phone:
            assert phone.register().status == 401
            phone.invite("sip:somebody@example.com", "relay")
            phone.response(407, "INVITE", "relay")
            phone.invite(f"sip:bob@{DOMAIN}", "unknown caller")
            phone.response(407, "INVITE", "unknown caller")


@needs_linphonec
@needs_sipp
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_linphonec_sleeps_is_called_by_sipp_and_wakes(tmp_path: Path, stack: Stack, transport: str) -> None:
    words = "".join(f' $sht(passwords=>{user}@{DOMAIN}) = "{PASSWORD}";' for user in ("bob", "alice"))
    closed = [line for line in settings(stack) if not line.endswith("OPEN")]
    (tmp_path / "kamailio").mkdir()
    (tmp_path / "kamailio" / "users.cfg").write_text(f"event_route[htable:mod-init] {{{words} }}\n")
    prid = f"{next(_users)}" + "A" * 60 + ":APA91bLin"
    push = f"pn-provider=fcm;pn-prid={prid};pn-param={PROJECT}"
    for proxy in running(tmp_path / "kamailio", *closed):
        phone = Phone(tmp_path / "phone", proxy.port, transport, push, uuid="33333333-2222-3333-4444-555555555555")
        registered(phone)
        caller = Caller(tmp_path / "caller", proxy.port, "call", transport=transport, more=("-m", "1"))
        try:
            wake = pushed(stack, prid)
            phone.wake()
            assert caller.succeeded(), caller.messages
        finally:
            phone.sleep()

        assert wake["body"]["message"]["android"]["data"]["loc-key"] == "IC_MSG"
        assert caller.statuses() == [407, 100, 110, 180, 200, 200]
        assert phone.received("INVITE") == 1
        assert not [one for one in caller.received() if "pn-" in one or prid in one]
