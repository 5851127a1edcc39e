"""One line for each decision, at INFO, with the Call-ID: who asks why a phone did not ring finds it by that.

A line says what was decided (`decision`), about which call and address-of-record, and why. Never a token, never a message's text.
"""

from __future__ import annotations

import structlog

_log = structlog.get_logger()


def decided(decision: str, *, call_id: str, aor: str = "", **facts: str | int) -> None:
    """Write what was decided: held, woken, released, sent, not_woken, given_up, answered, kept, delivered, refused."""
    _log.info("sip.decision", decision=decision, call_id=call_id, aor=aor, **facts)
