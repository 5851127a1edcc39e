"""The REST of one connected portal, as its client: calls, batches, pages.

Rules (Bitrix24: "Calling REST methods"; facts of the protocol): JSON is posted to `client_endpoint + method`; an application's
token goes in the body as `auth`, a webhook's code is in its address. An expired token is renewed once and the call repeated; a
portal that moved is followed once. Each request reads the installation anew, so that what was learnt meanwhile counts at once.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import msgspec

from wakeline.connectors.bitrix24 import paging
from wakeline.connectors.bitrix24.batch import in_requests
from wakeline.connectors.bitrix24.line import Ask, Line
from wakeline.connectors.bitrix24.moving import Mover
from wakeline.connectors.bitrix24.oauth import Keeper, application
from wakeline.connectors.bitrix24.standing import ClientPorts, close, open_installation
from wakeline.model.bitrix24.installation import ApplicationAccess, Installation, WebhookAccess
from wakeline.model.bitrix24.records import Fields
from wakeline.model.errors import AddressRefused, InvalidRequest, PortalError, PortalRefused, PortalUnreachable
from wakeline.wire.bitrix24.answer import Moved, Refusal, Reply
from wakeline.wire.bitrix24.commands import BatchReply, Call, Params
from wakeline.wire.bitrix24.endpoints import host_of, rest_endpoint, webhook_address

NOTHING: Params = {}

_USUAL_BLOCK, _LONGEST_BLOCK = 60.0, 900.0
"""Seconds for which a command is not tried again that the portal was too busy for."""
_OPERATORS_TURN = 300.0
"""Seconds after which it is tried again although only a person can repair it."""

_METHOD = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)*")
_RENEW = frozenset({"expired_token", "invalid_token", "NO_AUTH_FOUND"})
_APPLICATION_GONE = frozenset({"APPLICATION_NOT_FOUND", "NOT_INSTALLED", "PAYMENT_REQUIRED", "PORTAL_DELETED"})
_WEBHOOK_GONE = frozenset({"INVALID_CREDENTIALS", "NO_AUTH_FOUND", "PORTAL_DELETED"})


class PortalClient:
    """One portal. Methods raise PortalClosed, PortalRefused, StoreUnavailable, and PortalUnreachable, which says when to try again.

    `once`: the call changes something, so a connection that broke is not tried again, and the error is `doubtful`.
    `bulk`: nobody waits for it, so it leaves half of the portal's limit to others.
    """

    def __init__(
        self, number: int, ports: ClientPorts, *, line: Callable[[str], Line], keeper: Keeper, mover: Mover
    ) -> None:
        self._number = number
        self._ports = ports
        self._line_to = line
        self._keeper = keeper
        self._mover = mover

    async def call(self, method: str, params: Params = NOTHING, *, once: bool = False, bulk: bool = False) -> Reply:
        """Call a method. Raises InvalidRequest for what is no method's name."""
        if not _METHOD.fullmatch(method):
            raise InvalidRequest("This is no name of a REST method", pointer="/method")
        renewed = moved = False
        while True:
            installation = await self._ready()
            address = _address(installation, self._ports)
            line = self._line_to(installation.client_endpoint)
            answered = await line.ask(self._request(installation, address, method, params, once=once, bulk=bulk))
            match answered:
                case Reply():
                    return answered
                case Moved(location=location) if not moved:
                    await _by_oauth(self._mover.follow(self._number, installation.client_endpoint, location))
                    moved = True
                case Refusal(code=code) if code in _RENEW and not renewed and _token(installation):
                    await self._renew(_token(installation))
                    renewed = True
                case _:
                    raise await self._no(installation, method, answered, line)

    async def batch(
        self, commands: Mapping[str, Call], *, halt: bool = False, once: bool = False, bulk: bool = False
    ) -> BatchReply:
        """Call many methods, 50 a request, in their order; a command may refer to earlier ones of its own fifty.

        Raises nothing for what a single command was refused: that is in `errors`. `halt`: the first of these ends it.
        """
        return await in_requests(commands, lambda params: self.call("batch", params, once=once, bulk=bulk), halt=halt)

    def error(self, refusal: Refusal, method: str) -> PortalRefused | PortalUnreachable:
        """Return the error for what a command of a batch was refused: whether it is worth trying again, and when."""
        words = f"The portal answered {refusal} to {method}"
        if not (refusal.busy or refusal.failed):
            return PortalRefused(words, answered=refusal.status, reason=refusal.code)
        free = min((refusal.resets - self._ports.clock.now()) / 1000, _LONGEST_BLOCK)
        return PortalUnreachable(words, retry_after=free if free > 0 else _USUAL_BLOCK, doubtful=refusal.failed)

    def pages(self, method: str, params: Params = NOTHING) -> AsyncIterator[Reply]:
        """Read a list page by page, by `start`; the first says how many rows there are."""
        return paging.pages(self, method, params)

    def rows(
        self, method: str, params: Params = NOTHING, *, after: int = 0, id_name: str = "ID"
    ) -> AsyncIterator[list[Fields]]:
        """Read a list in the order of its ids, those after `after`, without counting; many pages a request.

        `id_name` is how the method's filter calls the id. Lists inside a map (`{"tasks": [...]}`) are found.
        """
        return paging.rows(self, method, params, after=after, id_name=id_name)

    async def _ready(self) -> Installation:
        """Return the installation; a token that is known to have expired is renewed without asking the portal."""
        installation = open_installation(self._ports, self._number)
        if isinstance(installation.access, ApplicationAccess):
            tokens = installation.access.tokens
            if tokens is None:
                raise await close(self._ports, self._number, "The portal took its tokens back")
            if tokens.access_expires <= self._ports.clock.now():
                await self._renew(tokens.access)
                return open_installation(self._ports, self._number)
        return installation

    async def _renew(self, instead_of: str) -> None:
        await _by_oauth(self._keeper.renew(self._number, instead_of=instead_of))

    def _request(
        self, installation: Installation, address: str, method: str, params: Params, *, once: bool, bulk: bool
    ) -> Ask:
        token = _token(installation)
        said = {**params, "auth": token} if token else dict(params)
        return Ask(
            url=f"{address}{method}",
            body=msgspec.json.encode(said),
            work=self._work(method),
            once=once,
            bulk=bulk,
        )

    async def _no(self, installation: Installation, method: str, answered: Refusal | Moved, line: Line) -> PortalError:
        host = host_of(installation.client_endpoint)
        if isinstance(answered, Moved):
            return PortalUnreachable(f"{host} sends us around in circles", retry_after=_OPERATORS_TURN)
        words = f"{host} answered {answered} to {method}"
        gone = _APPLICATION_GONE if _token(installation) else _WEBHOOK_GONE
        if answered.code in gone:
            kept = self._ports.installations.by_id(self._number)
            if kept is not None and kept.access != installation.access:
                # It was connected anew while the answer to the old tokens was on its way.
                return PortalUnreachable(words, retry_after=line.retry_after())
            return await close(self._ports, self._number, words)
        if answered.code in _RENEW or answered.unpaid:
            return PortalUnreachable(words, retry_after=_OPERATORS_TURN)
        if answered.busy:
            free = line.free_in(self._work(method))
            return PortalUnreachable(words, retry_after=free or line.retry_after())
        if answered.failed or answered.foreign:
            return PortalUnreachable(words, retry_after=line.retry_after(), doubtful=answered.failed)
        return PortalRefused(words, answered=answered.status, reason=answered.code)

    def _work(self, method: str) -> tuple[int, str]:
        return self._number, method.lower()


def _address(installation: Installation, ports: ClientPorts) -> str:
    """Return what a method's name is put behind. Addresses are judged again: the operator's word may have changed."""
    named = ports.named_hosts()
    try:
        match installation.access:
            case WebhookAccess(url=url):
                return webhook_address(url, named=named)[0]
            case ApplicationAccess():
                return rest_endpoint(installation.client_endpoint, named=named)
    except AddressRefused as error:
        raise PortalUnreachable(error.detail, retry_after=_OPERATORS_TURN, fix=error.fix) from None


async def _by_oauth(doing: Awaitable[None]) -> None:
    """Wait for what takes the OAuth host. What is refused there is no answer of the portal to the call, which waits."""
    try:
        await doing
    except (AddressRefused, PortalRefused) as error:
        raise PortalUnreachable(error.detail, retry_after=_OPERATORS_TURN, fix=error.fix) from None


def _token(installation: Installation) -> str:
    if isinstance(installation.access, WebhookAccess):
        return ""
    tokens = application(installation).tokens
    return "" if tokens is None else tokens.access
