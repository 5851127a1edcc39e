"""What we write on connected portals: kept first, sent in order, once. Times in Unix ms.

Once means: a write of which the portal answered is never sent again. Where the connection broke after the request had left,
nobody knows; a `repeatable` write is then sent again, since doing it twice changes nothing, and any other becomes DOUBTFUL
and waits for an operator, while those after it go on.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class WriteState(StrEnum):
    """What became of a write."""

    WAITING = "waiting"
    SENT = "sent"
    """The request may have left: after a crash this says that nobody knows."""
    DONE = "done"
    REFUSED = "refused"
    """The portal said no, or what it refers to was refused."""
    DOUBTFUL = "doubtful"
    DROPPED = "dropped"
    """An operator, or a later write of the same key, made it needless."""


class PortalWrite(msgspec.Struct, frozen=True, kw_only=True):
    """A call of a method that changes something. `params` and `result` are JSON.

    `key` is the writer's own name for it, unique in an installation: the same key again is the same write; empty: none.
    `after` is the key of a write whose result stands in for `$result` (and `$result[NAME]`) among the values of `params`; it is
    not sent before that one is done. `due`: not before then.
    """

    id: int
    installation: int
    method: str
    params: bytes
    key: str = ""
    after: str = ""
    repeatable: bool = False
    at: int = 0
    due: int = 0
    attempts: int = 0
    state: WriteState = WriteState.WAITING
    result: bytes = b""
    cause: str = ""
