"""What an explanation looks like, and the sentences about what nobody here controls."""

from __future__ import annotations

from datetime import datetime

import msgspec

from wakeline.model.device import TargetKind
from wakeline.model.route import ProviderKind

KINDS = frozenset(kind.value for kind in TargetKind)
COMPANY = {
    ProviderKind.APNS: "Apple",
    ProviderKind.FCM: "Google",
    ProviderKind.WEBPUSH: "the browser's push service",
    ProviderKind.HTTP: "the external push URI",
}

PHONE_DECIDES = (
    "{company} accepted the push. When it reaches the phone is {company}'s decision, and whether the phone shows it is the "
    "phone's: neither can be seen or changed from here."
)


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened, or will (`at`; null: it has no time), in words."""

    at: datetime | None
    what: str
    detail: str = ""


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to "where is it?". `about` names what was understood; `verdict` is one line; `fix` says what to do."""

    about: str
    verdict: str
    cause: str
    fix: str
    steps: tuple[Step, ...] = ()


def company(kind: str) -> str:
    """Return who runs the push service of a kind of target."""
    return COMPANY[TargetKind(kind).provider] if kind in KINDS else "the push service"


def phone_decides(kind: str) -> str:
    """Return the sentence about what is outside anyone's control once a push is accepted."""
    said = PHONE_DECIDES.format(company=company(kind))
    return said[0].upper() + said[1:]
