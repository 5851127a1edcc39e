"""The worker of the outbox: what was written for connected portals is sent to them, in order, once.

    WAITING -> SENT, on disk -> the request -> DONE or REFUSED, on disk

order     the first write that is due is the next one; while a portal is down its writes wait behind the one that found that out,
          and a harmless question finds out whether it is up again, so that no write is spent on it
once      a write of which the portal answered is not sent again: that answer is written before anything else is done, however
          long the store takes. If a request may have left and nothing came back, or SENT is all that a process before this one
          wrote, a repeatable write is sent again and any other is DOUBTFUL
room      what has waited leaves half of the portal's limit to others: records of events, which people wait for, are not late for
          what was written an hour ago
after     a write waits for the one that it refers to, and others pass it; if that one was refused, so is this

What a portal says no to is REFUSED with its words: trying again would change nothing. Times of writes in Unix ms, waits in seconds.
"""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import suppress

import msgspec
import structlog

from wakeline.connectors.bitrix24.client import PortalClient
from wakeline.connectors.bitrix24.connections import Connections
from wakeline.connectors.bitrix24.turns import Turns
from wakeline.model.bitrix24.installation import Installation, InstallationState
from wakeline.model.bitrix24.outbox import PortalWrite, WriteState
from wakeline.model.errors import (
    InvalidRequest,
    PortalClosed,
    PortalRefused,
    PortalUnreachable,
    RemoteProtocolError,
    StorageError,
    WakelineError,
)
from wakeline.ports import Clock
from wakeline.ports.bitrix24_connector import Installations, Outbox
from wakeline.wire.bitrix24.standing_in import stand_in
from wakeline.wire.php_form import Value

SHORTEST_REST, LONGEST_REST = 1.0, 60.0
"""Seconds between two questions whether a portal that was down is up again."""
LOOK_EVERY = 60.0
"""Seconds after which a time that a write is due at is read again: the wall clock may have been set."""
HELD = 60_000
"""Milliseconds until a write is looked at again that refers to one of which nobody knows what became."""
WAITED = 5_000
"""Milliseconds after which nobody waits any more for a write to be there."""
MOST_DOUBTS = 10
"""So often a repeatable write may get no answer from a portal that answers otherwise."""
KNOCK = "server.time"

_log = structlog.get_logger()


