"""Credential files that nobody here made: what the test suites of other push libraries carry, each with the verdict it deserves.

Most are expired by now; these are judged twice, today and at a time when they were valid. Not to be had from a package registry
are the files of rpush, pushiko, sygnal and firebase-admin's own tests; those of gorush are the same bytes as those of apns2.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import NamedTuple

import pytest

from interop.fixture_packages import PACKAGES, files
from wakeline.model.credential import CredentialKind, Grade
from wakeline.model.route import Environment
from wakeline.wire.credential_file import Expectation, inspect

pytestmark = pytest.mark.interop

REFUSED, WARNING = Grade.REFUSED, Grade.WARNING
KEY, CERTIFICATE = CredentialKind.APNS_KEY, CredentialKind.APNS_CERTIFICATE
PRODUCTION, SANDBOX = (Environment.PRODUCTION,), (Environment.SANDBOX,)
BOTH = (Environment.PRODUCTION, Environment.SANDBOX)
NOW, BEFORE, LONG_AGO = 2026, 2024, 2017

NO_KEY = ("certificate and no private key",)
NO_CERTIFICATE = ("RSA key and no certificate",)
SEVERAL = ("several identities",)
EXPIRED = ("expired", "on 2025-01-01", ".p8")
DEVELOPMENT = ("development certificate", "SHA-1", "not by Apple", ".p8 key never expires")
UNKNOWN = ("names no topic", "APNS/2 Worldwide Developer Relations", "days, on 2026-01-05", ".p8 key never expires")
NO_TEAM = ("key_id", "team_id")


class Row(NamedTuple):
    """A file, what was given with it, and what has to be said."""

    package: str
    path: str
    grade: Grade
    words: tuple[str, ...]
    password: str = ""
    year: int = NOW
    kind: CredentialKind | None = None
    environments: tuple[Environment, ...] = ()
    topics: tuple[str, ...] = ()


def apn(name: str, grade: Grade, words: tuple[str, ...], password: str = "", year: int = NOW) -> Row:
    return Row("node-apn", f"credentials/support/{name}", grade, words, password, year)


def apns2(name: str, grade: Grade, words: tuple[str, ...], password: str = "", year: int = NOW) -> Row:
    folder = "token" if name.endswith(".p8") else "certificate"
    return Row("apns2", f"{folder}/_fixtures/{name}", grade, words, password, year)


def pushy(name: str, grade: Grade, words: tuple[str, ...], password: str = "") -> Row:
    return Row("pushy", name, grade, words, password)


def shown(row: Row, *topics: str, worlds: tuple[Environment, ...] = BOTH) -> Row:
    """The same for a certificate that is usable: these facts are shown of it."""
    return row._replace(kind=CERTIFICATE, environments=worlds, topics=topics)


def key(row: Row) -> Row:
    return row._replace(kind=KEY, environments=BOTH)


WRONG_PASSWORD, NO_PASSWORD = ("password is wrong",), ("without a password",)
APN, PUSHY = "io.apn.test", "com.eatthepath.pushy"

ROWS = [
    # a development and a production certificate as Apple's were
    apn("cert.pem", REFUSED, NO_KEY),
    apn("certProduction.pem", REFUSED, NO_KEY),
    apn("certIssuerKey.pem", REFUSED, NO_KEY),
    apn("certKey.pem", REFUSED, EXPIRED),
    shown(apn("certKey.pem", WARNING, DEVELOPMENT, year=BEFORE), APN, worlds=SANDBOX),
    apn("certKeyProduction.pem", REFUSED, EXPIRED),
    shown(apn("certKeyProduction.pem", WARNING, DEVELOPMENT[1:], year=BEFORE), APN, worlds=PRODUCTION),
    # RC2-40, with the two encodings of "no password" and with one
    apn("certIssuerKey.p12", REFUSED, EXPIRED),
    apn("certIssuerKey.p12", REFUSED, WRONG_PASSWORD, password="wrong"),
    shown(apn("certIssuerKey.p12", WARNING, DEVELOPMENT, year=BEFORE), APN, worlds=SANDBOX),
    apn("certIssuerKeyOpenSSL.p12", REFUSED, EXPIRED),
    shown(apn("certIssuerKeyOpenSSL.p12", WARNING, DEVELOPMENT, year=BEFORE), APN, worlds=SANDBOX),
    apn("certIssuerKeyPassphrase.p12", REFUSED, NO_PASSWORD),
    apn("certIssuerKeyPassphrase.p12", REFUSED, WRONG_PASSWORD, password="wrong"),
    apn("certIssuerKeyPassphrase.p12", REFUSED, EXPIRED, password="apntest"),
    shown(apn("certIssuerKeyPassphrase.p12", WARNING, DEVELOPMENT, "apntest", BEFORE), APN, worlds=SANDBOX),
    apn("multipleKeys.p12", REFUSED, SEVERAL),
    apn("multipleKeys.pem", REFUSED, SEVERAL),
    # keys alone, in every dress
    apn("key.pem", REFUSED, NO_CERTIFICATE),
    apn("keyProduction.pem", REFUSED, NO_CERTIFICATE),
    apn("keyPKCS8.pem", REFUSED, ("is encrypted",)),
    apn("keyPKCS8.pem", REFUSED, NO_CERTIFICATE, password="apntest"),
    apn("keyPKCS8Encrypted.pem", REFUSED, ("is encrypted",)),
    apn("keyPKCS8Encrypted.pem", REFUSED, WRONG_PASSWORD, password="wrong"),
    apn("keyPKCS8Encrypted.pem", REFUSED, NO_CERTIFICATE, password="apntest"),
    apn("keyEncrypted.pem", REFUSED, ("DES-CBC", "not supported", "openssl pkey"), password="apntest"),
    apn("keyIssuer.pem", REFUSED, ("is encrypted",)),
    apn("keyIssuer.pem", REFUSED, WRONG_PASSWORD, password="apntest"),
    # signed by itself, with a key too short for TLS
    Row("node-apn", "support/initializeTest.crt", REFUSED, NO_KEY),
    Row("node-apn", "support/initializeTest.key", REFUSED, NO_CERTIFICATE),
    Row("node-apn", "support/initializeTest.pfx", REFUSED, ("expired", "on 2019-04-21")),
    shown(Row("node-apn", "support/initializeTest.pfx", WARNING, ("1024 bits", "names no topic"), year=LONG_AGO)),
    # certificates that do not say what for
    apns2("certificate-valid.p12", REFUSED, ("expired", "on 2026-01-05")),
    shown(apns2("certificate-valid.p12", WARNING, UNKNOWN, year=BEFORE)),
    apns2("certificate-valid.pem", REFUSED, ("expired",)),
    shown(apns2("certificate-valid.pem", WARNING, UNKNOWN, year=BEFORE)),
    apns2("certificate-valid-pkcs8.pem", REFUSED, ("expired",)),
    shown(apns2("certificate-valid-pkcs8.pem", WARNING, UNKNOWN, year=BEFORE)),
    apns2("certificate-valid-encrypted.p12", REFUSED, NO_PASSWORD),
    apns2("certificate-valid-encrypted.p12", REFUSED, WRONG_PASSWORD, "wrong"),
    apns2("certificate-valid-encrypted.p12", REFUSED, ("expired",), "password"),
    shown(apns2("certificate-valid-encrypted.p12", WARNING, UNKNOWN, "password", BEFORE)),
    apns2("certificate-valid-encrypted.pem", REFUSED, ("is encrypted",)),
    apns2("certificate-valid-encrypted.pem", REFUSED, WRONG_PASSWORD, "wrong"),
    apns2("certificate-valid-encrypted.pem", REFUSED, ("expired",), "password"),
    shown(apns2("certificate-valid-encrypted.pem", WARNING, UNKNOWN, "password", BEFORE)),
    apns2("certificate-bad-key.pem", REFUSED, ("private key is broken",)),
    apns2("certificate-no-key.pem", REFUSED, NO_KEY),
    apns2("certificate-no-certificate.pem", REFUSED, NO_CERTIFICATE),
    key(apns2("authkey-valid.p8", WARNING, NO_TEAM)),
    apns2("authkey-invalid.p8", REFUSED, ("no PEM text",)),
    apns2("authkey-invalid-pkcs8.p8", REFUSED, NO_CERTIFICATE),
    apns2("authkey-invalid-ecdsa.p8", REFUSED, NO_CERTIFICATE),
    # topics in the list of a universal certificate, and in the subject alone
    pushy("single-topic-client.p12", REFUSED, NO_PASSWORD),
    shown(pushy("single-topic-client.p12", WARNING, ("PushyTestRoot", "on 2121-05-06"), "pushy-test"), PUSHY),
    pushy("single-topic-client-unprotected.p12", REFUSED, NO_PASSWORD),
    shown(pushy("single-topic-client-unprotected.p12", WARNING, ("PushyTestRoot",), "pushy-test"), PUSHY),
    shown(
        pushy("multi-topic-client.p12", WARNING, ("PushyTestRoot",), "pushy-test"),
        *(PUSHY, f"{PUSHY}.voip", f"{PUSHY}.complication"),
    ),
    shown(pushy("server.p12", WARNING, ("names no topic",), "pushy-test")),
    pushy("multiple-keys.p12", REFUSED, ("4 private keys", *SEVERAL), "pushy-test"),
    pushy("no-keys.p12", REFUSED, NO_KEY, "pushy-test"),
    pushy("ca.pem", REFUSED, NO_KEY),
    pushy("single-topic-client.pem", REFUSED, NO_KEY),
    pushy("multi-topic-client.pem", REFUSED, NO_KEY),
    pushy("server-certs.pem", REFUSED, NO_KEY),
    pushy("server-certs-no-alt.pem", REFUSED, NO_KEY),
    pushy("server-key.pem", REFUSED, NO_CERTIFICATE),
    pushy("server-key-no-alt.pem", REFUSED, NO_CERTIFICATE),
    key(pushy("token-auth-private-key.p8", WARNING, NO_TEAM)),
    pushy("token-auth-public-key.p8", REFUSED, ("public key",)),
    # SEC1 with its parameters
    key(Row("apns2-up", "test/eckey.pem", WARNING, NO_TEAM)),
]


@pytest.fixture(scope="session")
def fixtures_of_others(request: pytest.FixtureRequest) -> Path:
    return Path(request.config.cache.mkdir("credential-fixtures"))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{Path(row.path).name}-{row.password}-{row.year}")
def test_a_file_of_others_gets_the_verdict_it_deserves(row: Row, fixtures_of_others: Path) -> None:
    data = files(row.package, fixtures_of_others)[row.path]
    now = int(dt.datetime(row.year, 11, 22, tzinfo=dt.UTC).timestamp() * 1000)

    found = inspect(data, Expectation(now=now, password=row.password, alone=True))

    said = " ".join(found.verdict.notes)
    assert found.verdict.grade is row.grade, said
    for word in row.words:
        assert word in said
    known = found.facts
    assert (known.kind if known else None) is row.kind
    assert (known.environments if known else ()) == row.environments
    assert (known.topics if known else ()) == row.topics


@pytest.mark.parametrize("package", PACKAGES)
def test_no_file_of_others_is_left_out(package: str, fixtures_of_others: Path) -> None:
    endings = {".pem", ".p12", ".p8", ".pfx", ".crt", ".key", ".cer"}
    carried = {path for path in files(package, fixtures_of_others) if Path(path).suffix in endings}

    assert carried == {row.path for row in ROWS if row.package == package}
