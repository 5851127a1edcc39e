"""What opens a door of the portal: how it is made, what of it is kept, and how it is compared.

Rule: texts that we make have 95 random bits or more, so that a SHA-256 digest of them keeps the secret; passwords are made by
people, so they get Argon2id (RFC 9106). Nothing here is ever logged.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import string
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_LETTERS = string.ascii_letters + string.digits
_WEBHOOK_LETTERS = 16
"""As long as a portal's own: 62 ** 16 is 95 bits."""
_SECRET_LETTERS = 50

_hasher = PasswordHasher()
_threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="password")
"""Passwords are hashed off the loop, two at a time: each takes 64 MiB and a core for some 50 ms."""


def digest(text: str) -> bytes:
    """Return what is kept of a text that we made."""
    return hashlib.sha256(text.encode()).digest()


def matches(text: str, kept: bytes) -> bool:
    """Tell whether a text is the one of which this digest is kept, in constant time."""
    return hmac.compare_digest(digest(text), kept)


def new_token() -> str:
    """Return an access or refresh token: 256 bits."""
    return secrets.token_hex(32)


def new_code() -> str:
    """Return an authorization code: 128 bits."""
    return secrets.token_hex(16)


def new_client_id() -> str:
    """Return a client id; those of local applications begin with `local.`."""
    return f"local.{secrets.token_hex(12)}"


def new_client_secret() -> str:
    """Return the secret of an application: 297 bits."""
    return _letters(_SECRET_LETTERS)


def new_webhook_code() -> str:
    """Return the code of an incoming webhook."""
    return _letters(_WEBHOOK_LETTERS)


def new_application_token() -> str:
    """Return what proves to an application that an event is ours: 32 characters, 128 bits."""
    return secrets.token_hex(16)


async def password_hash(password: str) -> str:
    """Return what is kept of a password (Argon2id), off the loop."""
    return await asyncio.get_running_loop().run_in_executor(_threads, _hasher.hash, password)


async def is_password(password: str, kept: str) -> bool:
    """Tell whether this is the password; where none is kept it takes as long and is not."""
    return await asyncio.get_running_loop().run_in_executor(_threads, _verified, password, kept)


def _verified(password: str, kept: str) -> bool:
    nobodys = _nobodys()
    try:
        _hasher.verify(kept or nobodys, password)
    except (VerificationError, InvalidHashError):
        return False
    return bool(kept)


@cache
def _nobodys() -> str:
    """Return the hash of a password that nobody has."""
    return _hasher.hash(secrets.token_urlsafe())


def _letters(count: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(count))
