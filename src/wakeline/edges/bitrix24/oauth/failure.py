"""What the token endpoint refuses beside what methods refuse, with Bitrix24's codes and statuses.

Source: Bitrix24 REST, "OAuth 2.0 errors"; RFC 6749 section 5.2 where it has no word of its own.
"""

from __future__ import annotations

from wakeline.edges.bitrix24.call import MethodError


def missing(parameter: str) -> MethodError:
    """Return the refusal of a request that lacks something."""
    return MethodError(400, "invalid_request", f'No "{parameter}" parameter found')


def unreadable() -> MethodError:
    """Return the refusal of a request that is too large or is no text."""
    return MethodError(400, "invalid_request", "The request cannot be read")


def no_client() -> MethodError:
    """Return the refusal of an unknown application, or of a wrong secret: they look the same."""
    return MethodError(400, "invalid_client", "Invalid client credentials")


def no_grant(why: str) -> MethodError:
    """Return the refusal of a code or refresh token."""
    return MethodError(400, "invalid_grant", why)


def no_such_grant_type() -> MethodError:
    """Return the refusal of a way to get tokens that is not served."""
    return MethodError(400, "unsupported_grant_type", "The grant_type is authorization_code or refresh_token")


def not_paid() -> MethodError:
    """Return the refusal of a portal whose plan has no REST."""
    return MethodError(401, "PAYMENT_REQUIRED", "REST API is available only on commercial plans")


def not_installed() -> MethodError:
    """Return the refusal of an application that was deleted while it asked."""
    return MethodError(401, "NOT_INSTALLED", "Application not installed")


def no_token() -> MethodError:
    """Return the refusal of a token that nobody has given."""
    return MethodError(401, "invalid_token", "Unable to get application by token")
