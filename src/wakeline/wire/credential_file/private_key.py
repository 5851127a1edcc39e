"""Private keys in the forms that tools write, and why one cannot be read.

PKCS#1 and SEC1 ("traditional"), PKCS#8, encrypted or not, as PEM or DER. The old way to encrypt PEM (RFC 1421 section 4.6.1.1:
`DEK-Info`) names its cipher in clear, so an outdated one is told from a wrong password.
"""

from __future__ import annotations

import re

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key

_CIPHER = re.compile(rb"^DEK-Info: *([A-Za-z0-9-]+)", re.MULTILINE)
_READABLE_CIPHERS = frozenset({b"AES-128-CBC", b"AES-256-CBC", b"DES-EDE3-CBC"})
_ANEW = "Write it anew: openssl pkey -aes256 -in OLD.pem -out NEW.pem -provider legacy -provider default"


class Unreadable(Exception):
    """Why the contents of a file cannot be read, as a sentence for its owner."""


def pem_key(block: bytes, password: str) -> PrivateKeyTypes:
    """Read one PEM block. Raises Unreadable."""
    encrypted = b"ENCRYPTED" in block
    cipher = _CIPHER.search(block)
    if cipher and cipher[1].upper() not in _READABLE_CIPHERS:
        raise Unreadable(
            f"The private key is encrypted with {cipher[1].decode()[:32]}, an outdated cipher that is not supported. {_ANEW}"
        )
    if encrypted and not password:
        raise _closed()
    try:
        return load_pem_private_key(block, password.encode() if encrypted else None)
    except UnsupportedAlgorithm:
        raise _outdated() from None
    except (ValueError, TypeError):
        raise _unreadable(encrypted=encrypted) from None


def der_key(data: bytes, password: str) -> PrivateKeyTypes | None:
    """Read a binary key; None for what is no key. Raises Unreadable for an encrypted one that does not open."""
    try:
        return load_der_private_key(data, None)
    except TypeError:
        pass  # it is encrypted
    except (ValueError, UnsupportedAlgorithm):
        return None
    if not password:
        raise _closed()
    try:
        return load_der_private_key(data, password.encode())
    except UnsupportedAlgorithm:
        raise _outdated() from None
    except ValueError:
        raise _unreadable(encrypted=True) from None


def _closed() -> Unreadable:
    return Unreadable("The private key is encrypted. Give its password (password=..., --password).")


def _outdated() -> Unreadable:
    return Unreadable(
        f"The private key is of a kind, or encrypted in a way, that is outdated and not supported. {_ANEW}"
    )


def _unreadable(*, encrypted: bool) -> Unreadable:
    if encrypted:
        return Unreadable("The password is wrong, or the encrypted private key is broken.")
    return Unreadable("The private key is broken: it was cut or changed. Download or export it again.")
