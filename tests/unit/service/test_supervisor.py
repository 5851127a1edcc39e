"""What systemd hears, on a socket of the test's own."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from wakeline.service.supervisor import Supervisor


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    monkeypatch.chdir(tmp_path)  # a socket's address is short, a temporary path is not
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("notify")
        listening.settimeout(20)
        yield listening


def test_each_message_is_one_datagram(manager: socket.socket) -> None:
    supervisor = Supervisor({"NOTIFY_SOCKET": "notify"})
    supervisor.ready("serving")
    supervisor.alive()
    supervisor.stopping()
    assert [manager.recv(200) for _ in range(3)] == [b"READY=1\nSTATUS=serving", b"WATCHDOG=1", b"STOPPING=1"]


def test_a_reload_says_when_it_began(manager: socket.socket) -> None:
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    Supervisor({"NOTIFY_SOCKET": "notify"}).reloading()
    first, _, second = manager.recv(200).decode().partition("\n")
    assert first == "RELOADING=1"
    name, _, value = second.partition("=")
    assert name == "MONOTONIC_USEC"
    assert before <= int(value) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def test_an_abstract_address_is_understood() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("")  # autobind: the kernel chooses an abstract address (unix(7))
        listening.settimeout(20)
        Supervisor({"NOTIFY_SOCKET": f"@{listening.getsockname()[1:].decode()}"}).alive()
        assert listening.recv(20) == b"WATCHDOG=1"


def test_without_a_manager_nothing_happens_and_a_lost_one_is_no_error(tmp_path: Path) -> None:
    Supervisor({}).ready("x")
    Supervisor({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready("x")


@pytest.mark.parametrize(("text", "seconds"), [("30000000", 15.0), ("", None), ("soon", None)])
def test_signs_of_life_come_twice_as_often_as_asked(text: str, seconds: float | None) -> None:
    assert Supervisor({"WATCHDOG_USEC": text}).watchdog_interval == seconds
