from __future__ import annotations

import asyncio

import pytest

from unit.edges.rest.gateway import Gateway
from wakeline.edges.rest.operations import Answer, Call, Idempotent, Operation, Reach
from wakeline.edges.rest.routes import HoldBody
from wakeline.model.errors import Conflict
from wakeline.model.key import Scope

pytestmark = pytest.mark.anyio

MARK = {"idempotency-key": "order-7"}


async def test_the_same_request_gets_the_same_answer_marked(gateway: Gateway) -> None:
    first = await gateway.call("POST", "/v1/apps", json={"id": "one"}, headers=MARK)
    again = await gateway.call("POST", "/v1/apps", json={"id": "one"}, headers=MARK)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"


async def test_another_body_is_refused(gateway: Gateway) -> None:
    await gateway.call("POST", "/v1/apps", json={"id": "one"}, headers=MARK)

    other = await gateway.call("POST", "/v1/apps", json={"id": "two"}, headers=MARK)

    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")
    assert gateway.store.apps.get("two") is None


async def test_a_key_belongs_to_its_caller_and_path(gateway: Gateway) -> None:
    await gateway.with_app()
    other = await gateway.key(Scope.ADMIN)
    body = {"id": "one"}
    await gateway.call("POST", "/v1/apps", json=body, headers=MARK)

    elsewhere = await gateway.call("POST", "/v1/apps/acme-chat/restore", json={}, headers=MARK)
    somebody = await gateway.call("POST", "/v1/apps", json=body, headers=MARK, key=other)

    assert elsewhere.status_code == 200
    assert (somebody.status_code, "idempotent-replayed" in somebody.headers) == (200, False)


async def test_a_secret_is_not_shown_twice_and_the_id_is(gateway: Gateway) -> None:
    first = await gateway.call("POST", "/v1/keys", json={"scopes": ["read"]}, headers=MARK)
    again = await gateway.call("POST", "/v1/keys", json={"scopes": ["read"]}, headers=MARK)

    assert (again.status_code, again.json()["code"]) == (409, "secret_not_replayed")
    assert again.json()["id"] == first.json()["id"]
    assert first.json()["key"] not in again.text
    assert len(gateway.store.api_keys.all()) == 2


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there"])
async def test_a_key_that_cannot_be_kept_is_refused(gateway: Gateway, key: str) -> None:
    answer = await gateway.call("POST", "/v1/apps", json={"id": "one"}, headers={"idempotency-key": key})

    assert answer.status_code == 422


class _Slow:
    """An operation that waits to be told to go on, and fails the first time if told to."""

    def __init__(self, error: Exception | None = None) -> None:
        self.go = asyncio.Event()
        self.begun = asyncio.Event()
        self.calls = 0
        self.error = error
        self.operation = Operation(
            name="test.slow",
            method="POST",
            path="/v1/slow",
            handler=self.handle,
            summary="Wait",
            reach=Reach.INSTALLATION,
            scopes=(Scope.ADMIN,),
            request=HoldBody,
            idempotent=Idempotent.STORED,
        )

    async def handle(self, _call: Call) -> Answer:
        self.calls += 1
        self.begun.set()
        await self.go.wait()
        if self.error is not None and self.calls == 1:
            raise self.error
        return Answer(body=HoldBody(cause=str(self.calls)))


async def test_a_repeat_while_the_first_is_at_work_is_told_to_wait(gateway: Gateway) -> None:
    slow = _Slow()
    gateway.serve(type(gateway.app)(gateway.ports, (slow.operation,)))

    first = asyncio.ensure_future(gateway.call("POST", "/v1/slow", headers=MARK))
    await slow.begun.wait()
    meanwhile = await gateway.call("POST", "/v1/slow", headers=MARK)
    slow.go.set()
    answer = await first
    after = await gateway.call("POST", "/v1/slow", headers=MARK)

    assert (meanwhile.status_code, meanwhile.json()["code"]) == (409, "idempotency_running")
    assert meanwhile.headers["retry-after"] == "1"
    assert answer.json() == after.json() == {"cause": "1"}
    assert slow.calls == 1


@pytest.mark.parametrize("error", [Conflict("not now"), RuntimeError("defect")])
async def test_what_failed_may_be_tried_again_with_its_key(gateway: Gateway, error: Exception) -> None:
    slow = _Slow(error)
    slow.go.set()
    gateway.serve(type(gateway.app)(gateway.ports, (slow.operation,)))

    first = await gateway.call("POST", "/v1/slow", headers=MARK)
    again = await gateway.call("POST", "/v1/slow", headers=MARK)

    assert first.status_code >= 400
    assert again.json() == {"cause": "2"}
