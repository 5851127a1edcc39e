"""In front of a PBX: it knows the users and asks for passwords, we wake their phones (`[sip] pbx`).

A REGISTER goes on to the PBX, which asks, refuses or grants; what it grants is registered here as well, and only then. What the PBX
learns is one Contact of ours for each user, with no push parameters and as short as can be (several PBXs keep 255 characters): it
calls the user here, and all phones of the user ring, the sleeping ones too. That Contact lasts as long as any phone of the user can
be woken, so a phone that leaves takes it away only if it is the last.

    phone  REGISTER bob, Contact bob@phone;pn-...   ->  us  REGISTER bob, Contact bob@us   ->  PBX
           200, Contact bob@phone;pn-...            <-      bound here                     <-  200
    PBX    INVITE bob@us                            ->  us  pushed, held, on to bob@phone
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from wakeline.config import Sip
from wakeline.config.rules import sip_address
from wakeline.edges.sip.checking import count_hop
from wakeline.edges.sip.client_transactions import ClientTransaction, Failure
from wakeline.edges.sip.flows import Address, Flow, Hop, Transport
from wakeline.edges.sip.refusals import Refused
from wakeline.edges.sip.registrar import Order, Registrar
from wakeline.edges.sip.server_transactions import ServerTransaction
from wakeline.edges.sip.transaction_layer import TransactionLayer
from wakeline.ports import Clock
from wakeline.wire.sip.broken import Broken
from wakeline.wire.sip.message import Request, Response
from wakeline.wire.sip.uri import parse_uri

_KEPT_FROM_US = ("contact", "expires", "path", "require", "supported", "route", "feature-caps")
"""Header fields of a REGISTER that are between the phone and us."""
_NO_ANSWER = 504
_SECOND = 1000


def hop_of(pbx: str) -> Hop:
    """Return where `[sip] pbx` says that the PBX is. Raises ConfigError."""
    transport, host, port = sip_address(pbx)
    return Hop(Transport(transport), Address(host, port))


class _Answer:
    """What the PBX says to one REGISTER. Implements `client_transactions.ClientUser`."""

    def __init__(self) -> None:
        self.came: asyncio.Future[Response | Failure] = asyncio.get_running_loop().create_future()

    def answered(self, client: ClientTransaction, response: Response) -> None:  # noqa: ARG002 - the interface names it
        """Take the final one."""
        if response.is_final and not self.came.done():
            self.came.set_result(response)

    def failed(self, client: ClientTransaction, failure: Failure) -> None:  # noqa: ARG002 - the interface names it
        """Nothing came."""
        if not self.came.done():
            self.came.set_result(failure)


class BehindPbx:
    """Serves REGISTER as `Registrar` does, on the word of a PBX."""

    def __init__(self, registrar: Registrar, settings: Callable[[], Sip], clock: Clock) -> None:
        self._registrar = registrar
        self._settings = settings
        self._clock = clock
        self._layer: TransactionLayer

    def attach(self, layer: TransactionLayer) -> None:
        """Ask through this."""
        self._layer = layer

    async def register(self, server: ServerTransaction) -> None:
        """Have the PBX decide about a REGISTER, and answer it. Raises Refused and Broken."""
        order = self._registrar.order(server)
        lasts = self._lasts(order)
        answer = _Answer()
        request = _passed_on(server.request)
        self._layer.send(request, hop_of(self._settings().pbx), answer, prepare=_contact_of_ours(order, lasts))
        said = await answer.came
        if isinstance(said, Failure):
            raise Refused(_NO_ANSWER, f"The PBX did not answer: {said.value}")
        if not 200 <= said.status < 300:
            server.respond(said)
            return
        granted = _granted(said, order.user)
        await self._registrar.carry_out(server, order if granted is None else order.within(granted))

    def _lasts(self, order: Order) -> int | None:
        """Return for how many seconds the PBX is to know our Contact: while any phone of the user is kept; None: a question."""
        if not order.changes:
            return None
        now = self._clock.now()
        after = self._registrar.after(order)
        return max((each.kept - now for each in after), default=0) // _SECOND


def _passed_on(request: Request) -> Request:
    """Return a REGISTER as it goes on. Raises Refused."""
    made = request.copy()
    count_hop(made)
    for name in _KEPT_FROM_US:
        made.remove(name)
    return made


def _contact_of_ours(order: Order, lasts: int | None) -> Callable[[Request, Flow], None]:
    """Return what writes our Contact, once it is known by which address the PBX reaches us."""

    def write(request: Request, flow: Flow) -> None:
        if lasts is None:
            return
        transport = "" if flow.transport is Transport.UDP else f";transport={flow.transport.value}"
        request.append("contact", f"<sip:{order.user}@{flow.local}{transport}>;expires={lasts}")

    return write


def _granted(answer: Response, user: str) -> int | None:
    """Return for how many seconds the PBX keeps our Contact; None: it does not say."""
    for contact in answer.contacts:
        try:
            ours = parse_uri(contact.uri).user == user
        except Broken:
            continue
        if ours and (seconds := contact.number("expires")) is not None:
            return seconds
    return answer.seconds("expires")
