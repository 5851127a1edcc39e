from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from email.utils import parsedate_to_datetime

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from wakeline.simulator import Simulator

pytestmark = pytest.mark.anyio

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ACCOUNT = "push@example.iam.gserviceaccount.com"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"

Send = Callable[..., Awaitable[httpx2.Response]]


@pytest.fixture
async def google(simulator: Simulator) -> AsyncIterator[httpx2.AsyncClient]:
    context = ssl.create_default_context(cafile=str(simulator.ca_file))
    base = f"https://localhost:{simulator.ports.fcm}"
    async with httpx2.AsyncClient(base_url=base, verify=context) as client:
        yield client


@pytest.fixture
def send(google: httpx2.AsyncClient) -> Send:
    async def send_one(
        message: dict[str, object], *, access: str = "anything", project: str = "p", **more: object
    ) -> httpx2.Response:
        path, headers = f"/v1/projects/{project}/messages:send", {"authorization": f"Bearer {access}"}
        return await google.post(path, json={"message": message, **more}, headers=headers)

    return send_one


def assertion(
    claims: dict[str, object] | None = None, *, key: rsa.RSAPrivateKey = KEY, algorithm: str = "RS256"
) -> str:
    now = int(time.time())
    good = {"iss": ACCOUNT, "aud": "https://oauth2.googleapis.com/token", "iat": now, "exp": now + 3600, "scope": "s"}
    return jwt.encode({**good, **(claims or {})}, key, algorithm=algorithm)


def public_pem(key: rsa.RSAPrivateKey) -> str:
    pem = serialization.Encoding.PEM
    return key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


async def ask_token(google: httpx2.AsyncClient, signed: str, grant: str = GRANT) -> httpx2.Response:
    return await google.post("/token", data={"grant_type": grant, "assertion": signed})


async def test_a_message_is_accepted_under_a_name_of_its_own(send: Send) -> None:
    names = {(await send({"token": "phone", "data": {"k": "v"}})).json()["name"] for _ in range(2)}
    assert len(names) == 2
    assert all(name.startswith("projects/p/messages/0:") for name in names)


async def test_validation_alone_is_accepted_under_a_name_that_is_none(send: Send) -> None:
    reply = await send({"token": "phone"}, validate_only=True)
    assert reply.json() == {"name": "projects/p/messages/fake_message_id"}


@pytest.mark.parametrize("target", [{"token": "t"}, {"fid": "f"}, {"topic": "news"}, {"condition": "'a' in topics"}])
async def test_each_kind_of_target_is_taken(send: Send, target: dict[str, object]) -> None:
    assert (await send(target)).status_code == 200


async def test_names_are_taken_in_both_spellings(send: Send) -> None:
    android = {"collapse_key": "a", "ttl": "3.5s", "notification": {"channelId": "c", "notification_count": 3}}
    assert (await send({"token": "t", "android": android})).status_code == 200


@pytest.mark.parametrize(
    ("message", "field", "by_fcm"),
    [
        ({"data": {"k": "v"}}, "message", True),
        ({"token": "t", "topic": "news"}, "message", True),
        ({"token": ""}, "message.token", True),
        ({"topic": "bad topic"}, "message.topic", True),
        ({"token": "t", "data": {"from": "me"}}, "message.data", True),
        ({"token": "t", "data": {"google.x": "me"}}, "message.data", True),
        ({"token": "t", "android": {"data": {"gcm.notification.x": "1"}}}, "message.android.data", True),
        ({"token": "t", "android": {"ttl": "2419201s"}}, "message.android.ttl", True),
        ({"token": "t", "android": {}, "android_v2": {}}, "message", True),
        ({"token": "t", "webpush": {"fcm_options": {"link": "http://x"}}}, "message.webpush.fcm_options.link", True),
        ({"token": "t", "fcm_options": {"analytics_label": "a b"}}, "message.fcm_options.analytics_label", True),
        ({"token": "t", "registration": "x"}, "message", False),
        ({"token": 5}, "message.token", False),
        ({"token": "t", "data": {"a": "b", "k": 1}}, "message.data[1].value", False),
        ({"token": "t", "data": []}, "message.data", False),
        ({"token": "t", "notification": "hello"}, "message.notification", False),
        ({"token": "t", "android": {"ttl": "10"}}, "message.android.ttl", False),
        ({"token": "t", "android": {"priority": "urgent"}}, "message.android.priority", False),
        ({"token": "t", "android": {"directBootOk": "yes"}}, "message.android.directBootOk", False),
        (
            {"token": "t", "android": {"notification": {"title_loc_args": [1]}}},
            "message.android.notification.titleLocArgs[0]",
            False,
        ),
        ({"token": "t", "apns": {"payload": "x"}}, "message.apns.payload", False),
        ({"token": "t", "apns": {"headers": {"apns-priority": 5}}}, "message.apns.headers[0].value", False),
    ],
)
async def test_a_wrong_message_is_refused_with_the_field_named(
    send: Send, message: dict[str, object], field: str, by_fcm: bool
) -> None:
    reply = await send(message)
    error = reply.json()["error"]
    details = {detail["@type"]: detail for detail in error["details"]}
    assert (reply.status_code, error["status"]) == (400, "INVALID_ARGUMENT")
    assert details[BAD_REQUEST]["fieldViolations"][0]["field"] == field
    assert (FCM_ERROR in details) == by_fcm


