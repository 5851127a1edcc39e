"""Judged by sipp and linphonec: what callers hear who reach nobody or give up, and which phones ring and wake."""

from __future__ import annotations

import re
import socket
import uuid
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from acme import BUNDLE, furnish
from interop.sip.programs import PASSWORD, Caller, Phone, needs_linphonec, needs_sipp, registered
from processes import Gateway, Simulator, gateway, pointing_at, simulator, until
from wakeline.cli.demo.material import PROJECT

pytestmark = [pytest.mark.interop, needs_sipp]

USERS = ("alice", "bob", "never", "dead", "early", "late", "rung", "shy", "meanwhile")
ONE = ("-m", "1")
CALLS_A_MINUTE = 6
"""How many pushes for calls a user gets in a minute, unless the settings say otherwise."""
WAITS = 30
"""Seconds for which a call waits for a phone to wake: a real one takes several to start on a busy machine."""
SETTINGS = '[sip]\nlisten = ["udp:127.0.0.1:0", "tcp:127.0.0.1:0"]\ndomains = ["example.org"]\n'
SETTINGS += f'call_fork_timeout = {WAITS}\ndigest_algorithms = ["MD5", "SHA-256"]\n'


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with simulator(tmp_path_factory.mktemp("fake")) as running:
        yield running


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory, fake: Simulator) -> Iterator[Gateway]:
    limits = pointing_at(fake).replace("per_user = false", "per_user = true")
    with gateway(tmp_path_factory.mktemp("edge"), limits + SETTINGS) as running:
        furnish(running, fake)
        with running.client() as operator:
            for user in USERS:
                operator.put(f"/v1/sip/users/{user}@example.org", json={"password": PASSWORD}).raise_for_status()
        yield running


def port(running: Gateway, transport: str = "udp") -> int:
    """Return where it speaks SIP."""
    (listening,) = running.events("sip.listening")
    return next(int(place.rpartition(":")[2]) for place in listening["at"] if place.startswith(f"{transport}:"))


class Sleeper(NamedTuple):
    """A phone that sleeps."""

    prid: str
    push: str


def asleep(running: Gateway, directory: Path, user: str) -> Sleeper:
    """Have a phone registered by sipp, whose connection then ends."""
    prid = f"{user}{'A' * 60}:APA91b"
    sleeper = Sleeper(prid, f"pn-provider=fcm;pn-prid={prid};pn-param={PROJECT}")
    more = (*ONE, "-au", user, "-ap", PASSWORD)
    enrolled = Caller(
        directory / user,
        port(running, "tcp"),
        "enrol",
        transport="tcp",
        more=more,
        user=user,
        push=sleeper.push,
        uuid=str(uuid.uuid4()),
    )
    assert enrolled.succeeded(), enrolled.messages
    return sleeper


def alice(
    running: Gateway,
    directory: Path,
    scenario: str,
    hears: tuple[int, ...],
    to: str,
    *,
    domain: str = "example.org",
    more: tuple[str, ...] = ONE,
) -> Caller:
    """Have Alice call somebody."""
    return Caller(directory / "alice", port(running), scenario, more=more, hears=hears, to=to, domain=domain)


def durations(caller: Caller) -> list[float]:
    """Return for how many seconds each of its calls took, by its own clock."""
    moments: dict[str, list[datetime]] = {}
    for moment, call in re.findall(
        r"^-{20,} (\S+ \S+)\n(?:.+\n|\n(?=[A-Z]))*?Call-ID: (\S+)$", caller.messages, re.MULTILINE
    ):
        moments.setdefault(call, []).append(datetime.fromisoformat(moment))
    return [(each[-1] - each[0]).total_seconds() for each in moments.values()]


@pytest.mark.slow
def test_a_phone_that_does_not_wake_is_480_when_the_time_is_up_and_its_pushes_cannot_be_drained(
    edge: Gateway, fake: Simulator, tmp_path: Path
) -> None:
    sleeper = asleep(edge, tmp_path, "never")
    caller = alice(edge, tmp_path, "refused", (480,), "never", more=("-m", "30", "-r", "60", "-l", "30"))
    assert caller.succeeded(), caller.messages
    assert len(fake.requests(sleeper.prid)) == CALLS_A_MINUTE

    assert caller.statuses().count(480) == 30
    assert min(durations(caller)) >= WAITS  # a push for one call wakes the phone for all of them


def test_a_dead_token_and_no_other_phone_is_480_at_once(edge: Gateway, fake: Simulator, tmp_path: Path) -> None:
    sleeper = asleep(edge, tmp_path, "dead")
    fake.script(sleeper.prid, {"status": 404, "error": "UNREGISTERED", "times": None})
    for number in range(2):
        caller = alice(edge, tmp_path / str(number), "refused", (480,), "dead")
        assert caller.succeeded(), caller.messages
        assert max(durations(caller)) < WAITS

    assert len(fake.requests(sleeper.prid)) == 1


