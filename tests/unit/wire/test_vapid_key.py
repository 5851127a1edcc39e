"""A VAPID key in the forms in which people have one, and what is taken for one and is not."""

from __future__ import annotations

import json
from itertools import count

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from wakeline.model.credential import CredentialKind, Grade, Verdict
from wakeline.wire.credential_file import Expectation, Inspection, inspect, new_vapid_key
from wakeline.wire.webpush.keys import encoded, point_of

KEY = ec.generate_private_key(ec.SECP256R1())
OTHER = ec.generate_private_key(ec.SECP256R1())
PUBLIC = encoded(point_of(KEY.public_key()))
CONTACT = "mailto:ops@example.com"


def scalar(key: ec.EllipticCurvePrivateKey) -> str:
    return encoded(key.private_numbers().private_value.to_bytes(32, "big"))


def pem(key: PrivateKeyTypes, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    return key.private_bytes(Encoding.PEM, form, NoEncryption())


def pair(**changed: object) -> bytes:
    """What npm `web-push generate-vapid-keys --json` prints."""
    fields: dict[str, object] = {"publicKey": PUBLIC, "privateKey": scalar(KEY), **changed}
    return json.dumps({name: value for name, value in fields.items() if value is not None}).encode()


def judge(data: bytes, kind: CredentialKind | None = None, contact: str = CONTACT) -> Inspection:
    told = Expectation(now=0, app=3, kind=kind, contact=contact, key_id="ABC123DEFG", team_id="TEAM123456")
    return inspect(data, told)


def refusal(inspection: Inspection) -> str:
    assert inspection.verdict.grade is Grade.REFUSED
    assert inspection.facts is None
    assert inspection.secret is None
    return inspection.verdict.notes[0]


@pytest.mark.parametrize("kind", [None, CredentialKind.VAPID_KEY])
def test_a_pair_is_told_from_its_bytes(kind: CredentialKind | None) -> None:
    inspection = judge(pair(), kind)
    assert inspection.verdict == Verdict(grade=Grade.OK)
    assert inspection.facts is not None
    assert (inspection.facts.kind, inspection.facts.app) == (CredentialKind.VAPID_KEY, 3)
    assert (inspection.facts.public_key, inspection.facts.subject) == (PUBLIC, CONTACT)
    assert len(inspection.facts.fingerprint) == 64
    assert inspection.secret is not None
    kept = load_pem_private_key(inspection.secret.private_key, None)
    assert isinstance(kept, ec.EllipticCurvePrivateKey)
    assert kept.private_numbers() == KEY.private_numbers()


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_a_pem_key_is_a_vapid_key_only_by_word(form: PrivateFormat) -> None:
    called, uncalled = judge(pem(KEY, form), CredentialKind.VAPID_KEY), judge(pem(KEY, form))
    assert called.facts is not None
    assert (called.facts.kind, called.facts.public_key) == (CredentialKind.VAPID_KEY, PUBLIC)
    assert called.facts.fingerprint == (judge(pair()).facts or called.facts).fingerprint
    assert uncalled.facts is not None
    assert uncalled.facts.kind is CredentialKind.APNS_KEY


def test_a_binary_key_is_taken_too() -> None:
    der = KEY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    inspection = judge(der, CredentialKind.VAPID_KEY)
    assert inspection.facts is not None
    assert inspection.facts.public_key == PUBLIC


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (pair(privateKey=None), "public half"),
        (pair(privateKey=""), "public half"),
        (pair(publicKey=None), "no publicKey"),
        (pair(publicKey=encoded(point_of(OTHER.public_key()))), "do not belong together"),
        (pair(publicKey="*"), "do not belong together"),
        (pair(publicKey=7), "do not belong together"),
        (pair(privateKey="short"), "privateKey is not 32 bytes"),
        (pair(privateKey=[1]), "privateKey is not 32 bytes"),
        (pair(privateKey=encoded(bytes(32))), "no private key of P-256"),
        (pair(privateKey=encoded(b"\xff" * 32)), "no private key of P-256"),
    ],
    ids=count(),  # not the keys, which are new in every process
)
def test_a_pair_that_cannot_work_is_refused_in_words(data: bytes, words: str) -> None:
    assert words in refusal(judge(data))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (pem(ec.generate_private_key(ec.SECP384R1())), "secp384r1"),
        (pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)), "RSA"),
    ],
)
def test_a_key_of_another_kind_is_refused(data: bytes, words: str) -> None:
    note = refusal(judge(data, CredentialKind.VAPID_KEY))
    assert "P-256" in note
    assert words in note


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (pair(), CredentialKind.APNS_KEY, "a VAPID key, and you say that it is an APNs key"),
        (pair(), CredentialKind.FCM_SERVICE_ACCOUNT, "a VAPID key, and you say that it is an FCM service account"),
        (pem(KEY), CredentialKind.FCM_SERVICE_ACCOUNT, "an APNs key, and you say that it is an FCM service account"),
        (pem(KEY), CredentialKind.APNS_CERTIFICATE, "an APNs key, and you say that it is an APNs certificate"),
        (
            b'{"type":"service_account"}',
            CredentialKind.VAPID_KEY,
            "an FCM service account, and you say that it is a VAPID",
        ),
    ],
)
def test_a_file_of_another_kind_than_said_is_refused(data: bytes, kind: CredentialKind, words: str) -> None:
    assert words in refusal(judge(data, kind))


@pytest.mark.parametrize(
    "contact", ["mailto:ops@example.com", "https://example.com", "https://example.com:8443/contact?x=1"]
)
def test_a_contact_is_a_mail_address_or_a_page(contact: str) -> None:
    inspection = judge(pair(), contact=contact)
    assert inspection.verdict.grade is Grade.OK
    assert inspection.facts is not None
    assert inspection.facts.subject == contact


@pytest.mark.parametrize(
    "contact",
    [
        "ops@example.com",
        "http://example.com",
        "mailto:",
        "mailto: ops@example.com",
        "mailto:a@b.c\r\nx: y",
        "https://",
        "x" * 300,
    ],
)
def test_what_is_no_contact_is_refused(contact: str) -> None:
    assert "contact" in refusal(judge(pair(), contact=contact))


@pytest.mark.parametrize("contact", ["", "mailto:me@localhost", "https://gateway.local/"])
def test_a_contact_that_apple_refuses_warns(contact: str) -> None:
    verdict = judge(pair(), contact=contact).verdict
    assert verdict.grade is Grade.WARNING
    assert "Apple" in verdict.notes[0]


def test_topics_of_a_vapid_key_are_pointed_out() -> None:
    inspection = inspect(pair(), Expectation(now=0, topics=("com.example.chat",), contact=CONTACT))
    assert "no topics" in inspection.verdict.notes[0]
    assert inspection.facts is not None
    assert inspection.facts.topics == ()


def test_a_new_key_follows_from_its_entropy_and_is_one_like_any_other() -> None:
    told = Expectation(now=0, app=3, contact=CONTACT)
    made, again, another = (new_vapid_key(seed, told) for seed in (b"1" * 32, b"1" * 32, b"2" * 32))
    assert made == again
    assert made.facts is not None
    assert made.secret is not None
    assert another.facts is not None
    assert made.facts.public_key != another.facts.public_key
    assert judge(made.secret.private_key, CredentialKind.VAPID_KEY).facts == made.facts


@pytest.mark.parametrize("seed", [b"", b"x" * 31, b"x" * 33])
def test_too_little_entropy_makes_no_key(seed: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        new_vapid_key(seed, Expectation(now=0))


def test_an_inspection_shows_no_key() -> None:
    assert scalar(KEY) not in repr(judge(pair()))
