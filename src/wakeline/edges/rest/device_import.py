"""Registering many devices in one request: what another push server knew, one device a line.

Rule: a line is what PUT takes, and `device`. It speaks of the day of its `confirmed_at`, so what the app itself said later
stands (`storage.imported`), and sending a line again changes nothing: an Idempotency-Key is taken and needs no keeping. While
some batches of 1,000 lines are written the next one is read: a slow disk takes them all with one commit. A store that does not
take them ends the request, for the same lines may be sent again.
"""

from __future__ import annotations

import asyncio
from collections import deque

import msgspec

from wakeline.edges.rest import ndjson
from wakeline.edges.rest.decode import json_value
from wakeline.edges.rest.devices import DeviceBody, claimed, registrable
from wakeline.edges.rest.moments import Moment, milliseconds
from wakeline.edges.rest.ndjson import RejectedLine
from wakeline.edges.rest.operations import Answer, Call, Idempotent, Media, Operation
from wakeline.edges.rest.ports import RestPorts
from wakeline.edges.rest.problems import problem_of
from wakeline.edges.rest.shapes import Opaque, View
from wakeline.model.device import DeviceClaim
from wakeline.model.errors import Overloaded, RequestError
from wakeline.model.key import Scope
from wakeline.observe.health import Phase

_BREATH = 60
"""Lines after which others get their turn: half a millisecond, and more than are written in a turn, so that a commit finds many."""

_BESIDE = 5
"""Batches that are written while the next is read: a slow disk takes all that `wakeline import` sends at once in one commit."""

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


class _Intake:
    """Batches on their way to the disk, in order."""

    def __init__(self, ports: RestPorts) -> None:
        self._ports = ports
        self._under_way: deque[tuple[int, asyncio.Task[None]]] = deque()
        self.accepted = 0

    async def add(self, batch: list[DeviceClaim]) -> None:
        """Have a batch written once there is room beside those under way."""
        if self._ports.health.phase is Phase.DRAINING:
            raise Overloaded("the gateway is stopping", fix="Send the list again.", retry_after=_RESTART)
        while len(self._under_way) >= _BESIDE:
            await self._first()
        self._under_way.append((len(batch), asyncio.create_task(self._ports.devices.take_in(batch))))

    async def _first(self) -> None:
        number, writing = self._under_way.popleft()
        await writing
        self.accepted += number

    async def finish(self) -> None:
        """Wait until all is on disk."""
        while self._under_way:
            await self._first()

    async def give_up(self) -> None:
        """Wait for what is under way after something went wrong: nobody writes for a request that has ended."""
        await asyncio.gather(*(writing for _, writing in self._under_way), return_exceptions=True)


async def take(call: Call) -> Answer:
    """Register the devices of a list."""
    intake = _Intake(call.ports)
    try:
        rejected = await _read(call, intake)
        await intake.finish()
    except BaseException:
        await intake.give_up()
        raise
    headers = (("connection", "close"),) if len(rejected) > ndjson.MOST_REJECTED else ()
    return Answer(body=ImportedView(accepted=intake.accepted, rejected=rejected), headers=headers)


async def _read(call: Call, intake: _Intake) -> list[RejectedLine]:
    """Read the lines of a list, and hand them on; returns what is wrong with some."""
    rejected: list[RejectedLine] = []
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
            await intake.add(batch)
            batch = []
    if batch:
        await intake.add(batch)
    return rejected


def _claim(call: Call, line: bytes) -> DeviceClaim:
    said: DeviceLine = json_value(_decoder, line)
    # A clock that was ahead must not outlive every 410 to come.
    confirmed = 0 if said.confirmed_at is None else min(max(milliseconds(said.confirmed_at), 0), call.now)
    return claimed(call, said, registrable(said.device), confirmed)


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
