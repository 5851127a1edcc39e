"""What the door answers instead of doing what it was asked: one form for portals, which read JSON, one for people."""

from __future__ import annotations

from http import HTTPStatus

from wakeline.model.errors import AddressRefused, PortalClosed, PortalRefused, RequestError, WakelineError

TOO_OFTEN = "QUERY_LIMIT_EXCEEDED"


class Refused(Exception):
    """A request is not served.

    `code` in Bitrix24's way, `cause` and `fix` in words; nothing of it came from the request.
    """

    def __init__(self, status: HTTPStatus, code: str, cause: str, fix: str = "") -> None:
        """Say why, and what to do about it."""
        super().__init__(cause)
        self.status = status
        self.code = code
        self.cause = cause
        self.fix = fix


class Unproven(Refused):
    """Nothing shows that the portal said so: this counts against the address it came from."""

    def __init__(self, cause: str, fix: str = "") -> None:
        """Say what is missing."""
        super().__init__(HTTPStatus.FORBIDDEN, "ACCESS_DENIED", cause, fix)


def too_often() -> Refused:
    """Return the refusal of an address that brought too much that was wrong, or of one request too many at once."""
    return Refused(HTTPStatus.SERVICE_UNAVAILABLE, TOO_OFTEN, "Too many requests", "Try again in a minute.")


def of_error(error: WakelineError) -> Refused:
    """Return what a failure of ours, or a portal's refusal, is to whoever asked."""
    if says_no(error):
        return Unproven(error.detail, error.fix)
    return Refused(HTTPStatus.SERVICE_UNAVAILABLE, "INTERNAL_SERVER_ERROR", error.detail, error.fix)


def says_no(error: WakelineError) -> bool:
    """Tell whether asking again would bring the same: the portal or its OAuth server refuses, or may not be asked."""
    return isinstance(error, PortalRefused | PortalClosed | AddressRefused | RequestError)
