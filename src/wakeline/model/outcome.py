"""What an answer means. A provider accepts; only a device's own receipt acknowledges; nobody here says "delivered"."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class OutcomeClass(StrEnum):
    """What kind of thing happened; decides everything that follows (DESIGN 5.3)."""

    ACCEPTED = "accepted"
    TOKEN_DEAD = "token_dead"  # noqa: S105 - a class of answers, no password
    TOKEN_DOUBTFUL = "token_doubtful"  # noqa: S105 - a class of answers, no password
    MISMATCH = "mismatch"
    CREDENTIAL = "credential"
    PAYLOAD = "payload"
    THROTTLED = "throttled"
    TRANSIENT = "transient"
    UNKNOWN = "unknown"
    REFUSED = "refused"
    BUG = "bug"


class Action(StrEnum):
    """What the pipeline does with the delivery, the target and the route."""

    DONE = "done"
    """Accepted: nothing more to do."""
    RETIRE = "retire"
    """The token is dead by proof; the delivery fails. A 410's `since` is compared with the last confirmation first."""
    QUARANTINE = "quarantine"
    """The token is in doubt; the delivery fails, the token waits for proof."""
    OTHER_ENVIRONMENT = "other_environment"
    """APNs cannot tell a dead token from one of the other environment: try that once, then quarantine."""
    FAIL = "fail"
    """This delivery fails, nothing else changes."""
    RETRY = "retry"
    """Try again after a wait."""
    REPLAY = "replay"
    """The provider did not process it: send again at once."""
    RENEW = "renew"
    """Make a new provider token, try once more, then treat as HOLD."""
    RECONNECT = "reconnect"
    """Open a new connection for this credential, try once more, then treat as HOLD."""
    HOLD = "hold"
    """The route's credential is broken: hold the route, burn nothing."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True, rename={"outcome_class": "class"}, omit_defaults=True):
    """One answer, classified.

    `code` is 0 or one of 901-905, 911-914 (mesibo's numbers). `status` and `reason` are the provider's own words
    (status 0: it said nothing). `retry_after` in seconds; `since`, Unix milliseconds, is a 410's timestamp. `body`: what a
    refusal said, as received, at most 2,000 characters.
    """

    outcome_class: OutcomeClass
    action: Action
    code: int
    status: int = 0
    reason: str = ""
    cause: str = ""
    fix: str = ""
    retry_after: float | None = None
    since: int | None = None
    provider_id: str = ""
    body: str = ""

    @property
    def accepted(self) -> bool:
        """Tell whether the provider took it."""
        return self.outcome_class is OutcomeClass.ACCEPTED
