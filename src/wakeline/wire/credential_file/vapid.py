"""A VAPID key: the P-256 key with which the gateway says to push services of the web who it is (RFC 8292).

Browsers subscribe with its public half, and only who holds the private half can push to them: a lost key is every
subscription lost. It comes as JSON of two keys in base64url (npm `web-push generate-vapid-keys --json`), or as PEM; PEM of
an APNs key looks the same, so it is taken for a VAPID key only by the caller's word.
"""

from __future__ import annotations

import hashlib
import re

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from wakeline.model.credential import Credential, CredentialKind, CredentialSecret
from wakeline.model.route import Environment
from wakeline.wire.credential_file.inspection import Expectation, Inspection, Notes
from wakeline.wire.webpush.keys import SCALAR_BYTES, decoded, encoded, point_of, private_key

CONTACT_LIMIT = 255
"""Characters; it travels with every request."""

_MAIL = re.compile(r"mailto:[^\s@<>,;\"]+@(?P<host>[A-Za-z0-9.-]+)").fullmatch
_PAGE = re.compile(r"https://(?P<host>[A-Za-z0-9.-]+)(:\d+)?(/[\x21-\x7e]*)?").fullmatch
_MAKE = "Make a pair with `wakeline credential vapid`, or with npx web-push generate-vapid-keys --json."


class _File(msgspec.Struct, frozen=True):
    """The two fields of the JSON form; anything may stand in them."""

    public: object = msgspec.field(default=None, name="publicKey")
    private: object = msgspec.field(default=None, name="privateKey")


def read_pair(text: bytes) -> _File | None:
    """Return the JSON form of a VAPID key, or None if this is something else."""
    try:
        file = msgspec.json.decode(text, type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return None if file == _File() else file


def from_pair(file: _File, expectation: Expectation) -> Inspection:
    """Judge the JSON form: both keys have to be there and belong together."""
    public, private = _bytes(file.public), _bytes(file.private)
    if not file.private:
        return Inspection.refused(f"The file holds the public half of a VAPID key alone. {_MAKE}")
    if private is None or len(private) != SCALAR_BYTES:
        return Inspection.refused(
            f"privateKey is not {SCALAR_BYTES} bytes in base64url: it was cut or changed. {_MAKE}"
        )
    try:
        key = ec.derive_private_key(int.from_bytes(private, "big"), ec.SECP256R1())
    except ValueError:
        return Inspection.refused(f"privateKey is no private key of P-256: it was changed. {_MAKE}")
    if not file.public:
        return Inspection.refused(
            "The file holds privateKey and no publicKey. Upload both: only so can be told that it is the pair which your "
            "browsers subscribed with."
        )
    if public != point_of(key.public_key()):
        return Inspection.refused("publicKey and privateKey do not belong together: they are of two VAPID keys.")
    return _judged(key, expectation)


def from_private_key(key: PrivateKeyTypes, expectation: Expectation) -> Inspection:
    """Judge a key out of PEM or DER that the caller calls a VAPID key."""
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        kind = key.curve.name if isinstance(key, ec.EllipticCurvePrivateKey) else type(key).__name__
        return Inspection.refused(f"A VAPID key is on the curve P-256 (RFC 8292); this one is {kind}. {_MAKE}")
    return _judged(key, expectation)


def new_vapid_key(seed: bytes, expectation: Expectation) -> Inspection:
    """Return a new key, judged like an upload; it follows from `seed`, 32 bytes of a secret source."""
    if len(seed) != SCALAR_BYTES:
        raise ValueError(f"a key takes {SCALAR_BYTES} bytes of entropy")
    return _judged(private_key(seed), expectation)


def _judged(key: ec.EllipticCurvePrivateKey, expectation: Expectation) -> Inspection:
    notes = Notes()
    _judge_contact(expectation.contact, notes)
    if expectation.topics:
        notes.warn("A VAPID key has no topics: it speaks for every web app of the app.")
    public = key.public_key()
    facts = Credential(
        id=0,
        app=expectation.app,
        kind=CredentialKind.VAPID_KEY,
        environments=(Environment.PRODUCTION,),
        subject=expectation.contact,
        public_key=encoded(point_of(public)),
        fingerprint=hashlib.sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest(),
    )
    secret = CredentialSecret(
        kind=CredentialKind.VAPID_KEY,
        private_key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )
    return Inspection.usable(facts, secret, notes)


def _judge_contact(contact: str, notes: Notes) -> None:
    """Judge how push services reach the operator (RFC 8292 section 2.1; Apple answers BadJwtToken to one it dislikes)."""
    if not contact:
        notes.warn("Without a contact (mailto: or https:) Apple refuses the key, and nobody can tell you of trouble.")
        return
    found = _MAIL(contact) or _PAGE(contact)
    if found is None or len(contact) > CONTACT_LIMIT:
        notes.refuse(f"The contact {contact[:80]!r} is neither mailto:somebody@example.com nor https://example.com.")
    elif "." not in found["host"].strip(".") or found["host"].endswith(".local"):
        notes.warn(f"Apple refuses a contact at {found['host'][:80]!r}, which is no host of the internet.")


def _bytes(text: object) -> bytes | None:
    return decoded(text) if isinstance(text, str) else None
