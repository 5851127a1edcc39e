"""Every way a credential file can be right or wrong, made here and judged in words."""

from __future__ import annotations

import datetime as dt
import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from unit.wire.credential_material import (
    DEVELOPMENT_OID,
    KEY,
    NOW_MS,
    PRODUCTION_OID,
    RSA_KEY,
    VOIP_TOPICS_OID,
    certificate,
    openssl,
    p12,
    pem,
    service_account,
)
from wakeline.model.credential import CredentialKind, Grade
from wakeline.model.route import Environment
from wakeline.wire.credential_file import Expectation, Inspection, inspect


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
    file_name: str = "",
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
            file_name=file_name,
            alone=alone,
        ),
    )


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
        (b"AIzaSy" + b"x" * 33, "switched"),
        (b"<?xml version='1.0'?><plist><dict><key>GOOGLE_APP_ID</key></dict></plist>", "GoogleService-Info.plist"),
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


# What tools of others write


REQUEST = b"-----BEGIN CERTIFICATE REQUEST-----\nMA==\n-----END CERTIFICATE REQUEST-----\n"


def identity(key: bytes | None = None) -> bytes:
    return certificate().public_bytes(Encoding.PEM) + (key or pem(RSA_KEY))


@pytest.mark.parametrize("password", ["", "apntest"])
@pytest.mark.parametrize("cipher", [("-legacy",), ("-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES"), ()])
def test_a_p12_of_openssl_opens_whatever_its_cipher(tmp_path: Path, cipher: tuple[str, ...], password: str) -> None:
    """`-legacy` writes RC2-40 as Keychain does; with an empty password OpenSSL writes the encoding that ours does not."""
    source = tmp_path / "identity.pem"  # openssl reads it twice
    source.write_bytes(identity())
    made = openssl("pkcs12", "-export", "-in", str(source), *cipher, "-passout", f"pass:{password}")

    assert judge(made, password=password).verdict.grade is Grade.OK
    assert "assword" in refusal(judge(made, password="wrong"))


def test_what_openssl_writes_from_a_p12_is_read_with_its_bag_attributes() -> None:
    text = openssl("pkcs12", "-nodes", "-passin", "pass:pw", given=p12(RSA_KEY, certificate(), b"pw"))

    assert b"Bag Attributes" in text
    assert judge(text).verdict.grade is Grade.OK


def test_a_sec1_key_of_openssl_comes_with_its_parameters() -> None:
    text = openssl("ecparam", "-name", "prime256v1", "-genkey")

    assert b"BEGIN EC PARAMETERS" in text
    assert judge(text).verdict.grade is Grade.OK


@pytest.mark.parametrize("cipher", ["-aes128", "-aes256", "-des3"])
def test_a_combined_pem_encrypted_in_the_old_way_opens(cipher: str) -> None:
    key = openssl("rsa", "-traditional", cipher, "-passout", "pass:apntest", given=pem(RSA_KEY))

    assert b"DEK-Info" in key
    assert judge(identity(key), password="apntest").verdict.grade is Grade.OK
    assert "password is wrong" in refusal(judge(identity(key), password="other"))
    assert "is encrypted" in refusal(judge(identity(key)))


def test_a_cipher_of_the_nineties_is_named_with_the_command_that_converts_it() -> None:
    legacy = ("-provider", "legacy", "-provider", "default")
    old = openssl("rsa", "-traditional", "-des", "-passout", "pass:apntest", *legacy, given=pem(RSA_KEY))

    words = refusal(judge(identity(old), password="apntest"))

    assert "DES-CBC" in words
    command = words.rpartition("Write it anew: openssl ")[2].replace(" -in OLD.pem -out NEW.pem", "")
    secret = ("-passin", "pass:apntest", "-passout", "pass:apntest")
    assert judge(identity(openssl(*command.split(), *secret, given=old)), password="apntest").verdict.grade is Grade.OK


def test_binary_files_are_told_apart_by_their_content() -> None:
    plain = openssl("pkcs8", "-topk8", "-nocrypt", "-outform", "DER", given=pem(KEY))
    encrypted = openssl("pkcs8", "-topk8", "-outform", "DER", "-passout", "pass:pw", given=pem(KEY))

    assert judge(plain).verdict.grade is Grade.OK
    assert judge(encrypted, password="pw").verdict.grade is Grade.OK
    assert "is encrypted" in refusal(judge(encrypted))
    assert "password is wrong" in refusal(judge(encrypted, password="other"))
    assert "convert" in refusal(judge(certificate().public_bytes(Encoding.DER)))
    assert ".p12" in refusal(judge(p12(RSA_KEY, certificate())[:400]))


def test_a_byte_order_mark_of_an_editor_does_no_harm() -> None:
    assert judge(b"\xef\xbb\xbf" + service_account()).verdict.grade is Grade.OK
    assert judge(b"\xef\xbb\xbf" + pem(KEY)).verdict.grade is Grade.OK


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (REQUEST, "signing request"),
        (REQUEST.replace(b"CERT", b"NEW CERT"), "signing request"),
        (b"-----BEGIN PUBLIC KEY-----\nMA==\n-----END PUBLIC KEY-----\n", "public key"),
        (b"-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n" + pem(RSA_KEY), "cannot be read"),
        (p12(KEY, None), "no certificate"),
    ],
    ids=["request", "old-request", "public", "cut", "key-in-p12"],
)
def test_what_is_something_else_is_named(data: bytes, words: str) -> None:
    assert words in refusal(judge(data))


