"""What an operation of the API is. The table of them (`table.py`) is read by routing, OpenAPI, scopes, client and tests.

Rule: whatever is true of an endpoint stands in its `Operation`; a handler decodes nothing and checks no key.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from enum import Enum, StrEnum
from typing import Any, Protocol
from urllib.parse import quote

import msgspec

from wakeline.edges.rest.caller import Caller
from wakeline.edges.rest.ports import RestPorts
from wakeline.model.app import App
from wakeline.model.errors import NotFound, UnsupportedMedia, WakelineError
from wakeline.model.key import Scope
from wakeline.ports import IdempotencyKey


class Reach(Enum):
    """Which keys may come near."""

    ANYBODY = "anybody"
    """No key is asked for: probes, documentation."""
    APP = "app"
    """The path names an app; to a key that is bound to others it does not exist."""
    FILTERED = "filtered"
    """Any key of the scope; what it sees is limited to its apps."""
    INSTALLATION = "installation"
    """Only keys that are bound to no app."""
    PROVEN = "proven"
    """A key, a device token, or none: then what is in the body proves who asks, and the handler looks at that."""
    MACHINE = "machine"
    """No key at all: only the gateway's own socket, which is who owns its files."""


class Media(StrEnum):
    """What a body is written in."""

    JSON = "application/json"
    NDJSON = "application/x-ndjson"
    FORM = "application/x-www-form-urlencoded"
    MULTIPART = "multipart/form-data"
    EVENTS = "text/event-stream"
    HTML = "text/html; charset=utf-8"
    CSS = "text/css; charset=utf-8"
    SCRIPT = "text/javascript; charset=utf-8"
    METRICS = "text/plain; version=0.0.4; charset=utf-8"
    PROBLEM = "application/problem+json"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a handler gives back. `body` is a value to be written as JSON, or ready bytes.

    `secret`: it bears a secret, so a repeated Idempotency-Key gets 409 with `resource` instead.
    """

    body: Any = None
    status: int = 200
    media: str = Media.JSON
    headers: tuple[tuple[str, str], ...] = ()
    secret: bool = False
    resource: str = ""


class Feed(msgspec.Struct, frozen=True):
    """An answer without an end: pieces as they come. The iterator is closed when the client leaves."""

    pieces: AsyncIterator[bytes]
    media: str = Media.EVENTS


class Lines(Protocol):
    """A body that is read as it comes."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield pieces of the body."""


class Call(msgspec.Struct, kw_only=True):
    """One request on its way through a handler: who asks, for what, and the parts to serve it with.

    `operations`: the whole table, for those who describe it; `path`: decoded path parameters; `query`: an instance of the
    operation's query type; `body`: of its request type; `stream` instead of a body that is read as it comes.
    `idempotency` is set when the caller gave a key and the handler keeps it in a commit of its own.
    """

    ports: RestPorts
    operation: Operation
    operations: tuple[Operation, ...]
    caller: Caller
    path: Mapping[str, str]
    url_path: str
    headers: Mapping[str, str]
    request_id: str
    now: int
    query: Any = None
    body: Any = None
    stream: Lines | None = None
    idempotency: IdempotencyKey | None = None
    resolved: App | None = None

    @property
    def app(self) -> App:
        """Return the app of the path; it exists and the caller may see it."""
        if self.resolved is None:
            raise NotFound("this operation is about no app")
        return self.resolved

    @property
    def lines(self) -> Lines:
        """Return the body of an operation that reads nothing but lines."""
        if self.stream is None:
            raise UnsupportedMedia("this operation reads lines")
        return self.stream


Handler = Callable[[Call], Awaitable[Answer | Feed]]


class Idempotent(Enum):
    """How a repeated Idempotency-Key is served."""

    NO = "no"
    """The method is idempotent by itself."""
    STORED = "stored"
    """The edge keeps the answer."""
    COMMITTED = "committed"
    """The handler passes the key on, so that it is kept in the same commit as what was done."""


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint. `scopes`: any of them will do (`admin` always does). `path` has `{parameters}`.

    `request` is the type of a JSON body (None: no body is read); `response` the type of the success answer's JSON.
    `status` lists success statuses, the usual one first. `problems` are the errors it may answer with beside those
    that any operation with its features may (see `openapi.problems_of`). `device_token`: a phone's token may do it too.
    `media` is what the success answer is written in, `accepts` what bodies may be written in; `also`: further types of the
    success answer.
    """

    name: str
    method: str
    path: str
    handler: Handler
    summary: str
    reach: Reach = Reach.APP
    scopes: tuple[Scope, ...] = ()
    request: type[Any] | None = None
    query: type[Any] | None = None
    response: Any = None
    status: tuple[int, ...] = (200,)
    idempotent: Idempotent = Idempotent.NO
    problems: tuple[type[WakelineError], ...] = ()
    device_token: bool = False
    accepts: tuple[str, ...] = (Media.JSON,)
    also: tuple[Any, ...] = ()
    media: str = Media.JSON

    @property
    def parameters(self) -> tuple[str, ...]:
        """Return the names of the path's parameters, in order."""
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))

    @property
    def body_required(self) -> bool:
        """Tell whether an empty body is an error: some field of it has no default."""
        return self.request is not None and any(field.required for field in msgspec.structs.fields(self.request))

    @property
    def noun(self) -> str:
        """Return the group this operation belongs to in documents: the part of its name before the dot."""
        return self.name.partition(".")[0]

    def url(self, **parameters: str) -> str:
        """Return the path with its parameters filled in, quoted: what a client asks for."""
        return self.path.format_map({name: quote(value, safe="") for name, value in parameters.items()})
