"""The assembled gateway: accept at one end, providers at the other, three loops between, and what an operator may ask.

dispatch   claims and feeds the senders
fanout     walks large audiences
settle     writes what came back
(maintain  ticks beside them; webhooks tells programs of others what happened)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import msgspec
import structlog

from wakeline.config import Settings
from wakeline.model.app import App
from wakeline.model.credential import Credential
from wakeline.model.errors import NotFound, WakelineError
from wakeline.model.ids import uuid_of
from wakeline.model.outcome import Outcome
from wakeline.model.route import Hold, HoldReason, Lane, ProviderKind, Route
from wakeline.pipeline.accept import Accept
from wakeline.pipeline.answers import Answers
from wakeline.pipeline.bell import Bell
from wakeline.pipeline.canary import Canary
from wakeline.pipeline.claim import Claims
from wakeline.pipeline.debugging import DebugWindows
from wakeline.pipeline.dispatch import Dispatch
from wakeline.pipeline.exchange import Recorder
from wakeline.pipeline.fanout import Fanout
from wakeline.pipeline.limited import LimitedUsers
from wakeline.pipeline.limits import UserLimits
from wakeline.pipeline.livecheck import LiveCheck
from wakeline.pipeline.maintain import Duty, Maintain
from wakeline.pipeline.parts import Parts
from wakeline.pipeline.receiving import Receiving
from wakeline.pipeline.remembered import Remembered
from wakeline.pipeline.route import RouteTable
from wakeline.pipeline.settle import Settle
from wakeline.pipeline.undo import Undo
from wakeline.pipeline.watch import Watch
from wakeline.pipeline.way import Way, hold_of
from wakeline.pipeline.webhooks import Webhooks
from wakeline.ports import HOLD_NEW_ROUTES, Cancelled, Provider, SenderStats
from wakeline.wire.outcomes import Refusal, ours

_log = structlog.get_logger()

FLUSH_AFTER = 0.02
"""Seconds from the first result of a batch to its flush; with the commit, well inside the 50 ms that may repeat."""

_TRY_AGAIN = 1.0

_CRASHES = 3
"""Turns in a row that must crash before a loop counts as broken: one alone may have met one bad row."""

_MAINTAIN, _WEBHOOKS = "maintain", "webhooks"

_LAST_ANSWERS = 5.0
"""Seconds that a webhook under way may still be answered within at the end; it is sent once more after a start otherwise."""


class RouteStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How a route is. `hold` is what stops it now, `waiting` what is claimed and not handed over, `last` its last refusal.

    `resting_until`, Unix ms: its push service asked for a rest, which calls do not keep. `probe_at`, Unix ms: when a service
    that does not answer is asked next.
    """

    route: Route
    app: str
    hold: Hold | None
    credential: int | None
    breaker_open: bool
    probe_at: int | None
    resting_until: int | None
    waiting: int
    stats: SenderStats | None
    last: Outcome | None


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """How the story itself is: whether it takes work, how many results wait to be written, which loops do nothing but crash."""

    claims: bool
    low_disk: bool
    failing: bool
    unsettled: int
    crashing: tuple[str, ...] = ()


