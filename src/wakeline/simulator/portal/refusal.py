"""How the portal says no.

Bitrix24: "System errors" and each method's page. A refusal is `{"error", "error_description"}` with the status of the code;
inside a batch it stands in `result_error`.
"""

from __future__ import annotations

from wakeline.simulator.portal.php import Tree

# What `POST /script` says by code alone.
TEXTS = {
    "QUERY_LIMIT_EXCEEDED": "Too many requests",
    "OPERATION_TIME_LIMIT": "Method is blocked due to operation time limit.",
    "OVERLOAD_LIMIT": "REST API is blocked due to overload.",
    "expired_token": "The access token provided has expired",
    "invalid_token": "Unable to get application by token",
    "NO_AUTH_FOUND": "Wrong authorization data",
    "PORTAL_DELETED": "Portal was deleted",
    "ACCESS_DENIED": "Access denied! REST is available only on commercial plans.",
    "INTERNAL_SERVER_ERROR": "Internal server error",
    "invalid_grant": "Invalid grant",
    "NOT_INSTALLED": "Application not installed",
    "PAYMENT_REQUIRED": "Payment required",
}


class Refusal(Exception):
    """The portal refuses: its status, code and words, and what else stands beside them."""

    def __init__(self, status: int, code: str, description: str = "", **more: object) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.description = description or TEXTS.get(code, code)
        self.more = more

    def document(self) -> Tree:
        """The body of the answer."""
        return {"error": self.code, "error_description": self.description, **self.more}


def missing(argument: str) -> Refusal:
    """A parameter that must be there is not."""
    return Refusal(400, "ERROR_ARGUMENT", f"Argument '{argument}' is null or empty", argument=argument)
