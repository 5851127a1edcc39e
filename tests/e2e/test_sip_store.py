"""A phone that sleeps, a gateway that is killed: who is registered and what waits is there again, and each message comes once."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import httpx2

from acme import APP, BUNDLE
from ports import free_port
from processes import PATIENCE, Gateway, gateway, pointing_at, simulator, until
from wakeline.cli.demo import material
from wakeline.wire.sip.digest import expected, parse_credentials, secret_hash
from wakeline.wire.sip.message import Request, Response, parse
from wakeline.wire.sip.responses import answer

LOOPBACK = "127.0.0.1"
DOMAIN = "example.org"
TOKEN = "5a" * 32
PASSWORD = "correct horse"
PUSH = f";pn-provider=apns;pn-param=ABCD1234.{BUNDLE}.remote;pn-prid={TOKEN}:remote"
_numbers = itertools.count(1)


class Phone:
    """A user agent over UDP that proves its password when it is asked."""

    def __init__(self, user: str, at: int) -> None:
        self.user = user
        self.at = at
        self.texts: list[bytes] = []
        self.ends: list[Response] = []
        self._taken: set[str | None] = set()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((LOOPBACK, 0))
        self._socket.settimeout(PATIENCE)
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def register(self) -> Response:
        """Register with push parameters, and return the 200."""
        contact = f"<sip:{self.user}@{LOOPBACK}:{self._socket.getsockname()[1]}{PUSH}>"
        instance = '+sip.instance="<urn:uuid:00000000-0000-4000-8000-000000000001>"'
        fields = ("contact", f"{contact};{instance}"), ("expires", "3600"), ("supported", "gruu")
        self._ask("REGISTER", f"sip:{DOMAIN}", self.user, *fields)
        while not self.ends:
            assert self.hear() is not None, "an answer to REGISTER"
        return self.ends.pop()

    def text(self, *bodies: bytes) -> list[int]:
        """Send Bob messages, one behind the other, and return the statuses of their answers once all are there."""
        for body in bodies:
            self._ask("MESSAGE", f"sip:bob@{DOMAIN}", "bob", ("content-type", "text/plain"), body=body)
        while len(self.ends) < len(bodies):
            assert self.hear() is not None, "an answer to each message"
        ends, self.ends = self.ends, []
        return [each.status for each in ends]

    def hear(self, *, seconds: float = PATIENCE) -> Request | Response | None:
        """Return what comes next; None: nothing does. A message is answered at once, also one that comes again for that."""
        self._socket.settimeout(seconds)
        try:
            came = parse(self._socket.recv(65_536))
        except TimeoutError:
            return None
        if isinstance(came, Request) and came.method == "MESSAGE":
            if came.get("via") not in self._taken:
                self._taken.add(came.get("via"))
                self.texts.append(came.body)
            self._send(answer(came, 200, to_tag="b"))
        if isinstance(came, Response) and came.is_final and came.status not in (401, 407):
            self.ends.append(came)
        return came

    def _ask(self, method: str, uri: str, to: str, *fields: tuple[str, str], body: bytes = b"") -> None:
        """Send a request, and once more with a proof; its answer is one of `ends`."""
        call_id = f"{self.user}-{next(_numbers)}"
        self._say(method, uri, to, call_id, fields, body)
        while True:
            came = self.hear()
            assert isinstance(came, Response), "a question to each request"
            if came.call_id == call_id and came.status in (401, 407):
                break
        where = (
            ("www-authenticate", "authorization")
            if came.status == 401
            else ("proxy-authenticate", "proxy-authorization")
        )
        proof = self._proof(next(each for each in came.all(where[0]) if "SHA-256" in each), method, uri)
        self._say(method, uri, to, call_id, (*fields, (where[1], proof)), body)

    def _say(
        self, method: str, uri: str, to: str, call_id: str, fields: tuple[tuple[str, str], ...], body: bytes
    ) -> None:
        self._sequence += 1
        known = [
            ("via", f"SIP/2.0/UDP {LOOPBACK}:{self._socket.getsockname()[1]};branch=z9hG4bK{next(_numbers)};rport"),
            ("max-forwards", "70"),
            ("from", f"<sip:{self.user}@{DOMAIN}>;tag=t"),
            ("to", f"<sip:{to}@{DOMAIN}>"),
            ("call-id", call_id),
            ("cseq", f"{self._sequence} {method}"),
        ]
        self._send(Request.make(method, uri, [*known, *fields], body))

    def _proof(self, question: str, method: str, uri: str) -> str:
        realm, nonce = (question.partition(f'{name}="')[2].partition('"')[0] for name in ("realm", "nonce"))
        said = (
            f'Digest username="{self.user}", realm="{realm}", nonce="{nonce}", uri="{uri}", algorithm=SHA-256, qop=auth, '
            f'nc=00000001, cnonce="c", response='
        )
        credentials = parse_credentials(f'{said}""')
        assert credentials is not None
        return f'{said}"{expected(credentials, secret_hash(self.user, realm, PASSWORD, "SHA-256"), method)}"'

    def _send(self, message: Request | Response) -> None:
        self._socket.sendto(message.to_bytes(), (LOOPBACK, self.at))


class Operator:
    """Speaks to the API of a gateway, also after it was started again at another port."""

    def __init__(self, running: Gateway) -> None:
        self._running = running
        with running.client() as first:
            self._authorization = first.headers["authorization"]

    def ask(self, method: str, path: str, **said: Any) -> Any:
        """Return what an answer says."""
        headers = {"authorization": self._authorization}
        answer = httpx2.request(
            method, f"{self._running.address}{path}", headers=headers, trust_env=False, **said, timeout=60
        )
        assert answer.is_success, answer.text
        return answer.json()

    def explained_as(self, verdict: str) -> Any:
        """Return what is said of Bob's address once this is the verdict."""
        said = self.ask("GET", "/v1/explain", params={"q": f"sip:bob@{DOMAIN}"})
        return said if said["verdict"] == verdict else None


