"""Rules of the portal's access that every adapter follows."""

from __future__ import annotations

from wakeline.model.bitrix24.access import Grant
from wakeline.model.errors import NotFound

MEMBER_ID_BYTES = 16
"""A portal's `member_id` is 32 hex digits."""


def login_key(login: str) -> str:
    """Return what two logins that differ in case only have in common."""
    return login.casefold()


def is_over(grant: Grant, now: int) -> bool:
    """Tell whether neither token of a grant is of use any more."""
    return max(grant.access_expires, grant.refresh_expires) <= now


def no_application(number: int) -> NotFound:
    """Say that an application does not exist."""
    return NotFound(f"There is no application {number} on the portal")


def no_webhook(number: int) -> NotFound:
    """Say that a webhook does not exist."""
    return NotFound(f"There is no incoming webhook {number}")
