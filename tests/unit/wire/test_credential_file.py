"""Every way a credential file can be right or wrong, made here and judged in words."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)
from cryptography.x509.oid import NameOID, ObjectIdentifier

from wakeline.model.credential import CredentialKind, Grade
from wakeline.model.route import Environment
from wakeline.wire.credential_file import Expectation, Inspection, inspect

NOW = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
NOW_MS = int(NOW.timestamp() * 1000)
KEY = ec.generate_private_key(ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PRODUCTION_OID = ObjectIdentifier("1.2.840.113635.100.6.3.2")
DEVELOPMENT_OID = ObjectIdentifier("1.2.840.113635.100.6.3.1")
TOPICS_OID = ObjectIdentifier("1.2.840.113635.100.6.3.6")


def judge(
    data: bytes,
    *,
    alone: bool = False,
    password: str = "",
    key_id: str = "ABC123DEFG",
    team_id: str = "TEAM123456",
    topics: tuple[str, ...] = (),
    environment: Environment | None = None,
    token_hosts: tuple[str, ...] = (),
) -> Inspection:
    return inspect(
        data,
        Expectation(
            now=NOW_MS,
            password=password,
            key_id=key_id,
            team_id=team_id,
            topics=topics,
            environment=environment,
            token_hosts=token_hosts,
            alone=alone,
        ),
    )


def pem(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
    form: PrivateFormat = PrivateFormat.PKCS8,
    password: str = "",
) -> bytes:
    encryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, form, encryption)


def certificate(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = RSA_KEY,
    *,
    days: int = 200,
    starts: int = -10,
    oids: tuple[ObjectIdentifier, ...] = (PRODUCTION_OID,),
    topics: tuple[str, ...] = (),
    uid: str = "com.example.chat",
) -> x509.Certificate:
    names = [x509.NameAttribute(NameOID.COMMON_NAME, f"Apple Push Services: {uid}")]
    names += [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "TEAM123456")]
    names += [x509.NameAttribute(NameOID.USER_ID, uid)] if uid else []
    issuer = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, "Apple Worldwide Developer Relations, made for a test")]
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(names))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + dt.timedelta(days=starts))
        .not_valid_after(NOW + dt.timedelta(days=days))
    )
    for oid in oids:
        builder = builder.add_extension(x509.UnrecognizedExtension(oid, b"\x05\x00"), critical=False)
    if topics:
        builder = builder.add_extension(x509.UnrecognizedExtension(TOPICS_OID, topic_list(topics)), critical=False)
    return builder.sign(RSA_KEY, hashes.SHA256())


def topic_list(topics: tuple[str, ...]) -> bytes:
    kind = b"\x30\x05\x0c\x03app"
    body = b"".join(b"\x0c" + bytes([len(topic)]) + topic.encode() + kind for topic in topics)
    return b"\x30\x81" + bytes([len(body)]) + body


def p12(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | None,
    leaf: x509.Certificate | None,
    password: bytes | None = None,
    others: list[x509.Certificate] | None = None,
) -> bytes:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return pkcs12.serialize_key_and_certificates(b"push", key, leaf, others, encryption)


def service_account(**changes: object) -> bytes:
    fields: dict[str, object] = {
        "type": "service_account",
        "project_id": "example-chat",
        "private_key_id": "0123456789abcdef",
        "private_key": pem(RSA_KEY).decode(),
        "client_email": "push@example-chat.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
    fields.update(changes)
    return json.dumps({name: value for name, value in fields.items() if value is not None}).encode()


def refusal(inspection: Inspection) -> str:
    assert inspection.verdict.grade is Grade.REFUSED
    assert inspection.facts is None
    assert inspection.secret is None
    return inspection.verdict.notes[0]


def test_an_apns_key_is_usable_in_both_environments() -> None:
    inspection = judge(pem(KEY))

    assert inspection.verdict.grade is Grade.OK
    assert inspection.facts is not None
    assert inspection.facts.kind is CredentialKind.APNS_KEY
    assert inspection.facts.environments == (Environment.PRODUCTION, Environment.SANDBOX)
    assert inspection.facts.key_id == "ABC123DEFG"


def test_a_sec1_key_is_kept_in_pkcs8_form() -> None:
    inspection = judge(pem(KEY, PrivateFormat.TraditionalOpenSSL))

    assert inspection.secret is not None
    assert inspection.secret.private_key.startswith(b"-----BEGIN PRIVATE KEY-----")


def test_a_secret_does_not_show_itself() -> None:
    inspection = judge(pem(KEY))

    assert "PRIVATE" not in repr(inspection.secret)


def test_a_key_without_key_id_is_refused_for_use_and_warns_alone() -> None:
    assert "key_id" in refusal(judge(pem(KEY), key_id=""))
    assert judge(pem(KEY), key_id="", alone=True).verdict.grade is Grade.WARNING


def test_a_misspelt_team_is_refused() -> None:
    assert "team_id" in refusal(judge(pem(KEY), team_id="team"))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (pem(RSA_KEY), "RSA key and no certificate"),
        (pem(ec.generate_private_key(ec.SECP384R1())), "P-256"),
        (pem(KEY).replace(b"\n", b"\nAAAA", 1), "broken"),
        (pem(KEY)[:80], "was cut"),
        (pem(KEY, password="apntest"), "encrypted"),
        (pem(KEY) + pem(RSA_KEY), "several identities"),
        (b"", "empty"),
        (b"x" * 70_000, "bytes"),
        (b"hello", "no PEM text"),
        (b"AAAAabcdefg:APA91b" + b"x" * 134, "switched"),
        (b'{"project_info": {"project_number": "1"}}', "google-services.json"),
        (b'{"type": "authorized_user"}', "authorized_user"),
        (b'{"type": ', "broken"),
        (b'{"type": 5}', "wrong type"),
        (b"\x30\x82\x01\x00garbage", ".p12"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_that_cannot_work_is_refused_in_words(data: bytes, words: str) -> None:
    assert words in refusal(judge(data))


def test_an_encrypted_key_opens_with_its_password() -> None:
    data = pem(KEY, password="apntest")

    assert judge(data, password="apntest").verdict.grade is Grade.OK
    assert "password is wrong" in refusal(judge(data, password="other"))


@pytest.mark.parametrize("password", [None, b"secret"])
def test_a_p12_certificate_shows_what_it_is_for(password: bytes | None) -> None:
    inspection = judge(p12(RSA_KEY, certificate(), password), password=(password or b"").decode())

    facts = inspection.facts
    assert facts is not None
    assert facts.kind is CredentialKind.APNS_CERTIFICATE
    assert facts.environments == (Environment.PRODUCTION,)
    assert facts.topics == ("com.example.chat",)
    assert facts.team_id == "TEAM123456"
    assert facts.subject == "Apple Push Services: com.example.chat"
    assert any(".p8" in note for note in inspection.verdict.notes)


def test_a_wrong_p12_password_is_told_from_a_missing_one() -> None:
    data = p12(RSA_KEY, certificate(), b"secret")

    assert "password is wrong" in refusal(judge(data, password="other"))
    assert "without a password" in refusal(judge(data))


def test_the_topic_list_of_a_universal_certificate_wins_over_its_uid() -> None:
    topics = ("com.example.chat", "com.example.chat.voip", "com.example.chat.complication")

    inspection = judge(p12(RSA_KEY, certificate(topics=topics)))

    assert inspection.facts is not None
    assert inspection.facts.topics == topics


def test_a_pem_pair_with_bag_attributes_is_read() -> None:
    text = b"Bag Attributes\n    friendlyName: push\n" + certificate().public_bytes(Encoding.PEM)
    text += b"Bag Attributes\n    localKeyID: 01\nKey Attributes: <No Attributes>\n" + pem(
        RSA_KEY, PrivateFormat.TraditionalOpenSSL
    )

    inspection = judge(text)

    assert inspection.verdict.grade is Grade.OK
    assert inspection.secret is not None
    assert load_pem_private_key(inspection.secret.private_key, None) is not None


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (p12(RSA_KEY, certificate(days=-1)), "expired 1 day ago"),
        (p12(RSA_KEY, certificate(starts=2)), "not valid yet"),
        (p12(RSA_KEY, None), "no certificate"),
        (p12(None, None, others=[certificate()]), "no private key"),
        (certificate().public_bytes(Encoding.PEM), "no private key"),
        (certificate().public_bytes(Encoding.PEM) + pem(KEY), "does not belong"),
        (p12(RSA_KEY, certificate(), others=[certificate(KEY, uid="com.example.other")]), "several identities"),
        (p12(RSA_KEY, certificate(uid="")), "names no topic"),
    ],
    ids=["expired", "early", "keyonly", "p12-cert-only", "pem-cert-only", "other-key", "two", "no-topic"],
)
def test_a_certificate_that_cannot_work_is_refused_in_words(data: bytes, words: str) -> None:
    assert words in refusal(judge(data))


def test_a_certificate_for_another_bundle_id_is_refused() -> None:
    assert "not for com.example.shop" in refusal(judge(p12(RSA_KEY, certificate()), topics=("com.example.shop",)))


def test_a_development_certificate_warns_and_stays_in_the_sandbox() -> None:
    inspection = judge(p12(RSA_KEY, certificate(oids=(DEVELOPMENT_OID,))), environment=Environment.PRODUCTION)

    assert inspection.verdict.grade is Grade.WARNING
    assert inspection.facts is not None
    assert inspection.facts.environments == (Environment.SANDBOX,)


def test_few_days_left_warn() -> None:
    inspection = judge(p12(RSA_KEY, certificate(days=12)))

    assert inspection.verdict.grade is Grade.WARNING
    assert "12 days" in inspection.verdict.notes[0]


def test_a_service_account_is_usable_for_its_project() -> None:
    inspection = judge(service_account())

    assert inspection.verdict.grade is Grade.OK
    assert inspection.facts is not None
    assert inspection.facts.topics == ("example-chat",)


@pytest.mark.parametrize("name", ["project_id", "private_key_id", "private_key", "client_email", "token_uri"])
def test_a_service_account_that_lacks_a_field_is_refused_by_name(name: str) -> None:
    assert name in refusal(judge(service_account(**{name: None})))


def test_a_service_account_with_a_cut_key_is_refused() -> None:
    assert "private_key cannot be read" in refusal(judge(service_account(private_key=pem(RSA_KEY).decode()[:200])))


@pytest.mark.parametrize("project", ["../x", "a b", "a\r\nb", "a/b?c", "Ünïcode", "a" * 65])
def test_a_project_that_would_not_stay_in_its_path_is_refused(project: str) -> None:
    assert "no project id" in refusal(judge(service_account(project_id=project)))


def test_the_older_form_of_a_project_id_is_usable() -> None:
    inspection = judge(service_account(project_id="example.com:chat"))
    assert inspection.facts is not None
    assert inspection.facts.topics == ("example.com:chat",)


@pytest.mark.parametrize("data", [b'{"type":"\xff"}', b'{"project_info":' + b"[" * 20_000])
def test_json_that_cannot_be_read_is_refused(data: bytes) -> None:
    assert "broken" in refusal(judge(data))


def test_a_certificate_with_a_topic_that_is_no_bundle_id_is_refused() -> None:
    leaf = certificate(RSA_KEY, topics=("com.example.chat\r\nx: y",))
    assert "no bundle id" in refusal(judge(p12(RSA_KEY, leaf)))


def test_a_foreign_token_host_is_refused_unless_listed() -> None:
    data = service_account(token_uri="https://127.0.0.1:9000/token")

    assert "token_hosts" in refusal(judge(data))
    assert judge(data, alone=True).verdict.grade is Grade.WARNING
    assert judge(data, token_hosts=("127.0.0.1",)).verdict.grade is Grade.OK


def test_googles_token_host_has_to_be_https() -> None:
    assert "https" in refusal(judge(service_account(token_uri="http://oauth2.googleapis.com/token")))
