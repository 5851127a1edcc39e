"""External calls of our own Bitrix24 portal: registered when they begin, finished with duration and status. Times in Unix ms."""

from __future__ import annotations

import msgspec


class ExternalCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call. `type` 1: out, 2: in, 3: in and redirected, 4: callback, 5: information; `duration` in seconds.

    `fingerprint` is that of what identifies a call: the same one registered again within 30 minutes is this call.
    """

    id: int
    call_id: str
    fingerprint: bytes
    user: int
    phone: str
    type: int
    begun: int
    application: int = 0
    line: str = ""
    entity_type: str = ""
    entity_id: int = 0
    external_id: str = ""
    finished: int | None = None
    duration: int = 0
    status: str = ""
    reason: str = ""
    cost: str = ""
    currency: str = ""
    vote: int | None = None
    record_url: str = ""
