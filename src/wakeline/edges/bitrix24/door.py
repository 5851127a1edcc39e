"""The door of the portal as an ASGI application: one way for every request under /rest.

path -> the portal's state -> the method -> body -> who is it -> the limit -> the call -> envelope

Nothing leaves here but this protocol's own answers; a defect of ours is one of them.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping

import msgspec
from starlette.types import Receive, Scope, Send

from wakeline.config import Settings
from wakeline.edges.bitrix24 import answers, auth, batch, request
from wakeline.edges.bitrix24.addresses import addresses
from wakeline.edges.bitrix24.call import BitrixPorts, Caller, Method, MethodError
from wakeline.edges.bitrix24.limits import Buckets
from wakeline.edges.bitrix24.perform import Performed, Performer, Visit, unexpected, who
from wakeline.edges.bitrix24.refusals import Refusal
from wakeline.edges.bitrix24.request import Address, Asked
from wakeline.edges.bitrix24.strangers import Strangers
from wakeline.edges.bitrix24.table import BY_NAME
from wakeline.edges.bitrix24.webhook_use import WebhookUse
from wakeline.edges.rest import head, reading
from wakeline.model.bitrix24.access import PortalState

_HOST = re.compile(r"([A-Za-z0-9.\-]{1,253}|\[[0-9a-fA-F:.]{2,45}\])(:[0-9]{1,5})?")


class _Reply(msgspec.Struct, frozen=True):
    status: int
    body: bytes


class Door:
    """An ASGI application over these ports; `table` is every method by its name."""

    def __init__(
        self, ports: BitrixPorts, table: Mapping[str, Method] = BY_NAME, strangers: Strangers | None = None
    ) -> None:
        """Begin with empty buckets."""
        self._ports = ports
        self._performer = Performer(ports, table)
        self._buckets = Buckets()
        self._strangers = strangers or Strangers(ports.clock, lambda: ports.settings.bitrix24.failed_authentications)
        self._webhook_use = WebhookUse(ports.access)

    async def close(self) -> None:
        """Wait until what was noted of webhooks is written."""
        await self._webhook_use.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        headers = head.headers_of(scope["headers"])
        request_id = head.request_id(headers)
        try:
            reply = await self._answer(scope, receive, headers, request_id)
        except reading.Left:
            return
        await answers.send(send, reply.status, reply.body, request_id, head=scope["method"] == "HEAD")

    async def _answer(self, scope: Scope, receive: Receive, headers: Mapping[str, str], request_id: str) -> _Reply:
        if scope["method"] == "OPTIONS":
            return _Reply(200, b"")
        found = request.address(scope["path"])
        try:
            performed = await self._serve(scope, receive, headers, found, request_id)
        except MethodError as error:
            return _refused(error, found)
        except (reading.Left, asyncio.CancelledError):
            raise
        except Exception as error:  # noqa: BLE001 - a defect of ours must not become a dropped connection
            return _refused(unexpected(error, request_id, found.method), found)
        return _Reply(200, answers.success(performed.result, performed.time))

    async def _serve(
        self, scope: Scope, receive: Receive, headers: Mapping[str, str], found: Address, request_id: str
    ) -> Performed:
        watch = answers.Stopwatch(self._ports.clock)
        portal = self._ports.access.portal()
        self._check_host(headers)
        auth.check_portal(portal)
        method = None if found.method == batch.NAME and not found.version3 else self._method(found)
        asked = await request.read(scope, receive, headers, found)
        caller = await self._caller(scope, asked)
        auth.check_caller(caller, portal)
        self._take(scope, caller)
        if caller.webhook is not None:
            self._webhook_use.note(caller.webhook, self._ports.clock.now())
        visit = Visit(caller=caller, base=_base(scope, headers, self._ports.settings, portal), request_id=request_id)
        if method is not None:
            return await self._performer.perform(visit, method, asked.params, asked.start)
        watch.processing()
        result = await batch.run(self._performer, visit, asked.params)
        return Performed(result, watch.block())

    def _check_host(self, headers: Mapping[str, str]) -> None:
        """Raise MethodError if this host is not the portal's: there are no methods elsewhere."""
        ours = self._ports.settings.bitrix24.portal_hosts
        named = _HOST.fullmatch(headers.get("host", ""))
        if ours and (named is None or named[1].lower() not in {host.lower() for host in ours}):
            raise Refusal.NO_METHOD.error()

    def _method(self, found: Address) -> Method:
        """Return the method; there is none of version 3."""
        if found.version3:
            raise Refusal.NO_METHOD.error()
        return self._performer.method(found.method)

    async def _caller(self, scope: Scope, asked: Asked) -> Caller:
        is_https, now = scope["scheme"] == "https", self._ports.clock.now()
        try:
            return await auth.caller(self._ports, asked, is_https=is_https, now=now)
        except MethodError as error:
            if error.error == Refusal.NO_AUTH.value[1]:
                self._judge(_address(scope))
            raise

    def _judge(self, address: str) -> None:
        """Count a wrong credential. Raises MethodError if its address has brought too many.

        A right one is served all the same: it may share the address of a proxy with whoever guesses, and 95 bits are not guessed.
        """
        if self._strangers.wait(address):
            raise Refusal.QUERY_LIMIT.error()
        self._strangers.failed(address)

    def _take(self, scope: Scope, caller: Caller) -> None:
        """Count the request. Raises MethodError if it is one too many."""
        limits = self._ports.settings.bitrix24
        if not limits.rate_limit:
            return
        by_address = limits.rate_limit_by == "address"
        key = _address(scope) if by_address else who(caller)
        now = self._ports.clock.monotonic()
        if not self._buckets.take(key, now, burst=limits.rate_limit_burst, per_second=limits.rate_limit_per_second):
            raise Refusal.QUERY_LIMIT.error()


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""


def _refused(error: MethodError, found: Address) -> _Reply:
    return _Reply(error.status, answers.failure(error, version3=found.version3))


def _base(scope: Scope, headers: Mapping[str, str], settings: Settings, portal: PortalState) -> str:
    """Return the portal's address as the caller knows it; what cannot be a host's name is not repeated."""
    host = headers.get("host", "")
    return addresses(scope["scheme"], host if _HOST.fullmatch(host) else "localhost", settings, portal).portal
