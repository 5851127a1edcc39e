"""Tokens as numbers: what the registry's index of tokens holds in place of their text.

Rule: equal tokens have equal keys; different tokens may share one, so whoever looks by key compares the token, too. A token of
an index must be found whatever it looks like, and tokens come in no order: an index of 8 bytes each is a sixth of one of the
tokens themselves, and a write to it meets a page that is in memory far more often. Of a Web Push subscription the key is that
of its endpoint, under which it must be found as well.
"""

from __future__ import annotations

import sqlite3
from hashlib import blake2b

from wakeline.model.device import TargetKind


def token_key(app: int, kind: str, value: str) -> int:
    """Return the key of a token of an app: a 64-bit digest, as SQLite's signed integer."""
    known = value.partition(" ")[0] if kind == TargetKind.WEBPUSH else value
    return int.from_bytes(blake2b(f"{app} {kind} {known}".encode(), digest_size=8).digest(), "big", signed=True)


def teach(connection: sqlite3.Connection) -> None:
    """Have SQL on this connection know `token_key (app, kind, value)`: a migration needs it for the tokens that are there."""
    connection.create_function("token_key", 3, token_key, deterministic=True)
