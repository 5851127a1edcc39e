from __future__ import annotations

import base64
import os
import ssl
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from wakeline.simulator import Simulator
from wakeline.simulator.subscriptions import Subscription

pytestmark = pytest.mark.anyio

VAPID_KEY = ec.generate_private_key(ec.SECP256R1())


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def hkdf(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, info).derive(secret)


def encrypt(keys: dict[str, str], plaintext: bytes, record_size: int = 4096) -> bytes:
    """RFC 8291 from the sender's side."""
    receiver, secret = unb64(keys["p256dh"]), unb64(keys["auth"])
    sender, salt = ec.generate_private_key(ec.SECP256R1()), os.urandom(16)
    shared = sender.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), receiver))
    material = hkdf(shared, secret, b"WebPush: info\0" + receiver + point(sender), 32)
    cipher = AESGCM(hkdf(material, salt, b"Content-Encoding: aes128gcm\0", 16))
    nonce = int.from_bytes(hkdf(material, salt, b"Content-Encoding: nonce\0", 12))
    room = record_size - 17
    parts = [plaintext[start : start + room] for start in range(0, len(plaintext), room)]
    records = b"".join(
        cipher.encrypt((nonce ^ n).to_bytes(12), part + (b"\2" if n == len(parts) - 1 else b"\1"), None)
        for n, part in enumerate(parts)
    )
    return salt + record_size.to_bytes(4) + bytes([65]) + point(sender) + records


def vapid(origin: str, claims: dict[str, object], *, key: ec.EllipticCurvePrivateKey = VAPID_KEY) -> str:
    good = {"aud": origin, "exp": int(time.time()) + 3600, "sub": "mailto:ops@example.com"}
    return f"vapid t={jwt.encode({**good, **claims}, key, algorithm='ES256')}, k={b64(point(VAPID_KEY))}"


@pytest.fixture
async def browser(simulator: Simulator) -> AsyncIterator[httpx2.AsyncClient]:
    context = ssl.create_default_context(cafile=str(simulator.ca_file))
    async with httpx2.AsyncClient(base_url=simulator.web_push_origin, verify=context) as client:
        yield client


@pytest.fixture
async def subscription(control: httpx2.AsyncClient) -> dict[str, Any]:
    made = await control.post("/subscriptions", json={"vapid_public_key": b64(point(VAPID_KEY))})
    document: dict[str, Any] = made.json()
    return document


@pytest.fixture
def headers(simulator: Simulator) -> dict[str, str]:
    good = {"ttl": "60", "content-encoding": "aes128gcm", "urgency": "high", "topic": "chat"}
    return {**good, "authorization": vapid(simulator.web_push_origin, {})}


async def test_a_message_is_accepted_and_shown_decrypted(
    browser: httpx2.AsyncClient, control: httpx2.AsyncClient, subscription: dict[str, Any], headers: dict[str, str]
) -> None:
    body = encrypt(subscription["keys"], b'{"title":"Hello"}')
    reply = await browser.post(subscription["endpoint"], content=body, headers=headers)
    assert (reply.status_code, reply.headers["ttl"]) == (201, "60")
    assert reply.headers["location"].startswith(subscription["endpoint"])
    (entry,) = (await control.get("/requests", params={"target": subscription["endpoint"]})).json()
    assert (entry["provider"], entry["target"]) == ("webpush", subscription["target"])
    assert entry["body"] == {"title": "Hello"}


async def test_a_message_of_many_records_is_read(
    browser: httpx2.AsyncClient, control: httpx2.AsyncClient, subscription: dict[str, Any], headers: dict[str, str]
) -> None:
    body = encrypt(subscription["keys"], b"a long text " * 20, record_size=64)
    await browser.post(subscription["endpoint"], content=body, headers=headers)
    (entry,) = (await control.get("/requests?provider=webpush")).json()
    assert entry["body"] == "a long text " * 20


async def test_the_example_of_rfc_8291_is_read() -> None:
    private = int.from_bytes(unb64("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"))
    receiver = Subscription(
        identity="x",
        vapid_public_key="",
        secret=unb64("BTBZMqHH6r4Tts7J_aSIgg"),
        key=ec.derive_private_key(private, ec.SECP256R1()),
    )
    body = unb64(
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27ml"
        "mlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT"
        "pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )
    assert receiver.plaintext(body) == b"When I grow up, I want to be a watermelon"


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"ttl": None}, 400),
        ({"ttl": "soon"}, 400),
        ({"urgency": "urgent"}, 400),
        ({"topic": "t" * 33}, 400),
        ({"content-encoding": "aesgcm"}, 400),
        ({"authorization": None}, 401),
        ({"authorization": "bearer x"}, 403),
    ],
)
async def test_headers_are_judged(
    browser: httpx2.AsyncClient,
    subscription: dict[str, Any],
    headers: dict[str, str],
    change: dict[str, str | None],
    status: int,
) -> None:
    given = {name: value for name, value in {**headers, **change}.items() if value is not None}
    body = encrypt(subscription["keys"], b"x")
    reply = await browser.post(subscription["endpoint"], content=body, headers=given)
    assert reply.status_code == status
    assert reply.text