def test_several_keys_in_a_p12_are_counted_although_libraries_return_the_first() -> None:
    """Two key bags, as a keychain exports two identities at once."""
    bag = bytes.fromhex("060b2a864886f70d010c0a0102")
    made = p12(RSA_KEY, certificate(), b"pw")
    assert made.count(bag) == 1

    assert "several identities" in refusal(judge(made + bag, password="pw"))


# What a certificate is for


def test_days_left_are_said_as_keychain_does() -> None:
    notes = judge(p12(RSA_KEY, certificate(days=41))).verdict.notes
    assert "The certificate expires in 41 days, on 2027-01-02." in notes

    soon = judge(p12(RSA_KEY, certificate(days=1))).verdict
    assert soon.grade is Grade.WARNING
    assert soon.notes[0].startswith("The certificate expires in 1 day, on 2026-11-23")


def test_what_is_kept_of_a_verdict_says_nothing_that_tomorrow_makes_wrong() -> None:
    facts = judge(p12(RSA_KEY, certificate(days=12))).facts

    assert facts is not None
    assert facts.verdict.grade is Grade.OK
    assert not any("days" in note for note in facts.verdict.notes)


@pytest.mark.parametrize(
    ("name", "oid", "listed", "topics"),
    [
        ("VoIP Services", VOIP_TOPICS_OID, ("com.example.chat.voip",), ("com.example.chat.voip",)),
        ("VoIP Services", VOIP_TOPICS_OID, (), ("com.example.chat.voip",)),
        ("Apple Push Services", VOIP_TOPICS_OID, (), ("com.example.chat",)),
    ],
)
def test_a_voip_certificate_serves_calls_alone(
    name: str, oid: ObjectIdentifier, listed: tuple[str, ...], topics: tuple[str, ...]
) -> None:
    facts = judge(p12(RSA_KEY, certificate(name=name, topics=listed, topics_oid=oid))).facts

    assert facts is not None
    assert facts.topics == topics


def test_a_certificate_of_both_worlds_serves_both() -> None:
    facts = judge(p12(RSA_KEY, certificate(oids=(DEVELOPMENT_OID, PRODUCTION_OID)))).facts

    assert facts is not None
    assert set(facts.environments) == set(Environment)


@pytest.mark.parametrize(
    ("oids", "uses", "words"),
    [
        ((ObjectIdentifier("1.2.840.113635.100.6.1.4"),), (), "something other than push"),
        ((PRODUCTION_OID,), (ExtendedKeyUsageOID.CODE_SIGNING,), "TLS client"),
    ],
)
def test_a_certificate_that_apple_made_for_something_else_is_refused(
    oids: tuple[ObjectIdentifier, ...], uses: tuple[ObjectIdentifier, ...], words: str
) -> None:
    assert words in refusal(judge(p12(RSA_KEY, certificate(oids=oids, uses=uses))))


def test_a_tls_client_certificate_is_what_apple_makes_for_push() -> None:
    made = p12(RSA_KEY, certificate(uses=(ExtendedKeyUsageOID.CLIENT_AUTH,)))

    assert judge(made).verdict.grade is Grade.OK


@pytest.mark.parametrize(
    ("bits", "digest", "words"), [("1024", "sha256", "has 1024 bits"), ("2048", "sha1", "signed with SHA-1")]
)
def test_a_certificate_that_tls_would_not_load_is_refused(tmp_path: Path, bits: str, digest: str, words: str) -> None:
    key, leaf, issuer = (tmp_path / name for name in ("key.pem", "leaf.pem", "issuer.pem"))
    new = ("req", "-new", "-nodes", "-newkey", f"rsa:{bits}", "-subj", "/UID=com.example.chat", "-keyout", str(key))
    issuer.write_bytes(pem(RSA_KEY) + certificate().public_bytes(Encoding.PEM))
    signing = (
        "x509",
        "-req",
        "-days",
        "90",
        f"-{digest}",
        "-CA",
        str(issuer),
        "-CAkey",
        str(issuer),
        "-set_serial",
        "1",
    )
    leaf.write_bytes(openssl(*signing, given=openssl(*new)) + key.read_bytes())
    with pytest.raises(ssl.SSLError):
        ssl.create_default_context().load_cert_chain(leaf)
    now = int(dt.datetime.now(dt.UTC).timestamp() * 1000)

    assert words in refusal(inspect(leaf.read_bytes(), Expectation(now=now)))
    assert words in inspect(leaf.read_bytes(), Expectation(now=now, alone=True)).verdict.notes[0]


def test_a_foreign_issuer_warns() -> None:
    from_elsewhere = certificate(issuer=certificate(name="Somebody Else").subject)

    verdict = judge(p12(RSA_KEY, from_elsewhere)).verdict

    assert verdict.grade is Grade.WARNING
    assert "not by Apple" in verdict.notes[0]


# What only the name of a file tells


def test_a_key_whose_name_says_in_app_purchase_is_refused() -> None:
    assert "lacks the APNs service" in refusal(judge(pem(KEY), file_name="SubscriptionKey_ABC123DEFG.p8"))


@pytest.mark.parametrize("name", ["AuthKey_ABC123DEFG.p8", "APNSAuthKey_ABC123DEFG.p8", "apple.p8", ""])
def test_any_other_name_says_nothing_and_the_verdict_says_who_knows(name: str) -> None:
    verdict = judge(pem(KEY), file_name=name).verdict

    assert verdict.grade is Grade.OK
    assert any("live check asks Apple" in note for note in verdict.notes)


def test_a_key_id_that_differs_from_the_files_name_warns() -> None:
    verdict = judge(pem(KEY), file_name="AuthKey_OTHER12345.p8").verdict

    assert verdict.grade is Grade.WARNING
    assert "OTHER12345" in verdict.notes[0]
