"""Both tables of errors on the page of `pull.application.push.add`: each row as an operator or a caller brings it about.

Source: Bitrix24 REST, "Send Push Notification to Mobile Device via pull.application.push.add": status, code and text.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

from unit.edges.bitrix24.portal import ADMIN, CODE, HOUR, Portal
from wakeline.config import Bitrix24, Settings
from wakeline.edges.bitrix24 import secrets
from wakeline.model.bitrix24.access import IncomingWebhook
from wakeline.model.errors import StoreUnavailable

pytestmark = pytest.mark.anyio

PUSH = "pull.application.push.add"
PARAMS: dict[str, Any] = {"USER_ID": [7], "TEXT": "Hello, world!"}

Answer = httpx2.Response
Way = Callable[[Portal], Awaitable[Answer]]
ROWS: dict[tuple[int, str, str], Way] = {}


def row(status: int, code: str, text: str) -> Callable[[Way], Way]:
    def keep(way: Way) -> Way:
        ROWS[(status, code, text)] = way
        return way

    return keep


async def push(portal: Portal, **more: Any) -> Answer:
    return await portal.call(PUSH, PARAMS, **more)


async def _failing(portal: Portal, error: Exception) -> Answer:
    async def fails(*_: object) -> None:
        raise error

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(portal.ports.pipeline.accept, "accept", fails)
        return await push(portal)


@row(403, "WRONG_AUTH_TYPE", "Send push notifications available only for application authorization.")
async def _by_webhook(portal: Portal) -> Answer:
    return await portal.hook(PUSH, PARAMS)


@row(400, "ACCESS_ERROR", "You do not have access to send push notifications")
async def _by_a_member(portal: Portal) -> Answer:
    return await push(portal, token=portal.member)


@row(400, "TEXT_ERROR", "Text can't be empty")
async def _without_text(portal: Portal) -> Answer:
    return await portal.call(PUSH, {"USER_ID": [7]})


@row(400, "EMPTY_APP_NAME", "For send push-notification application name can't be empty")
async def _without_a_name(portal: Portal) -> Answer:
    await portal.change(name="")
    return await push(portal)


@row(500, "INTERNAL_SERVER_ERROR", "Internal server error")
async def _with_a_defect(portal: Portal) -> Answer:
    return await _failing(portal, ZeroDivisionError("ours"))


@row(500, "ERROR_UNEXPECTED_ANSWER", "Server returned an unexpected response")
async def _with_a_store_that_is_gone(portal: Portal) -> Answer:
    return await _failing(portal, StoreUnavailable("the disk is full"))


@row(503, "QUERY_LIMIT_EXCEEDED", "Too many requests")
async def _too_often(portal: Portal) -> Answer:
    portal.ports.settings = Settings(bitrix24=Bitrix24(rate_limit_burst=1))
    return [await push(portal) for _ in range(3)][-1]


@row(401, "NO_AUTH_FOUND", "Wrong authorization data")
async def _by_a_stranger(portal: Portal) -> Answer:
    return await push(portal, token="of nobody")


@row(400, "INVALID_REQUEST", "Https required")
async def _in_the_clear(portal: Portal) -> Answer:
    return await portal.client.get(f"http://portal.test/rest/{ADMIN}/{CODE}/{PUSH}")


@row(503, "OVERLOAD_LIMIT", "REST API is blocked due to overload")
async def _blocked(portal: Portal) -> Answer:
    await portal.set(blocked=True)
    return await push(portal)


@row(403, "ACCESS_DENIED", "REST API is available only on commercial plans")
async def _free_of_charge(portal: Portal) -> Answer:
    await portal.set(commercial=False)
    return await push(portal)


@row(403, "INVALID_CREDENTIALS", "Invalid request credentials")
async def _dismissed(portal: Portal) -> Answer:
    user = await portal.store.portal_access.user(ADMIN)
    assert user is not None
    await portal.put(user, active=False)
    return await push(portal)


@row(404, "ERROR_MANIFEST_IS_NOT_AVAILABLE", "Manifest is not available")
async def _without_manifest(portal: Portal) -> Answer:
    await portal.change(manifest=False)
    return await push(portal)


@row(403, "insufficient_scope", "The request requires higher privileges than provided by the webhook token")
async def _out_of_scope(portal: Portal) -> Answer:
    narrow = IncomingWebhook(id=0, user=ADMIN, digest=secrets.digest("narrow"), scopes=("crm",))
    await portal.store.portal_access.create_webhook(narrow)
    return await portal.hook(PUSH, PARAMS, code="narrow")


@row(401, "expired_token", "The access token provided has expired")
async def _too_late(portal: Portal) -> Answer:
    portal.clock.advance(HOUR / 1000)
    return await push(portal)


@row(403, "user_access_error", "The user does not have access to the application")
async def _for_others(portal: Portal) -> Answer:
    await portal.change(users=(7,))
    return await push(portal)


@row(500, "PORTAL_DELETED", "Portal was deleted")
async def _closed(portal: Portal) -> Answer:
    await portal.set(closed=True)
    return await push(portal)


@pytest.mark.parametrize("expected", ROWS, ids=[code for _, code, _ in ROWS])
async def test_a_row_is_told_as_documented(portal: Portal, expected: tuple[int, str, str]) -> None:
    answer = await ROWS[expected](portal)
    assert portal.refusal(answer) == expected
    assert answer.json().keys() == {"error", "error_description"}


@pytest.mark.parametrize(
    ("commands", "refused"),
    [
        (["batch?cmd[0]=profile"], ("ERROR_BATCH_METHOD_NOT_ALLOWED", "Method is not allowed for batch usage")),
        (["server.time"] * 51, ("ERROR_BATCH_LENGTH_EXCEEDED", "Max batch length exceeded")),
    ],
)
async def test_rows_of_a_batch_stand_in_its_answer(
    portal: Portal, commands: list[str], refused: tuple[str, str]
) -> None:
    errors = portal.result(await portal.call("batch", {"cmd": commands}))["result_error"]
    [told] = errors if isinstance(errors, list) else errors.values()
    assert (told["error"], told["error_description"]) == refused
