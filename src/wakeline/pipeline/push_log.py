"""The push log: one line for each attempt, written while `[logs] push` says so.

    push_on_complete acme apns target 7 token ...9f3a1c attempt 1 code 200

Rule: `code` is 200 for whatever a push service accepted, so that one search finds all of it whichever service it was (mesibo:
"push_on_complete ... code 200"); else it is the service's HTTP status, or why the gateway refused (901 to 914). Tokens are
masked here already, and message text is never written.
"""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from wakeline.model.ids import uuid_of
from wakeline.model.outcome import Outcome
from wakeline.observe.masking import masked_token
from wakeline.pipeline.flight import Flight

_log = structlog.get_logger()

_ACCEPTED = 200


def answered(flight: Flight, indexes: Iterable[int], outcome: Outcome, app: str) -> None:
    """Write what became of attempts that were answered alike; `app` is a slug."""
    load, route = flight.load, flight.way.route
    code = _ACCEPTED if outcome.accepted else outcome.status or outcome.code
    for index in indexes:
        target, token = load.packed[index] >> 16, masked_token(load.recipients[index].value)
        _log.info(
            f"push_on_complete {app} {route.provider.value} target {target} token {token} "
            f"attempt {load.job.attempt} code {code}",
            app=app,
            provider=route.provider.value,
            environment=route.environment.value,
            route=route.id,
            notification=uuid_of(load.key(index)),
            target=target,
            token_end=token,
            attempt=load.job.attempt,
            code=code,
            outcome=outcome.outcome_class.value,
            status=outcome.status,
            reason=outcome.reason,
        )
