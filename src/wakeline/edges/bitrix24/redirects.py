"""Where an application's users go with their code: web addresses, and schemes of mobile apps (`myapp://...`).

Rule: what is registered is compared letter by letter (RFC 6749 section 3.1.2, RFC 9700 section 2.1), so whatever a browser could
read in another way is refused when it is registered.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlencode, urlsplit

from wakeline.model.errors import InvalidRequest

LONGEST = 2000
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*\Z")
_LETTERS = re.compile(r"[!$-;=?-Z\[\]_a-z~%]+\Z")
_PLAIN_HOST = re.compile(r"[a-z0-9.-]+(?::[0-9]+)?\Z")
_WEB = frozenset({"http", "https"})
_NEVER = frozenset({"javascript", "data", "vbscript", "file", "about", "blob", "view-source", "filesystem"})
"""Schemes with which a browser would run or show what the address itself contains."""


def checked(uri: str) -> str:
    """Return an address that may be registered. Raises InvalidRequest, which says why not."""
    if len(uri) > LONGEST or not _LETTERS.match(uri):
        raise _wrong(f"it must be an address of at most {LONGEST} characters, without a fragment, and percent-encoded")
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        raise _wrong("it is no address") from None
    if not _SCHEME.match(parts.scheme) or parts.scheme in _NEVER:
        raise _wrong("it must begin with https:// or the scheme of a mobile app, such as myapp://")
    if parts.scheme in _WEB and not parts.hostname:
        raise _wrong("it names no host")
    if "@" in parts.netloc or port == 0:
        raise _wrong("it must not contain a user, a password or port 0")
    return uri


def with_answer(uri: str, answer: Iterable[tuple[str, str]]) -> str:
    """Return the address with an answer added to its query."""
    return f"{uri}{'&' if '?' in uri else '?'}{urlencode(list(answer))}"


def form_source(uri: str) -> str:
    """Return a Content-Security-Policy source that lets a form's answer lead there (CSP 3 section 6.4.2: redirects count)."""
    parts = urlsplit(uri)
    if parts.scheme in _WEB and _PLAIN_HOST.match(parts.netloc.lower()):
        return f"{parts.scheme}://{parts.netloc.lower()}"
    return f"{parts.scheme}:"


def _wrong(why: str) -> InvalidRequest:
    return InvalidRequest(
        f"this redirect_uri cannot be registered: {why}",
        pointer="/redirect_uri",
        fix="Give the very address to which the application expects its users to come back.",
    )
