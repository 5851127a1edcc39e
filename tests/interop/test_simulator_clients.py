"""Real clients, unchanged, against the simulator: each must see success, a dead token and a bad credential as such."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import ssl
import subprocess
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from interop.apple_certificates import make_certificate, write_pem

if TYPE_CHECKING:
    from interop.conftest import Services

aioapns = pytest.importorskip("aioapns", reason="the extra `interop` is not installed")
firebase_admin = pytest.importorskip("firebase_admin", reason="the extra `interop` is not installed")
httplib2 = pytest.importorskip("httplib2", reason="the extra `interop` is not installed")
google_auth_httplib2 = pytest.importorskip("google_auth_httplib2", reason="the extra `interop` is not installed")
discovery = pytest.importorskip("googleapiclient.discovery", reason="the extra `interop` is not installed")

from firebase_admin import credentials, exceptions, messaging  # noqa: E402 - after the skip
from google.auth.credentials import CredentialsWithRegionalAccessBoundary  # noqa: E402 - after the skip
from google.auth.exceptions import RefreshError  # noqa: E402 - after the skip
from google.oauth2 import service_account  # noqa: E402 - after the skip
from googleapiclient.errors import HttpError  # noqa: E402 - after the skip

pytestmark = [
    pytest.mark.interop,
    pytest.mark.anyio,
    # What is being replaced by installation ids is still what most servers send.
    pytest.mark.filterwarnings("ignore:Message.token is deprecated:DeprecationWarning"),
]

TOPIC = "com.example.chat"
KEY_ID, TEAM_ID = "ABC123DEFG", "TEAM123456"
PROJECT = "wakeline-test"
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
NODE_DIRECTORY = Path(__file__).parent / "node"


def device_token() -> str:
    return uuid.uuid4().hex * 2


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def public_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


@pytest.fixture(scope="session")
def apns_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="session")
def account_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A client certificate with its key, as Apple would have made it for both environments."""
    return write_pem(tmp_path / "client.pem", *make_certificate(uid=TOPIC, marks=("1", "2")))


# aioapns


class Aioapns:
    def __init__(self, services: Services, **credential: str) -> None:
        context = ssl.create_default_context(cafile=str(services.ca_file))
        self._client = aioapns.APNs(**credential, topic=TOPIC, ssl_context=context, err_func=_ignore)
        former = self._client.pool.protocol_class
        place = {"APNS_SERVER": "localhost", "APNS_PORT": services.ready["apns_port"]}
        self._client.pool.protocol_class = type("Local", (former,), place)

    async def push(self, device: str, **more: object) -> Any:
        request = aioapns.NotificationRequest(device_token=device, message={"aps": {"alert": "hello"}}, **more)
        return await self._client.send_notification(request)

    async def close(self) -> None:
        self._client.pool.close()
        await self.disconnected()

    async def disconnected(self) -> None:
        async with asyncio.timeout(5):
            while self._client.pool.connections:  # noqa: ASYNC110 - the client has no event to wait for
                await asyncio.sleep(0.005)


async def _ignore(_request: object, _result: object) -> None:
    """The result is looked at by the test."""


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


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the locked npm packages installed; kept between runs beside the package list."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node and npm are not installed: @parse/node-apn and web-push were NOT tried against the simulator")
    wanted = (NODE_DIRECTORY / "package-lock.json").read_bytes()
    installed = NODE_DIRECTORY / "node_modules" / ".package-lock.wanted.json"
    if not installed.exists() or installed.read_bytes() != wanted:
        command = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        done = subprocess.run(command, cwd=NODE_DIRECTORY, capture_output=True, text=True, timeout=180, check=False)
        if done.returncode != 0:
            pytest.skip(
                f"npm could not install: @parse/node-apn and web-push were NOT tried against the simulator: {done.stderr}"
            )
        installed.write_bytes(wanted)
    return NODE_DIRECTORY


