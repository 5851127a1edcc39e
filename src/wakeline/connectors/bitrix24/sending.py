"""From requests that rules made to accepted notifications: all of one go in one commit, each at most once."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import structlog

from wakeline.model.bitrix24.inbox import ReceivedEvent
from wakeline.model.bitrix24.installation import Installation
from wakeline.model.errors import IdempotencyRunning, Overloaded, StoreUnavailable, WakelineError
from wakeline.model.ids import uuid_of
from wakeline.model.notification import NotificationRequest
from wakeline.pipeline import Accept, Submission, Taken
from wakeline.ports import Apps, Clock, IdempotencyKey, Replayed, Reply

_SCOPE = "bitrix24 rules"
_RETRY = 5.0

_log = structlog.get_logger()


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A request that a rule (row id, name) made."""

    rule: int
    name: str
    request: NotificationRequest


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of an event: requests `sent` and their `notifications`, `causes` why rules sent nothing, `failures` of rules.

    `due`: something cannot be taken now, and the event is to be tried again then; what was taken is not taken twice.
    """

    event: ReceivedEvent
    sent: tuple[Sent, ...] = ()
    causes: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    notifications: tuple[str, ...] = ()
    due: int = 0


class Sending:
    """Hands requests over to the pipeline."""

    def __init__(self, accept: Accept, apps: Apps, clock: Clock) -> None:
        self._accept = accept
        self._apps = apps
        self._clock = clock

    async def send(self, installation: Installation, verdicts: Sequence[Verdict]) -> list[Verdict]:
        """Return verdicts with what became of their requests. Raises StoreUnavailable, and nothing of it was taken."""
        wanted = [(place, sent) for place, verdict in enumerate(verdicts) for sent in verdict.sent]
        found = list(verdicts)
        if not wanted:
            return found
        app = self._apps.by_id(installation.app)
        if app is None:
            gone = "the app that this portal sends through is gone"
            return [_failed(verdict, gone) if verdict.sent else verdict for verdict in found]
        answers = await self._accept.accept(
            app, [_submission(installation.id, verdicts[place].event, sent) for place, sent in wanted]
        )
        for (place, sent), answer in zip(wanted, answers, strict=True):
            found[place] = self._with(found[place], sent, answer)
        return found

    def _with(self, verdict: Verdict, sent: Sent, answer: Taken | Replayed | WakelineError) -> Verdict:
        match answer:
            case Taken():
                return _taken(verdict, uuid_of(answer.key))
            case Replayed():
                return _taken(verdict, answer.reply.body.decode())
            case Overloaded() | IdempotencyRunning() | StoreUnavailable():
                due = self._clock.now() + round(1000 * (answer.retry_after or _RETRY))
                return msgspec.structs.replace(_failed(verdict, answer.detail), due=max(verdict.due, due))
            case _:
                _log.warning("bitrix24.rule_refused", event_id=verdict.event.id, rule=sent.rule, code=answer.code)
                return _failed(verdict, f"{sent.name}: {answer.detail}")


def _taken(verdict: Verdict, notification: str) -> Verdict:
    return msgspec.structs.replace(verdict, notifications=(*verdict.notifications, notification))


def _failed(verdict: Verdict, why: str) -> Verdict:
    return msgspec.structs.replace(verdict, failures=(*verdict.failures, why))


def _submission(installation: int, event: ReceivedEvent, sent: Sent) -> Submission:
    # The identity beside the row's id: ids of rows that were pruned may be given again.
    key = f"{installation}/{event.id}/{event.identity.hex()}/{sent.rule}"
    return Submission(
        request=sent.request,
        # No fingerprint: when it is tried again, the record may have changed meanwhile.
        idempotency=IdempotencyKey(scope=_SCOPE, key=key, fingerprint=b""),
        reply=_reply,
        keeps_unserved=True,
    )


def _reply(taken: Taken) -> Reply:
    return Reply(status=202, body=uuid_of(taken.key).encode())