class Pipeline:
    """Everything between the edges and the providers."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._bells = {name: Bell(parts.clock) for name in ("dispatch", "fanout", "settle", _MAINTAIN, _WEBHOOKS)}
        self.table = RouteTable(parts, self._wake)
        self.debug = DebugWindows(parts)
        recorder = Recorder(parts, self.debug)
        self.settle = Settle(parts, self._bells["settle"].ring, recorder)
        self._limits = UserLimits(parts.settings.limits)
        self.limited = LimitedUsers(parts, self._limits)
        self.canary = Canary(parts, self.table, self.settle)
        self.watch = Watch(parts, self.table, self.settle, self.canary)
        self.checks = LiveCheck(parts, self.table, self.watch, self.canary)
        remembered = Remembered(parts.devices)
        claims = Claims(parts, self.table, self.settle, remembered)
        answers = Answers(parts, self.table, self.settle, self.watch, self.canary, recorder)
        self.dispatch = Dispatch(parts, self.table, self.settle, answers, claims, self.canary, self._wake)
        self.fanout = Fanout(parts, self.table, self.dispatch, remembered)
        self.maintain = Maintain(parts, self.table, self.settle, self.dispatch, claims, self.checks, self._limits)
        self.maintain.duties.append(Duty("limited", 60.0, self.limited.keep))
        self.maintain.duties.append(Duty("debug", 60.0, self.debug.tend))
        self.silence = self.maintain.silence
        self.accept = Accept(parts, self.table, self._limits, remembered, self.settle.hearing)
        self.receiving = Receiving(parts, self.settle.hearing)
        self.undo = Undo(parts, self.table, self.settle, self.watch)
        self.webhooks = Webhooks(parts, self._bells[_WEBHOOKS].ring)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ending: set[str] = set()
        self._crashes = dict.fromkeys(self._bells, 0)
        self.table.load()
        parts.queue.listen(self._on_work)

    # --- life

    async def start(self) -> None:
        """Take over what the store holds, and begin."""
        rescued = await self._parts.queue.rescue()
        if rescued:
            _log.warning("queue.leases_rescued", jobs=rescued)
        await self.table.standing.recall()
        await self.maintain.usual.recall()
        await self.debug.recall()
        await self.webhooks.start()
        await self.limited.recall()
        bodies: dict[str, Callable[[], Awaitable[float | None]]] = {
            "dispatch": self._dispatch,
            "fanout": self._fanout,
            "settle": self._settle,
            _MAINTAIN: self._maintain,
            _WEBHOOKS: self.webhooks.turn,
        }
        self._tasks = {name: asyncio.create_task(self._run(name, body)) for name, body in bodies.items()}

    async def stop(self, *, drain: float) -> None:
        """Claim no more, let what is in flight come back within `drain` seconds, write it, give the rest back."""
        end = self._parts.clock.monotonic() + drain
        await self._end(_MAINTAIN, cancel=True)
        await self._end("dispatch")
        await self._end("fanout")
        await self.dispatch.stop()
        await self.fanout.stop()
        await self.table.close(drain=drain)
        await self._end("settle")
        while not self.settle.idle and await self.settle.flush():
            pass
        await self._end(_WEBHOOKS)
        await self.webhooks.stop(patience=max(0.0, min(end - self._parts.clock.monotonic(), _LAST_ANSWERS)))
        await self.debug.tend()
        await self.limited.keep()
        left = await self.dispatch.leave()
        _log.info("pipeline.stopped", unfinished_jobs=left, unsettled=self.settle.size)

    async def _end(self, name: str, *, cancel: bool = False) -> None:
        """End a loop after its turn; a commit under way is not interrupted, or nobody would know whether it was made."""
        self._ending.add(name)
        self._bells[name].ring()
        task = self._tasks.pop(name, None)
        if task is not None:
            if cancel:
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def apply(self, settings: Settings, providers: Mapping[ProviderKind, Provider] | None) -> None:
        """Put new settings in force; new providers open new senders, and the old ones finish what is in flight."""
        self._parts.settings = settings
        self._limits.configure(settings.limits)
        if providers is not None:
            self._parts.providers = providers
            self.table.reopen()
            self._wake()

    async def _run(self, name: str, body: Callable[[], Awaitable[float | None]]) -> None:
        """Call a body for ever; it returns the seconds until it wants to be called again unless its bell rings."""
        bell = self._bells[name]
        while name not in self._ending:
            try:
                wait = await body()
                self._crashes[name] = 0
            except WakelineError as error:
                _log.error("loop.failed", loop=name, detail=error.detail)
                wait = _TRY_AGAIN
            except asyncio.CancelledError:
                # Somebody else's cancelled future looks the same as the end of this loop, which is asked for by name.
                if _is_cancelled():
                    raise
                wait = self._crashed(name)
            except Exception:  # noqa: BLE001 - a defect in one turn must not silence the gateway
                wait = self._crashed(name)
            if wait == 0.0:
                await asyncio.sleep(0)
            elif name not in self._ending:
                await bell.wait(wait)

    def _crashed(self, name: str) -> float:
        """Note the exception that is being handled; returns the seconds until the next try."""
        _log.exception("loop.crashed", loop=name)
        self._crashes[name] += 1
        return _TRY_AGAIN

    async def _dispatch(self) -> float | None:
        self.watch.refresh()
        return 0.0 if await self.dispatch.turn() else self.dispatch.next()

    async def _fanout(self) -> float | None:
        return 0.0 if await self.fanout.turn() else self.fanout.next()

    async def _settle(self) -> float | None:
        if self.settle.idle:
            return None
        failed = self.settle.failing
        if not failed:
            await self._bells["settle"].wait(FLUSH_AFTER)
        if not await self.settle.flush():
            return self.settle.backoff
        if failed:
            self._wake()
        # What came in during the commit is looked at by the next call.
        return 0.0

    async def _maintain(self) -> float | None:
        return await self.maintain.tick()

    def _on_work(self, route: int, lane: Lane, due: int) -> None:
        self.dispatch.call(route, lane, due)
        self.fanout.call(route, lane, due)
        self._wake()

    def _wake(self) -> None:
        self._bells["dispatch"].ring()
        self._bells["fanout"].ring()

    # --- what may be asked

    async def cancel(self, app: App, notification: int) -> Cancelled:
        """Take what is not sent out of the queue. Raises NotFound."""
        known = await self._parts.ledger.notification(notification)
        if known is None or known.app != app.id:
            raise NotFound(f"App {app.slug} has no notification {uuid_of(notification)}")
        done = await self._parts.queue.cancel(notification, self._parts.clock.now())
        ahead = self.dispatch.cancel(notification)
        await self.settle.flush()
        return Cancelled(cancelled=done.cancelled + ahead, in_flight=max(0, done.in_flight - ahead))

    async def check(self, credential: int) -> Outcome:
        """Ask the provider about a credential, reaching nobody, and act on the answer. Raises NotFound, SecretError."""
        known = self._parts.credentials.get(credential)
        if known is None:
            raise NotFound(f"There is no credential with id {credential}")
        outcome = await self.checks.check(known)
        self.watch.refresh()
        await self.settle.flush()
        return outcome

    def on_trial(self, credential: Credential) -> bool:
        """Tell whether a credential, or its present content, is on trial: something else serves all but its first pushes."""
        return any(one.id == credential.id for one in self.table.standing.changes(credential.app))

    def insist(self, app: App) -> None:
        """Put an app's latest changes in force without waiting for what its canaries show."""
        self.watch.refresh()
        self.canary.insist(app.id)

    def routes(self) -> list[RouteStatus]:
        """Return how every route is, by id."""
        return [self._status(way) for way in self.table.ways()]

    def _status(self, way: Way) -> RouteStatus:
        app = self._parts.apps.by_id(way.route.app)
        return RouteStatus(
            route=way.route,
            app=app.slug if app is not None else "",
            hold=self.table.barrier(way),
            credential=way.credential.id if way.credential is not None else None,
            breaker_open=way.breaker.open,
            probe_at=self._moment(way.breaker.probe_at),
            resting_until=self._moment(way.paused_until),
            waiting=self.dispatch.waiting(way.route.id),
            stats=way.sender.stats() if way.sender is not None else None,
            last=way.last,
        )

    def _moment(self, monotonic: float | None) -> int | None:
        """Return a coming time of the monotonic clock as Unix ms; None: there is none."""
        left = monotonic - self._parts.clock.monotonic() if monotonic is not None else 0.0
        return self._parts.clock.now() + round(1000 * left) if left > 0 else None

    async def hold(self, route: int, cause: str = "") -> None:
        """Hold a route until it is released. Raises NotFound."""
        way = self._way(route)
        outcome = ours(Refusal.ROUTE_HELD, detail=cause)
        await self.table.put_hold(way, hold_of(HoldReason.OPERATOR, outcome, self._parts.clock.now()))
        self._wake()

    async def release(self, route: int | None = None) -> None:
        """Release a route, or all of them. Raises NotFound."""
        for way in [self._way(route)] if route is not None else self.table.ways():
            await self.watch.release(way)
        if await self._parts.facts.get(HOLD_NEW_ROUTES) is not None:
            await self._parts.facts.set(HOLD_NEW_ROUTES, None)
        self._wake()

    def is_idle(self) -> bool:
        """Tell whether nothing is at a push service and nothing waits to be written."""
        senders = [way.sender for way in self.table.ways() if way.sender is not None]
        return self.settle.idle and not any(sender.stats().in_flight for sender in senders)

    def condition(self) -> Condition:
        """Return how the story itself is."""
        return Condition(
            claims=self.dispatch.claims,
            low_disk=self.dispatch.full,
            failing=self.settle.failing,
            unsettled=self.settle.size,
            crashing=tuple(name for name, crashes in self._crashes.items() if crashes >= _CRASHES),
        )

    def _way(self, route: int) -> Way:
        way = self.table.way(route)
        if way is None:
            raise NotFound(f"There is no route {route}", fix="`wakeline route list` shows them.")
        return way


def _is_cancelled() -> bool:
    """Tell whether somebody wants the running task to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
