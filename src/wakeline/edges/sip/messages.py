"""Chat messages are kept until their phones took them (RFC 3428): store and forward, in order, once each.

    comes        on disk, for each phone of the address-of-record; then phones that sleep are woken
    awake        delivered at once by the phone's courier, behind what waits already
    answered     the first phone's answer goes to the sender; after `message_accept_timeout` without one it is 202: kept
    registers    the courier delivers what waits
    too old      forgotten (`message_delivery_timeout`, or the message's own Expires)

Not kept are notes that somebody is typing, and what says `Expires: 0`: worth something now or never.
Rule: there is one way to a phone, through the store. So what comes later never overtakes what waits, and a restart loses nothing.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Sequence
from functools import partial

import structlog

from wakeline.config import Sip
from wakeline.edges.sip.asking import Asked
from wakeline.edges.sip.courier import Courier
from wakeline.edges.sip.decisions import decided
from wakeline.edges.sip.flows import Flow
from wakeline.edges.sip.life import Life
from wakeline.edges.sip.occasions import TYPING, content_type
from wakeline.edges.sip.server_transactions import ServerTransaction
from wakeline.edges.sip.timekeeper import Alarm
from wakeline.edges.sip.transaction_layer import TransactionLayer
from wakeline.edges.sip.waking import Wakes
from wakeline.edges.sip.ways import can_be_woken, is_registered
from wakeline.model.errors import InvalidRequest, StoreUnavailable, WakelineError
from wakeline.model.sip.binding import Binding, BindingChange
from wakeline.model.sip.waiting import WaitingMessage
from wakeline.ports import Clock
from wakeline.ports.sip import SipBindings, SipMessages
from wakeline.wire.sip.message import Request, Response
from wakeline.wire.sip.responses import best

MOST = 10_000
"""Flows at which sleeping phones are expected: of more, those that were expected first are waited for by REGISTER alone."""
_RETRY_AFTER = ("retry-after", "5")
_SECOND = 1000

Phone = tuple[str, str]
"""An address-of-record and the uid of one of its phones."""

_log = structlog.get_logger()


class _Sender:
    """A sender who waits for an answer: the first good one, or the best when every phone gave one."""

    def __init__(self, server: ServerTransaction, phones: int) -> None:
        self._server = server
        self._phones = phones
        self._answers: list[Response] = []
        self.alarm: Alarm | None = None

    def told(self, response: Response) -> bool:
        """Hear a phone's answer; return whether the sender has its own by that."""
        self._answers.append(response)
        if response.status >= 300 and len(self._answers) < self._phones:
            return False
        chosen = best(self._answers) or response
        # The phone's own fields lead to us: its request came from here.
        self._server.answer(chosen.status, phrase=chosen.phrase)
        if self.alarm is not None:
            self.alarm.cancel()
        return True


