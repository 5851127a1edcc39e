"""External calls, as rows."""

from __future__ import annotations

from typing import Any

import msgspec

from wakeline.model.bitrix24.calls import ExternalCall
from wakeline.storage.portal import call_exists, no_call
from wakeline.storage.sqlite.bitrix24.forgetting import delete_in_batches
from wakeline.storage.sqlite.reader import Reader
from wakeline.storage.sqlite.statements import load
from wakeline.storage.sqlite.transaction import Transaction
from wakeline.storage.sqlite.writer import Writer

_SQL = load("bitrix24_calls")
_call = msgspec.json.Decoder(ExternalCall)


class SqlitePortalCalls:
    """Calls by call id and fingerprint."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader

    async def register(self, call: ExternalCall, *, since: int) -> ExternalCall:
        """Keep a call, or return the latest with the same fingerprint that began at `since` or later.

        Its id is given by the store. Raises Conflict if another call has the same call id.
        """
        return await self._writer.write(lambda tx: _register(tx, call, since))

    async def call(self, call_id: str) -> ExternalCall | None:
        """Return a call."""
        return _call_of(self._reader.one(_SQL["call"], (call_id,)))

    async def finish(self, call: ExternalCall) -> None:
        """Write how a call ended. Raises NotFound."""
        await self._writer.write(lambda tx: _finish(tx, call))

    async def prune_calls(self, before: int) -> int:
        """Forget calls that began before that, whether they were finished or not; returns how many."""
        return await delete_in_batches(self._writer, _SQL["prune_calls"], before)


def _register(tx: Transaction, call: ExternalCall, since: int) -> ExternalCall:
    known = _call_of(tx.one(_SQL["same_call"], (call.fingerprint, since)))
    if known is not None:
        return known
    if tx.one(_SQL["call"], (call.call_id,)) is not None:
        raise call_exists(call.call_id)
    row = (call.call_id, call.fingerprint, call.begun, msgspec.json.encode(call))
    return msgspec.structs.replace(call, id=tx.execute(_SQL["insert_call"], row).lastrowid or 0)


def _finish(tx: Transaction, call: ExternalCall) -> None:
    if not tx.execute(_SQL["update_call"], (msgspec.json.encode(call), call.id)).rowcount:
        raise no_call(call.id)


def _call_of(row: Any) -> ExternalCall | None:
    return None if row is None else msgspec.structs.replace(_call.decode(row[1]), id=row[0])
