"""What was received: the newest requests as they came, compact rows for many more, exact counts for all.

Requests are kept as the JSON text that `GET /requests` answers, which is compact and costs nothing to give out.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from itertools import islice

import msgspec

from wakeline.simulator.exchange import Answer, Effect, Request
from wakeline.simulator.script import canonical

REQUESTS_KEPT = 200_000
ROWS_KEPT = 1_000_000
# What is not a push is counted, and shown only when asked for by name.
_UNLISTED = ("oauth",)


class Entry(msgspec.Struct, frozen=True):
    """One request received and what was made of it."""

    at: float
    """Milliseconds since 1970."""
    provider: str
    target: str
    method: str
    path: str
    headers: dict[str, str]
    body: msgspec.Raw
    """The JSON document that was sent; other bodies as a JSON string. Web Push: decrypted, where that can be."""
    connection: int
    http: str
    status: int | None
    """What was answered; null if nothing was."""
    reason: str


class _Kept(msgspec.Struct, frozen=True, gc=False):
    provider: str
    target: str
    text: bytes


class _Row(msgspec.Struct, frozen=True, gc=False):
    identity: str
    collapse: str
    target: str
    status: int | None


class Journal:
    """The log of all services of one simulator."""

    def __init__(self, *, requests_kept: int = REQUESTS_KEPT, rows_kept: int = ROWS_KEPT) -> None:
        self._kept: deque[_Kept] = deque(maxlen=requests_kept)
        self._unlisted: deque[_Kept] = deque(maxlen=1000)
        self._rows: deque[_Row] = deque(maxlen=rows_kept)
        self._sequence = 0
        self._requests: Counter[str] = Counter()
        self._answers: Counter[tuple[str, str]] = Counter()
        self._connections: Counter[str] = Counter()
        self._encoder = msgspec.json.Encoder()

    def connection(self, provider: str) -> int:
        """Counts a new connection of `provider`; its number."""
        self._connections[provider] += 1
        return self._connections[provider]

    def record(self, at: float, connection: int, request: Request, answer: Answer) -> None:
        """Writes down one request, received at `at` seconds since 1970, and its answer."""
        status = answer.status if answer.effect is Effect.ANSWER else None
        entry = Entry(
            at=round(at * 1000, 3),
            provider=answer.provider,
            target=answer.target,
            method=request.method,
            path=request.path,
            headers=request.headers,
            body=_as_json(request.body if answer.plaintext is None else answer.plaintext),
            connection=connection,
            http=request.http,
            status=status,
            reason=answer.reason,
        )
        kept = _Kept(answer.provider, canonical(answer.target), self._encoder.encode(entry))
        self._requests[answer.provider] += 1
        self._answers[answer.provider, _verdict(answer)] += 1
        if answer.provider in _UNLISTED:
            self._unlisted.append(kept)
            return
        self._kept.append(kept)
        self._sequence += 1
        self._rows.append(_Row(answer.identity, answer.collapse, answer.target, status))

    def requests(self, *, target: str = "", provider: str = "", limit: int | None = None) -> bytes:
        """The newest `limit` matching requests, oldest first, as a JSON list."""
        wanted = canonical(target)
        found: Iterable[_Kept] = reversed(self._unlisted if provider in _UNLISTED else self._kept)
        if target or provider:
            found = (
                kept
                for kept in found
                if (not target or kept.target == wanted) and (not provider or kept.provider == provider)
            )
        texts = [kept.text for kept in islice(found, limit)]
        texts.reverse()
        return b"[" + b",".join(texts) + b"]"

    def rows(self, *, since: int = 0, status: int | None = None) -> tuple[int, list[tuple[str, str, str]]]:
        """The number of the newest request, and (apns-id, collapse id, target) of those after number `since`."""
        first = self._sequence - len(self._rows)
        newer = islice(self._rows, max(0, since - first), None)
        return self._sequence, [
            (row.identity, row.collapse, row.target) for row in newer if status is None or row.status == status
        ]

    def counts(self, providers: Iterable[str]) -> dict[str, object]:
        """Exact numbers since the start or the last reset."""
        summary: dict[str, object] = {"total": self._sequence}
        for provider in providers:
            answers = {name: n for (whose, name), n in sorted(self._answers.items()) if whose == provider}
            summary[provider] = {
                "requests": self._requests[provider],
                "connections": self._connections[provider],
                "answers": answers,
            }
        return summary

    def clear(self) -> None:
        """Forgets everything but the numbers of connections, which stay unique."""
        self._kept.clear()
        self._unlisted.clear()
        self._rows.clear()
        self._sequence = 0
        self._requests.clear()
        self._answers.clear()


def _verdict(answer: Answer) -> str:
    if answer.effect is not Effect.ANSWER:
        return answer.effect.name.lower()
    return f"{answer.status} {answer.reason}" if answer.reason else str(answer.status)


def _as_json(body: bytes) -> msgspec.Raw:
    """`body` itself if it is JSON, else as a JSON string."""
    if not body:
        return msgspec.Raw(b"null")
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return msgspec.Raw(msgspec.json.encode(body.decode("utf-8", "replace")))
    return msgspec.Raw(body)
