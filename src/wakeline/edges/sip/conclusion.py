"""What the caller hears when no phone took a request: the best of what they said (RFC 3261 section 16.7 step 6)."""

from __future__ import annotations

from collections.abc import Iterable

from wakeline.edges.sip.server_transactions import ServerTransaction
from wakeline.wire.sip.message import Response
from wakeline.wire.sip.responses import answer, best

AWAY = 480


def conclude(server: ServerTransaction, results: Iterable[Response | int | None]) -> int:
    """Answer with the best of what phones said, and of statuses of ours for those that said nothing; return its status."""
    said: list[Response] = []
    ours: list[Response] = []
    for result in results:
        if isinstance(result, Response):
            said.append(result)
        elif result is not None:
            ours.append(answer(server.request, result))
    chosen = best(said + ours)
    status = AWAY if chosen is None else chosen.status
    if chosen is None or any(chosen is each for each in ours):
        server.answer(status)
    else:
        server.respond(chosen)
    return status
