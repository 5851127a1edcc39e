"""Many calls in few requests: fifty commands each, one request after the other.

Rule (Bitrix24: "batch"): a request takes 50 commands. References (`$result[key]`) work among commands of one request, so callers
that use them keep together what belongs together.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from itertools import islice

from wakeline.wire.bitrix24.answer import Reply
from wakeline.wire.bitrix24.commands import LONGEST, BatchReply, Call, Params, command, read_batch

Ask = Callable[[Params], Awaitable[Reply]]


async def in_requests(commands: Mapping[str, Call], ask: Ask, *, halt: bool) -> BatchReply:
    """Return what all commands answered; `ask` calls `batch`. With `halt` the first refusal ends it."""
    answered = BatchReply()
    waiting = iter(commands.items())
    while some := dict(islice(waiting, LONGEST)):
        lines = {key: command(method, params) for key, (method, params) in some.items()}
        reply = await ask({"halt": int(halt), "cmd": lines})
        answered = _joined(answered, read_batch(reply.result, lines.keys(), halt=halt))
        if halt and answered.errors:
            break
    return answered


def _joined(one: BatchReply, other: BatchReply) -> BatchReply:
    return BatchReply(
        results=one.results | other.results,
        errors=one.errors | other.errors,
        totals=one.totals | other.totals,
        nexts=one.nexts | other.nexts,
    )