def test_who_proves_nothing_wakes_nobody_and_a_flood_of_it_is_answered_once_each(
    edge: Gateway, fake: Simulator, tmp_path: Path
) -> None:
    sleeper = asleep(edge, tmp_path, "shy")
    flood = alice(edge, tmp_path, "stranger", (407,), "shy", more=("-m", "400", "-r", "800", "-l", "400"))
    asleep(edge, tmp_path, "meanwhile")
    assert flood.succeeded(), flood.messages
    assert [one.split(" ", 2)[1] for one in flood.received()] == ["407"] * 400
    assert fake.requests(sleeper.prid) == []


def test_a_foreign_domain_is_not_relayed(edge: Gateway, tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as elsewhere:
        elsewhere.bind(("127.0.0.1", 0))
        elsewhere.setblocking(False)
        foreign = f"127.0.0.1:{elsewhere.getsockname()[1]}"
        caller = alice(edge, tmp_path, "refused", (403,), "bob", domain=foreign)

        assert caller.succeeded(), caller.messages
        with pytest.raises(BlockingIOError):
            elsewhere.recv(1)


@needs_linphonec
def test_who_gives_up_before_the_phone_woke_rings_none(edge: Gateway, fake: Simulator, tmp_path: Path) -> None:
    sleeper = asleep(edge, tmp_path, "early")
    caller = alice(edge, tmp_path, "give_up", (110,), "early")
    assert caller.succeeded(), caller.messages
    phone = Phone(tmp_path / "phone", port(edge), "udp", sleeper.push, user="early", uuid=str(uuid.uuid4()))
    registered(phone)

    assert caller.statuses() == [407, 100, 110, 200, 487]
    assert len(fake.requests(sleeper.prid)) == 1
    assert phone.received("INVITE") == 0


@needs_linphonec
def test_who_gives_up_while_it_rings_ends_the_ringing(edge: Gateway, fake: Simulator, tmp_path: Path) -> None:
    prid = f"rung{'A' * 60}:APA91b"
    push = f"pn-provider=fcm;pn-prid={prid};pn-param={PROJECT}"
    phone = Phone(tmp_path / "phone", port(edge), "udp", push, user="rung", uuid=str(uuid.uuid4()), answers=False)
    registered(phone)
    caller = alice(edge, tmp_path, "give_up", (110, 180), "rung")
    try:
        until(lambda: fake.requests(prid) or None, "the phone is woken")
        phone.wake()
        assert caller.succeeded(), caller.messages
        until(lambda: phone.received("CANCEL") > 0, "it hears that the call is over")
    finally:
        phone.sleep()

    assert caller.statuses() == [407, 100, 110, 180, 200, 487]
    assert phone.received("INVITE") == 1


@needs_linphonec
def test_an_iphone_woken_for_a_call_that_is_over_is_shown_it(edge: Gateway, fake: Simulator, tmp_path: Path) -> None:
    token = "ab" * 32
    push = f"pn-provider=apns;pn-prid={token}:voip;pn-param=ABCD1234.{BUNDLE}.voip"
    phone = Phone(tmp_path / "phone", port(edge), "udp", push, user="late", uuid=str(uuid.uuid4()), answers=False)
    registered(phone)
    caller = alice(edge, tmp_path, "give_up", (110,), "late")
    assert caller.succeeded(), caller.messages
    assert len(until(lambda: fake.requests(token), "the phone is woken")) == 1
    phone.wake()
    try:
        until(lambda: phone.received("CANCEL") > 0, "it hears that the call is over")
    finally:
        phone.sleep()

    assert phone.received("INVITE") == 1


@needs_linphonec
@pytest.mark.slow
def test_the_first_phone_that_answers_has_the_call_and_the_other_one_stops(
    edge: Gateway, fake: Simulator, tmp_path: Path
) -> None:
    phones = []
    for name in ("rings", "answers"):
        prid = f"both{name}{'A' * 60}:APA91b"
        push = f"pn-provider=fcm;pn-prid={prid};pn-param={PROJECT}"
        phone = Phone(
            tmp_path / name,
            port(edge),
            "udp",
            push,
            user="bob",
            uuid=str(uuid.uuid4()),
            answers=name == "answers",
        )
        registered(phone)
        phones.append(phone)
    rings, answers = phones
    caller = Caller(tmp_path / "caller", port(edge), "call", more=ONE)
    try:
        # Not before the call is there: a phone that has just registered by itself would wait for the next push.
        until(lambda: fake.requests(f"bothrings{'A' * 60}:APA91b") or None, "it is woken")
        rings.wake()
        until(lambda: rings.said("180 Ringing") > 0, "it rings")
        answers.wake()
        assert caller.succeeded(), caller.messages
        until(lambda: rings.received("CANCEL") > 0, "the other one stops")
    finally:
        rings.sleep()
        answers.sleep()

    assert caller.statuses()[-2:] == [200, 200]
    assert [phone.received("INVITE") for phone in phones] == [1, 1]
    assert answers.received("CANCEL") == 0