@pytest.mark.parametrize(
    "claims",
    [{"aud": "https://example.com"}, {"exp": 1}, {"exp": int(time.time()) + 2 * 86400}, {"sub": "me"}],
)
async def test_a_wrong_vapid_token_is_forbidden(
    simulator: Simulator,
    browser: httpx2.AsyncClient,
    subscription: dict[str, Any],
    headers: dict[str, str],
    claims: dict[str, object],
) -> None:
    headers["authorization"] = vapid(simulator.web_push_origin, claims)
    body = encrypt(subscription["keys"], b"x")
    assert (await browser.post(subscription["endpoint"], content=body, headers=headers)).status_code == 403


async def test_a_vapid_token_signed_by_another_key_is_forbidden(
    simulator: Simulator, browser: httpx2.AsyncClient, subscription: dict[str, Any], headers: dict[str, str]
) -> None:
    headers["authorization"] = vapid(simulator.web_push_origin, {}, key=ec.generate_private_key(ec.SECP256R1()))
    assert (await browser.post(subscription["endpoint"], headers=headers)).status_code == 403


async def test_a_subscription_made_for_another_key_is_forbidden(
    browser: httpx2.AsyncClient, control: httpx2.AsyncClient, headers: dict[str, str]
) -> None:
    other = b64(point(ec.generate_private_key(ec.SECP256R1())))
    made = (await control.post("/subscriptions", json={"vapid_public_key": other})).json()
    body = encrypt(made["keys"], b"x")
    reply = await browser.post(made["endpoint"], content=body, headers=headers)
    assert (reply.status_code, "do not correspond" in reply.text) == (403, True)


async def test_a_body_for_somebody_else_or_too_large_is_refused(
    browser: httpx2.AsyncClient, control: httpx2.AsyncClient, subscription: dict[str, Any], headers: dict[str, str]
) -> None:
    other = (await control.post("/subscriptions")).json()
    endpoint = subscription["endpoint"]
    misled = await browser.post(endpoint, content=encrypt(other["keys"], b"x"), headers=headers)
    garbage = await browser.post(endpoint, content=b"garbage", headers=headers)
    large = await browser.post(endpoint, content=b"x" * 4097, headers=headers)
    assert [misled.status_code, garbage.status_code, large.status_code] == [400, 400, 413]


async def test_every_message_has_an_address_of_its_own_and_is_kept_four_weeks_at_most(
    browser: httpx2.AsyncClient, subscription: dict[str, Any], headers: dict[str, str]
) -> None:
    body = encrypt(subscription["keys"], b"x")
    replies = [
        await browser.post(subscription["endpoint"], content=body, headers={**headers, "ttl": ttl})
        for ttl in ("0", "99999999")
    ]
    assert [reply.headers["ttl"] for reply in replies] == ["0", "2419200"]
    assert len({reply.headers["location"] for reply in replies}) == 2


async def test_a_sender_key_in_another_form_is_refused(
    browser: httpx2.AsyncClient, subscription: dict[str, Any], headers: dict[str, str]
) -> None:
    body = encrypt(subscription["keys"], b"x")
    compressed = bytes([2 + (body[85] & 1)]) + body[22:54]
    changed = body[:20] + bytes([33]) + compressed + body[86:]
    reply = await browser.post(subscription["endpoint"], content=changed, headers=headers)
    assert (reply.status_code, "encrypted" in reply.text) == (400, True)


async def test_refusals_say_what_would_be_taken(
    browser: httpx2.AsyncClient, subscription: dict[str, Any], headers: dict[str, str]
) -> None:
    del headers["authorization"]
    nobody = await browser.post(subscription["endpoint"], headers=headers)
    assert (nobody.status_code, nobody.headers["www-authenticate"]) == (401, "vapid")
    assert (await browser.get("/wp/somebody")).headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("answer", "spoken"),
    [
        ({"status": 403, "reason": "BadJwtToken"}, '{"reason":"BadJwtToken"}'),
        (
            {"status": 410, "error": "errno 106"},
            '{"code":410,"errno":106,"error":"Gone","message":"scripted"}',
        ),
        ({"status": 599, "error": "errno 7"}, '{"code":599,"errno":7,"error":"Unknown","message":"scripted"}'),
        ({"status": 410, "error": "push subscription has expired"}, "push subscription has expired"),
        ({"status": 500}, "scripted 500"),
    ],
)
async def test_a_script_speaks_as_each_push_service_does(
    browser: httpx2.AsyncClient,
    control: httpx2.AsyncClient,
    headers: dict[str, str],
    answer: dict[str, object],
    spoken: str,
) -> None:
    await control.post("/script", json={"target": "somebody", "answers": [answer]})
    reply = await browser.post("/wp/somebody", headers=headers)
    assert (reply.status_code, reply.text) == (answer["status"], spoken)


async def test_a_subscription_ends_by_script(
    browser: httpx2.AsyncClient, control: httpx2.AsyncClient, subscription: dict[str, Any], headers: dict[str, str]
) -> None:
    endpoint = subscription["endpoint"]
    await control.post("/script", json={"target": endpoint, "answers": [{"status": 410}, {"status": 429}]})
    body = encrypt(subscription["keys"], b"x")
    replies = [await browser.post(endpoint, content=body, headers=headers) for _ in range(3)]
    assert [reply.status_code for reply in replies] == [410, 429, 201]


async def test_any_other_endpoint_is_live_and_takes_no_get(
    browser: httpx2.AsyncClient, headers: dict[str, str]
) -> None:
    assert (await browser.post("/wp/somebody", headers=headers)).status_code == 201
    assert (await browser.get("/wp/somebody")).status_code == 405
