"""Every .txt under tests/wire/golden/webpush is one message: a comment, what was asked for, header fields, what a browser reads.

`vectors.json` holds what others published: the RFCs' examples and Firefox's own tests, good bodies and broken ones.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import http_ece
import jwt as pyjwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from wakeline.model.ids import key_at
from wakeline.model.notification import Content, Notification
from wakeline.model.route import Lane
from wakeline.simulator.subscriptions import Subscription as Browser
from wakeline.wire import webpush
from wakeline.wire.webpush.keys import decoded, point_of, public_key
from wakeline.wire.webpush.request import encrypted

GOLDEN = Path(__file__).parents[2] / "wire" / "golden" / "webpush"
VECTORS: dict[str, Any] = json.loads((GOLDEN / "vectors.json").read_text())
RECEIVED: list[dict[str, Any]] = VECTORS["receiver"]
CREATED = 1_795_305_600_000
KEY = key_at(CREATED, 7)


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    content: Content
    ttl: int = 86_400
    after: int = 0
    locale: str = ""
    badge: int | None = None


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _private(text: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(_bytes(text), "big"), ec.SECP256R1())


def prepared(asked: Asked) -> webpush.Prepared:
    notification = Notification(
        key=KEY,
        app=1,
        content=asked.content,
        lane=Lane.ALERT,
        due=CREATED,
        expires=CREATED + asked.ttl * 1000,
        created=CREATED,
    )
    webpush.validate(asked.content)
    return webpush.prepare(notification, CREATED + asked.after * 1000)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.txt")), ids=lambda path: path.stem)
def test_the_message_is_as_recorded(path: Path) -> None:
    comment, asked, expected = path.read_text().split("\n", 2)
    assert comment.startswith("# ")
    head, _, plaintext = expected.partition("\n\n")
    wanted = msgspec.json.decode(asked, type=Asked)
    message = prepared(wanted)
    assert [f"{name.decode()}: {value.decode()}" for name, value in message.headers()] == head.splitlines()
    assert json.loads(message.plaintext(wanted.locale, wanted.badge)) == json.loads(plaintext)


def test_there_are_recorded_messages() -> None:
    assert len(list(GOLDEN.glob("*.txt"))) >= 12


def test_the_authorization_is_one_more_field() -> None:
    message = prepared(Asked(Content()))
    assert message.headers(b"vapid t=x, k=y") == (*message.headers(), (b"authorization", b"vapid t=x, k=y"))


# RFC 8188 and 8291, both ways


@pytest.mark.parametrize("vector", VECTORS["rfc8188"], ids=lambda vector: vector["name"])
def test_the_library_reads_the_examples_of_rfc_8188(vector: dict[str, Any]) -> None:
    assert http_ece.decrypt(_bytes(vector["body"]), key=_bytes(vector["key"])) == vector["plaintext"].encode()


def test_the_example_of_rfc_8291_is_what_we_write() -> None:
    sender, receiver = VECTORS["rfc8291_sender"], RECEIVED[0]
    browser = webpush.subscription(
        "https://push.example.net/push/JzLQ3raZJfFBR0aqvOMsLrt54w4rJUsV",
        sender["ua_public"],
        receiver["auth"],
        pointer="",
    )
    body = encrypted(receiver["plaintext"].encode(), browser, _bytes(sender["salt"]) + _bytes(sender["as_private"]))
    assert body == _bytes(receiver["body"])
    assert len(body) == 144


@pytest.mark.parametrize("vector", RECEIVED, ids=lambda vector: vector["name"])
def test_browsers_vectors_are_read_and_refused_as_published(vector: dict[str, Any]) -> None:
    body, auth, key = _bytes(vector["body"]), _bytes(vector["auth"]), _private(vector["ua_private"])
    expected = vector["plaintext"]
    # The simulator is a browser written from the RFCs alone; http-ece is nobody's of ours.
    assert Browser("x", "", auth, key).plaintext(body) == (expected and expected.encode())
    if expected is None:
        with pytest.raises((http_ece.ECEException, ValueError)):
            http_ece.decrypt(body, private_key=key, auth_secret=auth)
    else:
        assert http_ece.decrypt(body, private_key=key, auth_secret=auth) == expected.encode()


def test_four_of_the_vectors_are_broken_on_purpose() -> None:
    assert [vector["plaintext"] is None for vector in RECEIVED].count(True) == 4


# RFC 8292


def _verified(token: str, point: str, **more: Any) -> dict[str, Any]:
    point_bytes = decoded(point)
    assert point_bytes is not None
    claims: dict[str, Any] = pyjwt.decode(token, public_key(point_bytes), algorithms=["ES256"], **more)
    return claims


def test_the_token_of_rfc_8292_is_signed_by_its_key_and_has_expired() -> None:
    vector = VECTORS["rfc8292"]
    claims = _verified(vector["t"], vector["k"], audience=vector["aud"], options={"verify_exp": False})
    assert claims == {"aud": "https://push.example.net", "exp": 1453523768, "sub": "mailto:push@example.com"}
    with pytest.raises(pyjwt.ExpiredSignatureError):
        _verified(vector["t"], vector["k"], audience=vector["aud"])


def test_our_token_is_of_the_same_form() -> None:
    key = _private(VECTORS["rfc8291_sender"]["as_private"])
    value = webpush.vapid(key, "https://push.example.net", "mailto:push@example.com", CREATED // 1000)
    scheme, token, point = value.replace(",", "").split(" ")
    assert (scheme, token[:2], point) == ("vapid", "t=", f"k={VECTORS['rfc8291_sender']['as_public']}")
    claims = _verified(token[2:], point[2:], audience="https://push.example.net", options={"verify_exp": False})
    expiry = webpush.expiry("https://push.example.net", CREATED // 1000)
    assert claims == {"aud": "https://push.example.net", "exp": expiry, "sub": "mailto:push@example.com"}
    assert pyjwt.get_unverified_header(token[2:]) == {"typ": "JWT", "alg": "ES256"}
    assert point_of(key.public_key()) == _bytes(point[2:])
