"""What happens between two steps of one request: an application goes, a client leaves, the disk refuses, somebody is faster.

Each answer is one of the protocol's, and nothing of who left or went stays behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from unit.edges.bitrix24.leaving import asked_and_left
from unit.edges.bitrix24.phones import phone
from unit.edges.bitrix24.portal import ADMIN, ADMIN_TOKEN, MEMBER, Portal
from unit.edges.bitrix24.signing import code, page, refresh, serve, submit, token, tokens
from wakeline.edges.bitrix24.methods.events import MOST_HANDLERS
from wakeline.edges.bitrix24.oauth import OAuthDoor
from wakeline.model.bitrix24.access import PushChange
from wakeline.model.bitrix24.events import EventHandler
from wakeline.model.errors import NotFound, StoreUnavailable

pytestmark = pytest.mark.anyio


@pytest.fixture
async def signing(portal: Portal) -> Portal:
    await serve(portal)
    return portal


def gone(portal: Portal, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Have the application be deleted by an operator just before the store is asked to keep something of it."""
    access = portal.store.portal_access
    real: Callable[..., Awaitable[Any]] = getattr(access, name)

    async def later(*given: Any, **more: Any) -> Any:
        monkeypatch.setattr(access, name, real)
        await access.delete_application(portal.application.id)
        return await real(*given, **more)

    monkeypatch.setattr(access, name, later)


