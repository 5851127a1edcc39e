"""What one request and one answer are, whatever protocol carried them.

The sessions (HTTP/1.1, HTTP/2) turn bytes into a `Request`, the services (APNs, FCM, OAuth, Web Push, control)
turn it into an `Answer`, and neither knows the other. Services never wait: what takes time is said in the answer.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Protocol

import msgspec

from wakeline.simulator.behaviour import Behaviour
from wakeline.simulator.certificates import ClientCertificate

JSON_TYPE = ("content-type", "application/json")


class Effect(enum.Enum):
    """What is done with an answer."""

    ANSWER = "answer"
    SILENT = "silent"
    """The request is taken and never answered; the connection lives on."""
    RESET = "reset"
    """HTTP/2: RST_STREAM with `Answer.error_code`; HTTP/1.1: the connection is cut."""
    CLOSE = "close"
    """The connection is cut without a word, with everything under way on it."""


class Peer(msgspec.Struct, frozen=True):
    """Who is at the other end of one connection."""

    number: int
    environment: str = ""
    """`production` or `sandbox`, by the port; empty where one port serves both."""
    certificate: ClientCertificate | None = None


class Request(msgspec.Struct, frozen=True):
    """One request as received."""

    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case; a repeated header's values are joined by a comma."""
    body: bytes = b""
    repeated: tuple[str, ...] = ()
    """Names that came more than once."""
    http: str = "2"


class Answer(msgspec.Struct, frozen=True):
    """One answer, and what the journal shall say of it."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    provider: str = ""
    target: str = ""
    reason: str = ""
    identity: str = ""
    """The request's own id (`apns-id`), empty where the protocol has none."""
    collapse: str = ""
    trusted: bool | None = None
    """Whether the connection has shown good credentials by this request; None leaves it as it was."""
    delay_s: float = 0.0
    effect: Effect = Effect.ANSWER
    error_code: int = 0
    plaintext: bytes | None = None
    """What an encrypted body says; the journal shows it in the body's place."""


Exchange = Callable[[Request], Answer]


class Service(Protocol):
    """One fake push service behind a port."""

    @property
    def provider(self) -> str:
        """The provider whose behaviour rules this port's connections."""

    @property
    def behaviour(self) -> Behaviour:
        """As set by `POST /behave`; read again at every use."""

    def trusts_at_first(self, peer: Peer) -> bool:
        """Whether a new connection gets its full number of streams before its first request."""

    def connect(self, peer: Peer) -> Exchange:
        """The judge of one connection's requests, with that connection's memory."""


class Wire(Protocol):
    """The connection below a session."""

    def write(self, data: bytes) -> None:
        """Sends bytes."""

    def finish(self) -> None:
        """Closes after what was sent has arrived."""

    def abort(self) -> None:
        """Cuts the connection."""


def json_answer(status: int, document: object, *, provider: str = "", reason: str = "") -> Answer:
    """An answer whose body is `document` as JSON."""
    return Answer(status, msgspec.json.encode(document), headers=(JSON_TYPE,), provider=provider, reason=reason)