@pytest.mark.parametrize(("target", "limit"), [("token", 4096), ("topic", 2048)])
async def test_too_large_a_message_is_refused_without_details(send: Send, target: str, limit: int) -> None:
    fits = await send({target: "t", "data": {"k": "v" * (limit - 1)}})
    bursts = await send({target: "t", "data": {"k": "v" * limit}})
    assert fits.status_code == 200
    assert (bursts.status_code, bursts.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert "details" not in bursts.json()["error"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"'])
async def test_a_body_that_is_no_request_is_refused(google: httpx2.AsyncClient, body: bytes) -> None:
    headers = {"authorization": "Bearer x"}
    assert (await google.post("/v1/projects/p/messages:send", content=body, headers=headers)).status_code == 400


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/projects/p/messages:send"), ("POST", "/fcm/send")])
async def test_what_is_not_there_is_an_html_page(google: httpx2.AsyncClient, method: str, path: str) -> None:
    reply = await google.request(method, path)
    assert (reply.status_code, reply.headers["content-type"]) == (404, "text/html; charset=UTF-8")
    assert abs(parsedate_to_datetime(reply.headers["date"]).timestamp() - time.time()) < 60


@pytest.mark.parametrize(
    ("scripted", "status", "google_status", "codes"),
    [
        ({"status": 404}, 404, "NOT_FOUND", ["UNREGISTERED"]),
        ({"status": 404, "error": "NOT_FOUND"}, 404, "NOT_FOUND", []),
        ({"status": 400, "error": "INVALID_ARGUMENT"}, 400, "INVALID_ARGUMENT", ["INVALID_ARGUMENT"]),
        ({"status": 403, "error": "SENDER_ID_MISMATCH"}, 403, "PERMISSION_DENIED", ["SENDER_ID_MISMATCH"]),
        ({"status": 403}, 403, "PERMISSION_DENIED", []),
        ({"status": 401, "error": "THIRD_PARTY_AUTH_ERROR"}, 401, "UNAUTHENTICATED", ["THIRD_PARTY_AUTH_ERROR"]),
        ({"status": 401}, 401, "UNAUTHENTICATED", []),
        ({"status": 429}, 429, "RESOURCE_EXHAUSTED", ["QUOTA_EXCEEDED"]),
        ({"status": 500}, 500, "INTERNAL", ["INTERNAL"]),
        ({"status": 503}, 503, "UNAVAILABLE", ["UNAVAILABLE"]),
    ],
)
async def test_scripted_errors_have_googles_form(
    send: Send,
    control: httpx2.AsyncClient,
    scripted: dict[str, object],
    status: int,
    google_status: str,
    codes: list[str],
) -> None:
    await control.post("/script", json={"target": "phone", "answers": [scripted]})
    reply = await send({"token": "phone"})
    error = reply.json()["error"]
    found = [detail["errorCode"] for detail in error.get("details", []) if detail["@type"] == FCM_ERROR]
    assert (reply.status_code, error["code"], error["status"], found) == (status, status, google_status, codes)
    assert (await send({"token": "phone"})).status_code == 200


@pytest.mark.parametrize(
    ("field", "violation", "by_fcm"),
    [(None, "message.token", True), ("message.fid", "message.fid", True), ("message.data", "message.data", False)],
)
async def test_an_invalid_argument_is_the_tokens_or_the_payloads(
    send: Send, control: httpx2.AsyncClient, field: str | None, violation: str, by_fcm: bool
) -> None:
    answer = {"status": 400, "error": "INVALID_ARGUMENT", "field": field}
    await control.post("/script", json={"target": "phone", "answers": [answer]})
    details = {d["@type"]: d for d in (await send({"token": "phone"})).json()["error"]["details"]}
    assert details[BAD_REQUEST]["fieldViolations"][0]["field"] == violation
    assert (FCM_ERROR in details) == by_fcm


async def test_a_bad_gateway_is_html_and_a_401_may_be_plain_text(send: Send, control: httpx2.AsyncClient) -> None:
    plain = {"status": 401, "body": "Unauthorized", "content_type": "text/plain"}
    await control.post("/script", json={"target": "phone", "answers": [{"status": 502}, plain]})
    gateway, unauthorized = await send({"token": "phone"}), await send({"token": "phone"})
    assert gateway.headers["content-type"].startswith("text/html")
    assert (unauthorized.status_code, unauthorized.text) == (401, "Unauthorized")


async def test_no_access_token_is_unauthenticated(google: httpx2.AsyncClient) -> None:
    reply = await google.post("/v1/projects/p/messages:send", json={"message": {"token": "t"}})
    assert (reply.status_code, reply.json()["error"]["status"]) == (401, "UNAUTHENTICATED")
    assert "www-authenticate" in reply.headers


async def test_a_signed_assertion_buys_an_access_token(google: httpx2.AsyncClient, send: Send) -> None:
    grant = (await ask_token(google, assertion())).json()
    assert (grant["token_type"], grant["expires_in"]) == ("Bearer", 3599)
    assert (await send({"token": "t"}, access=grant["access_token"])).status_code == 200


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "https://localhost/token"},
        {"exp": 1_600_003_600, "iat": 1_600_000_000},
        {"exp": int(time.time()) + 7200},
        {"iat": "now"},
        {"scope": ""},
        {"iss": ""},
    ],
)
async def test_a_wrong_assertion_is_an_invalid_grant(google: httpx2.AsyncClient, claims: dict[str, object]) -> None:
    reply = await ask_token(google, assertion(claims))
    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_grant")
    assert reply.json()["error_description"]


