"""An address-of-record at a Contact (RFC 3261 section 10), and how the phone behind it is reached and woken. Times in Unix ms."""

from __future__ import annotations

import msgspec

from wakeline.model.sip.push import PushParams


class Binding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One registered phone.

    `uid` tells phones of one AoR apart: `+sip.instance` (with `reg-id`), else the push parameters, else the URI of the Contact.
    `contact` is the Contact's URI as it came, with every parameter; what leaves us has no push parameters. `gruu` is the
    public GRUU that we gave it (RFC 5627). `path` are the values of Path (RFC 3327).
    `flow` names the connection or address that it registered from, `udp:192.0.2.7:5060` or `tcp:...#7`: a connection does not
    outlive its process, the others do.
    `expires` ends the SIP binding; `kept` is until when messages are routed to it and it can be woken (`message-expires`).
    `app` (row id; 0: none covers its push parameters) and `device` are what pushes go through.
    """

    aor: str
    uid: str
    contact: str
    call_id: str
    cseq: int
    expires: int
    kept: int
    registered: int
    updated: int
    q: float = 1.0
    instance: str = ""
    reg_id: int = 0
    path: tuple[str, ...] = ()
    flow: str = ""
    gruu: str = ""
    user_agent: str = ""
    push: PushParams | None = None
    app: int = 0
    device: str = ""
    why_not: str = ""
    """Why it cannot be woken, if its Contact asked for it."""

    def __repr__(self) -> str:
        """Leave out the Contact, which bears push tokens: a repr ends in logs and tracebacks."""
        return f"Binding({self.aor}, {self.flow})"


TOKEN_GONE = "Its push service says that its token is gone"  # noqa: S105 - a sentence, no password
"""The `why_not` of a phone that nobody wakes any more, until it registers again (RFC 8599 section 5.5)."""


class BindingChange(msgspec.Struct, frozen=True, kw_only=True):
    """What a REGISTER does to an AoR: `put` are made or replaced (by uid), `removed` are uids that go.

    `moved` are phones that have another uid now, old and new: what waits for the old one waits for the new.
    """

    aor: str
    put: tuple[Binding, ...] = ()
    removed: tuple[str, ...] = ()
    moved: tuple[tuple[str, str], ...] = ()
