"""Sealing: AES-256-GCM with the installation's master key; what is stored is useless without it.

A sealed value is `version (1) | nonce (12) | ciphertext and tag`. The context (row id + kind + app) is authenticated with
it, so that a sealed value moved to another row does not open. Sub-keys for other purposes come from HKDF (RFC 5869).
"""

from __future__ import annotations

import base64
import binascii
import os
import tempfile
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from wakeline.model.errors import ConfigError, SecretError

_VERSION = b"\x01"
_NONCE_BYTES = 12
_KEY_BYTES = 32


class Sealer:
    """Seals with one master key; implements `ports.Secrets`."""

    def __init__(self, master_key: bytes) -> None:
        if len(master_key) != _KEY_BYTES:
            raise ConfigError(f"The master key has {len(master_key)} bytes; it must have {_KEY_BYTES}")
        self._master_key = master_key
        self._cipher = AESGCM(self.derive("seal"))

    def seal(self, secret: bytes, context: str) -> bytes:
        """Return the sealed form, different each time."""
        nonce = os.urandom(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, secret, context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        """Return the secret. Raises SecretError when key, context or bytes differ."""
        if sealed[:1] != _VERSION:
            raise SecretError("A sealed value has an unknown form; it was written by a newer release or changed")
        nonce, body = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, body, context.encode())
        except InvalidTag:
            raise SecretError(
                "A sealed value does not open with this master key",
                fix="Bring back the master key file that belongs to this store ([secrets] master_key_file).",
            ) from None

    def derive(self, purpose: str) -> bytes:
        """Return 32 bytes for another purpose, stable for this master key."""
        return HKDF(SHA256(), _KEY_BYTES, salt=None, info=f"wakeline {purpose}".encode()).derive(self._master_key)


def open_master_key(path: Path, *, create: bool = True) -> bytes:
    """Return the master key in `path`; make it (mode 0600) if absent and `create`. Raises ConfigError."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        if not create:
            raise ConfigError(
                f"There is no master key at {path}", fix="Bring the file back from your backup; sealed values need it."
            ) from None
        return _create(path)
    except OSError as error:
        raise ConfigError(f"The master key at {path} cannot be read: {error.strerror}") from None
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except binascii.Error:
        raise ConfigError(f"The master key at {path} is not base64 text") from None
    if len(key) != _KEY_BYTES:
        raise ConfigError(f"The master key at {path} has {len(key)} bytes; it must have {_KEY_BYTES}")
    return key


def _create(path: Path) -> bytes:
    """Make the key whole in a file beside it and then give it its name: a crash or a twin never leaves half a key."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = os.urandom(_KEY_BYTES)
    handle, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # made with mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(base64.b64encode(key) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(draft)
    except FileExistsError:  # another process was first: its key is the key
        return open_master_key(path, create=False)
    finally:
        Path(draft).unlink()
    return key
