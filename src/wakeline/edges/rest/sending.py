"""Sending: one notification, a stream of them as NDJSON, or what one would become.

Rule: 202 is answered after the commit (promise 1). NDJSON is read as it comes and committed some lines at a time; what is wrong
with a line is said beside the others, and a line is idempotent by (Idempotency-Key, line number).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Sequence

import msgspec

from wakeline.edges.rest import calls, idempotency, ndjson, previews
from wakeline.edges.rest.decode import json_value
from wakeline.edges.rest.ndjson import RejectedLine
from wakeline.edges.rest.operations import Answer, Call, Idempotent, Lines, Media, Operation
from wakeline.edges.rest.previews import PreviewView
from wakeline.edges.rest.problems import problem_of
from wakeline.edges.rest.shapes import Strict, View
from wakeline.model.errors import (
    InvalidRequest,
    NoCredential,
    Overloaded,
    PayloadTooLarge,
    RateLimited,
    RequestError,
    StorageError,
    WakelineError,
)
from wakeline.model.ids import uuid_of
from wakeline.model.key import Scope
from wakeline.model.notification import NotificationRequest
from wakeline.observe.health import Phase
from wakeline.pipeline import Submission, Taken
from wakeline.ports import IdempotencyKey, Replayed, Reply
from wakeline.ports.bitrix24_connector import CallBegan

_BREATH = 50
"""Wrong lines after which others get their turn; right ones wait for a commit anyway."""

_TOGETHER = 250
"""Lines in a commit: what goes out meanwhile waits for as many to be checked. The contract allows 1,000."""

_RESTART = 5.0
"""Seconds in which a gateway that stops is usually back."""

_KEPT = (Taken, Replayed)

_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(NotificationRequest)


class SendQuery(Strict, frozen=True, kw_only=True):
    """`validate_only=true`: say what would be sent, and send nothing."""

    validate_only: bool = False


class Failure(View, frozen=True, kw_only=True):
    """Why some deliveries ended at once, such as 901 or 914."""

    code: int
    cause: str
    fix: str


class TakenView(View, frozen=True, kw_only=True, omit_defaults=True):
    """A notification that is kept. `recipients` is exact; `estimate` is given for audiences that are walked."""

    id: str
    recipients: int | None = None
    estimate: int | None = None
    failures: tuple[Failure, ...] = ()


class TakenLine(View, frozen=True, kw_only=True):
    """A line that is kept."""

    line: int
    id: str


class LinesView(View, frozen=True, kw_only=True):
    """What became of each line; lines are numbered from 1."""

    accepted: list[TakenLine]
    rejected: list[RejectedLine]


async def send(call: Call) -> Answer:
    """Take one notification, or a stream of them."""
    check_open(call.ports.health.phase)
    dry = call.query is not None and call.query.validate_only
    if call.stream is not None:
        if dry:
            raise InvalidRequest(
                "NDJSON cannot be validated only", pointer="/query/validate_only", fix="Validate one by one."
            )
        return await _Stream(call).take(call.stream)
    if dry:
        return Answer(body=previews.view(call, await call.ports.pipeline.accept.preview(call.app, call.body)))
    submission = Submission(request=call.body, idempotency=call.idempotency, reply=reply, request_id=call.request_id)
    charge(call)
    [result] = await _taken(call, [submission])
    return answer_of(result)


def charge(call: Call) -> None:
    """Count a notification against the quota of the caller's key, if it has one. Raises RateLimited."""
    if call.caller.quota is not None:
        call.caller.quota.take()


def refund(call: Call, notifications: int) -> None:
    """Give back what was counted for notifications that were not taken."""
    if call.caller.quota is not None:
        call.caller.quota.give_back(notifications)


async def _taken(call: Call, submissions: Sequence[Submission]) -> list[Taken | Replayed | WakelineError]:
    """Take a batch whose notifications were counted; those that are not taken anew are given back. Raises StoreUnavailable."""
    taken = 0
    try:
        results = await _noted(call, submissions)
        taken = sum(isinstance(result, Taken) for result in results)
        return results
    finally:
        refund(call, len(submissions) - taken)


async def _noted(call: Call, submissions: Sequence[Submission]) -> list[Taken | Replayed | WakelineError]:
    """Take a batch; calls are noted before anybody hears yes, and what could not be noted is an error. Raises StoreUnavailable.

    They ring already: who is told that his call could not be noted says it again, and it is the same call.
    """
    results = await call.ports.pipeline.accept.accept(call.app, submissions)
    begun: dict[int, CallBegan] = {}
    for place, (one, result) in enumerate(zip(submissions, results, strict=True)):
        if one.request.call is not None and isinstance(result, _KEPT):
            rings = calls.rings(call.ports, call.app, one.request)
            begun |= {} if rings is None else {place: rings}
    if not begun or call.ports.calls is None:
        return results
    try:
        await call.ports.calls.began([*begun.values()])
    except StorageError as error:
        return [error if place in begun else result for place, result in enumerate(results)]
    return results


