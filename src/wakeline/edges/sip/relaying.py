"""A request that goes to one place: within a dialog, or to a peer. What comes back goes on, without anybody's push parameters."""

from __future__ import annotations

from wakeline.edges.sip.branch import status_of
from wakeline.edges.sip.client_transactions import ClientTransaction, Failure
from wakeline.edges.sip.decisions import decided
from wakeline.edges.sip.flows import Flow, Hop
from wakeline.edges.sip.forking import TIMER_C
from wakeline.edges.sip.server_transactions import ServerTransaction
from wakeline.edges.sip.timekeeper import Alarm
from wakeline.edges.sip.transaction_layer import Prepare, TransactionLayer
from wakeline.wire.sip.broken import Broken
from wakeline.wire.sip.message import Request, Response
from wakeline.wire.sip.push_params import hide
from wakeline.wire.sip.responses import best


class Relay:
    """Implements `client_transactions.ClientUser`."""

    def __init__(self, layer: TransactionLayer, server: ServerTransaction) -> None:
        self._layer = layer
        self._server = server
        self._client: ClientTransaction | None = None
        self._alarm: Alarm | None = None

    def start(self, request: Request, way: Flow | Hop, *, mark: str, prepare: Prepare | None = None) -> None:
        """Send it on."""
        client = self._client = self._layer.send(request, way, self, mark=mark, prepare=prepare)
        if request.method == "INVITE":
            self._server.on_cancel = lambda cancel: client.cancel([("reason", each) for each in cancel.all("reason")])
            self._server.answer(100)
            self._ring_on()

    def answered(self, client: ClientTransaction, response: Response) -> None:
        """Pass it on."""
        if response.status == 100 or client is not self._client:
            return
        try:
            hide(response)
        except Broken:
            return
        if not response.is_final:
            self._ring_on()
        elif self._alarm is not None:
            self._alarm.cancel()
        # A 503 of the next hop says nothing about us (RFC 3261 section 16.7 step 6).
        self._server.respond(best([response]) or response if response.is_final else response)

    def failed(self, client: ClientTransaction, failure: Failure) -> None:
        """Say that nobody answers."""
        status = status_of(failure)
        decided("not_reached", call_id=client.request.call_id, status=status, why=failure.value)
        self._server.answer(status)

    def _ring_on(self) -> None:
        """Wind Timer C (RFC 3261 section 16.8)."""
        if self._server.request.method != "INVITE":
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self._layer.after(TIMER_C, self._rung_out)

    def _rung_out(self) -> None:
        if self._client is not None:
            self._client.cancel()