async def test_another_algorithm_or_grant_is_refused(google: httpx2.AsyncClient) -> None:
    assert (await ask_token(google, assertion(algorithm="PS256"))).json()["error"] == "invalid_grant"
    assert (await ask_token(google, "nonsense")).json()["error"] == "invalid_grant"
    assert (await ask_token(google, assertion(), "password")).json()["error"] == "unsupported_grant_type"


async def test_an_old_access_token_is_unauthenticated(
    google: httpx2.AsyncClient, send: Send, control: httpx2.AsyncClient
) -> None:
    await control.post("/behave", json={"provider": "oauth", "expires_in_s": -1})
    token = (await ask_token(google, assertion())).json()["access_token"]
    reply = await send({"token": "t"}, access=token)
    assert (reply.status_code, reply.json()["error"]["details"][0]["reason"]) == (401, "ACCESS_TOKEN_EXPIRED")


async def test_only_listed_accounts_are_good_once_some_are_listed(
    google: httpx2.AsyncClient, send: Send, control: httpx2.AsyncClient
) -> None:
    listed = {"client_email": ACCOUNT, "public_key_pem": public_pem(KEY), "project_id": "p"}
    await control.post("/trust", json={"service_accounts": [listed]})
    assert (await ask_token(google, assertion(key=OTHER_KEY))).json()["error"] == "invalid_grant"
    assert (await ask_token(google, assertion({"iss": "other@example.com"}))).json()["error"] == "invalid_grant"
    token = (await ask_token(google, assertion())).json()["access_token"]
    assert (await send({"token": "t"}, access=token)).status_code == 200
    assert (await send({"token": "t"}, access="ya29.unknown")).status_code == 401
    denied = await send({"token": "t"}, access=token, project="other")
    assert (denied.status_code, denied.json()["error"]["status"]) == (403, "PERMISSION_DENIED")


async def test_the_token_endpoint_can_fail_by_script(google: httpx2.AsyncClient, control: httpx2.AsyncClient) -> None:
    answers = [{"status": 503, "error": "temporarily_unavailable"}]
    await control.post("/script", json={"target": ACCOUNT, "answers": answers})
    first, second = await ask_token(google, assertion()), await ask_token(google, assertion())
    assert (first.status_code, first.json()["error"], second.status_code) == (503, "temporarily_unavailable", 200)


async def test_token_requests_are_listed_only_on_demand(
    google: httpx2.AsyncClient, control: httpx2.AsyncClient
) -> None:
    await ask_token(google, assertion())
    assert (await control.get("/requests")).json() == []
    listed = (await control.get("/requests?provider=oauth")).json()
    assert [(entry["target"], entry["path"]) for entry in listed] == [(ACCOUNT, "/token")]
