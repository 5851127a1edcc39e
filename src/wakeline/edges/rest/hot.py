"""The hot route, `POST /v1/apps/{app}/notifications` with one notification as JSON, for a server that calls it without ASGI.

Rule 1: what is in order is served here by the same steps as in `asgi.py`; whatever is not, or merely unusual (a query, lines,
a wrong key or one with a quota, a field that does not exist, a call that has to be noted), is left to the application, so that
every refusal is made in one place.
Rule 2: nothing has happened before `submit` says yes, so what is left can be served from its beginning.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

import msgspec

from wakeline.edges.rest import calls, head, idempotency, problems, sending
from wakeline.edges.rest.auth import Gate
from wakeline.edges.rest.caller import Caller
from wakeline.edges.rest.decode import json_value
from wakeline.edges.rest.head import Headers
from wakeline.edges.rest.operations import Answer, Media, Operation
from wakeline.edges.rest.ports import RestPorts
from wakeline.edges.rest.reading import BODY_LIMIT
from wakeline.model.app import App
from wakeline.model.errors import WakelineError
from wakeline.pipeline import Submission, Taken
from wakeline.ports import Replayed

_UNUSUAL = frozenset({"expect", "transfer-encoding", "upgrade"})
_LONGEST_PATH = 256
_REMEMBERED = 1024
"""Paths, of this route and of others: a backend posts to one for ever."""
_NOBODY_YET: dict[str, object] = {}


class _Path(msgspec.Struct, frozen=True):
    """A path of this route, with its parameters."""

    text: str
    named: Mapping[str, str]


class Head(msgspec.Struct, frozen=True, gc=False):
    """The head of a request that is in order: who asks, for which app."""

    app: App
    caller: Caller
    url_path: str
    headers: Headers
    request_id: str


class HotRoute:
    """Serves the one operation. `method` is what it is asked by."""

    def __init__(self, ports: RestPorts, gate: Gate, operation: Operation) -> None:
        """Share the gate with the application: it notes when keys were used."""
        self.method = operation.method.encode()
        self._ports = ports
        self._gate = gate
        self._operation = operation
        self._decoder = msgspec.json.Decoder(operation.request)
        # Unreserved characters alone (RFC 3986 section 2.3): what is quoted, or bears a query, is left.
        self._form = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[A-Za-z0-9._~-]+)", operation.path))
        self._path = lru_cache(maxsize=_REMEMBERED)(self._look_at)

    def head(self, url: bytes, given: Iterable[tuple[bytes, bytes]]) -> Head | None:
        """Return what the head says (names of headers in small letters), or None for what is left to the application."""
        path = self._path(url) if len(url) <= _LONGEST_PATH else None
        if path is None:
            return None
        headers = head.headers_of(given)
        try:
            if not self._is_usual(headers):
                return None
            caller = self._gate.admit(self._operation, _NOBODY_YET, headers, self._ports.clock.now())
            return Head(self._gate.app(caller, path.named), caller, path.text, headers, head.request_id(headers))
        except WakelineError:
            return None

    def _look_at(self, url: bytes) -> _Path | None:
        text = url.decode("latin-1")
        found = self._form.fullmatch(text)
        return None if found is None else _Path(text, found.groupdict())

    def _is_usual(self, headers: Headers) -> bool:
        length = headers.get("content-length", "")
        return (
            _UNUSUAL.isdisjoint(headers)
            and length.isascii()
            and length.isdigit()
            and int(length) <= BODY_LIMIT
            and head.media(self._operation, headers) == Media.JSON
        )

    def submit(self, asked: Head, body: bytes, tell: Callable[[Answer], None]) -> bool:
        """Take a whole request; `tell` is called with its answer in a later turn of the loop. False: it is left."""
        try:
            sending.check_open(self._ports.health.phase)
            request = json_value(self._decoder, body)
            key = idempotency.key_of(asked.headers, asked.caller, asked.url_path, body)
        except WakelineError:
            return False
        if asked.caller.quota is not None:
            return False
        if request.call is not None and calls.rings(self._ports, asked.app, request) is not None:
            return False
        submission = Submission(request=request, idempotency=key, reply=sending.reply, request_id=asked.request_id)
        self._ports.pipeline.accept.submit(asked.app, submission, _Waiting(asked.request_id, tell))
        return True


class _Waiting:
    """One who waits for a 202."""

    __slots__ = ("_request_id", "_tell")

    def __init__(self, request_id: str, tell: Callable[[Answer], None]) -> None:
        self._request_id = request_id
        self._tell = tell

    def answered(self, result: Taken | Replayed | WakelineError) -> None:
        """Answer with what became of it."""
        try:
            answer = sending.answer_of(result)
        except WakelineError as error:
            answer = problems.answer(error, self._request_id)
        self._tell(answer)

    def failed(self, error: BaseException) -> None:
        """Answer that nothing became of it; who is cancelled goes down with the process, and its connection too."""
        if isinstance(error, WakelineError):
            self._tell(problems.answer(error, self._request_id))
        elif isinstance(error, Exception):
            self._tell(problems.unexpected(error, self._request_id))
