"""From one form of a credential to another, and requests for certificates: what goes in comes out, or is refused in words."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    pkcs12,
)
from cryptography.x509.oid import NameOID

from unit.wire.credential_material import KEY, NOW_MS, RSA_KEY, certificate, openssl, p12, pem
from wakeline.model.credential import CredentialKind, Grade
from wakeline.wire.credential_file import Expectation, Inspection, inspect
from wakeline.wire.credential_file.conversion import Form, joined, written
from wakeline.wire.credential_file.private_key import Unreadable
from wakeline.wire.credential_file.signing_request import signing_request

LEAF = certificate()
CER = LEAF.public_bytes(Encoding.DER)
TEXT = LEAF.public_bytes(Encoding.PEM) + pem(RSA_KEY)


def judged(data: bytes, password: str = "") -> Inspection:
    return inspect(data, Expectation(now=NOW_MS, password=password, key_id="ABC123DEFG", team_id="TEAM123456"))


@pytest.mark.parametrize("out_password", ["", "pässword"])
@pytest.mark.parametrize("form", [Form.PEM, Form.P12])
@pytest.mark.parametrize(
    ("files", "password"),
    [
        ((CER, pem(RSA_KEY)), ""),
        ((CER, pem(RSA_KEY, PrivateFormat.TraditionalOpenSSL, "pw")), "pw"),
        ((TEXT,), ""),
        ((p12(RSA_KEY, LEAF, b"pw"),), "pw"),
        ((p12(RSA_KEY, LEAF), pem(RSA_KEY)), ""),
    ],
    ids=["cer+key", "cer+encrypted", "pem", "p12", "twice"],
)
def test_an_identity_comes_out_as_it_went_in(
    files: tuple[bytes, ...], password: str, form: Form, out_password: str
) -> None:
    made = written(joined(files, password), form, out_password)

    found = judged(made, out_password)
    assert found.verdict.grade is Grade.OK
    assert found.facts is not None
    assert found.facts.kind is CredentialKind.APNS_CERTIFICATE
    assert found.facts.fingerprint == judged(TEXT).facts.fingerprint  # type: ignore[union-attr]  # it is usable
    assert (b"BEGIN CERTIFICATE" in made) is (form is Form.PEM)
    if out_password:
        assert judged(made).verdict.grade is Grade.REFUSED


def test_a_legacy_p12_becomes_one_of_today(tmp_path_factory: pytest.TempPathFactory) -> None:
    source = tmp_path_factory.mktemp("files") / "identity.pem"
    source.write_bytes(TEXT)
    old = openssl("pkcs12", "-export", "-legacy", "-in", str(source), "-passout", "pass:pw")

    new = written(joined([old], "pw"), Form.P12, "pw")

    assert openssl("pkcs12", "-nodes", "-passin", "pass:pw", given=new).count(b"-----BEGIN") == 2


def test_the_chain_comes_along_leaf_first() -> None:
    authority = certificate(KEY, uid="WWDR", name="Authority")
    leaf = certificate(issuer=authority.subject)
    text = authority.public_bytes(Encoding.PEM) + leaf.public_bytes(Encoding.PEM) + pem(RSA_KEY)

    made = written(joined([text], ""), Form.PEM, "")

    assert x509.load_pem_x509_certificates(made) == [leaf, authority]
    boxed = pkcs12.load_pkcs12(written(joined([text], ""), Form.P12, "pw"), b"pw")
    assert boxed.cert is not None
    assert (boxed.cert.certificate, [one.certificate for one in boxed.additional_certs]) == (leaf, [authority])


def test_an_apns_key_becomes_pkcs8_whatever_it_was() -> None:
    old = openssl("ecparam", "-name", "prime256v1", "-genkey")

    made = written(joined([old], ""), Form.P8, "")

    assert made.startswith(b"-----BEGIN PRIVATE KEY-----")
    found = judged(made)
    assert found.facts is not None
    assert found.facts.fingerprint == judged(old).facts.fingerprint  # type: ignore[union-attr]  # it is usable
    assert judged(written(joined([old], ""), Form.P8, "pw"), "pw").verdict.grade is Grade.OK


@pytest.mark.parametrize(
    ("files", "form", "words"),
    [
        ((CER, pem(KEY)), Form.PEM, "does not belong"),
        ((CER,), Form.P12, "no private key"),
        ((pem(RSA_KEY),), Form.P12, "no certificate"),
        ((pem(KEY),), Form.PEM, "no certificate"),
        ((CER, pem(RSA_KEY), pem(KEY)), Form.PEM, "several identities"),
        ((TEXT, certificate(uid="com.other").public_bytes(Encoding.DER)), Form.PEM, "several identities"),
        ((TEXT,), Form.P8, "pem or p12"),
        ((pem(RSA_KEY),), Form.P8, "P-256"),
        ((pem(ec.generate_private_key(ec.SECP384R1())),), Form.P8, "P-256"),
        ((b'{"type": "service_account"}',), Form.PEM, "neither PEM text nor binary"),
        ((p12(RSA_KEY, LEAF, b"pw"),), Form.PEM, "without a password"),
    ],
)
def test_what_does_not_fit_together_is_refused_in_the_words_of_a_verdict(
    files: tuple[bytes, ...], form: Form, words: str
) -> None:
    with pytest.raises(Unreadable, match=words):
        written(joined(files, ""), form, "")


@pytest.mark.parametrize("key", [RSA_KEY, KEY], ids=["rsa", "ec"])
def test_a_request_bears_key_and_names(key: ec.EllipticCurvePrivateKey) -> None:
    made = x509.load_pem_x509_csr(signing_request(key, common_name="acme-chat", email="it@acme.example", country="de"))

    assert made.is_signature_valid
    assert made.public_key() == load_pem_private_key(pem(key), None).public_key()
    names = {attribute.oid: attribute.value for attribute in made.subject}
    assert names == {
        NameOID.EMAIL_ADDRESS: "it@acme.example",
        NameOID.COMMON_NAME: "acme-chat",
        NameOID.COUNTRY_NAME: "DE",
    }
    assert made.public_bytes(Encoding.PEM).startswith(b"-----BEGIN CERTIFICATE REQUEST-----")
    assert key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) in made.public_bytes(
        Encoding.DER
    )


@pytest.mark.parametrize("wrong", [{"country": "Germany"}, {"common_name": "x" * 65}])
def test_a_name_that_no_certificate_can_hold_is_an_error(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        signing_request(RSA_KEY, **({"common_name": "acme"} | wrong))
