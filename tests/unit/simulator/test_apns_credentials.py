from __future__ import annotations

import time
from typing import TYPE_CHECKING

import httpx2
import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from pathlib import Path

    from unit.simulator.conftest import ApnsPeer, Connect, MakeCertificate

pytestmark = pytest.mark.anyio

KEY, OTHER_KEY = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
HOUR = 3600


def public_pem(key: ec.EllipticCurvePrivateKey) -> str:
    pem = serialization.Encoding.PEM
    return key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def fingerprint(path: Path) -> str:
    return x509.load_pem_x509_certificate(path.read_bytes()).fingerprint(hashes.SHA256()).hex()


def token(header: dict[str, object], claims: dict[str, object], key: ec.EllipticCurvePrivateKey = KEY) -> str:
    return f"bearer {jwt.encode(claims, key, algorithm='ES256', headers=header)}"


def bearer(
    *,
    key_id: str = "ABC123DEFG",
    team_id: str = "TEAM123456",
    issued_at: float | None = None,
    key: ec.EllipticCurvePrivateKey = OTHER_KEY,
) -> str:
    issued_at = time.time() if issued_at is None else issued_at
    return token({"kid": key_id}, {"iss": team_id, "iat": int(issued_at)}, key)


@pytest.mark.parametrize(
    ("authorization", "reason"),
    [
        (None, "MissingProviderToken"),
        ("bearer ", "MissingProviderToken"),
        ("basic abc", "MissingProviderToken"),
        ("bearer abc", "InvalidProviderToken"),
        ("bearer a.b.c", "InvalidProviderToken"),
        (token({"kid": "SHORT"}, {"iss": "TEAM123456", "iat": int(time.time())}), "InvalidProviderToken"),
        (token({"kid": "ABC123DEFG"}, {"iss": "TEAM", "iat": int(time.time())}), "InvalidProviderToken"),
        (token({"kid": "ABC123DEFG"}, {"iss": "TEAM123456"}), "InvalidProviderToken"),
        (token({}, {"iss": "TEAM123456", "iat": int(time.time())}), "InvalidProviderToken"),
        (bearer(issued_at=time.time() - HOUR - 5), "ExpiredProviderToken"),
        (bearer(issued_at=time.time() + HOUR), "InvalidProviderToken"),
    ],
)
async def test_a_token_that_is_malformed_or_old_is_refused(
    peer: ApnsPeer, authorization: str | None, reason: str
) -> None:
    reply = await peer.push(headers={"authorization": authorization})
    assert (reply.status, reply.reason) == (403, reason)


async def test_a_token_is_good_for_almost_an_hour(peer: ApnsPeer) -> None:
    assert (await peer.push(headers={"authorization": bearer(issued_at=time.time() - HOUR + 60)})).status == 200


async def test_only_listed_keys_are_good_once_keys_are_listed(peer: ApnsPeer, control: httpx2.AsyncClient) -> None:
    listed = {"key_id": "LISTED1234", "team_id": "TEAM123456", "public_key_pem": public_pem(KEY)}
    await control.post("/trust", json={"apns_keys": [listed]})
    unlisted = await peer.push(headers={"authorization": bearer(key_id="OTHER12345", key=KEY)})
    forged = await peer.push(headers={"authorization": bearer(key_id="LISTED1234")})
    wrong_team = await peer.push(headers={"authorization": bearer(key_id="LISTED1234", team_id="TEAM999999", key=KEY)})
    good = await peer.push(headers={"authorization": bearer(key_id="LISTED1234", key=KEY)})
    assert [unlisted.reason, forged.reason, wrong_team.reason] == ["InvalidProviderToken"] * 3
    assert good.status == 200


async def test_trust_given_later_holds_for_live_connections(peer: ApnsPeer, control: httpx2.AsyncClient) -> None:
    assert (await peer.push()).status == 200
    await control.post("/trust", json={"apns_keys": []})
    assert (await peer.push()).reason == "InvalidProviderToken"
    await control.post("/trust", json={})
    assert (await peer.push()).status == 200


async def test_a_topic_specific_key_covers_the_suffixes_of_its_topics(
    peer: ApnsPeer, control: httpx2.AsyncClient
) -> None:
    listed = {"key_id": "ABC123DEFG", "team_id": "TEAM123456", "topics": ["com.example.chat"]}
    await control.post("/trust", json={"apns_keys": [listed]})
    voip = {"apns-topic": "com.example.chat.voip", "apns-push-type": "voip"}
    assert (await peer.push(headers=voip)).status == 200
    assert (await peer.push(headers={"apns-topic": "com.example.other"})).reason == "TopicDisallowed"


async def test_a_key_of_one_environment_is_refused_by_the_other(connect: Connect, control: httpx2.AsyncClient) -> None:
    listed = {"key_id": "ABC123DEFG", "team_id": "TEAM123456", "environment": "sandbox"}
    await control.post("/trust", json={"apns_keys": [listed]})
    assert (await (await connect()).push()).reason == "BadEnvironmentKeyInToken"
    assert (await (await connect(sandbox=True)).push()).status == 200


