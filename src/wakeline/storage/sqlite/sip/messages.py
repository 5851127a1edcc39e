"""Messages that wait for phones, as rows."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from wakeline.model.sip.waiting import WaitingMessage
from wakeline.storage.sip import refuse_broken_text, to_each_once
from wakeline.storage.sqlite.reader import Reader
from wakeline.storage.sqlite.statements import load
from wakeline.storage.sqlite.transaction import Transaction
from wakeline.storage.sqlite.writer import Writer
from wakeline.wire.sip.pieces import is_utf8

BATCH = 200
"""Messages forgotten in one transaction: some milliseconds at most."""

_SQL = load("sip_messages")
_uids = msgspec.json.Decoder(tuple[str, ...])


class SqliteSipMessages:
    """Messages by id, by AoR and key, and by the phones they wait for."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader

    async def put(self, message: WaitingMessage) -> WaitingMessage:
        """Keep a message, on disk when it returns; one with its AoR and key is the one that is there. Raises StoreUnavailable."""
        refuse_broken_text(message)
        return await self._writer.write(lambda tx: _put(tx, to_each_once(message)))

    def any_for(self, aor: str, uid: str, *, now: int) -> bool:
        """Tell whether a phone has not taken something. Raises StoreUnavailable."""
        return is_utf8(aor) and is_utf8(uid) and bool(self._reader.all(_SQL["any_message"], (uid, aor, now)))

    async def waiting(self, aor: str, uid: str, *, now: int, limit: int) -> list[WaitingMessage]:
        """Return what a phone has not taken, in order; what has expired is left out."""
        if not (is_utf8(aor) and is_utf8(uid)):
            return []
        return [_message(row) for row in self._reader.all(_SQL["waiting_messages"], (uid, aor, now, limit))]

    async def taken(self, uid: str, messages: Collection[int]) -> None:
        """Write that a phone took messages, on a full disk too if room can be made: it must not be given them again."""
        if is_utf8(uid):
            await self._writer.write(lambda tx: _take(tx, uid, messages), essential=True)

    async def count(self, aor: str) -> int:
        """Count what waits for an AoR."""
        if not is_utf8(aor):
            return 0
        count: int = self._reader.one(_SQL["count_messages"], (aor,))[0]
        return count

    async def prune(self, now: int) -> int:
        """Forget messages that have expired, in batches; returns how many."""
        gone = 0
        while True:
            some = await self._writer.write(lambda tx: _prune(tx, now))
            gone += some
            if some < BATCH:
                return gone


def move(tx: Transaction, aor: str, old: str, new: str) -> None:
    """Have what waits for one phone of an address wait for another; what waits for both already, once."""
    tx.execute(_SQL["move_messages"], (new, old, aor))
    tx.execute(_SQL["leave_messages"], (old, aor))


def _put(tx: Transaction, message: WaitingMessage) -> WaitingMessage:
    present = tx.one(_SQL["message_of_key"], (message.aor, message.key))
    if present is not None:
        return _message(present)
    row = (message.aor, message.key, message.call_id, message.at, message.expires, message.request)
    number = tx.execute(_SQL["insert_message"], row).lastrowid or 0
    tx.many(_SQL["insert_phone"], [(number, uid) for uid in message.uids])
    return msgspec.structs.replace(message, id=number)


def _take(tx: Transaction, uid: str, messages: Collection[int]) -> None:
    for number in messages:
        if tx.execute(_SQL["take_message"], (number, uid)).rowcount:
            tx.execute(_SQL["forget_taken"], (number,))


def _prune(tx: Transaction, now: int) -> int:
    old = tx.all(_SQL["old_messages"], (now, BATCH))
    tx.many(_SQL["forget_phones"], old)
    tx.many(_SQL["forget_message"], old)
    return len(old)


def _message(row: Any) -> WaitingMessage:
    number, aor, key, call_id, at, expires, request, uids = row
    return WaitingMessage(
        id=number,
        aor=aor,
        request=request,
        key=key,
        call_id=call_id,
        at=at,
        expires=expires,
        uids=_uids.decode(uids),
    )
