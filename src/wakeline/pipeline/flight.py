"""A shipment on its way, and one answer to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from wakeline.model.credential import Credential
from wakeline.model.delivery import Attempt
from wakeline.model.device import proves
from wakeline.model.outcome import Outcome, OutcomeClass
from wakeline.model.route import Lane
from wakeline.pipeline.exchange import Sent
from wakeline.pipeline.load import HOP, Load
from wakeline.pipeline.trial import Trial
from wakeline.pipeline.way import Way


class Flight(NamedTuple):
    """What a shipment was: the indexes of its recipients in the load, and the credential it went out with.

    `trial`: it is a canary of this trial.
    """

    way: Way
    load: Load
    indexes: Sequence[int]
    credential: Credential | None
    trial: Trial | None = None


class Answer(NamedTuple):
    """One answer that is not plain acceptance; `made` is the attempt as the ledger shows it, `sent` what to record of it."""

    flight: Flight
    number: int
    outcome: Outcome
    made: Attempt
    now: int
    sent: Sent | None = None

    @property
    def target(self) -> int:
        """Return the row id of the target."""
        return self.flight.load.packed[self.number] >> 16

    @property
    def calls(self) -> bool:
        """Tell whether it is about a call, which cannot wait."""
        return self.flight.load.job.lane is Lane.CALL

    @property
    def hops(self) -> bool:
        """Tell whether the other environment was being tried."""
        return self.flight.load.job.code == HOP


def chosen(indexes: Sequence[int], places: Sequence[int]) -> Sequence[int]:
    """Return the indexes at these places; of a range, a range if they follow each other."""
    if isinstance(indexes, range) and isinstance(places, range):
        return indexes[places.start : places.stop]
    return [indexes[place] for place in places]


def doubtful(outcome: Outcome) -> bool:
    """Tell whether an answer speaks against a token, but may as well come from a wrong setting."""
    match outcome.outcome_class:
        case OutcomeClass.TOKEN_DOUBTFUL | OutcomeClass.MISMATCH:
            return True
        case OutcomeClass.TOKEN_DEAD:
            return not proves(outcome.status, outcome.reason)
        case _:
            return False


def attempt_of(load: Load, outcome: Outcome, now: int, taken: float) -> Attempt:
    """Return an attempt as the ledger shows it; `taken` in seconds, `now` in Unix ms."""
    duration = round(taken * 1000)
    return Attempt(
        number=load.job.attempt,
        at=now - duration,
        duration=duration,
        status=outcome.status,
        reason=outcome.reason,
        outcome_class=outcome.outcome_class.value,
        code=outcome.code,
    )
