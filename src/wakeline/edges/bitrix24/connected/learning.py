"""What an installation does not know of its portal at first, and learns from what comes in.

member id          an outgoing webhook tells it with its first event: whoever has the token may name the portal, once
application token  an application that was authorized in a browser is told none; the first event with a live access token of our
                   application on that very portal brings it, as ONAPPINSTALL would have

Rule: one question at a time for each installation, asked of the OAuth server that is known already; who waits meanwhile is not
asked about again. Nothing that is known is ever replaced here.
Source: Bitrix24 REST, "Security in handlers".
"""

from __future__ import annotations

import msgspec
import structlog

from wakeline.edges.bitrix24.connected.ports import ConnectedPorts
from wakeline.edges.bitrix24.connected.proof import has_token, is_proven, is_same_portal
from wakeline.edges.bitrix24.connected.queues import Queues
from wakeline.model.bitrix24.installation import ApplicationAccess, Installation, InstallationState, Tokens
from wakeline.wire.bitrix24.posted import Auth

_log = structlog.get_logger()


class Learning:
    """Recognises portals, also those that were not heard before."""

    def __init__(self, ports: ConnectedPorts, queues: Queues) -> None:
        """Nothing is asked yet."""
        self._ports = ports
        self._queues = queues

    async def is_proven(self, installation: Installation, auth: Auth) -> bool:
        """Tell whether the portal of this installation posted this. Raises WakelineError, Refused (too many at once)."""
        if installation.application_token:
            proven = is_proven(installation, auth)
            return proven if not proven or installation.member_id else await self._learn_portal(installation.id, auth)
        return _could_vouch(installation, auth) and await self._learn_token(installation.id, auth)

    async def _learn_portal(self, number: int, auth: Auth) -> bool:
        async with self._queues.of(number):
            known = self._ports.installations.by_id(number)
            if known is None or not has_token(known, auth):
                return False
            if not known.member_id:
                before, known = known, msgspec.structs.replace(known, member_id=auth.member_id)
                await self._ports.installations.change(known, of=before)
                self._ports.portals.connected(number)
                _log.info("bitrix24.connected.portal_learnt", installation=number, member_id=auth.member_id)
            return is_same_portal(known, auth)

    async def _learn_token(self, number: int, auth: Auth) -> bool:
        async with self._queues.of(number):
            known = self._ports.installations.by_id(number)
            if known is None or known.application_token or not _could_vouch(known, auth):
                return known is not None and is_proven(known, auth)
            found = await self._ports.portals.verify(_with_token(known, auth))
            if found.member_id != auth.member_id:
                return False
            latest = self._ports.installations.by_id(number) or known
            await self._ports.installations.change(
                msgspec.structs.replace(latest, member_id=found.member_id, application_token=auth.application_token),
                of=latest,
            )
            _log.info("bitrix24.connected.token_learnt", installation=number, user=auth.user)
            return True


def _could_vouch(installation: Installation, auth: Auth) -> bool:
    """Tell whether the access token that came along is worth a question."""
    return (
        isinstance(installation.access, ApplicationAccess)
        and installation.state is InstallationState.ACTIVE
        and bool(installation.member_id and auth.application_token and auth.access)
        and is_same_portal(installation, auth)
    )


def _with_token(installation: Installation, auth: Auth) -> Installation:
    """Return the installation as if this access token were its own; it has no refresh token, so that nothing can be spent."""
    tokens = Tokens(access=auth.access, refresh="", access_expires=0)
    return msgspec.structs.replace(installation, access=msgspec.structs.replace(installation.access, tokens=tokens))
