"""What a code (905), an HTTP status (410) or a push service's word (BadDeviceToken) means, from the one table of outcomes.

Theory: one word can mean several things. What decides between them is who says it, with which status, and what else the answer
says; so all of that may stand in the question: `911`, `410`, `BadDeviceToken`, `429 TooManyRequests`, `fcm 404`,
`oauth 400 invalid_grant`. An answer to less than that says what decides.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from wakeline.doctor.explanation import Explanation, Step
from wakeline.model.outcome import Action, OutcomeClass
from wakeline.wire.outcomes import TABLE, Entry, Source

CODES = {
    901: "the push service is not configured for the app",
    902: "the push service cannot be used for now",
    903: "the push certificate has expired",
    904: "the credential is not accepted",
    905: "a credential for the other environment is required, as a rule a production certificate",
    911: "bad push token",
    912: "credential and token belong to different apps",
    913: "bad payload",
    914: "rate limit reached",
}
"""Every code with what it says in a few words."""

_WHO = {
    Source.OURS: "the gateway",
    Source.APNS: "Apple",
    Source.FCM: "FCM",
    Source.WEBPUSH: "a Web Push service",
    Source.HTTP: "an external push URI",
    Source.OAUTH: "Google's token endpoint",
    Source.NETWORK: "the network",
}
_KINDS = {
    OutcomeClass.ACCEPTED: "accepted",
    OutcomeClass.TOKEN_DEAD: "the token is dead",
    OutcomeClass.TOKEN_DOUBTFUL: "the token is in doubt",
    OutcomeClass.MISMATCH: "token and credential do not fit each other",
    OutcomeClass.CREDENTIAL: "the credential is at fault",
    OutcomeClass.PAYLOAD: "the push itself is at fault",
    OutcomeClass.THROTTLED: "a rate limit",
    OutcomeClass.TRANSIENT: "trouble that passes",
    OutcomeClass.UNKNOWN: "nobody knows whether it arrived",
    OutcomeClass.REFUSED: "refused by the gateway",
    OutcomeClass.BUG: "a defect",
}
_DONE = {
    Action.DONE: "nothing more is to be done",
    Action.RETIRE: "the push fails, and the token is retired",
    Action.QUARANTINE: "the push fails, and the token is quarantined",
    Action.OTHER_ENVIRONMENT: "the other environment is tried once, then the token is quarantined",
    Action.FAIL: "the push fails",
    Action.RETRY: "the push is tried again later",
    Action.REPLAY: "the push is sent again at once",
    Action.RENEW: "it is tried once more with a new provider token, then pushes wait",
    Action.RECONNECT: "it is tried once more over a new connection, then pushes wait",
    Action.HOLD: "pushes wait, and calls fail",
}
_SERVERS = (Source.APNS, Source.FCM, Source.WEBPUSH, Source.HTTP, Source.OAUTH)
_NUMBER = re.compile(r"[1-9][0-9]{2}").fullmatch
_LOWEST, _HIGHEST, _SERVER_ERRORS = 200, 599, 500


class _Asked(NamedTuple):
    """A question in its parts; `number` is a code or a status (0: none was given)."""

    source: Source | None
    number: int
    reason: str


def of_reason(asked: str) -> Explanation | None:
    """Explain a code, a status or a reason, with who said it or without; None: it is in no table."""
    question = _read(asked)
    found = _meanings(question)
    if not found:
        return None
    first = found[0]
    several = f" (the first of {len(found)} meanings)" if len(found) > 1 else ""
    return Explanation(
        about=_about(asked, question),
        verdict=f"{_KINDS[first.outcome_class]}: {_DONE[first.action]}{several}",
        cause=" ".join((first.cause, *_deciding(question, found))),
        fix=first.fix,
        steps=tuple(map(_step, found)),
    )


def _read(asked: str) -> _Asked:
    words = asked.split()
    source = next((one for one in Source if words and one.value == words[0].lower()), None)
    rest = words[1:] if source is not None else words
    number = int(rest[0]) if rest and _NUMBER(rest[0]) else 0
    return _Asked(source, number, " ".join(rest[1:] if number else rest).lower())


def _meanings(asked: _Asked) -> list[Entry]:
    of_source = [entry for entry in TABLE if asked.source in (None, entry.source)]
    if asked.reason:
        named = [entry for entry in of_source if asked.reason in (entry.reason.lower(), _head(entry))]
        return [entry for entry in named if entry.status == asked.number] or named
    if asked.number in CODES:
        return [entry for entry in of_source if entry.code == asked.number]
    return _of_status(of_source, asked.number) if _LOWEST <= asked.number <= _HIGHEST else []


def _of_status(entries: Sequence[Entry], status: int) -> list[Entry]:
    """Return what a status means: the lines that name it, and what its hundred means to those who have no line for it."""
    exact = [entry for entry in entries if entry.status == status]
    named = {entry.source for entry in exact} if status >= _SERVER_ERRORS or not exact else set(_SERVERS)
    general = [
        entry
        for entry in entries
        if entry.source not in named and not entry.reason and entry.status == status // 100 * 100
    ]
    return exact + general


def _head(entry: Entry) -> str:
    """Return the provider's word of a reason that we told apart: INVALID_ARGUMENT of "INVALID_ARGUMENT: token"."""
    return entry.reason.lower().partition(":")[0]


def _about(asked: str, question: _Asked) -> str:
    if question.number in CODES and not question.reason:
        return f"code {question.number}: {CODES[question.number]}"
    return f"reason {' '.join(asked.split())}"


def _deciding(asked: _Asked, found: Sequence[Entry]) -> list[str]:
    """Say what tells the meanings apart, if there are several."""
    if len(found) == 1:
        return []
    who = list(dict.fromkeys(_WHO[entry.source] for entry in found))
    statuses = list(dict.fromkeys(str(entry.status) for entry in found if entry.status))
    parts = [f"who says it ({', '.join(who)})"] if len(who) > 1 else []
    parts += [f"the status ({', '.join(statuses)})"] if len(statuses) > 1 else []
    if not asked.reason:
        parts.append("the reason in the answer")
    decides = " and ".join(parts) or f"what else the answer says ({', '.join(entry.reason for entry in found)})"
    where = "`wakeline explain` with the id of a notification shows what was answered."
    return [f"This is the first of {len(found)} meanings. What decides between them is {decides}; {where}"]


def _step(entry: Entry) -> Step:
    said = " ".join(part for part in (str(entry.status or ""), entry.reason or ("" if entry.status else "?")) if part)
    code = f", code {entry.code}" if entry.code else ""
    detail = f"{entry.outcome_class.value}: {entry.action.value}{code}. {entry.cause} {entry.fix}"
    return Step(at=None, what=f"{_WHO[entry.source]}: {said}", detail=detail)