@contextmanager
def serving(folder: Path) -> Iterator[tuple[Gateway, Operator, int]]:
    """Run a gateway with users Alice and Bob, and an app whose key wakes Bob's phone; yields its SIP port, too."""
    port = free_port()
    settings = f'[sip]\nlisten = ["udp:{LOOPBACK}:{port}"]\ndomains = ["{DOMAIN}"]\nmessage_accept_timeout = 1\n'
    with simulator(folder / "stand-ins") as fake, gateway(folder, pointing_at(fake, settings)) as running:
        operator = Operator(running)
        operator.ask("POST", "/v1/apps", json={"id": APP})
        about = {"team_id": material.TEAM_ID, "key_id": material.KEY_ID, "topics": BUNDLE}
        key = {"file": ("key.p8", material.auth_key())}
        operator.ask("POST", f"/v1/apps/{APP}/credentials", data=about, files=key)
        for user in ("alice", "bob"):
            operator.ask("PUT", f"/v1/sip/users/{user}", json={"password": PASSWORD})
        yield running, operator, port


def test_registrations_and_messages_survive_a_kill_and_each_message_comes_once_and_in_order(tmp_path: Path) -> None:
    texts = [f"message {number}".encode() for number in range(10)]
    with serving(tmp_path) as (running, operator, port), Phone("alice", port) as alice:
        with Phone("bob", port) as bob:
            assert bob.register().status == 200
        assert alice.text(*texts[:5]) == [202] * 5
        running.kill()
        running.start()
        assert alice.text(*texts[5:]) == [202] * 5

        (shown,) = operator.ask("GET", "/v1/sip/bindings")["bindings"]
        assert (shown["app"], shown["push"]["provider"], shown["why_not"]) == (APP, "apns", "")
        pushed = "the phone was sent a push, and has not registered since"
        asleep = until(lambda: operator.explained_as(pushed), "a push was sent")
        assert {"what": "messages wait", "detail": "10 for phones that have not taken them", "at": None} in asleep[
            "steps"
        ]

        with Phone("bob", port) as bob:
            assert bob.register().status == 200
            while len(bob.texts) < 10:
                assert bob.hear() is not None
            while bob.hear(seconds=0.3) is not None:
                pass
            assert bob.texts == texts
        until(lambda: operator.explained_as("the phone can be woken"), "it can be woken again")
        assert TOKEN not in running.log.read_text()
