"""What a file holds: a private key, certificates, or both; out of PEM text, PKCS#12 or bare DER, whatever tool wrote it.

`openssl pkcs12 -nodes` puts "Bag Attributes" between PEM blocks; RFC 7468 section 2 lets a reader skip such text. "No password"
has two encodings in PKCS#12 files, absent and empty; both are tried. Of several keys in a PKCS#12 file OpenSSL returns the
first and says nothing, so they are counted here: key bags stand outside of what is encrypted (RFC 7292 section 4.2).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import pkcs12

from wakeline.wire.credential_file.private_key import Unreadable, der_key, pem_key

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\r?\n.*?-----END \1-----", re.DOTALL)
_DER_SEQUENCE, _LONG_FORM = 0x30, 0x80
_PFX_VERSION = b"\x02\x01\x03"
# keyBag and pkcs8ShroudedKeyBag, 1.2.840.113549.1.12.10.1.1 and .2, as they stand in a file.
_KEY_BAG = re.compile(rb"\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01[\x01\x02]")
_WRONG = (
    ValueError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What `cryptography` raises for a certificate that makes no sense."""

_INSTEAD = {
    "CERTIFICATE REQUEST": "a certificate signing request, which is what Apple makes a certificate from: upload it at "
    "developer.apple.com, and give the .cer that you get to `wakeline credential convert`",
    "PUBLIC KEY": "a public key, and the private one is needed",
}


class Contents(NamedTuple):
    """What was found; `certificates` in the order of the file; `pkcs12`: it was such a file."""

    key: PrivateKeyTypes | None
    certificates: tuple[x509.Certificate, ...]
    pkcs12: bool = False


def is_pem(data: bytes) -> bool:
    """Tell whether there is a PEM block in it."""
    return b"-----BEGIN " in data


def is_der(data: bytes) -> bool:
    """Tell whether it may be PKCS#12, a certificate or a key in binary form: all of them are a DER sequence."""
    return data[:1] == bytes([_DER_SEQUENCE])


def contents(data: bytes, password: str) -> Contents:
    """Return what is in PEM text or DER. Raises Unreadable with the reason in words."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # of files that are read although they are not quite right, such as Keychain's BER
        if is_pem(data):
            return _of_pem(data, password)
        if _is_pkcs12(data):
            return _of_pkcs12(data, password)
        return _of_der(data, password)


def _of_pem(text: bytes, password: str) -> Contents:
    blocks = [(match[1].decode(), match[0]) for match in _BLOCK.finditer(text)]
    if not blocks:
        raise Unreadable("A PEM block begins and does not end: the file was cut. Copy the whole file again.")
    key_blocks = [block for label, block in blocks if label.endswith("PRIVATE KEY")]
    if len(key_blocks) > 1:
        raise _several_keys(len(key_blocks))
    keys = [pem_key(block, password) for block in key_blocks]
    try:
        certificates = [x509.load_pem_x509_certificate(block) for label, block in blocks if label == "CERTIFICATE"]
    except _WRONG:
        raise _broken_certificate() from None
    _understand(certificates)
    if not keys and not certificates:
        label = blocks[0][0].removeprefix("NEW ")
        what = _INSTEAD.get(label, f"{label}, and neither a private key nor a certificate")
        raise Unreadable(f"The file holds {what}.")
    return Contents(keys[0] if keys else None, tuple(certificates))


def _of_pkcs12(data: bytes, password: str) -> Contents:
    found = len(_KEY_BAG.findall(data))
    if found > 1:
        raise _several_keys(found)
    store = _opened(data, password)
    entries = ([store.cert] if store.cert else []) + list(store.additional_certs)
    certificates = [entry.certificate for entry in entries]
    _understand(certificates)
    return Contents(store.key, tuple(certificates), pkcs12=True)


def _opened(data: bytes, password: str) -> pkcs12.PKCS12KeyAndCertificates:
    for secret in [password.encode()] if password else [None, b""]:
        try:
            return pkcs12.load_pkcs12(data, secret)
        except x509.InvalidVersion:
            raise _broken_certificate() from None
        except (ValueError, TypeError) as error:
            if "asn1" in str(error):  # the password was right, and a certificate inside makes no sense
                raise _broken_certificate() from None
    if password:
        raise Unreadable("The .p12 cannot be opened: the password is wrong, or the file is broken.")
    raise Unreadable(
        "The .p12 cannot be opened without a password, or the file is broken. Give its password (--password)."
    )


def _of_der(data: bytes, password: str) -> Contents:
    try:
        certificate = x509.load_der_x509_certificate(data)
    except _WRONG:
        pass
    else:
        _understand([certificate])
        return Contents(None, (certificate,))
    key = der_key(data, password)
    if key is not None:
        return Contents(key, ())
    raise Unreadable(
        "The file is binary and neither a .p12, nor a certificate (.cer), nor a private key; or it was cut or changed. "
        "Download or export it again."
    )


def _understand(certificates: Sequence[x509.Certificate]) -> None:
    """Read what is looked at later: a certificate is parsed as far as it is asked, and raises there."""
    try:
        for one in certificates:
            one.public_key()
            _ = one.extensions, one.subject, one.issuer, one.not_valid_before_utc, one.not_valid_after_utc
    except _WRONG:
        raise _broken_certificate() from None


def _is_pkcs12(data: bytes) -> bool:
    """Tell by the version behind the first header (RFC 7292 section 4); Keychain writes the length in the indefinite form."""
    length = data[1] if len(data) > 1 else 0
    start = 2 + (length & ~_LONG_FORM if length & _LONG_FORM else 0)
    return data[start : start + len(_PFX_VERSION)] == _PFX_VERSION


def _several_keys(number: int) -> Unreadable:
    return Unreadable(
        f"The file holds {number} private keys (several identities). Export one certificate with its key alone."
    )


def _broken_certificate() -> Unreadable:
    return Unreadable("A certificate in the file cannot be read: it was cut or changed. Export it again.")
