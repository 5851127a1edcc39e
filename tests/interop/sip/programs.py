"""Debian's own SIP programs: linphonec as a phone that sleeps and wakes, sipp as who calls it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from processes import until

SCENARIOS = Path(__file__).parent / "scenarios"
PASSWORD = "a-secret-of-tests"
_SECONDS = 10.0
_PATIENCE = 60
"""Seconds for which a caller goes on: on a busy machine a phone alone takes several to start."""

needs_linphonec = pytest.mark.skipif(shutil.which("linphonec") is None, reason="linphone-cli is not installed")
needs_sipp = pytest.mark.skipif(shutil.which("sipp") is None, reason="sip-tester is not installed")

_SETTINGS = """[sip]
sip_port=-1
sip_tcp_port=-1
sip_tls_port=-1
register_only_when_network_is_up=0
default_proxy=0
use_ipv6=0
root_ca={ca_file}
contact="{user}" <sip:{user}@example.org>
[net]
push_notification=1
[tester]
test_env=1
[misc]
uuid={uuid}
[auth_info_0]
username={user}
passwd={password}
realm=example.org
domain=example.org
[proxy_0]
reg_proxy=<sip:{host}:{port};transport={transport}>
reg_route=<sip:{host}:{port};transport={transport};lr>
reg_identity="{user}" <sip:{user}@example.org>
reg_expires=604800
reg_sendregister=1
publish=0
push_notification_allowed=1
remote_push_notification_allowed=1
push_parameters={push};pn-silent=1;pn-timeout=0;
"""

_RECEIVED = r"^{method} sip.*\n(?:.+\n)*?Via: (.+)\n{body}"
"""A request in linphonec's log that came through the gateway; its first Via is the name of its transaction."""


class Phone:
    """linphonec with an account. Awake it answers every call, or rings; asleep its program has ended without unregistering."""

    def __init__(
        self,
        directory: Path,
        port: int,
        transport: str,
        push: str,
        *,
        user: str = "bob",
        uuid: str,
        host: str = "127.0.0.1",
        ca_file: str = "",
        answers: bool = True,
    ) -> None:
        (directory / ".local/share/linphone").mkdir(parents=True)
        self.directory = directory
        self.log = directory / "linphone.log"
        self._settings = directory / "linphonerc"
        self._settings.write_text(
            _SETTINGS.format(
                port=port,
                transport=transport,
                push=push,
                user=user,
                uuid=uuid,
                host=host,
                ca_file=ca_file,
                password=PASSWORD,
            )
        )
        self._answers = ["-a"] if answers else []
        self._process: subprocess.Popen[bytes] | None = None

    def turn_to(self, port: int) -> None:
        """Have it find its proxy at another port from its next start on."""
        settings = self._settings.read_text()
        self._settings.write_text(re.sub(r"(reg_(?:proxy|route)=<sip:[^:]+):\d+", rf"\g<1>:{port}", settings))

    def wake(self) -> None:
        """Start the program; it registers."""
        with (self.directory / "output").open("ab") as output:
            self._process = subprocess.Popen(
                ["linphonec", "-c", str(self._settings), *self._answers, "-d", "6", "-l", str(self.log)],
                cwd=self.directory,
                env={**os.environ, "HOME": str(self.directory)},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def sleep(self) -> None:
        """End the program as one ends that the system puts to sleep: it stays registered."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended by itself
            self._process.stdin.write(b"quit\n")
            self._process.stdin.close()
        try:
            self._process.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(_SECONDS)
        self._process = None

    def is_registered(self) -> bool:
        """Tell whether its last start has registered."""
        return self.said("LinphoneRegistrationOk") > 0

    def received(self, method: str) -> int:
        """Count the requests of a method that it received; what was sent again is the same request (RFC 3261 section 17.2.3)."""
        return len(set(re.findall(_RECEIVED.format(method=method, body=""), self._log(), re.MULTILINE)))

    def texts(self, pattern: str) -> list[str]:
        """Return the bodies of the messages that it received and that are like this, each message once, in their order."""
        body = rf"(?:.+\n)*\n({pattern})$"
        found = re.findall(_RECEIVED.format(method="MESSAGE", body=body), self._log(), re.MULTILINE)
        return [text for _, text in dict.fromkeys(found)]

    def said(self, text: str) -> int:
        """Count a text in its log."""
        return self._log().count(text)

    def _log(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""


class Caller:
    """sipp with a scenario of ours, against a port; `messages` are all that it sent and received.

    `hears` are the statuses at the place that a scenario leaves open; `keys` are its [words].
    """

    def __init__(
        self,
        directory: Path,
        port: int,
        scenario: str,
        *,
        transport: str = "udp",
        more: tuple[str, ...] = (),
        hears: tuple[int, ...] = (),
        **keys: str,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        script = directory / f"{scenario}.xml"
        script.write_text(_hearing((SCENARIOS / script.name).read_text(), hears))
        more += tuple(part for key, value in keys.items() for part in ("-key", key, value))
        self._messages = directory / f"{scenario}.messages"
        self._output = directory / f"{scenario}.output"
        command = ["sipp", f"127.0.0.1:{port}", "-sf", str(script), "-i", "127.0.0.1"]
        command += ["-t", "t1" if transport == "tcp" else "u1", "-nostdin", "-timeout", str(_PATIENCE)]
        # Answers come all at once after a moment in which it had to wait for a core.
        command += ["-buff_size", "1000000", "-trace_msg", "-message_file", str(self._messages), *more]
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=directory)

    def succeeded(self, seconds: float = _PATIENCE + 5) -> bool:
        """Wait for its end; tell whether every call went as the scenario says."""
        return self.process.wait(seconds) == 0

    @property
    def messages(self) -> str:
        """All that it sent and received."""
        return self._messages.read_text(errors="replace")

    def received(self) -> list[str]:
        """Return the messages that it received."""
        parts = re.split(r"^-{20,} .*\n", self.messages, flags=re.MULTILINE)
        return [part.split("\n\n", 1)[1] for part in parts if " message received " in part]

    def statuses(self) -> list[int]:
        """Return the statuses of the answers that it received, in their order; one that was sent again is left out."""
        return [int(one.split(" ", 2)[1]) for one in dict.fromkeys(self.received()) if one.startswith("SIP/2.0 ")]


def _hearing(script: str, statuses: tuple[int, ...]) -> str:
    """Return a scenario that expects these statuses, one after the other, where it says HEARS."""
    lines = "\n".join(f' <recv response="{status}"/>' for status in statuses)
    return script.replace(' <recv response="HEARS"/>', lines)


def registered(phone: Phone) -> None:
    """Wake a phone, let it register, and put it to sleep."""
    phone.wake()
    try:
        until(phone.is_registered, "the phone registers")
    finally:
        phone.sleep()
