"""The registrar: a REGISTER in, bindings in the store, a phone in the registry, the bindings out (RFC 3261 section 10.3).

    read the request -> judge its push parameters -> one REGISTER of an AoR at a time:
        plan the change -> keep phones -> commit -> phones that left -> answer -> tell who waits for a phone

Rule: the 200 leaves after the commit and before anything that waited for the phone (RFC 8599 section 5.3). A restart therefore
loses no phone that was told it is registered, and a phone is not called before it knows that it is registered.

Contacts of other phones are shown without push parameters: those are for us alone (RFC 8599 section 13).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from email.utils import formatdate
from functools import lru_cache
from typing import NamedTuple

import msgspec
import structlog

from wakeline.config import Sip
from wakeline.edges.sip.apps import PushApps
from wakeline.edges.sip.binding_plan import Judged, after, plan, seconds_granted
from wakeline.edges.sip.datagrams import DatagramFlow
from wakeline.edges.sip.flows import Flow, Transport
from wakeline.edges.sip.phones import Phones
from wakeline.edges.sip.push_support import NO_PUSH, SHORTEST_WOKEN, supported
from wakeline.edges.sip.refusals import Refused
from wakeline.edges.sip.server_transactions import ServerTransaction
from wakeline.edges.sip.turns import Turns
from wakeline.edges.sip.wishes import EXTENSIONS, OUTBOUND, Asked, Wish, read
from wakeline.model.errors import StorageError
from wakeline.model.sip.binding import Binding, BindingChange
from wakeline.ports import Clock
from wakeline.ports.sip import SipBindings
from wakeline.wire.sip.gruu import pub_gruu_param
from wakeline.wire.sip.pieces import quote
from wakeline.wire.sip.push_params import hidden

Fields = list[tuple[str, str]]
Registered = Callable[[BindingChange], None]
"""Hears of a change that is committed and answered; what waits for these phones may go on. Returns at once."""

_RETRY_AFTER = "5"
_SECOND = 1000

_log = structlog.get_logger()


class Order(NamedTuple):
    """A REGISTER that was read and judged. `granted` seconds are the most that somebody else grants; None: we decide."""

    asked: Asked
    judged: tuple[Judged, ...]
    granted: int | None = None

    @property
    def changes(self) -> bool:
        """Tell whether it asks for more than to be told what is registered."""
        return self.asked.everything or bool(self.judged)

    @property
    def user(self) -> str:
        """Return the user part of its address-of-record."""
        return self.asked.aor.partition(":")[2].rpartition("@")[0]

    def within(self, granted: int) -> Order:
        """Return it for so many seconds at most."""
        return self._replace(granted=granted)


class Registrar:
    """Serves REGISTER. `registered` hears of every change."""

    def __init__(
        self,
        settings: Callable[[], Sip],
        bindings: SipBindings,
        apps: PushApps,
        phones: Phones,
        clock: Clock,
        registered: Registered,
    ) -> None:
        self._settings = settings
        self._bindings = bindings
        self._apps = apps
        self._phones = phones
        self._clock = clock
        self._registered = registered
        self._turns = Turns()

    async def register(self, server: ServerTransaction) -> None:
        """Answer a REGISTER whose sender is believed. Raises Refused and Broken."""
        await self.carry_out(server, self.order(server))

    def order(self, server: ServerTransaction) -> Order:
        """Read and judge a REGISTER. Raises Refused and Broken."""
        asked = read(server.request)
        if asked.domain not in self._settings().domains:
            raise Refused(404, f"{asked.domain} is no domain of [sip] domains")
        return Order(asked, tuple(self._judge(asked, wish, server.flow) for wish in asked.wishes))

    def after(self, order: Order) -> list[Binding]:
        """Return what would be registered if a REGISTER were carried out now. Raises Refused for one that cannot be."""
        present = self._bindings.of(order.asked.aor)
        return after(present, self._plan(order, present))

    async def carry_out(self, server: ServerTransaction, order: Order) -> None:
        """Do what a REGISTER asks for, and answer it. Raises Refused."""
        if not order.changes:
            server.answer(200, fields=self._answer(order, self._bindings.of(order.asked.aor)))
            return
        async with self._turns.of(order.asked.aor):
            change, bound = await self._change(order)
            server.answer(200, fields=self._answer(order, bound))
        self._registered(change)
        _tell(order.asked, change)

    def _judge(self, asked: Asked, wish: Wish, flow: Flow) -> Judged:
        """Judge one Contact. Raises Refused."""
        support = NO_PUSH if wish.goes else supported(asked, wish, self._apps)
        return Judged(wish, support, _flow_to(wish, flow))

    def _plan(self, order: Order, present: list[Binding]) -> BindingChange:
        now = self._clock.now()
        return plan(order.asked, order.judged, present, self._settings(), now=now, granted=order.granted)

    async def _change(self, order: Order) -> tuple[BindingChange, list[Binding]]:
        """Plan and commit; return the change and what is registered then. Raises Refused."""
        asked = order.asked
        try:
            order = order._replace(judged=tuple([await self._named(asked, each) for each in order.judged]))
            present = self._bindings.of(asked.aor)
            change = self._plan(order, present)
            await self._keep(asked, order.judged)
            await self._bindings.change(change)
            await self._leave(change, present)
        except StorageError as error:
            raise Refused(500, error.detail, fields=(("retry-after", _RETRY_AFTER),)) from None
        return change, after(present, change)

    async def _named(self, asked: Asked, judged: Judged) -> Judged:
        """Return what was judged of a Contact, with the device that its phone may be."""
        support = judged.support
        if support.covered is None or support.push is None:
            return judged
        device = await self._phones.device_for(asked.aor, support.device, support.push, support.covered)
        return judged._replace(support=msgspec.structs.replace(support, device=device))

    async def _keep(self, asked: Asked, judged: Iterable[Judged]) -> None:
        for _, support, _ in judged:
            if support.covered is not None:
                await self._phones.keep(asked.aor, support.device, support.covered)

    async def _leave(self, change: BindingChange, present: Iterable[Binding]) -> None:
        """Forget devices that nothing of this AoR is woken through any more (RFC 8599 section 5.5)."""
        put = {(each.app, each.device) for each in change.put}
        others = [each for each in present if (each.app, each.device) not in put]
        if not others:
            return  # who refreshes leaves nothing
        stay = {(each.app, each.device) for each in self._bindings.of(change.aor)}
        for before in others:
            if (before.app, before.device) not in stay:
                await self._phones.leave(before)

    def _answer(self, order: Order, bound: Iterable[Binding]) -> Fields:
        asked = order.asked
        now = self._clock.now()
        own = {wish.contact.uri for wish in asked.wishes}
        fields: Fields = [
            ("contact", _contact(each, now, own=each.contact in own)) for each in bound if each.expires > now
        ]
        fields += [("path", value) for value in asked.path]
        fields += [("feature-caps", caps) for caps in _caps(order, self._settings())]
        if any(wish.reg_id and not wish.goes for wish in asked.wishes):
            fields.append(("require", OUTBOUND))
        fields.append(("supported", ", ".join(EXTENSIONS)))
        fields.append(("date", _date(now // _SECOND)))
        return fields


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    """Return a time as Date writes it: those who are answered within a second are told the same."""
    return formatdate(second, usegmt=True)


def _seconds_left(binding: Binding, now: int) -> int:
    """Return the seconds until a registration ends, rounded up: what was granted is shown, however long the commit took."""
    return -((now - binding.expires) // _SECOND)


def _flow_to(wish: Wish, flow: Flow) -> str:
    """Return the flow on which a phone is reached: the one it came on, which is the way through a NAT (RFC 5626, RFC 3581).

    A phone without NAT that sends from one UDP port and listens at another says so in its Contact.
    """
    uri = wish.uri
    elsewhere = (
        uri.host.strip("[]") == flow.remote.host and (uri.port or Transport.UDP.default_port) != flow.remote.port
    )
    if isinstance(flow, DatagramFlow) and elsewhere and not wish.reg_id and uri.transport in ("", "udp"):
        return flow.at(uri.port or Transport.UDP.default_port).name
    return flow.name


def _contact(binding: Binding, now: int, *, own: bool) -> str:
    """Return a binding as a Contact of the answer, with the seconds that are left."""
    uri = f"<{binding.contact}>"
    parts = [uri if own else hidden(uri), f"expires={_seconds_left(binding, now)}"]
    if binding.q < 1:
        parts.append(f"q={binding.q:g}")
    if binding.instance:
        parts.append(f"+sip.instance={quote(f'<{binding.instance}>')}")
    if binding.reg_id:
        parts.append(f"reg-id={binding.reg_id}")
    if binding.gruu:
        parts.append("=".join(pub_gruu_param(binding.gruu)))
    return ";".join(parts)


def _caps(order: Order, settings: Sip) -> list[str]:
    """Return Feature-Caps, each once; what is too short to be renewed by a push claims nothing (RFC 8599 section 5.6.1)."""
    found: list[str] = []
    for wish, support, _ in order.judged:
        found += support.caps
        if support.claimed and seconds_granted(wish, settings, order.granted) >= SHORTEST_WOKEN:
            found.append(support.claimed)
    return list(dict.fromkeys(found))


def _tell(asked: Asked, change: BindingChange) -> None:
    """Write one line for each phone: whether it can be woken, and if not, why (its tokens are no part of it)."""
    for each in change.put:
        _log.info(
            "sip.registered",
            call_id=asked.call_id,
            aor=asked.aor,
            uid=each.uid if each.instance else "",
            expires=(each.expires - each.updated) // _SECOND,
            push=each.push.provider.value if each.push else "",
            why_not=each.why_not,
            warnings=each.push.warnings if each.push else (),
        )
    if change.removed:
        _log.info("sip.unregistered", call_id=asked.call_id, aor=asked.aor, phones=len(change.removed))
