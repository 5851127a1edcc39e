from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from unit.edges.rest.gateway import Gateway

pytestmark = pytest.mark.anyio

PATH = "/v1/apps/acme-chat/credentials"
FORM = {"key_id": "ABC123DEFG", "team_id": "TEAM123456"}
_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def p8() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def service_account(project: str) -> bytes:
    return json.dumps(
        {
            "type": "service_account",
            "project_id": project,
            "private_key_id": "1",
            "private_key": _RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
            "client_email": f"push@{project}.iam.gserviceaccount.com",
            "token_uri": "https://oauth2.googleapis.com/token",
        }
    ).encode()


async def upload(gateway: Gateway, file: bytes, mark: str = "", **form: str) -> httpx2.Response:
    files: dict[str, Any] = {"file": ("AuthKey.p8", file)}
    headers = {"idempotency-key": mark} if mark else {}
    return await gateway.call("POST", PATH, files=files, data=form, headers=headers)


@pytest.fixture
async def app(gateway: Gateway) -> Gateway:
    await gateway.call("POST", "/v1/apps", json={"id": "acme-chat"})
    return gateway


async def test_an_apns_key_is_judged_kept_listed_checked_and_forgotten(app: Gateway) -> None:
    made = await upload(app, p8(), topics="com.acme.chat, com.acme.chat.pro", **FORM)
    listed = await app.call("GET", PATH)
    checked = await app.call("POST", f"{PATH}/{made.json()['id']}/check")
    gone = await app.call("DELETE", f"{PATH}/{made.json()['id']}")

    assert made.status_code == 201
    credential = made.json()
    assert (credential["kind"], credential["environment"]) == ("apns_key", "both")
    assert credential["topics"] == ["com.acme.chat", "com.acme.chat.pro"]
    assert (credential["not_after"], credential["verdict"]["grade"]) == (None, "ok")
    assert "PRIVATE" not in made.text
    assert credential.pop("check")["ok"] is True
    assert credential["state"] == "working"
    assert listed.json() == {"credentials": [credential | {"check": None}], "warnings": []}
    assert checked.json()["ok"] is True
    assert gone.status_code == 204
    assert (await app.call("GET", PATH)).json() == {"credentials": [], "warnings": []}


async def test_a_file_that_cannot_work_is_refused_in_words_and_not_kept(app: Gateway) -> None:
    answer = await upload(app, b"hello", **FORM)

    assert (answer.status_code, answer.json()["code"]) == (422, "credential_refused")
    assert "PEM" in answer.json()["detail"]
    assert (await app.call("GET", PATH)).json() == {"credentials": [], "warnings": []}


async def test_the_same_file_again_changes_nothing(app: Gateway) -> None:
    key = p8()

    first, again = await upload(app, key, **FORM), await upload(app, key, **FORM)

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()


async def test_a_renewal_takes_the_place_of_the_old_one(app: Gateway) -> None:
    first = await upload(app, p8(), topics="com.acme.chat", **FORM)

    second = await upload(app, p8(), topics="com.acme.chat", key_id="NEWKEY1234", team_id=FORM["team_id"])

    assert second.status_code == 201
    assert second.json()["id"] == first.json()["id"]
    assert (second.json()["revision"], second.json()["key_id"]) == (2, "NEWKEY1234")


async def test_another_topic_or_team_is_a_conflict_unless_meant(app: Gateway) -> None:
    await upload(app, p8(), topics="com.acme.chat", **FORM)
    other = {"topics": "com.other", "key_id": "NEWKEY1234", "team_id": "OTHER12345"}
    file = p8()

    asked = await upload(app, file, **other)
    kept = (await app.call("GET", PATH)).json()["credentials"]
    replaced = await upload(app, file, replace="true", **other)

    assert (asked.status_code, asked.json()["code"]) == (409, "conflict")
    assert "OTHER12345" in asked.json()["detail"]
    assert "com.acme.chat" in asked.json()["detail"]
    assert [one["topics"] for one in kept] == [["com.acme.chat"]]
    assert replaced.status_code == 201
    assert [one["topics"] for one in (await app.call("GET", PATH)).json()["credentials"]] == [["com.other"]]


async def test_two_topics_stand_beside_each_other_if_asked_for(app: Gateway) -> None:
    await upload(app, p8(), topics="com.acme.chat", **FORM)

    added = await upload(app, p8(), topics="com.acme.pro", add="true", key_id="NEWKEY1234", team_id=FORM["team_id"])

    assert added.status_code == 201
    assert len((await app.call("GET", PATH)).json()["credentials"]) == 2


async def test_sandbox_and_production_and_fcm_do_not_meet(app: Gateway) -> None:
    answers = [
        await upload(app, p8(), environment="sandbox", **FORM),
        await upload(app, p8(), environment="production", **FORM),
        await upload(app, service_account("acme")),
    ]

    assert [answer.status_code for answer in answers] == [201, 201, 201]
    assert answers[2].json()["topics"] == ["acme"]


async def test_another_project_is_a_conflict(app: Gateway) -> None:
    await upload(app, service_account("acme"))

    assert (await upload(app, service_account("other"))).status_code == 409


@pytest.mark.parametrize(
    ("form", "pointer"),
    [({"environment": "test"}, "/environment"), ({"replace": "maybe"}, "/replace"), ({"x": "1"}, "/x")],
)
async def test_a_wrong_form_field_is_422_with_its_pointer(app: Gateway, form: dict[str, str], pointer: str) -> None:
    answer = await upload(app, p8(), **form)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_a_form_without_a_file_says_so(app: Gateway) -> None:
    answer = await app.call("POST", PATH, files={"key_id": (None, b"ABC")})

    assert answer.json()["errors"][0]["pointer"] == "/file"


@pytest.mark.parametrize("body", [b"", b"no form", b"--x\r\n\r\nnameless\r\n--x--\r\n"])
async def test_a_broken_form_is_400(app: Gateway, body: bytes) -> None:
    answer = await app.call("POST", PATH, content=body, headers={"content-type": "multipart/form-data; boundary=x"})

    assert answer.status_code == 400


async def test_a_file_with_any_bytes_arrives_unchanged(app: Gateway) -> None:
    """A .p12 is binary: line ends, zeros and dashes in it are its own."""
    blob = bytes(range(256)) + b"\r\n--\r\n--x\n\r\x00\x80"
    answer = await upload(app, blob, **FORM)
    first = await upload(app, blob, mark="k", **FORM)

    assert answer.json()["code"] == first.json()["code"] == "credential_refused"


async def test_a_repeated_upload_is_recognised_whatever_its_boundary(app: Gateway) -> None:
    key, mark = p8(), "upload-1"

    first = await upload(app, key, mark, **FORM)
    again = await upload(app, key, mark, **FORM)
    other = await upload(app, p8(), mark, **FORM)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["idempotent-replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")


async def test_the_number_that_events_show_finds_a_credential_too(app: Gateway) -> None:
    await upload(app, p8(), **FORM)

    assert (await app.call("POST", f"{PATH}/1/check")).status_code == 200
    assert (await app.call("POST", f"{PATH}/2/check")).status_code == 404
