"""pushupload: files as mesibo's users upload them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from structlog.testing import capture_logs

from unit.edges.rest.gateway import Gateway, opened
from unit.edges.rest.test_credentials import p8, service_account
from unit.wire.credential_material import DEVELOPMENT_OID, RSA_KEY, certificate, p12
from wakeline.edges.mesibo import MesiboDoor
from wakeline.model.credential import Credential
from wakeline.model.key import Scope

pytestmark = pytest.mark.anyio

APP = "acme-chat"


@pytest.fixture
async def mesibo(anyio_backend: str) -> AsyncIterator[Gateway]:
    gateway = await opened()
    await gateway.store.apps.create(APP, APP, gateway.clock.now())
    door = MesiboDoor(gateway.ports)
    gateway.serve(door)
    gateway.admin = await gateway.key(Scope.CREDENTIALS, apps=(APP,))
    yield gateway
    await door.close()
    await gateway.client.aclose()
    await gateway.store.close()


async def uploads(gateway: Gateway, file: bytes, name: str = "push.p12", **form: str) -> httpx2.Response:
    data = {"op": "pushupload", "token": gateway.admin, **form}
    return await gateway.client.post("/mesibo/backend", files={"file": (name, file)}, data=data)


def kept(gateway: Gateway) -> list[Credential]:
    app = gateway.store.apps.get(APP)
    assert app is not None
    return gateway.store.credentials.of_app(app.id)


def of_bundle(bundle: str, password: bytes | None = None, **facts: Any) -> bytes:
    return p12(RSA_KEY, certificate(uid=bundle, **facts), password)


async def test_a_certificate_without_password_is_kept_and_judged(mesibo: Gateway) -> None:
    answer = await uploads(mesibo, of_bundle("com.acme.chat"), id="9")
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert (said["op"], said["result"], said["code"], said["id"]) == ("pushupload", True, 201, "9")
    credential = said["credential"]
    assert (credential["kind"], credential["topics"]) == ("apns_certificate", ["com.acme.chat"])
    assert credential["check"]["ok"] is True
    assert ".p8" in " ".join(credential["verdict"]["notes"])
    assert [one.topics for one in kept(mesibo)] == [("com.acme.chat",)]


async def test_a_password_is_taken_and_never_told(mesibo: Gateway) -> None:
    file = of_bundle("com.acme.chat", b"hunter2-secret")
    with capture_logs() as logs:
        wrong = await uploads(mesibo, file, password="another-secret")
        right = await uploads(mesibo, file, password="hunter2-secret")
    assert (wrong.status_code, wrong.json()["error"]) == (422, "CREDENTIALREFUSED")
    assert "password" in wrong.json()["cause"]
    assert right.json()["result"] is True
    for said in (wrong.text, right.text, repr(logs)):
        assert "another-secret" not in said
        assert "hunter2-secret" not in said
        assert mesibo.admin not in said


async def test_an_app_may_have_a_certificate_for_each_of_its_bundle_ids(mesibo: Gateway) -> None:
    for bundle in ("com.acme.chat", "com.acme.pro", "com.acme.chat"):
        assert (await uploads(mesibo, of_bundle(bundle))).json()["result"] is True
    assert sorted(one.topics for one in kept(mesibo)) == [("com.acme.chat",), ("com.acme.pro",)]


async def test_a_sandbox_certificate_stands_beside_the_one_for_production(mesibo: Gateway) -> None:
    await uploads(mesibo, of_bundle("com.acme.chat"))
    answer = await uploads(mesibo, of_bundle("com.acme.chat", oids=(DEVELOPMENT_OID,), name="Apple Development IOS"))
    assert answer.json()["credential"]["environment"] == "sandbox"
    assert len(kept(mesibo)) == 2


async def test_what_would_change_the_team_or_the_project_asks_back(mesibo: Gateway) -> None:
    assert (await uploads(mesibo, service_account("acme"), "acme.json", type="fcm")).json()["code"] == 201
    answer = await uploads(mesibo, service_account("other"), "acme.json")
    assert (answer.status_code, answer.json()["error"]) == (409, "CONFLICT")
    answer = await uploads(mesibo, service_account("other"), "acme.json", replace="1")
    assert answer.json()["result"] is True
    assert [one.topics for one in kept(mesibo)] == [("other",)]


async def test_a_key_is_taken_with_what_goes_with_it(mesibo: Gateway) -> None:
    answer = await uploads(
        mesibo, p8(), "AuthKey.p8", type="apn", key_id="ABC123DEFG", team_id="TEAM123456", topics="com.acme.chat"
    )
    assert answer.json()["credential"]["kind"] == "apns_key"


async def test_the_same_file_again_changes_nothing(mesibo: Gateway) -> None:
    file = of_bundle("com.acme.chat")
    first, again = await uploads(mesibo, file), await uploads(mesibo, file)
    assert first.json()["credential"]["id"] == again.json()["credential"]["id"]
    assert (again.json()["code"], len(kept(mesibo))) == (200, 1)


@pytest.mark.parametrize(
    ("file", "form", "error"),
    [
        (b"hello", {}, "CREDENTIALREFUSED"),
        (of_bundle("com.acme.chat"), {"type": "fcm"}, "CREDENTIALREFUSED"),
        (service_account("acme"), {"type": "apn"}, "CREDENTIALREFUSED"),
        (of_bundle("com.acme.chat", days=-7), {}, "CREDENTIALREFUSED"),
        (of_bundle("com.acme.chat"), {"type": "hms"}, "INVALID"),
        (of_bundle("com.acme.chat"), {"environment": "moon"}, "INVALID"),
        (of_bundle("com.acme.chat"), {"replace": "perhaps"}, "INVALID"),
    ],
    ids=["no credential", "apn as fcm", "fcm as apn", "expired", "another service", "environment", "switch"],
)
async def test_what_cannot_work_is_refused_in_words_and_not_kept(
    mesibo: Gateway, file: bytes, form: dict[str, str], error: str
) -> None:
    answer = await uploads(mesibo, file, **form)
    assert (answer.status_code, answer.json()["result"], answer.json()["error"]) == (422, False, error)
    assert answer.json()["cause"]
    assert kept(mesibo) == []


async def test_without_a_file_it_is_said_how_one_is_sent(mesibo: Gateway) -> None:
    for how in ({"json": {"op": "pushupload", "file": "{}"}}, {"data": {"op": "pushupload", "file": "{}"}}):
        answer = await mesibo.client.post(
            "/mesibo/backend",
            headers={"authorization": f"Bearer {mesibo.admin}"},
            **how,  # type: ignore[arg-type]  # either
        )
        assert (answer.status_code, answer.json()["error"]) == (422, "INVALID")
        assert "curl -F" in answer.json()["fix"]
