from __future__ import annotations

import base64
import json
from pathlib import Path

import jwt as pyjwt
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from wakeline.model.errors import CredentialRefused
from wakeline.wire import jwt

GOLDEN = Path(__file__).parents[2] / "wire" / "golden" / "jwt"


def _lines(name: str) -> dict[str, str]:
    pairs = (line.partition(": ") for line in (GOLDEN / name).read_text().splitlines() if not line.startswith("#"))
    return {key: value for key, _, value in pairs}


def _number(text: str) -> int:
    return int.from_bytes(_bytes(text), "big")


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _rfc_key() -> ec.EllipticCurvePrivateKey:
    vector = _lines("rfc7515-a3.txt")
    public = ec.EllipticCurvePublicNumbers(_number(vector["x"]), _number(vector["y"]), ec.SECP256R1())
    return ec.EllipticCurvePrivateNumbers(_number(vector["d"]), public).private_key()


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _verify_raw(key: ec.EllipticCurvePrivateKey, token: str) -> None:
    message, _, signature = token.rpartition(".")
    raw = _bytes(signature)
    assert len(raw) == 64
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    key.public_key().verify(der, message.encode(), ec.ECDSA(hashes.SHA256()))


def test_the_rfc_example_is_a_signature_of_the_form_we_make() -> None:
    vector = _lines("rfc7515-a3.txt")
    _verify_raw(_rfc_key(), vector["token"])
    header, claims, signature = vector["token"].split(".")
    with pytest.raises(InvalidSignature):
        _verify_raw(_rfc_key(), f"{header}.{claims[:-1]}A.{signature}")


def test_the_rfc_key_gives_always_the_same_provider_token() -> None:
    expected = _lines("provider-token.txt")
    token = jwt.provider_token(_rfc_key(), "ABC123DEFG", "DEF123GHIJ", 1_437_179_036)
    assert token == expected["token"]
    assert json.loads(_bytes(token.split(".")[0])) == {"alg": "ES256", "kid": "ABC123DEFG"}
    assert json.loads(_bytes(token.split(".")[1])) == {"iss": "DEF123GHIJ", "iat": 1_437_179_036}


def test_another_library_verifies_the_provider_token() -> None:
    token = jwt.provider_token(_rfc_key(), "ABC123DEFG", "DEF123GHIJ", 1_437_179_036)
    assert pyjwt.get_unverified_header(token) == {"alg": "ES256", "kid": "ABC123DEFG"}
    claims = pyjwt.decode(token, _rfc_key().public_key(), algorithms=["ES256"])
    assert claims == {"iss": "DEF123GHIJ", "iat": 1_437_179_036}


def test_we_make_none_of_the_three_faults_of_apples_printed_sample() -> None:
    sample = _lines("apple-printed-sample.txt")["token"]
    ours = jwt.provider_token(_rfc_key(), "8YL3G3RRX7", "C86NV9JX3D", 1_459_143_580)
    faults = []
    for token in (sample, ours):
        header, claims, signature = token.split(".")
        no_alg = json.loads(_bytes(header)).get("alg") != "ES256"
        no_number = not isinstance(json.loads(_bytes(claims))["iat"], int)
        no_raw_signature = len(_bytes(signature)) != 64
        faults.append((no_alg, no_number, no_raw_signature))
    assert faults == [(True, True, True), (False, False, False)]
    with pytest.raises(pyjwt.InvalidTokenError):
        pyjwt.decode(sample, _rfc_key().public_key(), algorithms=["ES256"])


@given(key_id=st.text(max_size=12), now=st.integers(min_value=1_700_000_000, max_value=4_000_000_000))
def test_a_provider_token_is_between_20_and_55_minutes_old(key_id: str, now: int) -> None:
    iat = jwt.window_start(key_id, now)
    assert 20 * 60 <= now - iat < 55 * 60
    assert jwt.window_start(key_id, iat + jwt.YOUNGEST) == iat
    assert jwt.window_start(key_id, iat + jwt.OLDEST - 1) == iat
    assert jwt.window_start(key_id, iat + jwt.OLDEST) == iat + jwt.WINDOW


def test_keys_change_their_tokens_at_different_times() -> None:
    starts = {jwt.window_start(f"KEY{number:07}", 1_800_000_000) for number in range(50)}
    assert len(starts) > 40


def test_an_assertion_is_what_google_documents() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    token = jwt.assertion(key, "abc", "push@acme.iam.gserviceaccount.com", 1_800_000_000)
    assert pyjwt.get_unverified_header(token) == {"alg": "RS256", "typ": "JWT", "kid": "abc"}
    claims = pyjwt.decode(
        token,
        key.public_key(),
        algorithms=["RS256"],
        audience="https://oauth2.googleapis.com/token",
        options={"verify_exp": False, "verify_iat": False},
    )
    assert claims == {
        "iss": "push@acme.iam.gserviceaccount.com",
        "scope": "https://www.googleapis.com/auth/firebase.messaging",
        "aud": "https://oauth2.googleapis.com/token",
        "iat": 1_800_000_000,
        "exp": 1_800_003_600,
    }
    assert "kid" not in pyjwt.get_unverified_header(jwt.assertion(key, "", "a@b", 1_800_000_000))


def test_keys_are_loaded_from_pem_and_only_of_the_right_kind() -> None:
    p256 = ec.generate_private_key(ec.SECP256R1())
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert jwt.load_ec_key(_pem(p256)).private_numbers() == p256.private_numbers()
    assert jwt.load_rsa_key(_pem(other)).private_numbers() == other.private_numbers()
    with pytest.raises(CredentialRefused):
        jwt.load_ec_key(_pem(other))
    with pytest.raises(CredentialRefused):
        jwt.load_ec_key(_pem(ec.generate_private_key(ec.SECP384R1())))
    with pytest.raises(CredentialRefused):
        jwt.load_rsa_key(_pem(p256))
    with pytest.raises(CredentialRefused):
        jwt.load_rsa_key(b"no key")
