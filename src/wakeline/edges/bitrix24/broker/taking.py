"""Entries of one licence key into the queue, in one commit, and what became of each token.

Rule: a token that is known to be gone is answered at once with 911, for the portal is to forget it; what the gateway refuses
or cannot read is answered beside what it takes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import structlog

from wakeline.edges.bitrix24.broker.ports import BrokerPorts
from wakeline.edges.bitrix24.broker.pushes import KINDS, request_of
from wakeline.edges.bitrix24.broker.results import Result
from wakeline.model.app import App
from wakeline.model.bitrix24.broker import PortalKey
from wakeline.model.credential import Credential
from wakeline.model.device import TargetState
from wakeline.model.errors import InvalidRequest, NoCredential, Overloaded, PayloadTooLarge, StorageError, WakelineError
from wakeline.model.ids import uuid_of
from wakeline.model.notification import NotificationRequest
from wakeline.model.outcome import Outcome
from wakeline.model.route import ProviderKind
from wakeline.pipeline import Submission, Taken
from wakeline.ports import Replayed, Reply
from wakeline.wire.apns import bundle_of
from wakeline.wire.bitrix_broker import Entry, Service, Unreadable
from wakeline.wire.outcomes import Refusal, ours

DEVELOPMENT = "_bxdev"
"""How the APP_ID of a development build ends."""

_log = structlog.get_logger()


class _Push(msgspec.Struct, frozen=True):
    """One token of an entry; `place` is that of its result."""

    place: int
    entry: Entry
    token: str
    request: NotificationRequest


async def take(
    ports: BrokerPorts, app: App, key: PortalKey, entries: Iterable[Entry | Unreadable], request_id: str
) -> list[Result]:
    """Take what can be taken; a result for each token, and one for each entry that names none."""
    now = ports.clock.now()
    topics = Topics(ports.credentials.of_app(app.id), key.topic)
    results: list[Result] = []
    pushes: list[_Push] = []
    for entry in entries:
        for token in entry.tokens or ("",) if isinstance(entry, Entry) else ("",):
            made = _made(entry, token, topics, now)
            if isinstance(made, NotificationRequest) and isinstance(entry, Entry):
                gone = await _gone(ports, app, entry, token)
                if gone is None:
                    pushes.append(_Push(len(results), entry, token, made))
                made = gone or made
            results.append(_result(entry, token, made if isinstance(made, Outcome) else None))
    for push, answer in zip(pushes, await _accepted(ports, app, pushes, request_id), strict=True):
        results[push.place] = _answered(results[push.place], answer)
    return results


def _made(entry: Entry | Unreadable, token: str, topics: Topics, now: int) -> NotificationRequest | Outcome:
    if isinstance(entry, Unreadable):
        return ours(Refusal.PAYLOAD, detail=f"It cannot be read: {entry.cause}.")
    return request_of(entry, token, topics.of(entry), now)


async def _gone(ports: BrokerPorts, app: App, entry: Entry, token: str) -> Outcome | None:
    """Return what is known against a token."""
    kind = KINDS[entry.service]
    value = token if entry.service is Service.FCM else token.lower()
    device = await ports.devices.by_target(app.id, kind, value)
    targets = device.targets if device is not None else ()
    match next((one.state for one in targets if (one.kind, one.value) == (kind, value)), None):
        case TargetState.RETIRED:
            return ours(Refusal.TOKEN_RETIRED)
        case TargetState.QUARANTINED:
            return ours(Refusal.TOKEN_QUARANTINED)
        case _:
            return None


async def _accepted(
    ports: BrokerPorts, app: App, pushes: Sequence[_Push], request_id: str
) -> list[Taken | Replayed | WakelineError]:
    submissions = [
        Submission(request=push.request, idempotency=None, reply=_unasked, request_id=request_id) for push in pushes
    ]
    if not submissions:
        return []
    try:
        return await ports.pipeline.accept.accept(app, submissions)
    except StorageError as error:
        _log.warning("bitrix24.broker.not_kept", request_id=request_id, code=error.code, detail=error.detail)
        return [error] * len(submissions)


def _unasked(_taken: Taken) -> Reply:
    """Nothing is kept for repeats: a portal does not say when it repeats itself."""
    return Reply(status=200, body=b"")


def _result(entry: Entry | Unreadable, token: str, outcome: Outcome | None) -> Result:
    result = Result(number=entry.number, mode=entry.mode, token=token)
    return result if outcome is None else _refused(result, outcome)


def _refused(result: Result, outcome: Outcome) -> Result:
    return msgspec.structs.replace(result, outcome=outcome, cause=outcome.cause, fix=outcome.fix)


def _answered(result: Result, answer: Taken | Replayed | WakelineError) -> Result:
    match answer:
        case Taken(failures=(first, *_)):
            return _refused(result, first)
        case Taken():
            return msgspec.structs.replace(result, notification=uuid_of(answer.key))
        case Overloaded() | StorageError():
            return msgspec.structs.replace(result, full=True, cause=answer.detail, fix=answer.fix)
        case WakelineError():
            refused = _refused(result, ours(_refusal(answer)))
            return msgspec.structs.replace(refused, cause=answer.detail, fix=answer.fix or refused.fix)
        case Replayed():
            return result


def _refusal(error: WakelineError) -> Refusal:
    match error:
        case NoCredential():
            return Refusal.NO_CREDENTIAL
        case PayloadTooLarge():
            return Refusal.PAYLOAD_TOO_LARGE
        case InvalidRequest() if error.pointer.startswith("/to"):
            return Refusal.BAD_TOKEN
        case _:
            return Refusal.PAYLOAD


class Topics:
    """Which bundle id an entry for Apple is meant for."""

    def __init__(self, credentials: Sequence[Credential], own: str) -> None:
        """`own` is the one that the licence key is bound with."""
        apple = [one for one in credentials if one.provider is ProviderKind.APNS]
        self._known = {bundle_of(topic) for one in apple for topic in one.topics}
        self._any = any(not one.topics for one in apple)
        self._own = own

    def of(self, entry: Entry) -> str:
        """Return the bundle id; empty leaves it to the credential, which has one in nearly every case.

        The portal's APP_ID counts if it is a bundle id that a credential covers; that of Bitrix24's own app is "Bitrix24".
        """
        named = entry.application.removesuffix(DEVELOPMENT)
        if named in self._known:
            return named
        return self._own or (named if self._any and "." in named else "")
