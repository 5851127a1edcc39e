"""A registration as a row: what is written when it is made, refreshed, changed and forgotten.

Rule: phones refresh far more often than they change. So a refresh writes the row and the two times in its indexes, and the
indexes of app, GRUU and tokens only if what they hold has changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

import msgspec

from wakeline.model.sip.binding import Binding
from wakeline.storage.sip import without_app
from wakeline.storage.sqlite.statements import load
from wakeline.storage.sqlite.transaction import Transaction

SQL = load("sip_bindings")

_KEY_BYTES = 8
_binding = msgspec.json.Decoder(Binding)


def token_key(app: int, token: str) -> int:
    """Return what the index of tokens holds in place of one."""
    return _digest(f"{app} {token}")


def gruu_key(gruu: str) -> int:
    """Return what the index of GRUUs holds in place of one."""
    return _digest(gruu)


def binding_of(facts: bytes) -> Binding:
    """Return the binding of a row."""
    return _binding.decode(facts)


def keep(tx: Transaction, binding: Binding) -> None:
    """Make a binding, or put it in place of the one with its AoR and uid."""
    times = binding.expires, binding.kept, msgspec.json.encode(binding)
    indexed = _indexed(binding)
    place = tx.one(SQL["place"], (binding.aor, binding.uid))
    if place is None:
        expires, kept, facts = times
        cursor = tx.execute(SQL["insert_binding"], (binding.aor, binding.uid, expires, kept, *indexed, facts))
        _teach(tx, cursor.lastrowid or 0, indexed[-1])
        return
    number, *known = place
    if tuple(known) == indexed:
        tx.execute(SQL["refresh_binding"], (*times, number))
    else:
        _change(tx, number, known[-1], binding)


def forget(tx: Transaction, places: Iterable[tuple[int, bytes]]) -> None:
    """Forget bindings, given by their ids and token keys."""
    for number, tokens in places:
        _unteach(tx, number, tokens)
        tx.execute(SQL["delete_binding"], (number,))


def leave_app(tx: Transaction, number: int, tokens: bytes, facts: bytes) -> None:
    """Have a binding go on without the app that its pushes went through."""
    _change(tx, number, tokens, without_app(binding_of(facts)))


def _change(tx: Transaction, number: int, tokens: bytes, binding: Binding) -> None:
    indexed = _indexed(binding)
    row = (binding.expires, binding.kept, msgspec.json.encode(binding), *indexed, number)
    tx.execute(SQL["change_binding"], row)
    if tokens != indexed[-1]:
        _unteach(tx, number, tokens)
        _teach(tx, number, indexed[-1])


def _indexed(binding: Binding) -> tuple[int, int, int | None, bytes]:
    """Return what a refresh leaves as it is: whether it can be woken, its app, and the keys of its GRUU and tokens."""
    push = binding.push
    tokens = () if push is None else push.tokens
    packed = b"".join(token_key(binding.app, token.value).to_bytes(_KEY_BYTES, "big", signed=True) for token in tokens)
    return int(push is not None), binding.app, gruu_key(binding.gruu) if binding.gruu else None, packed


def _teach(tx: Transaction, number: int, tokens: bytes) -> None:
    tx.many(SQL["insert_token"], _token_rows(number, tokens))


def _unteach(tx: Transaction, number: int, tokens: bytes) -> None:
    tx.many(SQL["delete_token"], _token_rows(number, tokens))


def _token_rows(number: int, tokens: bytes) -> list[Any]:
    starts = range(0, len(tokens), _KEY_BYTES)
    return [(int.from_bytes(tokens[start : start + _KEY_BYTES], "big", signed=True), number) for start in starts]


def _digest(text: str) -> int:
    return int.from_bytes(
        blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_KEY_BYTES).digest(), "big", signed=True
    )
