"""Forgetting what may be much: in batches, so that nobody waits long for the writer."""

from __future__ import annotations

from wakeline.storage.sqlite.writer import Writer

BATCH = 200
"""Rows changed in one transaction: some milliseconds at most."""


async def delete_in_batches(writer: Writer, statement: str, which: int) -> int:
    """Run a statement that deletes some rows by (which, how many) until none is left; return how many there were."""
    gone = 0
    while True:
        some = await writer.write(lambda tx: tx.execute(statement, (which, BATCH)).rowcount)
        gone += some
        if some < BATCH:
            return gone