async def test_an_application_that_goes_while_its_user_signs_in_gets_no_code(
    signing: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = await page(signing)
    gone(signing, monkeypatch, "keep_code")
    answer = await submit(signing, shown, "anna", "correct horse")

    assert answer.status_code != 302
    assert "deleted meanwhile" in answer.text


async def test_an_application_that_goes_while_a_code_is_exchanged_gets_no_tokens(
    signing: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = await code(signing)
    gone(signing, monkeypatch, "issue")
    answer = await token(signing, grant_type="authorization_code", code=given)

    assert (answer.status_code, answer.json()["error"]) == (401, "NOT_INSTALLED")


async def test_an_application_that_goes_while_its_former_token_is_used_gets_no_tokens(
    signing: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = (await tokens(signing))["refresh_token"]
    assert (await refresh(signing, first)).status_code == 200
    signing.serve(OAuthDoor(signing.ports))  # a process that does not remember the pair it gave
    gone(signing, monkeypatch, "issue")
    answer = await refresh(signing, first)

    assert (answer.status_code, answer.json()["error"]) == (401, "NOT_INSTALLED")


async def test_whoever_is_slower_with_the_same_refresh_token_gets_tokens_that_work_too(
    signing: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes: the other one rotates after this one has looked."""
    first = (await tokens(signing))["refresh_token"]
    access = signing.store.portal_access
    real = access.rotate
    here, other = signing.client, OAuthDoor(signing.ports)
    faster: list[str] = []

    async def rotate(expected: bytes, grant: Any, **more: Any) -> bool:
        monkeypatch.setattr(access, "rotate", real)
        signing.serve(other)
        faster.append((await refresh(signing, first)).json()["refresh_token"])
        return await real(expected, grant, **more)

    monkeypatch.setattr(access, "rotate", rotate)
    answer = await refresh(signing, first)
    await here.aclose()

    assert answer.status_code == 200
    assert answer.json()["refresh_token"] not in faster
    for one in (*faster, answer.json()["refresh_token"]):
        assert (await refresh(signing, one)).status_code == 200


async def test_a_code_that_is_shown_again_while_it_is_exchanged_gives_nobody_tokens(
    signing: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = await code(signing)
    access = signing.store.portal_access
    real = access.issue
    thief: list[int] = []

    async def issue(grant: Any) -> Any:
        monkeypatch.setattr(access, "issue", real)
        thief.append((await token(signing, grant_type="authorization_code", code=given)).status_code)
        return await real(grant)

    monkeypatch.setattr(access, "issue", issue)
    answer = await token(signing, grant_type="authorization_code", code=given)

    assert thief == [400]
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


async def test_a_disk_that_refuses_is_said_on_the_login_page(signing: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(_: object) -> None:
        raise StoreUnavailable("the disk is full")

    shown = await page(signing)
    monkeypatch.setattr(signing.store.portal_access, "keep_code", full)
    answer = await submit(signing, shown, "anna", "correct horse")

    assert answer.status_code == 503
    assert "Try again in a minute" in answer.text


async def test_who_leaves_before_the_end_is_answered_nothing(portal: Portal) -> None:
    assert await asked_and_left(portal.door, "/rest/profile") == []
    assert await asked_and_left(OAuthDoor(portal.ports), "/oauth/token/") == []


async def test_a_token_of_an_application_that_goes_while_it_is_looked_up_opens_nothing(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = portal.store.portal_access
    real = access.grant_by_access

    async def found(digest: bytes) -> Any:
        grant = await real(digest)
        await access.delete_application(portal.application.id)
        return grant

    monkeypatch.setattr(access, "grant_by_access", found)
    answer = await portal.call("profile")

    assert portal.refusal(answer)[:2] == (401, "APPLICATION_NOT_FOUND")


async def test_a_call_whose_phone_cannot_be_rung_is_registered_all_the_same(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    await phone(portal, MEMBER)

    async def full(*_: object) -> None:
        raise StoreUnavailable("the disk is full")

    call = {"USER_ID": MEMBER, "PHONE_NUMBER": "+4930123", "TYPE": 2}
    with monkeypatch.context() as patched:
        patched.setattr(portal.ports.pipeline.accept, "accept", full)
        found = portal.result(await portal.call("telephony.externalcall.register", call))
    finish = {"CALL_ID": found["CALL_ID"], "USER_ID": MEMBER, "DURATION": 0}

    assert portal.result(await portal.call("telephony.externalcall.finish", finish))["CALL_ID"] == found["CALL_ID"]


async def test_a_call_whose_ringing_is_forgotten_ends_all_the_same(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    await phone(portal, MEMBER)
    call = {"USER_ID": MEMBER, "PHONE_NUMBER": "+4930124", "TYPE": 2}
    found = portal.result(await portal.call("telephony.externalcall.register", call))

    async def forgotten(*_: object) -> None:
        raise NotFound("there is no such notification")

    monkeypatch.setattr(portal.ports.pipeline, "cancel", forgotten)
    hidden = await portal.call("telephony.externalcall.hide", {"CALL_ID": found["CALL_ID"], "USER_ID": MEMBER})

    assert portal.result(hidden) is True


async def test_an_application_has_room_for_so_many_handlers(portal: Portal) -> None:
    bound = EventHandler(id=0, application=portal.application.id, event="ONCRMDEALADD", handler="", user=0)
    for number in range(MOST_HANDLERS):
        handler = f"https://app.test/{number}"
        await portal.store.portal_events.bind(msgspec.structs.replace(bound, handler=handler))
    one_more = await portal.call("event.bind", {"event": "ONCRMDEALADD", "handler": "https://app.test/more"})

    assert portal.refusal(one_more) == (400, "ERROR_CORE", "Unable to set event handler: Too many handlers")
    await portal.call("event.unbind", {"event": "ONCRMDEALADD", "handler": "https://app.test/0"})
    again = await portal.call("event.bind", {"event": "ONCRMDEALADD", "handler": "https://app.test/more"})
    assert portal.result(again) is True


async def test_what_cannot_be_compared_finds_no_task_and_no_offline_event(portal: Portal) -> None:
    never = {"filter": {"=ID": {"a": {"b": 1}}}}
    tasks = (await portal.call("tasks.task.list", never)).json()
    offline = (await portal.call("event.offline.list", never)).json()

    assert (tasks["result"], tasks["total"]) == ({"tasks": []}, 0)
    assert (offline["result"], offline["total"]) == ([], 0)


async def test_settings_of_two_calls_at_once_both_count(portal: Portal) -> None:
    """One call changes what pushes a user wants while another changes something else."""
    access = portal.store.portal_access
    await asyncio.gather(
        access.change_push(ADMIN, PushChange(active=False)), access.change_push(ADMIN, PushChange(smart=True))
    )
    asked = [await portal.call(f"mobile.push.{name}.get") for name in ("status", "smartfilter.status")]

    assert [portal.result(answer) for answer in asked] == [False, True]
    assert (await portal.call("profile", token=ADMIN_TOKEN)).status_code == 200
