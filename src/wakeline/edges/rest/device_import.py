"""Registering many devices in one request: what another push server knew, one device a line.

Rule: a line is what PUT takes, and `device`. It speaks of the day of its `confirmed_at`, so what the app itself said later
stands (`storage.imported`), and sending a line again changes nothing: an Idempotency-Key is taken and needs no keeping. Lines
are on disk per 1,000 before the next are read; a store that does not take them ends the request, for the same lines may be
sent again.
"""

from __future__ import annotations

import asyncio

import msgspec

from wakeline.edges.rest import ndjson
from wakeline.edges.rest.decode import json_value
from wakeline.edges.rest.devices import DeviceBody, claimed, registrable
from wakeline.edges.rest.moments import Moment, milliseconds
from wakeline.edges.rest.ndjson import RejectedLine
from wakeline.edges.rest.operations import Answer, Call, Idempotent, Media, Operation
from wakeline.edges.rest.problems import problem_of
from wakeline.edges.rest.shapes import Opaque, View
from wakeline.model.device import DeviceClaim
from wakeline.model.errors import Overloaded, RequestError
from wakeline.model.key import Scope
from wakeline.observe.health import Phase

_TOGETHER = 25
"""Devices of one transaction: about a millisecond, so that calls are not kept waiting while a list is read."""

_BREATH = 100
"""Lines after which others get their turn: reading them takes about a millisecond, too."""

_RESTART = 5.0
"""Seconds in which a gateway that stops is usually back."""


class DeviceLine(DeviceBody, frozen=True, kw_only=True):
    """A device of a list. `confirmed_at`: when its app last vouched for these tokens.

    Without it a push service's first "this token is gone" is doubt, and the second proof.
    """

    device: Opaque
    confirmed_at: Moment | None = None


class ImportedView(View, frozen=True, kw_only=True):
    """How many lines are kept, and what is wrong with the others; lines are numbered from 1."""

    accepted: int
    rejected: list[RejectedLine]


_decoder = msgspec.json.Decoder(DeviceLine)


async def take(call: Call) -> Answer:
    """Register the devices of a list."""
    accepted, rejected = 0, list[RejectedLine]()
    batch: list[DeviceClaim] = []
    async for number, line in ndjson.numbered(call.lines):
        try:
            if len(rejected) >= ndjson.MOST_REJECTED:
                raise ndjson.not_read_on()
            batch.append(_claim(call, ndjson.whole(line)))
        except RequestError as error:
            rejected.append(RejectedLine(line=number, problem=problem_of(error, call.request_id)))
            if len(rejected) > ndjson.MOST_REJECTED:
                break
        if number % _BREATH == 0:
            await asyncio.sleep(0)
        if len(batch) >= ndjson.BATCH:
            accepted += await _keep(call, batch)
            batch = []
    accepted += await _keep(call, batch)
    headers = (("connection", "close"),) if len(rejected) > ndjson.MOST_REJECTED else ()
    return Answer(body=ImportedView(accepted=accepted, rejected=rejected), headers=headers)


def _claim(call: Call, line: bytes) -> DeviceClaim:
    said: DeviceLine = json_value(_decoder, line)
    # A clock that was ahead must not outlive every 410 to come.
    confirmed = 0 if said.confirmed_at is None else min(max(milliseconds(said.confirmed_at), 0), call.now)
    return claimed(call, said, registrable(said.device), confirmed)


async def _keep(call: Call, batch: list[DeviceClaim]) -> int:
    """Write a batch, a few devices a transaction and all in order; returns how many once they are on disk."""
    if call.ports.health.phase is Phase.DRAINING:
        raise Overloaded("the gateway is stopping", fix="Send the list again.", retry_after=_RESTART)
    parts = [batch[start : start + _TOGETHER] for start in range(0, len(batch), _TOGETHER)]
    done = await asyncio.gather(*(call.ports.devices.put(part) for part in parts), return_exceptions=True)
    for one in done:
        if isinstance(one, BaseException):
            raise one
    return len(batch)


OPERATIONS = (
    Operation(
        name="device.import",
        method="POST",
        path="/v1/apps/{app}/devices",
        handler=take,
        summary="Register many devices, one a line: what another push server knew",
        scopes=(Scope.DEVICES,),
        request=DeviceLine,
        response=ImportedView,
        idempotent=Idempotent.COMMITTED,
        problems=(Overloaded,),
        accepts=(Media.NDJSON,),
    ),
)
