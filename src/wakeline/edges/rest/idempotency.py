"""Repeated POSTs: a client that lost our answer asks again and gets the same one (24 h).

Rule: a key lives in the scope of (caller, path). Same body: same answer, marked `Idempotent-Replayed: true`. Other body:
422. Still running: 409. An answer that bore a secret is not kept: 409 with the id of what was made. What failed is
forgotten, so that the same key may try again.
Source: IETF draft-ietf-httpapi-idempotency-key-header-07.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from wakeline.edges.rest.caller import Caller
from wakeline.edges.rest.operations import Answer
from wakeline.model.errors import IdempotencyMismatch, IdempotencyRunning, InvalidRequest, SecretNotReplayed
from wakeline.ports import Committed, IdempotencyKey, Mismatch, Replayed, Reply, Running

LONGEST = 255
REPLAYED = ("idempotent-replayed", "true")


def key_of(headers: Mapping[str, str], caller: Caller, path: str, body: bytes) -> IdempotencyKey | None:
    """Return the key of a request, or None if it has none. Raises InvalidRequest for one that cannot be kept."""
    given = headers.get("idempotency-key")
    if given is None:
        return None
    if not given or len(given) > LONGEST or not given.isascii() or not given.isprintable():
        raise InvalidRequest(
            f"an Idempotency-Key is 1 to {LONGEST} printable ASCII characters", pointer="/headers/Idempotency-Key"
        )
    return IdempotencyKey(scope=f"{caller.name} {path}", key=given, fingerprint=hashlib.sha256(body).digest())


def first_answer(result: Committed | Replayed | Mismatch | Running) -> Reply | None:
    """Return the answer to repeat, or None if this is the first request. Raises what stands in the way."""
    match result:
        case Committed():
            return None
        case Replayed(reply=reply):
            return reply
        case Mismatch():
            raise mismatch()
        case Running():
            raise running()


def mismatch() -> IdempotencyMismatch:
    """Return the refusal of a key that was used with another body."""
    return IdempotencyMismatch(
        "this Idempotency-Key was used with another body",
        fix="Use a new key for a new request; repeat a request unchanged.",
    )


def running() -> IdempotencyRunning:
    """Return the refusal of a repeat that comes before the first answer."""
    return IdempotencyRunning(
        "the first request with this Idempotency-Key is still at work", fix="Ask again in a moment.", retry_after=1.0
    )


def again(reply: Reply) -> Answer:
    """Return a kept answer once more. Raises SecretNotReplayed for one that bore a secret."""
    if not reply.secret:
        return Answer(status=reply.status, body=reply.body, headers=(REPLAYED,))
    refusal = SecretNotReplayed(
        f"this request was served before and made {reply.resource}; its secret is shown once",
        fix="Use what the first answer gave; if it is lost, delete this one and make another.",
    )
    refusal.resource = reply.resource
    raise refusal
