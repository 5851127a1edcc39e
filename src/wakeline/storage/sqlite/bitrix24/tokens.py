"""Authorization codes and grants: rows that are looked up by the digest of a secret.

An index tells by its time how much of a digest was right. That helps nobody: a digest is the SHA-256 of 128 random bits or
more, so whoever could steer it towards one that is there would have to find the secret itself.
"""

from __future__ import annotations

from typing import Any

import msgspec

from wakeline.model.bitrix24.access import AuthorizationCode, Grant
from wakeline.storage.portal import over
from wakeline.storage.sqlite.bitrix24.applications import PortalApplications
from wakeline.storage.sqlite.bitrix24.forgetting import delete_in_batches
from wakeline.storage.sqlite.statements import load
from wakeline.storage.sqlite.transaction import Transaction

_SQL = load("bitrix24_access")
_code = msgspec.json.Decoder(AuthorizationCode)
_grant = msgspec.json.Decoder(Grant)


class PortalTokens(PortalApplications):
    """Codes and grants of the applications."""

    async def keep_code(self, code: AuthorizationCode) -> None:
        """Keep a code until it is taken or expires. Raises NotFound for a deleted application."""
        await self._writer.write(lambda tx: self._keep_code(tx, code))

    def _keep_code(self, tx: Transaction, code: AuthorizationCode) -> None:
        self._refuse_gone(code.application)
        tx.execute(_SQL["put_code"], (code.digest, code.application, code.expires, msgspec.json.encode(code)))

    async def take_code(self, digest: bytes) -> AuthorizationCode | None:
        """Return a code and forget it in the same commit: nobody gets it twice. Expired ones are returned too, once."""
        return await self._writer.write(lambda tx: _take_code(tx, digest))

    async def issue(self, grant: Grant) -> Grant:
        """Keep a pair of tokens beside those that this user granted before. Raises NotFound, as `keep_code`."""
        return await self._writer.write(lambda tx: self._issue(tx, grant))

    def _issue(self, tx: Transaction, grant: Grant) -> Grant:
        self._refuse_gone(grant.application)
        number = tx.execute(_SQL["insert_grant"], (grant.application, *_columns(grant))).lastrowid or 0
        return msgspec.structs.replace(grant, id=number)

    async def grant_by_access(self, digest: bytes) -> Grant | None:
        """Return the grant whose access token this is, expired or not."""
        return _grant_of(self._reader.one(_SQL["grant_by_access"], (digest,)))

    async def grant_by_refresh(self, digest: bytes) -> Grant | None:
        """Return the grant whose refresh token this is, or was before the last rotation."""
        row = self._reader.one(_SQL["grant_by_refresh"], (digest,))
        return _grant_of(row or self._reader.one(_SQL["grant_by_former"], (digest,)))

    async def rotate(self, expected: bytes, grant: Grant, *, leaving: Grant | None = None) -> bool:
        """Put a new pair in place, if the refresh token in force is still `expected`; False: somebody was faster."""
        return await self._writer.write(lambda tx: self._rotate(tx, expected, grant, leaving))

    def _rotate(self, tx: Transaction, expected: bytes, grant: Grant, leaving: Grant | None) -> bool:
        if not tx.execute(_SQL["update_grant"], (*_columns(grant), grant.id, expected)).rowcount:
            return False
        if leaving is not None:
            self._issue(tx, leaving)
        return True

    async def revoke(self, grant: int) -> None:
        """Forget a grant, with what is left of its former pairs."""
        await self._writer.write(lambda tx: _revoke(tx, grant))

    async def prune(self, now: int) -> int:
        """Forget codes and grants that have expired, in batches; returns how many."""
        gone = await self._writer.write(lambda tx: tx.execute(_SQL["prune_codes"], (now,)).rowcount)
        return gone + await delete_in_batches(self._writer, _SQL["prune_grants"], now)

    async def forget_tokens(self, application: int) -> None:
        """Forget an application's codes and grants."""
        await self._writer.write(lambda tx: tx.execute(_SQL["delete_codes"], (application,)))
        await delete_in_batches(self._writer, _SQL["delete_grants"], application)


def _revoke(tx: Transaction, grant: int) -> None:
    tx.execute(_SQL["delete_left"], (grant,))
    tx.execute(_SQL["delete_grant"], (grant,))


def _take_code(tx: Transaction, digest: bytes) -> AuthorizationCode | None:
    row = tx.one(_SQL["code"], (digest,))
    if row is None:
        return None
    tx.execute(_SQL["delete_code"], (digest,))
    return _code.decode(row[0])


def _columns(grant: Grant) -> tuple[bytes, bytes, bytes, int, bytes]:
    return grant.access, grant.refresh, grant.former, over(grant), msgspec.json.encode(grant)


def _grant_of(row: Any) -> Grant | None:
    return None if row is None else msgspec.structs.replace(_grant.decode(row[1]), id=row[0])
