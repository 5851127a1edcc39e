"""What is true of every request: ids, errors, limits, who may come in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from unit.edges.rest.gateway import Gateway
from wakeline.edges.rest import ADMIN_MARK, OPERATIONS, build
from wakeline.edges.rest.operations import Answer, Call, Operation, Reach
from wakeline.model.errors import StoreUnavailable
from wakeline.model.key import Scope

pytestmark = pytest.mark.anyio


async def test_a_request_id_is_taken_over_or_made(gateway: Gateway) -> None:
    given = await gateway.call("GET", "/v1/apps", headers={"x-request-id": "order-7"})
    made = await gateway.call("GET", "/v1/apps")
    unfit = await gateway.call("GET", "/v1/nowhere", headers={"x-request-id": "a b"})

    assert given.headers["x-request-id"] == "order-7"
    assert len(made.headers["x-request-id"]) == 24
    assert unfit.json()["instance"] == unfit.headers["x-request-id"] != "a b"


async def test_an_error_is_a_problem_with_a_stable_code(gateway: Gateway) -> None:
    answer = await gateway.call("GET", "/v1/nowhere")

    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "/docs/problems/not_found",
        "title": "There is no such thing",
        "status": 404,
        "detail": "there is nothing at this path",
        "code": "not_found",
        "instance": answer.headers["x-request-id"],
        "fix": "`/docs` lists what there is.",
    }


async def test_the_type_of_a_problem_leads_to_its_page(gateway: Gateway) -> None:
    problem = (await gateway.call("GET", "/v1/nowhere")).json()

    page = await gateway.call("GET", problem["type"], key="")

    assert page.status_code == 200
    assert problem["title"] in page.text


async def test_a_wrong_method_names_those_that_exist(gateway: Gateway) -> None:
    answer = await gateway.call("PUT", "/v1/apps")

    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, POST"


async def test_head_is_get_without_a_body(gateway: Gateway) -> None:
    get, head = await gateway.call("GET", "/healthz"), await gateway.call("HEAD", "/healthz")

    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["content-length"] == get.headers["content-length"]


async def test_without_a_key_only_probes_and_documents_answer(gateway: Gateway) -> None:
    for operation in OPERATIONS:
        path = operation.url(**dict.fromkeys(operation.parameters, "x"))
        answer = await gateway.call(operation.method, path, key="")
        if operation.reach is Reach.ANYBODY:
            assert answer.status_code in (200, 404), path
        else:
            assert answer.status_code == 401, path
            assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/nothing"), ("PUT", "/v1/apps"), ("GET", "/")])
async def test_without_a_key_nobody_learns_which_paths_there_are(gateway: Gateway, method: str, path: str) -> None:
    assert (await gateway.call(method, path, key="")).status_code == 401


async def test_json_that_curl_calls_a_form_is_read_as_json(gateway: Gateway) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}

    json = await gateway.call("POST", "/v1/apps", content=b' {"id": "by-curl"}', headers=form)
    other = await gateway.call("POST", "/v1/apps", content=b"id=by-curl", headers=form)
    absent = await gateway.call("POST", "/v1/apps", content=b"", headers=form)

    assert (json.status_code, json.json()["id"]) == (201, "by-curl")
    assert (other.status_code, other.json()["code"]) == (415, "unsupported_media_type")
    assert (absent.status_code, absent.json()["code"]) == (400, "malformed")


@pytest.mark.parametrize("header", ["Basic abc", "Bearer", "Bearer wk_unknown", "wk_unknown", "Bearer wkd_x.y"])
async def test_what_is_no_known_key_is_401(gateway: Gateway, header: str) -> None:
    answer = await gateway.call("GET", "/v1/apps", key="", headers={"authorization": header})

    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


async def test_an_expired_and_a_revoked_key_are_401(gateway: Gateway) -> None:
    expiring = await gateway.key(Scope.READ, expires=gateway.clock.now() + 1000)
    before = await gateway.call("GET", "/v1/apps", key=expiring)
    gateway.clock.advance(1)
    after = await gateway.call("GET", "/v1/apps", key=expiring)
    revoked = await gateway.key(Scope.READ)
    await gateway.store.api_keys.revoke(3, gateway.clock.now())

    assert (before.status_code, after.status_code) == (200, 401)
    assert (await gateway.call("GET", "/v1/apps", key=revoked)).status_code == 401


async def test_a_narrow_key_is_403_and_told_which_scope_it_lacks(gateway: Gateway) -> None:
    await gateway.with_app()
    reader = await gateway.key(Scope.READ)

    answer = await gateway.call(
        "POST", "/v1/apps/acme-chat/notifications", key=reader, json={"to": {"users": ["alice"]}}
    )

    assert answer.status_code == 403
    assert "send" in answer.json()["detail"]


async def test_every_scope_opens_what_the_table_says_and_nothing_else(gateway: Gateway) -> None:
    keys = {scope: await gateway.key(scope) for scope in Scope}
    for operation in OPERATIONS:
        if operation.reach is Reach.ANYBODY or operation.name == "event.follow":
            continue
        path = operation.url(**dict.fromkeys(operation.parameters, "absent"))
        for scope, key in keys.items():
            answer = await gateway.call(operation.method, path, key=key)
            allowed = operation.reach is not Reach.MACHINE and (scope is Scope.ADMIN or scope in operation.scopes)
            assert (answer.status_code != 403) is allowed, (operation.name, scope)


async def test_the_marked_connection_of_the_operator_needs_no_key(gateway: Gateway) -> None:
    app = gateway.app

    async def marked(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, ADMIN_MARK: True}, receive, send)

    gateway.serve(marked)
    answer = await gateway.call("POST", "/v1/keys", key="", json={"scopes": ["admin"]})

    assert answer.status_code == 201


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b'{"id": "a",\n "name" x}', "line 2, column 9"),
        (b'{"id": "a"', "line 1, column 11"),
        (b"", "empty"),
        (b'\xff{"id": "a"}', "line 1, column 1"),
        (b'{"id": "\xff"}', "UTF-8"),
    ],
)
async def test_what_is_not_json_is_400_and_says_where(gateway: Gateway, body: bytes, where: str) -> None:
    answer = await gateway.call("POST", "/v1/apps", content=body, headers={"content-type": "application/json"})

    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
    assert where in answer.json()["detail"]


async def test_json_nested_without_end_is_400(gateway: Gateway) -> None:
    await gateway.with_app()
    body = b'{"to":{"users":["alice"]},"data":{"a":' + b"[" * 200_000

    answer = await gateway.call("POST", "/v1/apps/acme-chat/notifications", content=body)

    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"to": {"users": [7]}}, "/to/users/0"),
        ({"to": {"users": ["alice"]}, "tittle": 1}, "/tittle"),
        ({"to": {"user": ["alice"]}}, "/to/user"),
        ({}, "/to"),
        ({"to": {"users": ["alice"]}, "ttl": "soon"}, "/ttl"),
        ({"to": {"users": ["alice"]}, "a/b~c": 1}, "/a~1b~0c"),
        ({"to": {"users": ["alice"]}, "alert": {"localized": {"de": {"titel": "x"}}}}, "/alert/localized/titel"),
        ({"to": {}}, "/to"),
    ],
)
async def test_a_wrong_field_is_422_with_its_json_pointer(gateway: Gateway, body: dict[str, Any], pointer: str) -> None:
    await gateway.with_app()

    answer = await gateway.call("POST", "/v1/apps/acme-chat/notifications", json=body)

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_an_unknown_query_parameter_is_refused_not_ignored(gateway: Gateway) -> None:
    await gateway.with_app()
    body = {"to": {"users": ["alice"]}, "alert": {"title": "x"}}

    answer = await gateway.call("POST", "/v1/apps/acme-chat/notifications?validate_onyl=true", json=body)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/query/validate_onyl"
    assert await gateway.store.queue.pending() == 0


async def test_a_body_in_another_form_is_415(gateway: Gateway) -> None:
    answer = await gateway.call("POST", "/v1/apps", content=b"id=a", headers={"content-type": "text/plain"})

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


class _Endless:
    """A chunked body that counts what is read of it."""

    def __init__(self) -> None:
        self.read = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            self.read += 65536
            yield b" " * 65536


async def test_a_body_over_a_mebibyte_is_413_and_not_read_on(gateway: Gateway) -> None:
    announced = await gateway.call(
        "POST", "/v1/apps", content=b" " * (1024 * 1024 + 1), headers={"content-type": "application/json"}
    )
    exact = await gateway.call(
        "POST", "/v1/apps", content=b'{"id":"a"}'.ljust(1024 * 1024), headers={"content-type": "application/json"}
    )
    endless = _Endless()
    messages: list[Any] = []
    pieces = aiter(endless)

    async def receive() -> Any:
        return {"type": "http.request", "body": await anext(pieces), "more_body": True}

    async def send(message: Any) -> None:
        messages.append(message)

    headers = [(b"authorization", f"Bearer {gateway.admin}".encode()), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/v1/apps", "raw_path": b"/v1/apps", "headers": headers}
    await gateway.app(scope, receive, send)

    assert announced.status_code == 413
    assert exact.status_code == 201
    assert messages[0]["status"] == 413
    assert (b"connection", b"close") in messages[0]["headers"]
    assert endless.read <= 1024 * 1024 + 65536


async def test_a_client_that_leaves_in_mid_body_is_not_answered(gateway: Gateway) -> None:
    messages: list[Any] = []
    parts = [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]

    async def receive() -> Any:
        return parts.pop(0)

    async def send(message: Any) -> None:
        messages.append(message)

    headers = [(b"authorization", f"Bearer {gateway.admin}".encode())]
    scope = {"type": "http", "method": "POST", "path": "/v1/apps", "raw_path": b"/v1/apps", "headers": headers}
    await gateway.app(scope, receive, send)

    assert messages == []


def _breaking(error: Exception) -> Operation:
    async def handler(_call: Call) -> Answer:
        raise error

    return Operation(
        name="test.break", method="GET", path="/v1/break", handler=handler, summary="Break", reach=Reach.ANYBODY
    )


async def test_a_defect_is_500_without_its_text_and_the_log_has_it(gateway: Gateway) -> None:
    gateway.serve(type(gateway.app)(gateway.ports, (_breaking(RuntimeError("at /etc/secret")),)))

    with capture_logs() as lines:
        answer = await gateway.call("GET", "/v1/break")

    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "secret" not in answer.text
    assert lines[0]["event"] == "api.unexpected"
    assert lines[0]["request_id"] == answer.json()["instance"]


async def test_a_store_that_fails_is_503_with_retry_after(gateway: Gateway) -> None:
    gateway.serve(type(gateway.app)(gateway.ports, (_breaking(StoreUnavailable("disk")),)))

    answer = await gateway.call("GET", "/v1/break")

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["retry_after"] == 1


async def test_when_keys_were_used_is_written_at_most_once_a_minute(gateway: Gateway) -> None:
    key = await gateway.key(Scope.READ)
    await gateway.call("GET", "/v1/apps", key=key)
    early = gateway.store.api_keys.all()[1].last_used
    gateway.clock.advance(61)
    await gateway.call("GET", "/v1/apps", key=key)
    await gateway.call("GET", "/v1/apps", key=key)
    for _ in range(10):
        await asyncio.sleep(0)

    assert early is None
    assert gateway.store.api_keys.all()[1].last_used == gateway.clock.now()


async def test_what_was_used_since_is_written_when_the_process_stops(gateway: Gateway) -> None:
    app = build(gateway.ports)
    gateway.serve(app)
    await gateway.call("GET", "/v1/apps")
    await app.close()

    assert gateway.store.api_keys.all()[0].last_used == gateway.clock.now()


async def test_the_master_key_is_changed_by_no_api_key(gateway: Gateway) -> None:
    app = gateway.app
    answer = await gateway.call("POST", "/v1/master-key/rotate", key=await gateway.key(Scope.ADMIN), json={})

    assert answer.status_code == 403
    assert "machine" in answer.json()["detail"]

    async def marked(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, ADMIN_MARK: True}, receive, send)

    gateway.serve(marked)
    answer = await gateway.call("POST", "/v1/master-key/rotate", key="", json={})
    assert answer.status_code == 409  # a store in memory has none