def run_node(script: str, modules: Path, document: dict[str, object]) -> list[dict[str, Any]]:
    command = ["node", str(NODE_DIRECTORY / script), str(modules), json.dumps(document)]
    # Proxies and debug settings would come from the environment.
    environment = {"PATH": os.environ["PATH"]}
    done = subprocess.run(command, capture_output=True, text=True, timeout=15, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    results: list[dict[str, Any]] = json.loads(done.stdout)
    return results


class NodeApn:
    def __init__(self, services: Services, modules: Path, credential: dict[str, object]) -> None:
        self._modules = modules
        place = {"address": "localhost", "port": services.ready["apns_port"], "production": True}
        self._options = {**place, "ca": services.ca_file.read_text(), **credential}

    def push(self, *devices: str) -> list[dict[str, Any]]:
        """What became of one push to each device, in turn, over one connection."""
        notification = {"topic": TOPIC, "alert": "hello", "pushType": "alert"}
        pushes = [{"device": device, "notification": notification} for device in devices]
        return run_node("push.js", self._modules, {"options": self._options, "pushes": pushes})


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


@pytest.mark.timeout(240)  # the first one installs
def test_node_apn_sees_success(services: Services, node_apn: NodeApn) -> None:
    first, second = device_token(), device_token()
    assert [result["sent"] for result in node_apn.push(first, second)] == [[first], [second]]
    (entry,) = services.requests(first)
    assert entry["body"] == {"aps": {"alert": "hello"}}


@pytest.mark.timeout(240)
def test_node_apn_sees_a_dead_token(services: Services, node_apn: NodeApn) -> None:
    device = device_token()
    services.script(device, {"status": 410, "timestamp": 1_700_000_000_000})
    (failure,) = node_apn.push(device)[0]["failed"]
    assert (failure["status"], failure["response"]) == (
        410,
        {"reason": "Unregistered", "timestamp": 1_700_000_000_000},
    )


@pytest.mark.timeout(240)
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


@pytest.mark.timeout(240)
def test_web_push_sees_success_and_is_read(services: Services, node_modules: Path) -> None:
    subscription = services.post("/subscriptions")
    assert web_push(services, node_modules, subscription) == [{"status": 201}]
    assert services.requests(subscription["target"])[0]["body"] == {"title": "Hello"}


@pytest.mark.timeout(240)
def test_web_push_sees_a_subscription_that_has_ended(services: Services, node_modules: Path) -> None:
    subscription = services.post("/subscriptions")
    services.script(subscription["target"], {"status": 410})
    (result,) = web_push(services, node_modules, subscription)
    assert (result["status"], result["error"]) == (410, "WebPushError")


@pytest.mark.timeout(240)
def test_web_push_sees_a_rejected_credential(services: Services, node_modules: Path) -> None:
    somebody_else = services.post("/subscriptions")["keys"]["p256dh"]
    subscription = services.post("/subscriptions", vapid_public_key=somebody_else)
    (result,) = web_push(services, node_modules, subscription)
    assert (result["status"], "do not correspond" in result["body"]) == (403, True)


# firebase-admin and google-api-python-client


@pytest.fixture
def account(services: Services, account_key: rsa.RSAPrivateKey, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A service account that only the simulator knows, and clients that trust only the simulator."""
    for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(services.ca_file))
    # google-auth asks Google in the background in which regions an account may be used.
    monkeypatch.setattr(
        CredentialsWithRegionalAccessBoundary, "_is_regional_access_boundary_lookup_required", lambda _self: False
    )
    email = "push@wakeline-test.iam.gserviceaccount.com"
    services.post(
        "/trust",
        service_accounts=[{"client_email": email, "public_key_pem": public_pem(account_key), "project_id": PROJECT}],
    )
    return {
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": "0123456789abcdef",
        "private_key": pem(account_key),
        "client_email": email,
        "token_uri": services.ready["token_uri"],
    }


@pytest.fixture
def firebase(services: Services, account: dict[str, str]) -> Iterator[Any]:
    app = firebase_admin.initialize_app(credentials.Certificate(account), name=uuid.uuid4().hex)
    service = messaging._get_messaging_service(app)
    service._fcm_url = f"{services.ready['fcm']}/v1/projects/{PROJECT}/messages:send"
    yield app
    service._client.close()
    firebase_admin.delete_app(app)


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


@pytest.fixture
def google_client(services: Services, account: dict[str, str]) -> Iterator[Any]:
    make_credentials: Callable[..., Any] = service_account.Credentials.from_service_account_info
    plain = httplib2.Http(ca_certs=str(services.ca_file))
    http = google_auth_httplib2.AuthorizedHttp(make_credentials(account, scopes=[SCOPE]), plain)
    place = {"api_endpoint": services.ready["fcm"]}
    with discovery.build("fcm", "v1", http=http, static_discovery=True, client_options=place) as client:
        yield client


def google_send(client: Any, **message: object) -> Any:
    body = {"message": message}
    return client.projects().messages().send(parent=f"projects/{PROJECT}", body=body).execute()


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
