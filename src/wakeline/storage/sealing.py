"""Sealing: AES-256-GCM with the installation's master key; what is stored is useless without it.

A sealed value is `2 (1) | key id (4) | nonce (12) | ciphertext and tag`; form 1, of the first releases, has no key id. The
context (row id + kind + app) is authenticated with it, so that a sealed value moved to another row does not open. Sub-keys
for other purposes come from HKDF (RFC 5869), and so does the key id: it names a key and tells nothing of it.

While a master key is being changed two are held: the current one seals, the former ones still open (`storage.keyring`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from wakeline.model.errors import ConfigError, SecretError

KEY_BYTES = 32

_FIRST, _WITH_KEY_ID = b"\x01", b"\x02"
_NONCE_BYTES = 12
_ID_BYTES = 4
_LOST = (
    "Bring back the master key that belongs to this store: [secrets] master_key_file, on a line below the present one."
)


def id_of(master_key: bytes) -> str:
    """Return the name of a master key: eight hex digits from which nothing of the key can be told."""
    return _derived(master_key, "key id")[:_ID_BYTES].hex()


class Sealer:
    """Seals with the current master key and opens with any it holds; implements `ports.Secrets`."""

    def __init__(self, master_key: bytes, former: Iterable[bytes] = ()) -> None:
        self.adopt(master_key, former)

    def adopt(self, master_key: bytes, former: Iterable[bytes] = ()) -> None:
        """Seal with this key from now on, and go on opening with the former ones. Raises ConfigError for a wrong length."""
        keys = [master_key, *former]
        for key in keys:
            if len(key) != KEY_BYTES:
                raise ConfigError(f"The master key has {len(key)} bytes; it must have {KEY_BYTES}")
        self._keys = keys
        self._ciphers = {id_of(key): AESGCM(_derived(key, "seal")) for key in keys}
        self.key_id = id_of(master_key)
        """Name of the key that seals."""

    def knows(self, key_id: str) -> bool:
        """Tell whether the master key of this name is held."""
        return key_id in self._ciphers

    def is_current(self, sealed: bytes) -> bool:
        """Tell whether a value is sealed in today's form with the current key."""
        return sealed[:1] == _WITH_KEY_ID and _key_id_in(sealed) == self.key_id

    def seal(self, secret: bytes, context: str) -> bytes:
        """Return the sealed form, different each time."""
        nonce = os.urandom(_NONCE_BYTES)
        body = self._ciphers[self.key_id].encrypt(nonce, secret, context.encode())
        return _WITH_KEY_ID + bytes.fromhex(self.key_id) + nonce + body

    def open(self, sealed: bytes, context: str) -> bytes:
        """Return the secret. Raises SecretError when key, context or bytes differ."""
        if sealed[:1] == _WITH_KEY_ID:
            return self._open_with_id(sealed, context)
        if sealed[:1] == _FIRST:
            return self._open_first(sealed[1:], context)
        raise SecretError("A sealed value has an unknown form; it was written by a newer release or changed")

    def _open_with_id(self, sealed: bytes, context: str) -> bytes:
        key_id = _key_id_in(sealed)
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise SecretError(
                f"A sealed value needs the master key {key_id}, and what we have is {self._names()}", fix=_LOST
            )
        secret = _decrypted(cipher, sealed[1 + _ID_BYTES :], context)
        if secret is None:
            raise SecretError(f"A sealed value was changed, or moved: it does not open with its master key {key_id}")
        return secret

    def _open_first(self, body: bytes, context: str) -> bytes:
        for cipher in self._ciphers.values():
            secret = _decrypted(cipher, body, context)
            if secret is not None:
                return secret
        raise SecretError(f"A sealed value does not open with the master key {self._names()}", fix=_LOST)

    def derive(self, purpose: str) -> bytes:
        """Return 32 bytes for another purpose, stable for this master key."""
        return _derived(self._keys[0], purpose)

    def accepted(self, purpose: str) -> tuple[bytes, ...]:
        """Return `derive(purpose)`, and what it was under the former keys: what was signed with those still counts."""
        return tuple(_derived(key, purpose) for key in self._keys)

    def _names(self) -> str:
        return " and ".join(self._ciphers)


def _key_id_in(sealed: bytes) -> str:
    return sealed[1 : 1 + _ID_BYTES].hex()


def _decrypted(cipher: AESGCM, body: bytes, context: str) -> bytes | None:
    try:
        return cipher.decrypt(body[:_NONCE_BYTES], body[_NONCE_BYTES:], context.encode())
    except (InvalidTag, ValueError):  # ValueError: too short for a nonce
        return None


def _derived(master_key: bytes, purpose: str) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=f"wakeline {purpose}".encode()).derive(master_key)