class Messages:
    """Takes messages, and lets couriers go."""

    def __init__(
        self,
        layer: TransactionLayer,
        store: SipMessages,
        bindings: SipBindings,
        wakes: Wakes,
        clock: Clock,
        settings: Callable[[], Sip],
        life: Life,
    ) -> None:
        self._layer = layer
        self._store = store
        self._bindings = bindings
        self._wakes = wakes
        self._clock = clock
        self._settings = settings
        self._life = life
        self.senders: dict[int, _Sender] = {}
        self._couriers: dict[Phone, Courier] = {}
        self._sleeping: OrderedDict[str, dict[Phone, None]] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    @staticmethod
    def keeps(request: Request) -> bool:
        """Tell whether this is a message that is to be kept."""
        return request.method == "MESSAGE" and content_type(request) != TYPING and request.seconds("expires") != 0

    def take(self, server: ServerTransaction, asked: Asked, bindings: Sequence[Binding]) -> None:
        """Take a message for these phones."""
        self._spawn(self._take(server, asked, bindings))

    def registered(self, change: BindingChange) -> None:
        """Deliver what waits for phones that registered: mostly nothing, and then no courier sets out."""
        for binding in change.put:
            key = (binding.aor, binding.uid)
            if self._awaits(key):
                self._courier(key).go(binding.flow)

    def alive(self, flow: Flow) -> None:
        """Deliver what waits for phones that are awake where they were."""
        for key in self._sleeping.pop(flow.name, ()):
            self._courier(key).go(flow.name)

    async def close(self) -> None:
        """End what is under way: what was not delivered is kept."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _take(self, server: ServerTransaction, asked: Asked, bindings: Sequence[Binding]) -> None:
        now = self._clock.now()
        try:
            message = self._message(asked, bindings, now)
            if await self._store.count(asked.aor) >= self._settings().max_waiting:
                decided("not_kept", call_id=message.call_id, aor=asked.aor, why="Too many messages wait")
                server.answer(480)
                return
            kept = await self._store.put(message)
        except InvalidRequest as error:
            server.answer(400, phrase=error.detail)
            return
        except WakelineError as error:
            _log.warning("sip.message_not_kept", call_id=asked.request.call_id, reason=error.detail)
            server.answer(500, fields=(_RETRY_AFTER,))
            return
        if kept.at != now or kept.id in self.senders:
            server.answer(202)  # sent again: it is kept already
            return
        decided("kept", call_id=message.call_id, aor=asked.aor, phones=len(kept.uids))
        sender = self.senders[kept.id] = _Sender(server, len(kept.uids))
        wait = self._settings().message_accept_timeout
        sender.alarm = self._layer.after(wait, partial(self._accept, kept.id, server))
        for binding in bindings:
            self._reach(binding, asked, (kept.expires - now) / _SECOND)

    def _message(self, asked: Asked, bindings: Sequence[Binding], now: int) -> WaitingMessage:
        request = asked.request.copy()
        request.remove("via")
        seconds = self._settings().message_delivery_timeout
        wanted = request.seconds("expires")
        return WaitingMessage(
            id=0,
            aor=asked.aor,
            request=request.to_bytes(),
            key=f"{request.call_id} {request.cseq.number}",
            call_id=request.call_id,
            at=now,
            expires=now + _SECOND * (seconds if wanted is None else min(seconds, wanted)),
            uids=tuple(each.uid for each in bindings),
        )

    def _accept(self, message: int, server: ServerTransaction) -> None:
        """Tell the sender that it is kept: no phone took it yet."""
        self.senders.pop(message, None)
        server.answer(202)

    def _reach(self, binding: Binding, asked: Asked, seconds: float) -> None:
        key = (binding.aor, binding.uid)
        sleeps = can_be_woken(binding)
        if sleeps and asked.occasion is not None:
            self._wakes.wake(binding, asked.request, asked.occasion, seconds, pushed=_nothing, not_woken=_logged)
        registered = is_registered(binding, self._clock.now())
        if registered and (not sleeps or self._life.flow_of(binding, self._layer.endpoint) is not None):
            self._courier(key).go(binding.flow)
        elif registered:
            self._sleeping.setdefault(binding.flow, {})[key] = None
            self._sleeping.move_to_end(binding.flow)
            if len(self._sleeping) > MOST:
                self._sleeping.popitem(last=False)

    def _awaits(self, key: Phone) -> bool:
        """Tell whether a phone awaits something, or has a courier on the way, who has to know where it is now."""
        try:
            return key in self._couriers or self._store.any_for(*key, now=self._clock.now())
        except StoreUnavailable:
            return True  # the courier will find out, and say so

    def _courier(self, key: Phone) -> Courier:
        courier = self._couriers.get(key)
        if courier is None:
            courier = self._couriers[key] = Courier(
                self._layer, self._store, self._bindings, self._clock, key, self._told, partial(self._send_off, key)
            )
        return courier

    def _send_off(self, key: Phone, way: Coroutine[None, None, None]) -> None:
        """Let a courier go its way; it is forgotten when it is back, unless it was sent off once more the moment it came."""
        self._spawn(way).add_done_callback(lambda _: self._back(key))

    def _back(self, key: Phone) -> None:
        courier = self._couriers.get(key)
        if courier is not None and not courier.busy:
            del self._couriers[key]

    def _told(self, message: WaitingMessage, response: Response) -> None:
        """Hear that a phone took a message, or will have none of it."""
        sender = self.senders.get(message.id)
        if sender is not None and sender.told(response):
            del self.senders[message.id]

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _nothing() -> None:
    """The sender hears no word of a push."""


def _logged(_: str) -> None:
    """Whoever cannot be woken gets it when the phone registers by itself; the decision is in the log already."""
