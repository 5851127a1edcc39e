"""Masking: what must never be read in a log is shortened before it is written, wherever in the line it stands.

Two nets: keys whose value is always a token or a secret, and shapes of tokens inside any other text (a URL in an error
message, a traceback). A token keeps its last 6 characters, enough to find it by `wakeline explain`; a secret keeps none.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any

_TOKEN_KEYS = frozenset(
    {"token", "device_token", "target_value", "value", "prid", "registration", "endpoint", "p256dh"}
)
_SECRET_KEYS = frozenset(
    {"authorization", "password", "secret", "private_key", "api_key", "master_key", "bearer", "auth"}
)
_SHOWN = 6
_SHORT = 12

_TOKENS = re.compile(
    r"(?<![0-9A-Za-z-])(?:[0-9a-fA-F]{32,}"  # APNs device tokens
    r"|[\w-]{8,}:APA91[\w-]{8,})"  # FCM registration tokens
)
# Whoever knows the endpoint of a Web Push subscription may send to it (RFC 8030 section 8.3). They look like any URL with more
# than a few characters behind the host; in a query they are percent-encoded.
_ENDPOINTS = re.compile(r"(https?(?:://|%3A%2F%2F)[^\s/?#&\"']+?(?:/|%2F))([^\s&\"']{12,})", re.IGNORECASE)
# The code of an incoming webhook stands in its path, tokens and client secrets of Bitrix24's OAuth in queries. Portals post theirs
# to applications as forms, and some programs put forms into queries.
# Names count as a reader of queries hears them: any letter may be percent-encoded, PHP takes dots and spaces for underscores and
# brackets for what is inside, and a command of a batch is a query within a value.
_WEBHOOKS = re.compile(r"(/rest/+(?:api/+)?[0-9]+(?:/|%2F)+)(?:(?!%2F)[^/\s?#&\"'])+", re.IGNORECASE)
_NAMED = (
    "auth",
    "access_token",
    "refresh_token",
    "client_secret",
    "code",
    "code_verifier",
    "key",
    "application_token",
    "auth_id",
    "refresh_id",
    "app_sid",
    "state",
    "password",
)


def _spelled(name: str) -> str:
    """Return a pattern of a name however it is encoded."""
    signs = {"_": r"[_.+]|%5F|%2E|%20"}
    return "".join(f"(?:{signs.get(sign, f'{sign}|%{ord(sign):02X}|%{ord(sign.upper()):02X}')})" for sign in name)


_QUERIES = re.compile(
    r"((?:[?&]|%3F|%26)(?:\+|%20)*(?:"
    + "|".join(map(_spelled, _NAMED))
    + r")(?:(?:\[|%5B)[^=&\s\"'#]{0,99}?)?(?:=|%3D))(?:(?!%26)[^&\s\"'#])+",
    re.IGNORECASE,
)
_SECRETS = re.compile(
    r"eyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*"  # provider tokens (JWT, RFC 7519)
    r"|\bya29\.[\w.-]+"  # Google access tokens
    r"|\bwk_[\w-]{8,}|\bwhsec_[\w+/=-]+"  # our own keys
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"  # user and password of a URL
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL,
)


def masked_token(token: str) -> str:
    """Return the last 6 characters of a token, or stars if it is short; of a Web Push subscription, those of its endpoint."""
    shown = token.partition(" ")[0]
    return f"...{shown[-_SHOWN:]}" if len(shown) >= _SHORT else "***"


_MARKS = ("=", "%", "://", "APA91", "eyJ", "ya29", "wk_", "whsec_", "-----BEGIN")
"""Each of the patterns but two has one of these in all that it finds; hexadecimal tokens and `/rest/` are looked for apart."""
_HEXADECIMAL = re.compile(r"[0-9a-fA-F]{32}")
_SHORTEST_TOKEN = 32


def masked_text(text: str) -> str:
    """Return the text with everything that looks like a token or a secret shortened."""
    return _searched(text) if _may_hold(text) else text


def _may_hold(text: str) -> bool:
    """Tell quickly of nearly all that is logged (names, ids, sentences) that there is nothing to be masked in it."""
    for mark in _MARKS:
        if mark in text:
            return True
    if len(text) >= _SHORTEST_TOKEN and _HEXADECIMAL.search(text):
        return True
    return "/" in text and "/rest/" in text.casefold()  # IGNORECASE takes a long s for an s, too


def _searched(text: str) -> str:
    named = _QUERIES.sub(r"\1***", _WEBHOOKS.sub(r"\1***", text))
    hidden = _ENDPOINTS.sub(lambda found: found[1] + masked_token(found[2]), _SECRETS.sub("***", named))
    return _TOKENS.sub(lambda found: masked_token(found[0]), hidden)


def mask(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask a log line (a structlog processor)."""
    for key, value in line.items():
        line[key] = _masked(key, value)
    return line


def _masked(key: str, value: Any) -> Any:
    match value:
        case str() if key in _SECRET_KEYS:
            return "***"
        case str() if key in _TOKEN_KEYS:
            return masked_token(value)
        case str():
            return masked_text(value)
        case dict():
            return {name: _masked(str(name), inner) for name, inner in value.items()}
        case list() | tuple():
            return [_masked(key, inner) for inner in value]
        case bool() | int() | float() | None:
            return value
        case bytes():
            return f"<{len(value)} bytes>"
        case _:
            return masked_text(str(value))
