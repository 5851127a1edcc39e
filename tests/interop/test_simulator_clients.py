"""Real clients, unchanged, against the simulator: each must see success, a dead token and a bad credential as such."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from interop.apple_certificates import make_certificate
from interop.clients import KEY_ID, PROJECT, TEAM_ID, TOPIC, Aioapns, NodeApn, device_token, google_send, pem, run_node

if TYPE_CHECKING:
    from interop.conftest import Services

pytest.importorskip("firebase_admin", reason="the extra `interop` is not installed")
pytest.importorskip("googleapiclient", reason="the extra `interop` is not installed")

from firebase_admin import exceptions, messaging
from google.auth.exceptions import RefreshError
from googleapiclient.errors import HttpError

pytestmark = [
    pytest.mark.interop,
    pytest.mark.anyio,
    # What is being replaced by installation ids is still what most servers send.
    pytest.mark.filterwarnings("ignore:Message.token is deprecated:DeprecationWarning"),
]

# aioapns


@pytest.fixture(params=["token", "certificate"])
async def aioapns_client(
    request: pytest.FixtureRequest, services: Services, apns_key: ec.EllipticCurvePrivateKey, certificate: Path
) -> AsyncIterator[Aioapns]:
    by_token = {"key": pem(apns_key), "key_id": KEY_ID, "team_id": TEAM_ID}
    client = Aioapns(services, **(by_token if request.param == "token" else {"client_cert": str(certificate)}))
    yield client
    await client.close()


async def test_aioapns_sees_success(services: Services, aioapns_client: Aioapns) -> None:
    device = device_token()
    results = await asyncio.gather(*(aioapns_client.push(device, collapse_key="c") for _ in range(20)))
    assert [result.status for result in results] == ["200"] * 20
    assert {result.notification_id for result in results} == {
        entry["headers"]["apns-id"] for entry in services.requests(device)
    }


async def test_aioapns_sees_a_dead_token(services: Services, aioapns_client: Aioapns) -> None:
    device = device_token()
    services.script(device, {"status": 410, "timestamp": 1_700_000_000_000})
    result = await aioapns_client.push(device)
    assert (result.status, result.description, result.timestamp) == ("410", "Unregistered", 1_700_000_000_000)


async def test_aioapns_sees_a_rejected_credential(services: Services, aioapns_client: Aioapns) -> None:
    services.post("/trust", apns_keys=[], apns_certificates=[])
    result = await aioapns_client.push(device_token())
    assert (result.status, result.description in {"InvalidProviderToken", "BadCertificate"}) == ("403", True)


async def test_aioapns_connects_again_after_goaway(services: Services, aioapns_client: Aioapns) -> None:
    services.post("/behave", provider="apns", goaway_after=1)
    for _ in range(3):
        assert (await aioapns_client.push(device_token())).status == "200"
        await aioapns_client.disconnected()


# @parse/node-apn


@pytest.fixture(params=["token", "certificate", "p12"])
def node_apn(
    request: pytest.FixtureRequest,
    services: Services,
    node_modules: Path,
    apns_key: ec.EllipticCurvePrivateKey,
    certificate: Path,
    tmp_path: Path,
) -> NodeApn:
    match request.param:
        case "token":
            credential: dict[str, object] = {"token": {"key": pem(apns_key), "keyId": KEY_ID, "teamId": TEAM_ID}}
        case "certificate":
            credential = {"cert": certificate.read_text(), "key": certificate.read_text()}
        case _:
            leaf, key = make_certificate(uid=TOPIC, marks=("1", "2"))
            encryption = serialization.BestAvailableEncryption(b"secret")
            container = tmp_path / "client.p12"
            container.write_bytes(serialize_key_and_certificates(b"push", key, leaf, None, encryption))
            credential = {"pfx": str(container), "passphrase": "secret"}
    return NodeApn(services, node_modules, credential)


def test_node_apn_sees_success(services: Services, node_apn: NodeApn) -> None:
    first, second = device_token(), device_token()
    assert [result["sent"] for result in node_apn.push(first, second)] == [[first], [second]]
    (entry,) = services.requests(first)
    assert entry["body"] == {"aps": {"alert": "hello"}}


def test_node_apn_sees_a_dead_token(services: Services, node_apn: NodeApn) -> None:
    device = device_token()
    services.script(device, {"status": 410, "timestamp": 1_700_000_000_000})
    (failure,) = node_apn.push(device)[0]["failed"]
    assert (failure["status"], failure["response"]) == (
        410,
        {"reason": "Unregistered", "timestamp": 1_700_000_000_000},
    )


def test_node_apn_sees_a_rejected_credential(services: Services, node_apn: NodeApn) -> None:
    services.post("/trust", apns_keys=[], apns_certificates=[])
    (failure,) = node_apn.push(device_token())[0]["failed"]
    assert failure["status"] == 403
    assert failure["response"]["reason"] in {"InvalidProviderToken", "BadCertificate"}


# web-push


def web_push(services: Services, modules: Path, *subscriptions: dict[str, Any]) -> list[dict[str, Any]]:
    """What became of one message to each subscription, signed by a VAPID key made for it."""
    document: dict[str, object] = {
        "ca": services.ca_file.read_text(),
        "vapid": {"subject": "mailto:ops@example.com"},
        "subscriptions": [{name: each[name] for name in ("endpoint", "keys")} for each in subscriptions],
    }
    return run_node("webpush.js", modules, document)


def test_web_push_sees_success_and_is_read(services: Services, node_modules: Path) -> None:
    subscription = services.post("/subscriptions")
    assert web_push(services, node_modules, subscription) == [{"status": 201}]
    assert services.requests(subscription["target"])[0]["body"] == {"title": "Hello"}


def test_web_push_sees_a_subscription_that_has_ended(services: Services, node_modules: Path) -> None:
    subscription = services.post("/subscriptions")
    services.script(subscription["target"], {"status": 410})
    (result,) = web_push(services, node_modules, subscription)
    assert (result["status"], result["error"]) == (410, "WebPushError")


def test_web_push_sees_a_rejected_credential(services: Services, node_modules: Path) -> None:
    somebody_else = services.post("/subscriptions")["keys"]["p256dh"]
    subscription = services.post("/subscriptions", vapid_public_key=somebody_else)
    (result,) = web_push(services, node_modules, subscription)
    assert (result["status"], "do not correspond" in result["body"]) == (403, True)


# firebase-admin and google-api-python-client


def test_firebase_admin_sees_success(services: Services, firebase: Any) -> None:
    message = messaging.Message(
        token="phone-1",
        data={"k": "v"},
        notification=messaging.Notification(title="Hello"),
        android=messaging.AndroidConfig(ttl=60, priority="high", collapse_key="c"),
        apns=messaging.APNSConfig(payload=messaging.APNSPayload(messaging.Aps(badge=1))),
        webpush=messaging.WebpushConfig(headers={"TTL": "60"}),
    )
    name = messaging.send(message, app=firebase)
    assert name.startswith(f"projects/{PROJECT}/messages/")
    (entry,) = services.requests("phone-1")
    assert (entry["http"], entry["body"]["message"]["android"]["ttl"]) == ("1.1", "60s")
    assert messaging.send(message, dry_run=True, app=firebase).endswith("/fake_message_id")


def test_firebase_admin_sees_a_dead_token(services: Services, firebase: Any) -> None:
    services.script("phone-2", {"status": 404, "error": "UNREGISTERED"})
    with pytest.raises(messaging.UnregisteredError):
        messaging.send(messaging.Message(token="phone-2"), app=firebase)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"status": 400, "error": "INVALID_ARGUMENT"}, exceptions.InvalidArgumentError),
        ({"status": 403, "error": "SENDER_ID_MISMATCH"}, messaging.SenderIdMismatchError),
        ({"status": 401, "error": "THIRD_PARTY_AUTH_ERROR"}, messaging.ThirdPartyAuthError),
        ({"status": 429, "error": "QUOTA_EXCEEDED"}, messaging.QuotaExceededError),
        ({"status": 403}, exceptions.PermissionDeniedError),
    ],
)
def test_firebase_admin_tells_errors_apart(
    services: Services, firebase: Any, answer: dict[str, object], error: type[Exception]
) -> None:
    # A 401 makes google-auth fetch another access token and try again, twice.
    services.script("phone-3", {**answer, "times": 3})
    with pytest.raises(error) as raised:
        messaging.send(messaging.Message(token="phone-3"), app=firebase)
    assert type(raised.value) is error


def test_firebase_admin_sees_a_rejected_credential(services: Services, firebase: Any) -> None:
    services.post("/trust", service_accounts=[])
    with pytest.raises((RefreshError, exceptions.FirebaseError), match="invalid_grant"):
        messaging.send(messaging.Message(token="phone-4"), app=firebase)


async def test_firebase_admin_sends_over_http2(services: Services, firebase: Any) -> None:
    services.script("phone-6", {"status": 404, "error": "UNREGISTERED"})
    messages = [messaging.Message(token="phone-5"), messaging.Message(token="phone-6")]
    batch = await messaging.send_each_async(messages, app=firebase)
    await messaging._get_messaging_service(firebase)._async_client.aclose()
    assert [response.success for response in batch.responses] == [True, False]
    assert isinstance(batch.responses[1].exception, messaging.UnregisteredError)
    assert services.requests("phone-5")[0]["http"] == "2"


def test_google_api_client_sees_success(services: Services, google_client: Any) -> None:
    answer = google_send(google_client, token="phone-7", data={"k": "v"})
    assert answer["name"].startswith(f"projects/{PROJECT}/messages/")
    assert services.requests("phone-7")[0]["body"]["message"]["data"] == {"k": "v"}


def test_google_api_client_sees_a_dead_token(services: Services, google_client: Any) -> None:
    services.script("phone-8", {"status": 404, "error": "UNREGISTERED"})
    with pytest.raises(HttpError) as raised:
        google_send(google_client, token="phone-8")
    assert raised.value.resp.status == 404
    assert raised.value.error_details[0]["errorCode"] == "UNREGISTERED"


def test_google_api_client_sees_a_rejected_credential(services: Services, google_client: Any) -> None:
    services.post("/trust", service_accounts=[])
    with pytest.raises(RefreshError, match="invalid_grant"):
        google_send(google_client, token="phone-9")


def test_google_api_client_sees_a_wrong_message(google_client: Any) -> None:
    with pytest.raises(HttpError, match="Unknown name"):
        google_send(google_client, token="phone-10", colour="red")