class OutboxWorker:
    """Sends what waits."""

    def __init__(self, outbox: Outbox, installations: Installations, clock: Clock, connections: Connections) -> None:
        """Begin with nothing under way."""
        self._outbox = outbox
        self._installations = installations
        self._clock = clock
        self._connections = connections
        self._troubles: dict[int, float] = {}
        """Portals that could not be reached, and when they may be asked again (monotonic seconds)."""
        self._turns = Turns(clock, self.turn, name="outbox")

    def ring(self, installation: int) -> None:
        """Say that a write of this installation waits; returns at once."""
        self._turns.ring(installation)

    def forget(self, installation: int) -> None:
        """Give up the writes of an installation that was deleted."""
        self._troubles.pop(installation, None)
        self._turns.forget(installation)

    async def run(self) -> None:
        """Send what waits, from now on until stopped."""
        for installation in self._installations.all():
            self._turns.ring(installation.id)
        await self._turns.run()

    async def stop(self, patience: float) -> None:
        """Begin nothing more; give a request that is under way so many seconds, so that its answer is not lost."""
        await self._turns.stop(patience)

    async def turn(self, number: int) -> float | None:
        """Send what is due for an installation; returns the seconds until there may be more, None: not before it is rung for."""
        installation = self._installations.by_id(number)
        if installation is None or installation.state is not InstallationState.ACTIVE:
            return None
        resting = self._troubles.get(number, 0.0) - self._clock.monotonic()
        if resting > 0:
            return resting
        try:
            await self._drain(installation)
        except PortalUnreachable as error:
            return self._rest(number, error)
        except PortalClosed as error:
            _log.warning("bitrix24.writes_wait", installation=number, cause=error.detail)
            return None
        return await self._next(number)

    async def _next(self, number: int) -> float | None:
        due = (await self._outbox.next_due()).get(number)
        return None if due is None else min(max(0.0, (due - self._clock.now()) / 1000), LOOK_EVERY)

    def _rest(self, number: int, error: PortalUnreachable) -> float:
        pause = min(max(error.retry_after or 0.0, SHORTEST_REST), LONGEST_REST)
        if number not in self._troubles:
            _log.warning("bitrix24.writes_wait", installation=number, cause=error.detail)
        self._troubles[number] = self._clock.monotonic() + pause
        return pause

    async def _drain(self, installation: Installation) -> None:
        client = self._connections.of(installation.id)
        if installation.id in self._troubles:
            await _knock(client)
        while due := await self._outbox.waiting(installation.id, now=self._clock.now(), limit=1):
            await self._attend(client, due[0])

    async def _attend(self, client: PortalClient, write: PortalWrite) -> None:
        """Take a write one step on, so that it is not the first that is due any more. Raises as `call`."""
        if write.state is WriteState.SENT and not write.repeatable:
            await self._doubt(write, "The gateway stopped before the portal's answer was written")
            return
        before = await self._outbox.by_key(write.installation, write.after) if write.after else None
        if not write.after or (before is not None and before.state is WriteState.DONE):
            await self._send(client, write, b"" if before is None else before.result)
        elif before is None:
            await self._refuse(write, f"There is no write {write.after!r} that it could refer to")
        elif before.state in (WriteState.REFUSED, WriteState.DROPPED):
            await self._refuse(write, f"What it refers to, {write.after!r}, was {before.state.value}")
        else:
            due = max(before.due, self._clock.now() + HELD)
            later = msgspec.structs.replace(write, due=due, cause=f"It waits for {write.after!r}")
            await self._outbox.settle(later, instead_of=write.state)

    async def _send(self, client: PortalClient, write: PortalWrite, result: bytes) -> None:
        sent = msgspec.structs.replace(write, state=WriteState.SENT, attempts=write.attempts + 1, cause="")
        if not await self._outbox.settle(sent, instead_of=write.state):
            return  # somebody dropped it just now
        # Until that was written, another could still be put in its place.
        sent = await self._outbox.by_id(write.id) or sent
        try:
            params = _params(sent, result)
        except (msgspec.DecodeError, RemoteProtocolError) as error:
            await self._refuse(sent, str(error))
            return
        try:
            late = self._clock.now() - sent.at > WAITED
            answer = await client.call(sent.method, params, once=not sent.repeatable, bulk=late)
        except (PortalRefused, InvalidRequest) as error:
            self._answered(sent.installation)
            await self._refuse(sent, error.detail)
        except PortalUnreachable as error:
            await self._not_answered(sent, error, lost=error.doubtful)
            raise
        except (PortalClosed, StorageError) as error:
            # What the store refuses is a new token, and the portal had refused the old one.
            await self._not_answered(sent, error, lost=False)
            raise
        else:
            self._answered(sent.installation)
            done = msgspec.json.encode(answer.result)
            await self._write(msgspec.structs.replace(sent, state=WriteState.DONE, result=done))

    def _answered(self, number: int) -> None:
        if self._troubles.pop(number, None) is not None:
            _log.info("bitrix24.writes_resumed", installation=number)

    async def _not_answered(self, sent: PortalWrite, error: WakelineError, *, lost: bool) -> None:
        """Write that nothing came back; `lost`: the portal may have done it nevertheless."""
        if lost and (not sent.repeatable or sent.attempts >= MOST_DOUBTS):
            await self._doubt(sent, error.detail)
        else:
            # What was certainly not done is no attempt.
            attempts = sent.attempts if lost else sent.attempts - 1
            waiting = msgspec.structs.replace(sent, state=WriteState.WAITING, attempts=attempts, cause=error.detail)
            # Whoever dropped it meanwhile wants it no more.
            await self._write(waiting, instead_of=WriteState.SENT)

    async def _doubt(self, write: PortalWrite, cause: str) -> None:
        _log.warning("bitrix24.write_doubtful", installation=write.installation, write=write.id, cause=cause)
        await self._write(msgspec.structs.replace(write, state=WriteState.DOUBTFUL, cause=cause))

    async def _refuse(self, write: PortalWrite, cause: str) -> None:
        _log.warning("bitrix24.write_refused", installation=write.installation, write=write.id, cause=cause)
        await self._write(msgspec.structs.replace(write, state=WriteState.REFUSED, cause=cause))

    async def _write(self, write: PortalWrite, instead_of: WriteState | None = None) -> None:
        """Write what became of a write, however long the store takes: without it, it would be sent once more."""
        pause = 1.0
        while not await _kept(self._outbox.settle(write, instead_of=instead_of)):
            await self._clock.sleep(pause)
            pause = min(2 * pause, LONGEST_REST)


async def _knock(client: PortalClient) -> None:
    """Ask something that changes nothing. Raises PortalUnreachable, PortalClosed."""
    with suppress(PortalRefused):
        await client.call(KNOCK)


async def _kept(settling: Awaitable[object]) -> bool:
    try:
        await settling
    except StorageError as error:
        _log.warning("bitrix24.write_not_settled", cause=error.detail)
        return False
    return True


def _params(write: PortalWrite, result: bytes) -> dict[str, object]:
    """Return the parameters of a write. Raises DecodeError, and RemoteProtocolError for a reference to nothing."""
    params: dict[str, Value] = msgspec.json.decode(write.params, type=dict[str, object])
    if not write.after:
        return params
    filled = stand_in(params, msgspec.json.decode(result))
    return filled if isinstance(filled, dict) else params