def check_open(phase: Phase) -> None:
    """Take nothing more while the gateway stops. Raises Overloaded."""
    if phase is Phase.DRAINING:
        raise Overloaded("the gateway is stopping", fix="Send it again.", retry_after=_RESTART)


def answer_of(result: Taken | Replayed | WakelineError) -> Answer:
    """Return the answer to what became of one notification. Raises what stood in its way."""
    match result:
        case Taken():
            kept = reply(result)
            return Answer(status=kept.status, body=kept.body)
        case Replayed():
            return idempotency.again(result.reply)
        case _:
            raise result


def reply(taken: Taken) -> Reply:
    """Return the 202 for a notification that is kept."""
    failures = {(one.code, one.reason): one for one in taken.failures}
    shown = TakenView(
        id=uuid_of(taken.key),
        recipients=taken.recipients,
        estimate=taken.estimate,
        failures=tuple(Failure(code=one.code, cause=one.cause, fix=one.fix) for one in failures.values()),
    )
    return Reply(status=202, body=_encode(shown))


class _Stream:
    """One NDJSON request."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._key = idempotency.key_of(call.headers, call.caller, call.url_path, b"")
        self._accepted: list[bytes] = []
        """What was kept, written out batch by batch: a million lines are not to be written in one step."""
        self._kept = 0
        self._rejected: list[RejectedLine] = []
        self._numbers: list[int] = []
        self._submissions: list[Submission] = []
        self._replayed = 0

    async def take(self, stream: Lines) -> Answer:
        """Read all lines; each batch is on disk before the next is read."""
        async for bundle in ndjson.bundles(stream):
            if not await self._read(bundle):
                break
        await self._commit()
        self._rejected.sort(key=lambda rejected: rejected.line)
        return Answer(status=202, body=self._view(), headers=tuple(self._headers()))

    def _view(self) -> bytes:
        """Return a `LinesView` as JSON."""
        accepted, rejected = b",".join(self._accepted), _encode(self._rejected)
        return b'{"accepted":[%b],"rejected":%b}' % (accepted, rejected)

    async def _read(self, bundle: list[ndjson.Line]) -> bool:
        """Read some lines; returns whether to read on."""
        numbers, submissions = self._numbers, self._submissions
        for number, line in bundle:
            if len(self._rejected) >= ndjson.MOST_REJECTED:
                self._reject(number, ndjson.not_read_on())
                return False
            try:
                submissions.append(self._submission(number, line))
                numbers.append(number)
            except RequestError as error:
                self._reject(number, error)
                if len(self._rejected) % _BREATH == 0:
                    await asyncio.sleep(0)
            if len(numbers) >= _TOGETHER:
                await self._commit()
        return True

    def _headers(self) -> Iterator[tuple[str, str]]:
        if self._replayed and self._replayed == self._kept:
            yield idempotency.REPLAYED
        if len(self._rejected) > ndjson.MOST_REJECTED:
            yield "connection", "close"

    def _submission(self, number: int, given: bytes | None) -> Submission:
        line = ndjson.whole(given)
        request = json_value(_decoder, line)
        charge(self._call)
        return Submission(
            request=request, idempotency=self._line_key(number, line), reply=reply, request_id=self._call.request_id
        )

    def _line_key(self, number: int, line: bytes) -> IdempotencyKey | None:
        if self._key is None:
            return None
        return IdempotencyKey(
            scope=self._key.scope, key=f"{self._key.key}/{number}", fingerprint=hashlib.sha256(line).digest()
        )

    async def _commit(self) -> None:
        """Have the lines that were read kept, and begin a new batch."""
        if not self._numbers:
            return
        try:
            results = await _taken(self._call, self._submissions)
        except StorageError as error:
            results = [error] * len(self._submissions)
        accepted: list[TakenLine] = []
        for number, result in zip(self._numbers, results, strict=True):
            if isinstance(result, Taken):
                accepted.append(TakenLine(line=number, id=uuid_of(result.key)))
            elif isinstance(result, Replayed):
                self._replayed += 1
                first = msgspec.json.decode(result.reply.body, type=TakenView)
                accepted.append(TakenLine(line=number, id=first.id))
            else:
                self._reject(number, result)
        if accepted:
            self._accepted.append(_encode(accepted)[1:-1])
            self._kept += len(accepted)
        self._numbers.clear()
        self._submissions.clear()

    def _reject(self, number: int, error: WakelineError) -> None:
        self._rejected.append(RejectedLine(line=number, problem=problem_of(error, self._call.request_id)))


SEND = Operation(
    name="notification.send",
    method="POST",
    path="/v1/apps/{app}/notifications",
    handler=send,
    summary="Send a notification, or many as NDJSON; validate_only says what would be sent",
    scopes=(Scope.SEND,),
    request=NotificationRequest,
    query=SendQuery,
    response=TakenView,
    also=(LinesView, PreviewView),
    status=(202, 200),
    idempotent=Idempotent.COMMITTED,
    problems=(NoCredential, PayloadTooLarge, Overloaded, RateLimited),
    accepts=(Media.JSON, Media.NDJSON),
)
OPERATIONS = (SEND,)
