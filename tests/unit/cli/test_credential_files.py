"""`wakeline credential csr`, `convert` and `inspect` on files: what is written, who may read it, and how it ends."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from unit.wire.credential_material import KEY, RSA_KEY, certificate, p12, pem
from wakeline.cli.root import root

CSR = ("credential", "csr", "--key-out", "push.key", "--out", "push.csr")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def invoke(*arguments: str) -> int:
    try:
        result = root.meta(list(arguments), result_action="return_value")
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else 1
    return result if isinstance(result, int) else 0


def mode(name: str) -> int:
    return Path(name).stat().st_mode & 0o777


def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_a_request_and_its_key_are_made_and_the_next_steps_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(*CSR, "--app", "acme-chat", "--email", "it@acme.example", "--json") == 0

    captured = capsys.readouterr()
    assert json.loads(captured.out) == {
        "key": "push.key",
        "request": "push.csr",
        "key_type": "rsa2048",
        "encrypted": False,
    }
    for word in ("developer.apple.com", "push.csr", "convert aps.cer --key push.key"):
        assert word in captured.err
    key = load_pem_private_key(Path("push.key").read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    assert key.key_size == 2048
    request = x509.load_pem_x509_csr(Path("push.csr").read_bytes())
    assert request.public_key() == key.public_key()
    assert mode("push.key") == 0o600


def test_a_key_is_encrypted_if_a_password_is_given_and_elliptic_if_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert invoke(*CSR, "--common-name", "Acme", "--password", "pw", "--key-type", "ec") == 0

    assert b"ENCRYPTED" in Path("push.key").read_bytes()
    assert isinstance(load_pem_private_key(Path("push.key").read_bytes(), b"pw"), ec.EllipticCurvePrivateKey)
    assert "Apple asks for an RSA key" in capsys.readouterr().err


@pytest.mark.parametrize("there", ["push.key", "push.csr"])
def test_a_request_writes_over_nothing(there: str) -> None:
    Path(there).write_text("precious")

    assert invoke(*CSR, "--app", "acme") == 4

    assert Path(there).read_text() == "precious"
    assert [path.name for path in Path().iterdir()] == [there]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (CSR, 2),
        ((*CSR, "--app", "acme", "--country", "Germany"), 2),
        (("credential", "csr", "--key-out", "a", "--out", "a", "--app", "acme"), 4),
        (("credential", "csr", "--key-out", "no/where.key", "--out", "a", "--app", "acme"), 3),
    ],
)
def test_a_request_that_cannot_be_made_leaves_nothing(arguments: tuple[str, ...], code: int) -> None:
    assert invoke(*arguments) == code
    assert list(Path().iterdir()) == []


@pytest.fixture
def aps() -> None:
    Path("aps.cer").write_bytes(certificate(days=4000).public_bytes(Encoding.DER))
    Path("push.key").write_bytes(pem(RSA_KEY))


@pytest.mark.parametrize(("name", "more"), [("aps.p12", ()), ("aps.PFX", ()), ("aps.pem", ()), ("a", ("--to", "p12"))])
def test_what_apple_sends_and_the_key_become_one_file(
    aps: None, capsys: pytest.CaptureFixture[str], name: str, more: tuple[str, ...]
) -> None:
    convert = ("credential", "convert", "aps.cer", "--key", "push.key", "--out", name, *more, "--json")
    assert invoke(*convert, "--out-password", "pw") == 0

    made = printed(capsys)
    assert (made["file"], made["kind"], made["topics"]) == (name, "apns_certificate", ["com.example.chat"])
    assert made["verdict"]["grade"] == "ok"
    assert mode(name) == 0o600
    assert invoke("credential", "inspect", name, "--password", "pw", "--json") == 0
    assert printed(capsys) == made


def test_a_file_is_replaced_only_by_force(aps: None) -> None:
    Path("aps.pem").write_text("precious")
    Path("aps.pem").chmod(0o644)
    convert = ("credential", "convert", "aps.cer", "--key", "push.key", "--out", "aps.pem")

    assert invoke(*convert) == 4
    assert Path("aps.pem").read_text() == "precious"

    assert invoke(*convert, "--force") == 0
    assert b"BEGIN CERTIFICATE" in Path("aps.pem").read_bytes()
    assert mode("aps.pem") == 0o600
    assert sorted(path.name for path in Path().iterdir()) == ["aps.cer", "aps.pem", "push.key"]


def test_a_pair_that_does_not_match_is_not_written(aps: None, capsys: pytest.CaptureFixture[str]) -> None:
    Path("other.key").write_bytes(pem(KEY))

    assert invoke("credential", "convert", "aps.cer", "--key", "other.key", "--out", "aps.p12") == 4

    assert "does not belong" in capsys.readouterr().err
    assert not Path("aps.p12").exists()


def test_an_expired_certificate_is_written_and_said_to_be_of_no_use(capsys: pytest.CaptureFixture[str]) -> None:
    Path("old.p12").write_bytes(p12(RSA_KEY, certificate(days=-5), b"pw"))

    code = invoke("credential", "convert", "old.p12", "--password", "pw", "--out", "old.pem", "--json")

    assert code == 4
    said = printed(capsys)
    assert "expired" in said["verdict"]["notes"][0]
    assert (said["kind"], bool(said["topics"]), bool(said["not_after"])) == ("apns_certificate", True, True)
    assert Path("old.pem").exists()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("aps.cer", "--key", "push.key", "--out", "aps.zip"), 2),
        (("--out", "aps.p12"), 2),
        (("absent.cer", "--out", "aps.p12"), 3),
        (("aps.cer", "--key", "push.key", "--out", "no/where.p12"), 3),
        (("aps.cer", "--out", "aps.p12"), 4),
    ],
)
def test_a_conversion_that_cannot_be_made_ends_with_its_reason(
    aps: None, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int
) -> None:
    assert invoke("credential", "convert", *arguments) == code
    assert capsys.readouterr().err


def test_the_key_id_is_taken_from_the_files_name(capsys: pytest.CaptureFixture[str]) -> None:
    Path("AuthKey_ABC123DEFG.p8").write_bytes(pem(KEY))

    assert invoke("credential", "inspect", "AuthKey_ABC123DEFG.p8", "--team-id", "TEAM123456", "--json") == 0

    found = printed(capsys)
    assert (found["key_id"], found["verdict"]["grade"]) == ("ABC123DEFG", "ok")


def test_a_key_for_in_app_purchases_is_refused_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    name = "SubscriptionKey_ABC123DEFG.p8"
    Path(name).write_bytes(pem(KEY))

    assert invoke("credential", "inspect", name, "--json") == 4
    assert "lacks the APNs service" in printed(capsys)["verdict"]["notes"][0]
    assert invoke("credential", "add", name, "--app", "acme") == 4
    assert "lacks the APNs service" in capsys.readouterr().err


def test_the_list_says_days_left_and_which_calls_nothing_carries(
    aps: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WAKELINE_CREDENTIAL_PASSWORD", "pw")
    for world in ("PRODUCTION", "SANDBOX"):  # an upload asks at once; here nobody answers
        monkeypatch.setenv(f"WAKELINE_PROVIDERS__APNS__{world}", "https://127.0.0.1:9")
    Path("aps.p12").write_bytes(p12(RSA_KEY, certificate(days=4000), b"pw"))
    assert invoke("app", "create", "acme") == 0
    assert invoke("device", "put", "phone", "--user", "alice", "--target", f"apns-voip={'ab' * 32}") == 0
    assert invoke("credential", "add", "aps.p12") == 0
    capsys.readouterr()

    assert invoke("credential", "list") == 0

    shown = capsys.readouterr()
    assert re.search(r"in \d{4} days, on 20\d\d-", shown.out)
    assert "no credential covers production" in shown.err
    assert ".voip" in shown.err
