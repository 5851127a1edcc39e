"""A request that goes to one place: within a dialog, or to a peer. What comes back goes on, without anybody's push parameters."""

from __future__ import annotations

from wakeline.edges.sip.branch import status_of
from wakeline.edges.sip.client_transactions import ClientTransaction, Failure
from wakeline.edges.sip.decisions import decided
from wakeline.edges.sip.flows import Flow, Hop
from wakeline.edges.sip.ring_limit import RingLimit
from wakeline.edges.sip.server_transactions import ServerTransaction
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
        self._limit = RingLimit(layer, self._rung_out)

    def start(self, request: Request, way: Flow | Hop, *, mark: str, prepare: Prepare | None = None) -> None:
        """Send it on."""
        client = self._client = self._layer.send(request, way, self, mark=mark, prepare=prepare)
        if request.method == "INVITE":
            self._server.on_cancel = lambda cancel: client.cancel([("reason", each) for each in cancel.all("reason")])
            self._server.answer(100)
            self._limit.wind()

    def answered(self, client: ClientTransaction, response: Response) -> None:
        """Pass it on."""
        if response.status == 100 or client is not self._client:
            return
        try:
            hide(response)
        except Broken:
            return
        if response.is_final:
            self._limit.end()
        elif client.request.method == "INVITE":
            self._limit.wind()
        # A 503 of the next hop says nothing about us (RFC 3261 section 16.7 step 6).
        self._server.respond(best([response]) or response if response.is_final else response)

    def failed(self, client: ClientTransaction, failure: Failure) -> None:
        """Say that nobody answers."""
        self._limit.end()
        status = status_of(failure)
        decided("not_reached", call_id=client.request.call_id, status=status, why=failure.value)
        self._server.answer(status)

    def _rung_out(self) -> None:
        if self._client is not None:
            self._client.cancel()