async def test_a_token_refreshed_within_20_minutes_of_the_former_is_too_soon(peer: ApnsPeer) -> None:
    now = time.time()
    ages = {"old": 50 * 60, "too soon": 31 * 60, "in time": 30 * 60}
    tokens = {name: bearer(issued_at=now - age) for name, age in ages.items()}
    replies = [await peer.push(headers={"authorization": tokens[name]}) for name in ("old", "too soon", "in time")]
    assert [(reply.status, reply.reason) for reply in replies] == [
        (200, ""),
        (429, "TooManyProviderTokenUpdates"),
        (200, ""),
    ]
    assert (await peer.push(headers={"authorization": tokens["old"]})).status == 200


async def test_how_often_a_token_may_be_refreshed_can_be_set(peer: ApnsPeer, control: httpx2.AsyncClient) -> None:
    await control.post("/behave", json={"provider": "apns", "token_update_interval_s": 0})
    assert [(await peer.push(headers={"authorization": bearer()})).status for _ in range(3)] == [200] * 3


async def test_a_connection_belongs_to_the_first_tokens_key_and_team(peer: ApnsPeer, connect: Connect) -> None:
    assert (await peer.push()).status == 200
    other_key = bearer(key_id="OTHER12345")
    other_team = bearer(team_id="OTHERTEAM1", key_id="OTHER12345")
    assert (await peer.push(headers={"authorization": other_key})).reason == "UnrelatedKeyIdInToken"
    assert (await peer.push(headers={"authorization": other_team})).reason == "InvalidProviderToken"
    assert (await (await connect()).push(headers={"authorization": other_team})).status == 200


async def test_a_certificate_of_nobodys_ca_is_taken(connect: Connect, client_certificate: MakeCertificate) -> None:
    peer = await connect(certificate=client_certificate(uid="com.example.chat"))
    assert (await peer.push(headers={"authorization": None})).status == 200


async def test_the_only_topic_of_a_certificate_need_not_be_said(
    connect: Connect, client_certificate: MakeCertificate
) -> None:
    peer = await connect(certificate=client_certificate(name="Apple Push Services: com.example.chat"))
    assert (await peer.push(headers={"authorization": None, "apns-topic": None})).status == 200


async def test_a_certificate_pushes_to_the_topics_in_it_and_no_others(
    connect: Connect, client_certificate: MakeCertificate
) -> None:
    topics = ("com.example.chat", "com.example.chat.voip", "com.example.chat.complication")
    peer = await connect(certificate=client_certificate(topics=topics))
    asked = [None, *topics, "com.example.chat.voip-ptt", "com.example.other"]
    replies = [await peer.push(headers={"authorization": None, "apns-topic": topic}) for topic in asked]
    reasons = ["MissingTopic", "", "", "", "TopicDisallowed", "TopicDisallowed"]
    assert [reply.reason for reply in replies] == reasons


async def test_a_certificate_without_topics_is_none_of_apples(
    connect: Connect, client_certificate: MakeCertificate
) -> None:
    peer = await connect(certificate=client_certificate(name="somebody"))
    assert (await peer.push(headers={"authorization": None})).reason == "BadCertificate"


@pytest.mark.parametrize(
    ("marks", "sandbox", "reason"),
    [
        (("1",), True, ""),
        (("1",), False, "BadCertificateEnvironment"),
        (("2",), False, ""),
        (("2",), True, "BadCertificateEnvironment"),
        (("1", "2"), True, ""),
        ((), False, ""),
    ],
)
async def test_a_certificate_is_for_the_environments_it_is_marked_for(
    connect: Connect, client_certificate: MakeCertificate, marks: tuple[str, ...], sandbox: bool, reason: str
) -> None:
    peer = await connect(sandbox=sandbox, certificate=client_certificate(uid="com.example.chat", marks=marks))
    assert (await peer.push(headers={"authorization": None})).reason == reason


async def test_only_listed_certificates_are_good_once_some_are_listed(
    connect: Connect, client_certificate: MakeCertificate, control: httpx2.AsyncClient
) -> None:
    by_hex, by_pem, unlisted = (client_certificate(uid="com.example.chat") for _ in range(3))
    listed = [fingerprint(by_hex).upper(), {"pem": by_pem.read_text(), "topics": ["com.example.other"]}]
    await control.post("/trust", json={"apns_certificates": listed})
    no_token: dict[str, str | None] = {"authorization": None}
    answers = [await (await connect(certificate=path)).push(headers=no_token) for path in (by_hex, by_pem, unlisted)]
    assert [answer.reason for answer in answers] == ["", "TopicDisallowed", "BadCertificate"]


async def test_an_unlisted_certificate_may_be_refused_in_the_handshake(
    connect: Connect, client_certificate: MakeCertificate, control: httpx2.AsyncClient
) -> None:
    await control.post("/trust", json={"apns_certificates": [], "refuse_certificates_by": "alert"})
    with pytest.raises(OSError, match=r"(?i)alert|reset"):
        await (await connect(certificate=client_certificate(uid="com.example.chat"))).push(
            headers={"authorization": None}
        )


async def test_an_expired_certificate_is_refused_in_the_handshake(
    connect: Connect, client_certificate: MakeCertificate
) -> None:
    expired = client_certificate(uid="com.example.chat", days=-1)
    with pytest.raises(OSError, match=r"(?i)expired"):
        await (await connect(certificate=expired)).push(headers={"authorization": None})
