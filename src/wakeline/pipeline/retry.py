"""When to try again. Pure: an outcome, a clock reading and a random number in; a decision out.

Sources: Apple ("Handling notification responses from APNs": retry 5xx with back-off, delay a TooManyRequests token),
Firebase ("FCM error codes", "Best practices when sending at scale": first wait 10 s, Retry-After is a floor, jitter),
DESIGN 5.3 for calls: 0.5, 1, 2, 4 s inside the ring time.
"""

from __future__ import annotations

import msgspec

from wakeline.model.notification import OnUnknown
from wakeline.model.outcome import Action, Outcome, OutcomeClass
from wakeline.model.route import Lane, ProviderKind
from wakeline.wire.outcomes import Refusal, ours

CALL_WAITS = (0.5, 1.0, 2.0, 4.0)
"""Seconds before the second, third ... attempt of a call; the last one repeats."""

FIRST_WAIT = {ProviderKind.FCM: 10.0, ProviderKind.APNS: 60.0, ProviderKind.WEBPUSH: 10.0, ProviderKind.HTTP: 10.0}
"""Seconds before the second attempt of anything else."""

UNREACHED_WAIT = 1.0
"""Seconds before the second attempt of a push that never left us: no provider has asked for patience."""

LONGEST_UNREACHED_WAIT = 60.0
"""Seconds; when a provider is away for long it is the route's breaker that asks rarely, and its pushes are due when it answers."""

LONGEST_WAIT = 900.0
"""Seconds; the tier that Apple asks for."""

REPLAYS = 5
"""Attempts after which "not processed, send again" is treated as a failure: a provider may say so for ever."""

PATIENCE_WITH_GOOGLE = 10
"""Attempts that FCM may answer with an error of its own before a push is given up: their waits add up to the 60 minutes after
which Google wants no more of it. While the whole service is silent nothing is given up: then the route waits, not the push."""

_JITTER = 0.25
_THEIR_FAULT = 500


class RetryAt(msgspec.Struct, frozen=True):
    """Try again at this time, Unix ms."""

    at: int


class GiveUp(msgspec.Struct, frozen=True):
    """No further attempt makes sense; `past_ttl`: the next one would come too late."""

    past_ttl: bool = False


def decide(
    outcome: Outcome,
    *,
    provider: ProviderKind,
    lane: Lane,
    attempt: int,
    now: int,
    expires: int,
    on_unknown: OnUnknown,
    entropy: float,
    silent: bool = False,
) -> RetryAt | GiveUp:
    """Say what follows after attempt number `attempt` ended at `now` with this outcome; `entropy` is in [0, 1).

    A replay is a retry without a wait. What is not worth repeating (a bad payload, a dead token) is given up. `silent`: the
    provider answers nobody.
    """
    if outcome.action is Action.REPLAY and attempt < REPLAYS:
        return RetryAt(now) if now < expires else GiveUp(past_ttl=True)
    if outcome.action not in (Action.RETRY, Action.REPLAY):
        return GiveUp()
    if outcome.outcome_class is OutcomeClass.UNKNOWN and on_unknown is OnUnknown.STOP:
        return GiveUp()
    if provider is ProviderKind.FCM and _has_had_its_hour(outcome, lane, attempt) and not silent:
        return GiveUp()
    at = now + round(1000 * wait(outcome, provider=provider, lane=lane, attempt=attempt, entropy=entropy))
    return RetryAt(at) if at < expires else GiveUp(past_ttl=True)


def _has_had_its_hour(outcome: Outcome, lane: Lane, attempt: int) -> bool:
    return lane is not Lane.CALL and outcome.status >= _THEIR_FAULT and attempt >= PATIENCE_WITH_GOOGLE


def wait(outcome: Outcome, *, provider: ProviderKind, lane: Lane, attempt: int, entropy: float) -> float:
    """Return the seconds to wait after attempt number `attempt`; what the provider asks for is the floor, never the ceiling."""
    if lane is Lane.CALL:
        usual = CALL_WAITS[min(attempt, len(CALL_WAITS)) - 1]
    elif outcome.outcome_class is OutcomeClass.TRANSIENT and not outcome.status:  # no connection: nobody has seen it
        usual = min(UNREACHED_WAIT * 2.0 ** min(attempt - 1, 16), LONGEST_UNREACHED_WAIT)
    else:
        usual = min(FIRST_WAIT[provider] * 2.0 ** min(attempt - 1, 16), LONGEST_WAIT)
    jitter = 0.0 if lane is Lane.CALL else usual * _JITTER * entropy
    return max(usual, outcome.retry_after or 0.0) + jitter


def last_word(outcome: Outcome, plan: GiveUp) -> Outcome:
    """Return the outcome of a delivery that is not tried again: what was answered, why that is the end, what to do about it."""
    if outcome.outcome_class is OutcomeClass.UNKNOWN and not plan.past_ttl:
        return msgspec.structs.replace(ours(Refusal.UNANSWERED), reason=outcome.reason)
    if outcome.action not in (Action.RETRY, Action.REPLAY):
        return outcome
    cause = f"{outcome.cause} The ttl ends before another attempt." if plan.past_ttl else outcome.cause
    return msgspec.structs.replace(outcome, cause=cause, fix=_fix(outcome))


def _fix(outcome: Outcome) -> str:
    """Say what would have helped a push that nobody sends again."""
    match outcome.outcome_class:
        case OutcomeClass.THROTTLED:
            return "Send less often, collapse with `collapse_id`, or give a longer `ttl` if late is better than never."
        case OutcomeClass.TRANSIENT | OutcomeClass.UNKNOWN:
            return ours(Refusal.RETRIES_EXHAUSTED).fix
        case _:
            return outcome.fix
