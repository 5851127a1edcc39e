"""Refusals that any method may meet: one table of HTTP status, code and text.

Source: Bitrix24 REST, "Statuses and System Error Codes", as printed on the page of `pull.application.push.add`; rows that are not
there are from its pages on batch, limits and OAuth. Clients tell rows apart by the code, some by the status alone.
"""

from __future__ import annotations

from enum import Enum

from wakeline.edges.bitrix24.call import MethodError


class Refusal(Enum):
    """A row: status, code, text."""

    INTERNAL = 500, "INTERNAL_SERVER_ERROR", "Internal server error"
    UNEXPECTED = 500, "ERROR_UNEXPECTED_ANSWER", "Server returned an unexpected response"
    PORTAL_DELETED = 500, "PORTAL_DELETED", "Portal was deleted"
    QUERY_LIMIT = 503, "QUERY_LIMIT_EXCEEDED", "Too many requests"
    OVERLOAD = 503, "OVERLOAD_LIMIT", "REST API is blocked due to overload"
    OPERATION_TIME = 429, "OPERATION_TIME_LIMIT", "Method is blocked due to operation time limit."
    NO_AUTH = 401, "NO_AUTH_FOUND", "Wrong authorization data"
    EXPIRED = 401, "expired_token", "The access token provided has expired"
    NO_APPLICATION = 401, "APPLICATION_NOT_FOUND", "Application not found"
    CREDENTIALS = 403, "INVALID_CREDENTIALS", "Invalid request credentials"
    HTTPS = 400, "INVALID_REQUEST", "Https required"
    REQUEST = 400, "INVALID_REQUEST", "Invalid request"
    PLAN = 403, "ACCESS_DENIED", "REST API is available only on commercial plans"
    DENIED = 403, "ACCESS_DENIED", "Access denied!"
    MANIFEST = 404, "ERROR_MANIFEST_IS_NOT_AVAILABLE", "Manifest is not available"
    SCOPE = 403, "insufficient_scope", "The request requires higher privileges than provided by the {} token"
    USER_ACCESS = 403, "user_access_error", "The user does not have access to the application"
    WRONG_AUTH = 403, "WRONG_AUTH_TYPE", "Current authorization type is denied for this method"
    NO_METHOD = 404, "ERROR_METHOD_NOT_FOUND", "Method not found!"
    BATCH_METHOD = 405, "ERROR_BATCH_METHOD_NOT_ALLOWED", "Method is not allowed for batch usage"
    BATCH_LENGTH = 400, "ERROR_BATCH_LENGTH_EXCEEDED", "Max batch length exceeded"
    ARGUMENT = 400, "ERROR_ARGUMENT", "Argument is null or empty"
    CORE = 400, "ERROR_CORE", "The request cannot be served"

    def error(self, description: str = "", **more: str) -> MethodError:
        """Return this row as an error; `description` in place of its own text."""
        status, code, text = self.value
        return MethodError(status, code, description or text, **more)
