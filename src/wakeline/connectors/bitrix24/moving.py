"""Following a portal to its new address, once somebody whom we trust already has said that it is the portal's.

Rules (Bitrix24: "Change of domain"): a renamed portal answers 302; scheme and host of `Location` take the old one's place. A portal
says that of itself, so it may be a lie: the new address is https (or named by the operator), the outbound guard judges where it
resolves to, and before anything else goes there
- an application's: the OAuth host has to say that the token's portal is there, under the member id that we know;
- a webhook's: the new address has to let that webhook in. Whoever sent us there knows its code already. Nobody has vouched for it,
  so hosts that the operator named, which may be inside our network, are only for those that were there before.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict

import structlog

from wakeline.connectors.bitrix24.line import Ask, Line
from wakeline.connectors.bitrix24.oauth import Keeper, application, describe
from wakeline.connectors.bitrix24.standing import ClientPorts, move, open_installation
from wakeline.model.bitrix24.installation import ApplicationAccess, Installation, WebhookAccess
from wakeline.model.errors import AddressRefused, PortalUnreachable
from wakeline.wire.bitrix24.answer import Refusal, Reply
from wakeline.wire.bitrix24.endpoints import host_of, is_named, moved_to, rest_endpoint, same_origin

_log = structlog.get_logger()

_RETRY = 300.0


class Mover:
    """Follows moves, one at a time for each installation."""

    def __init__(self, ports: ClientPorts, keeper: Keeper) -> None:
        self._ports = ports
        self._keeper = keeper
        self._locks: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def follow(self, number: int, asked: str, location: str) -> None:
        """Have the installation's address be another than `asked`, which sent us to `location`.

        Raises PortalUnreachable if that place is refused or does not prove itself, and what renewing tokens raises.
        """
        async with self._locks[number]:
            installation = open_installation(self._ports, number)
            if installation.client_endpoint != asked:
                return
            try:
                await self._prove(installation, location)
            except AddressRefused as error:
                _log.warning(
                    "bitrix24.move_refused", installation=number, host=host_of(asked), cause=error.detail, fix=error.fix
                )
                raise PortalUnreachable(
                    f"The portal at {host_of(asked)} sends us elsewhere, and we do not follow: {error.detail}",
                    retry_after=_RETRY,
                    fix=error.fix or "If it has moved, connect it again at its new address.",
                ) from None

    async def _prove(self, installation: Installation, location: str) -> None:
        place = moved_to(installation.client_endpoint, location, named=self._ports.named_hosts())
        if place == installation.client_endpoint:
            raise AddressRefused("it leads to itself")
        match installation.access:
            case ApplicationAccess():
                await self._ask_oauth(installation, place)
                await move(self._ports, open_installation(self._ports, installation.id), place)
            case WebhookAccess(url=url):
                named = self._ports.named_hosts()
                if is_named(place, named) and not is_named(installation.client_endpoint, named):
                    raise AddressRefused("that host is for portals that the operator put there")
                new = moved_to(url, location, named=named)
                await self._ask_place(new)
                await move(self._ports, open_installation(self._ports, installation.id), place, new)

    async def _ask_oauth(self, installation: Installation, place: str) -> None:
        tokens = application(installation).tokens
        facts = None if tokens is None else await describe(self._ports, installation, tokens.access)
        if isinstance(facts, Refusal) and tokens is not None:
            await self._keeper.renew(installation.id, instead_of=tokens.access)
            renewed = application(open_installation(self._ports, installation.id)).tokens
            facts = None if renewed is None else await describe(self._ports, installation, renewed.access)
        if facts is None or isinstance(facts, Refusal):
            raise AddressRefused("the OAuth host does not say where the portal is")
        if facts.member_id != installation.member_id:
            raise AddressRefused("the OAuth host names another portal")
        known = rest_endpoint(facts.client_endpoint, named=self._ports.named_hosts())
        if not same_origin(known, place):
            raise AddressRefused(f"the OAuth host says that the portal is at {host_of(known)}")

    async def _ask_place(self, url: str) -> None:
        line = Line(self._ports.http, self._ports.clock)
        try:
            answered = await line.ask(Ask(url=f"{url}app.info", body=b"{}", work="app.info"))
        except PortalUnreachable as error:
            # Whatever became of this question, the call that was sent elsewhere was not made.
            raise PortalUnreachable(error.detail, retry_after=_RETRY, fix=error.fix) from None
        if not isinstance(answered, Reply) or not isinstance(answered.result, dict):
            raise AddressRefused("the new address does not let the webhook in")
