"""Judged by sipp: many phones register, and many calls go through, without a failure or a repeated message."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from acme import furnish
from interop.sip.programs import Caller, needs_sipp
from ports import free_port
from processes import Gateway, gateway, pointing_at, simulator, until

pytestmark = [pytest.mark.interop, needs_sipp]

SETTINGS = '[sip]\nlisten = ["udp:127.0.0.1:0"]\ndomains = ["example.org"]\nauth = "none"\n'
A_WHILE = 5.0
"""Seconds in which a phone that is awake rings, on average; a quiet machine takes milliseconds."""
FULL = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with (
        simulator(tmp_path_factory.mktemp("fake")) as fake,
        gateway(tmp_path_factory.mktemp("edge"), pointing_at(fake) + SETTINGS) as running,
    ):
        furnish(running, fake)
        yield running


def port(running: Gateway) -> int:
    """Return where it speaks SIP."""
    lines = [json.loads(line) for line in running.log.read_text().splitlines() if line.startswith("{")]
    (place,) = next(line["at"] for line in lines if line["event"] == "sip.listening")
    return int(place.rpartition(":")[2])


def figures(directory: Path, scenario: str) -> tuple[int, int, int]:
    """Return what sipp counted: calls that went as the scenario says, calls that did not, and messages sent again."""
    last = counted(directory, scenario)
    return int(last["SuccessfulCall(C)"]), int(last["FailedCall(C)"]), int(last["Retransmissions(C)"])


def counted(directory: Path, scenario: str) -> dict[str, str]:
    """Return sipp's last line of figures."""
    *_, last = csv.DictReader((directory / f"{scenario}.csv").read_text().splitlines(), delimiter=";")
    return last


def seconds_to_ring(directory: Path) -> float:
    """Return how long it took from INVITE to 180, on average."""
    hours, minutes, seconds, microseconds = map(int, counted(directory, "short")["ResponseTime1(C)"].split(":"))
    return hours * 3600 + minutes * 60 + seconds + microseconds / 1e6


def counting(directory: Path, scenario: str, calls: int, rate: int) -> tuple[str, ...]:
    return (
        *("-m", str(calls), "-r", str(rate), "-l", str(calls)),
        *("-trace_stat", "-fd", "1", "-stf", str(directory / f"{scenario}.csv")),
    )


@pytest.mark.parametrize(("phones", "rate"), [(500, 250), pytest.param(5_000, 500, marks=FULL)])
def test_phones_register(edge: Gateway, tmp_path: Path, phones: int, rate: int) -> None:
    caller = Caller(tmp_path, port(edge), "register", more=counting(tmp_path, "register", phones, rate))

    assert caller.succeeded()
    assert figures(tmp_path, "register") == (phones, 0, 0)


@pytest.mark.parametrize(("calls", "rate"), [(150, 75), pytest.param(4_500, 150, marks=FULL)])
def test_calls_go_through(edge: Gateway, tmp_path: Path, calls: int, rate: int) -> None:
    answering, bob = listening(tmp_path, port(edge))
    try:
        assert Caller(tmp_path, port(edge), "plain", more=("-m", "1", "-key", "bob_port", str(bob))).succeeded()
        caller = Caller(tmp_path, port(edge), "short", more=counting(tmp_path, "short", calls, rate))
        assert caller.succeeded()
    finally:
        answering.process.terminate()
        answering.process.wait(10)

    assert figures(tmp_path, "short") == (calls, 0, 0)
    assert seconds_to_ring(tmp_path) < A_WHILE


def listening(directory: Path, edge_port: int) -> tuple[Caller, int]:
    """Start Bob's phone; returns it and its port once it listens. A port that somebody else takes first is given up."""
    for _ in range(5):
        bob = free_port()
        answering = Caller(directory, edge_port, "answering", more=("-p", str(bob)))
        if until(partial(_listens, answering, bob), "the phone listens or has ended") == "listens":
            return answering, bob
    raise AssertionError("the phone finds no port")


def _listens(answering: Caller, number: int) -> str | None:
    if answering.process.poll() is not None:
        return "ended"
    return "listens" if f" 0100007F:{number:04X} " in Path("/proc/net/udp").read_text() else None
