"""Handing over what is claimed: as much as each sender has room for, calls of all routes first, then each route's lanes in turns.

A spell is bounded, so that a call never waits for the end of a newsletter.
"""

from __future__ import annotations

from wakeline.model.delivery import DeliveryState
from wakeline.model.route import Lane
from wakeline.pipeline.agenda import Spot
from wakeline.pipeline.canary import Canary
from wakeline.pipeline.claim import Claims
from wakeline.pipeline.lanes import GRANT
from wakeline.pipeline.load import Load
from wakeline.pipeline.parts import Parts
from wakeline.pipeline.route import RouteTable
from wakeline.pipeline.shelf import Shelf
from wakeline.pipeline.ship import Shipping
from wakeline.wire.outcomes import Refusal, ours

TURN = 250
"""Deliveries handed over in a turn; fewer while calls are about, which then wait less."""

TURN_BESIDE_CALLS = 100

LONGEST = 0.001
"""Seconds of a route's part in a turn, about: many small loads take longer than one large one."""

CALLS_ABOUT = 1.0
"""Seconds after a call during which turns stay short."""

FRESH = 0.25
"""Seconds for which a look at users and tokens is good; what waits longer for room is looked at again before it goes."""

_LOWER = (Lane.ALERT, Lane.BACKGROUND, Lane.BULK)


class Feed:
    """Feeds the senders from the shelf."""

    def __init__(
        self, parts: Parts, table: RouteTable, checks: Claims, shelf: Shelf, shipping: Shipping, canary: Canary
    ) -> None:
        self._parts = parts
        self._table = table
        self._checks = checks
        self._shelf = shelf
        self._shipping = shipping
        self._canary = canary
        self._last_call = -CALLS_ABOUT
        self._turns = 0

    @property
    def calls_about(self) -> bool:
        """Tell whether a call went a moment ago: another one may come, and should find short turns."""
        return self._parts.clock.monotonic() - self._last_call < CALLS_ABOUT

    async def calls(self, now: int) -> bool:
        """Hand over all calls that there is room for."""
        done = False
        for route, lane in self._shelf.spots():
            if lane is Lane.CALL:
                done |= await self._calls_of(route, lane, now)
        return done

    async def _calls_of(self, route: int, lane: Lane, now: int) -> bool:
        way = self._table.way(route)
        sender = await self._table.sender(way) if way is not None else None
        if way is None or sender is None:
            return False
        done = False
        while (load := await self._head((route, lane), now)) is not None:
            room = sender.room(call=True)
            slot = await self._canary.slot(way, load, call=True) if way.candidate is not None else None
            if slot is not None:
                self._shipping.ship(way, slot.sender, load, slot.limit, slot.candidate)
            elif room > 0:
                self._shipping.ship(way, sender, load, room)
                self._last_call = self._parts.clock.monotonic()
            elif way.breaker.open:
                self._shelf.end(load, DeliveryState.FAILED, ours(Refusal.BREAKER))
            else:
                break
            done = True
        return done

    async def _head(self, spot: Spot, now: int) -> Load | None:
        """Return the first load of a spot that has something to send, to people and tokens as they are now."""
        while (load := self._shelf.head(spot, now)) is not None:
            if self._parts.clock.monotonic() - load.checked < FRESH:
                return load
            await self._checks.check_again(load)
        return None

    async def routes(self, now: int) -> bool:
        """Hand over a turn's worth of the other lanes; the route that comes first changes from turn to turn."""
        routes = list(dict.fromkeys(route for route, lane in self._shelf.spots() if lane is not Lane.CALL))
        budget = left = TURN_BESIDE_CALLS if self.calls_about else TURN
        self._turns += 1
        for place in range(len(routes)):
            if left <= 0:
                break
            left -= await self._route(routes[(place + self._turns) % len(routes)], now, left)
        return left < budget

    async def _route(self, route: int, now: int, budget: int) -> int:
        """Hand over what one route has room for, its lanes in turns; a silent provider gets one request to show that it is back."""
        way = self._table.way(route)
        sender = await self._table.sender(way) if way is not None else None
        monotonic = self._parts.clock.monotonic()
        if way is None or sender is None or way.paused_until > monotonic:
            return 0
        if way.breaker.open:
            budget = 1 if way.breaker.may_probe(monotonic) else 0
        left, room = budget, sender.room()
        ramp = way.ramp
        bulk = ramp.room(monotonic) if ramp is not None and self._shelf.stands((route, Lane.BULK)) else budget
        lanes = [lane for lane in _LOWER if self._shelf.stands((route, lane)) and (bulk > 0 or lane is not Lane.BULK)]
        while left > 0 and room > 0:
            heads = {lane: load for lane in lanes if (load := await self._head((route, lane), now)) is not None}
            if not heads:
                break
            lane = way.turns.pick(heads)
            limit = min(room, left) if lane == min(heads) else min(room, left, GRANT)
            limit = min(limit, bulk) if lane is Lane.BULK else limit
            slot = await self._canary.slot(way, heads[lane]) if way.candidate is not None else None
            if slot is not None:
                sent = self._shipping.ship(way, slot.sender, heads[lane], min(limit, slot.limit), slot.candidate)
            else:
                sent = self._shipping.ship(way, sender, heads[lane], limit)
            way.turns.sent(lane, sent, heads)
            left, room = left - sent, room - sent
            if ramp is not None and lane is Lane.BULK:
                ramp.sent(sent, monotonic)
                bulk -= sent
                lanes = lanes if bulk > 0 else [each for each in lanes if each is not Lane.BULK]
            # Looked at after something went: a turn that hands over nothing is the last until somebody calls.
            if self._parts.clock.monotonic() - monotonic >= LONGEST:
                break
        if way.breaker.open and left < budget:
            way.breaker.probing(monotonic)
        return budget - left
