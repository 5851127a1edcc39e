"""The door of the SIP edge: who sent a request is found out here, and then the registrar has it or the proxy.

    REGISTER                          asked for a password, then the registrar
    outside a dialog                  asked for a password, then the proxy
    within a dialog (To has a tag)    the proxy, which lets nothing through but what bears a route that it gave
    SUBSCRIBE for `reg`               489: it would show push parameters (RFC 8599 section 13), and phones have GRUUs

Rule: whoever is not believed costs no memory and wakes nobody: what is refused before that is answered and forgotten.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

import structlog

from wakeline.edges.sip.authentication import Authenticator, Caller
from wakeline.edges.sip.flows import Flow
from wakeline.edges.sip.refusals import Refused
from wakeline.edges.sip.server_transactions import ServerTransaction
from wakeline.wire.sip.broken import Broken
from wakeline.wire.sip.message import Request

_REGISTRATIONS = "reg"
"""The event package of RFC 3680."""

_log = structlog.get_logger()


class Onward(Protocol):
    """The proxy. Its methods return at once and may raise Refused and Broken."""

    def request(self, server: ServerTransaction, caller: Caller) -> None:
        """Take a request of somebody who is believed; one within a dialog is anybody's, and wakes nobody."""

    def ack(self, request: Request, flow: Flow) -> None:
        """Take an ACK to a 2xx."""

    def alive(self, flow: Flow) -> None:
        """A peer gave a sign of life."""

    def lost(self, flow: Flow) -> None:
        """A connection is closed."""


class Registers(Protocol):
    """Who serves REGISTER."""

    async def register(self, server: ServerTransaction) -> None:
        """Answer one. Raises Refused and Broken."""


class Door:
    """Implements `transaction_layer.User`."""

    def __init__(self, authenticator: Authenticator, registrar: Registers, onward: Onward) -> None:
        self._authenticator = authenticator
        self._registrar = registrar
        self._onward = onward
        self._tasks: set[asyncio.Task[None]] = set()

    def request(self, server: ServerTransaction) -> None:
        """Take a new request."""
        request = server.request
        if request.to.tag and request.method != "REGISTER":
            self._within_dialog(server)
            return
        if request.method == "INVITE":
            server.on_cancel = lambda _: _given_up(server)
        task = asyncio.create_task(self._serve(server))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def ack(self, request: Request, flow: Flow) -> None:
        """Pass an ACK on."""
        self._onward.ack(request, flow)

    def alive(self, flow: Flow) -> None:
        """Pass a sign of life on."""
        self._onward.alive(flow)

    def lost(self, flow: Flow) -> None:
        """Pass on that a connection is closed."""
        self._onward.lost(flow)

    async def close(self) -> None:
        """End what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, server: ServerTransaction) -> None:
        request = server.request
        try:
            caller = await self._believed(server)
            if caller is not None and not server.answered:
                await self._hand_over(server, caller)
        except Exception:  # noqa: BLE001 - a defect must not leave its sender without an answer; it is logged with its trace
            _log.exception("sip.defect", method=request.method, call_id=request.call_id)
            server.answer(500)

    async def _believed(self, server: ServerTransaction) -> Caller | None:
        """Return who sent a request; None: it was refused."""
        try:
            return await self._authenticator.caller(server.request, server.flow.remote.host)
        except (Refused, Broken) as refused:
            _refuse(server, refused)
        return None

    def _within_dialog(self, server: ServerTransaction) -> None:
        """Nobody is asked for a password; so who has no part in a dialog of ours is forgotten like one who has none."""
        try:
            self._onward.request(server, Caller())
        except (Refused, Broken) as refused:
            _refuse(server, refused)

    async def _hand_over(self, server: ServerTransaction, caller: Caller) -> None:
        if server.request.method != "REGISTER":
            self._pass_on(server, caller)
            return
        try:
            await self._registrar.register(server)
        except (Refused, Broken) as refused:
            _answer(server, refused)

    def _pass_on(self, server: ServerTransaction, caller: Caller) -> None:
        try:
            _check(server.request)
            self._onward.request(server, caller)
        except (Refused, Broken) as refused:
            _answer(server, refused)


def _check(request: Request) -> None:
    """Raise Refused for what nobody here serves."""
    if request.method == "SUBSCRIBE" and _event(request) == _REGISTRATIONS:
        raise Refused(489, "Registrations are shown to nobody", phrase="Bad Event")


def _event(request: Request) -> str:
    return (request.get("event") or "").partition(";")[0].strip().lower()


def _given_up(server: ServerTransaction) -> None:
    """A caller gives up while we find out who it is."""
    server.answer(487)


def _refuse(server: ServerTransaction, refused: Refused | Broken) -> None:
    """Answer somebody whom nobody believes, once: it costs no memory, and a forged address gets one message for one."""
    if isinstance(refused, Broken):
        server.refuse(refused.answer, phrase=refused.detail)
    else:
        server.refuse(refused.answer, phrase=refused.phrase, fields=refused.fields)


def _answer(server: ServerTransaction, refused: Refused | Broken) -> None:
    _log.info("sip.refused", call_id=server.request.call_id, status=refused.answer, why=refused.detail)
    if isinstance(refused, Broken):
        server.answer(refused.answer, phrase=refused.detail)
    else:
        server.answer(refused.answer, phrase=refused.phrase, fields=refused.fields)
