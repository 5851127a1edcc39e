"""How long a certificate still works, in the words of Keychain Access, and a verdict as of today.

Rule: what was written when a certificate was stored ("expires in 41 days") is wrong the day after. So the stored verdict says
nothing of the end; `aged` adds it whenever a verdict is shown.
"""

from __future__ import annotations

from datetime import UTC, datetime

from wakeline.model.credential import Grade, Verdict

_DAY = 86_400_000
_SOON_DAYS = 30


def aged(verdict: Verdict, not_after: int | None, now: int) -> Verdict:
    """Return the verdict with what the end of the certificate makes of it; both times in Unix ms, None: no end."""
    if not_after is None:
        return verdict
    if now >= not_after:
        return Verdict(grade=Grade.REFUSED, notes=(expired(not_after, now), *verdict.notes))
    note = f"The certificate expires {ends(not_after, now)}"
    if not_after - now >= _SOON_DAYS * _DAY:
        return Verdict(grade=verdict.grade, notes=(*verdict.notes, f"{note}."))
    grade = Grade.WARNING if verdict.grade is Grade.OK else verdict.grade
    return Verdict(grade=grade, notes=(f"{note}: renew it, or move to a .p8 key, which does not.", *verdict.notes))


def expired(not_after: int, now: int) -> str:
    """Say that a certificate has ended."""
    return (
        f"The certificate expired {ends(not_after, now)}. Renew it in the developer account, "
        "or create an APNs key (.p8), which does not expire."
    )


def ends(not_after: int, now: int) -> str:
    """Say when, seen from now: "in 41 days, on 2027-01-02", "3 days ago, on 2026-11-19"; days of 24 hours, the date in UTC."""
    days = abs(not_after - now) // _DAY
    date = f"{datetime.fromtimestamp(not_after / 1000, UTC):%Y-%m-%d}"
    if not days:
        return f"within a day, on {date}" if not_after > now else f"less than a day ago, on {date}"
    some = f"{days} day{'s' if days > 1 else ''}"
    return f"in {some}, on {date}" if not_after > now else f"{some} ago, on {date}"
