"""Tokens that come from outside: believed when Bitrix24's OAuth server says whose they are, never in place of better ones."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from unit.edges.bitrix24.neighbour import (
    CLERK,
    MEMBER,
    NAME,
    OAUTH,
    PORTAL,
    TOKEN,
    Neighbour,
    installed,
    opened,
    webhook,
)
from wakeline.edges.bitrix24.connected.queues import MOST_WAITING
from wakeline.model.bitrix24.installation import ApplicationAccess, InstallationState, Tokens
from wakeline.model.event import EventType

pytestmark = pytest.mark.anyio

OTHER = "b" * 32


def access(portal: Neighbour) -> str:
    """Return the access token in force."""
    return portal.tokens.access if portal.tokens else ""


async def test_an_installation_is_kept_as_the_oauth_server_confirms_it() -> None:
    portal = await opened()

    answer = await portal.install(scope="crm,task,admin")

    assert (answer.status_code, answer.json()) == (200, {"result": True})
    now = portal.now
    assert (now.state, now.cause, now.member_id, now.application_token) == (
        InstallationState.ACTIVE,
        "",
        MEMBER,
        TOKEN,
    )
    assert (now.client_endpoint, now.server_endpoint, now.user(7)) == (PORTAL, OAUTH, f"{MEMBER}:7")
    assert portal.tokens == Tokens(
        access="access-1",
        refresh="refresh-access-1",
        access_expires=portal.clock.now() + 3_600_000,
        user=1,
        scopes=("crm", "task"),
    )
    assert (portal.oauth.bound, portal.oauth.back, portal.oauth.again) == ([portal.number], [portal.number], 0)
    assert await portal.events() == []


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://evil.test/rest/",
        "https://oauth.bitrix.info.evil.test/rest/",
        "https://oauth.bitrix.info@evil.test/rest/",
        "http://oauth.bitrix.info/rest/",
        "https://127.0.0.1/rest/",
        "https://169.254.169.254/rest/",
        "file:///etc/passwd",
        "gopher://oauth.bitrix.info/rest/",
        "//evil.test/rest/",
    ],
)
async def test_a_server_that_is_not_bitrix24s_is_not_even_asked(endpoint: str) -> None:
    portal = await opened()

    assert (await portal.install(server_endpoint=endpoint)).status_code == 403
    assert (await portal.launch(SERVER_ENDPOINT=endpoint)).status_code == 403
    assert (portal.oauth.asked, portal.now.state) == ([], InstallationState.WAITING)


@pytest.mark.parametrize(("known", "asked"), [("", OAUTH), ("https://oauth.bitrix24.tech/rest/",) * 2])
async def test_where_no_server_is_named_the_known_or_the_usual_one_is_asked(known: str, asked: str) -> None:
    portal = await opened(server_endpoint=known)

    assert (await portal.launch(SERVER_ENDPOINT="")).status_code == 200
    assert [one.server_endpoint for one in portal.oauth.asked] == [asked]


async def test_a_server_that_the_operator_named_is_asked() -> None:
    portal = await opened(hosts=("oauth.intranet.test",))

    assert (await portal.install(server_endpoint="http://oauth.intranet.test:8080/rest/")).status_code == 200
    assert portal.now.server_endpoint == "http://oauth.intranet.test:8080/rest/"


@pytest.mark.parametrize(
    "whose",
    [
        {"client_id": "local.other"},
        {"member_id": OTHER, "endpoint": "https://other.bitrix24.test/rest/"},
        {"endpoint": "https://evil.test/rest/"},
    ],
    ids=["another application", "another portal", "another address"],
)
async def test_live_tokens_of_somebody_else_install_nothing(whose: dict[str, str]) -> None:
    portal = await opened()
    portal.token("strangers", **whose)

    assert (await portal.install("strangers")).status_code == 403
    assert (await portal.install("strangers", member_id=whose.get("member_id", MEMBER))).status_code == 403
    assert (portal.now.state, portal.tokens, portal.now.application_token) == (InstallationState.WAITING, None, "")


@pytest.mark.parametrize("left_out", ["refresh_token", "access_token", "member_id", "application_token"])
async def test_an_installation_without_what_it_is_made_of_is_none(left_out: str) -> None:
    portal = await opened()
    without: dict[str, Any] = {left_out: None}

    assert (await portal.install(**without)).status_code == 403
    assert (portal.oauth.asked, portal.now.state) == ([], InstallationState.WAITING)


async def test_a_portal_that_is_known_may_have_moved_but_is_no_other() -> None:
    portal = await opened(member_id=MEMBER, client_endpoint="https://former.bitrix24.test/rest/")
    portal.token("others", member_id=OTHER)

    assert (await portal.install("others", member_id=OTHER)).status_code == 403
    assert (await portal.install("others")).status_code == 403
    assert (await portal.install()).status_code == 200
    assert (portal.now.client_endpoint, portal.now.member_id) == (PORTAL, MEMBER)


async def test_the_same_installation_told_by_an_event_and_by_a_launch_is_asked_about_once() -> None:
    portal = await opened()

    answers = await asyncio.gather(portal.install(), portal.launch(), portal.install(), portal.launch())

    assert [answer.status_code for answer in answers] == [200] * 4
    assert len(portal.oauth.asked) == 1


async def test_two_installations_at_once_end_as_one_of_them() -> None:
    portal = await opened()
    portal.token("access-2", scopes=("crm", "task", "telephony"))

    await asyncio.gather(
        portal.install("access-1"), portal.install("access-2", application_token="2" * 32), portal.install("access-1")
    )

    assert portal.tokens is not None
    kept = (portal.tokens.access, portal.tokens.refresh, portal.now.application_token)
    assert kept == ("access-1", "refresh-access-1", TOKEN)


async def test_the_application_token_of_an_active_portal_does_not_change() -> None:
    portal = await installed()
    portal.token("access-2")

    for event in ("ONAPPINSTALL", "ONAPPUPDATE"):
        assert (await portal.install("access-2", event=event, application_token="e" * 32)).status_code == 403
    assert (access(portal), portal.now.application_token, len(portal.oauth.asked)) == ("access-1", TOKEN, 1)


async def test_tokens_that_work_are_not_replaced_by_those_of_an_employee() -> None:
    portal = await installed()
    portal.token("clerks", user=CLERK)

    # What the post says of the user is the poster's own word.
    assert (await portal.install("clerks", user_id="1")).status_code == 200
    assert (await portal.install("clerks", event="ONAPPUPDATE", user_id="1")).status_code == 200
    assert access(portal) == "access-1"
    assert portal.oauth.bound == [portal.number] * 3

    del portal.oauth.tokens["access-1"]
    assert (await portal.install("clerks")).status_code == 200
    assert access(portal) == "clerks"


async def test_an_update_brings_tokens_that_may_do_more_and_a_post_that_comes_again_brings_none() -> None:
    portal = await installed()
    portal.token("access-2", scopes=("crm", "task", "telephony"))

    assert (await portal.install("access-2", event="ONAPPUPDATE")).status_code == 200
    assert (access(portal), portal.now.application_token) == ("access-2", TOKEN)
    assert (await portal.install("access-1")).status_code == 200
    assert access(portal) == "access-2"


async def test_an_installation_that_is_told_after_a_visit_of_the_administrator_brings_the_application_token() -> None:
    portal = await installed()
    await portal.store.installations.change(msgspec.structs.replace(portal.now, application_token=""))
    portal.token("access-2")

    assert (await portal.install("access-2")).status_code == 200

    assert (access(portal), portal.now.application_token) == ("access-1", TOKEN)
    assert (await portal.event()).status_code == 200


async def test_whoever_opens_an_installed_application_changes_nothing() -> None:
    portal = await installed()
    portal.token("clerks", user=CLERK)

    page = await portal.launch("clerks")

    assert page.status_code == 200
    assert (access(portal), len(portal.oauth.asked)) == ("access-1", 1)
    assert (await portal.launch("clerks", member_id=OTHER)).status_code == 403
    assert (await portal.launch("clerks", APPLICATION_TOKEN="e" * 32)).status_code == 403


async def test_a_launch_installs_and_its_page_finishes_the_installation_in_the_portals_frame_only() -> None:
    portal = await opened()

    page = await portal.launch()

    assert (page.status_code, portal.now.state, access(portal)) == (200, InstallationState.ACTIVE, "access-1")
    assert "BX24.installFinish" in page.text
    policy = page.headers["content-security-policy"]
    assert "frame-ancestors https://acme.bitrix24.test" in policy.split("; ")
    assert "default-src 'none'" in policy
    assert "x-frame-options" not in page.headers
    assert (page.headers["cache-control"], page.headers["referrer-policy"]) == ("no-store", "no-referrer")


async def test_a_page_repeats_nothing_that_was_posted() -> None:
    portal = await opened()
    evil = "<script>alert(1)</script>"

    page = await portal.launch(evil, REFRESH_ID=evil, member_id=evil, SERVER_ENDPOINT=evil, APPLICATION_TOKEN=evil)

    assert page.status_code == 403
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "script" not in page.text
    assert "script-src" not in page.headers["content-security-policy"]


async def test_a_removed_application_is_asked_nothing_any_more_and_may_come_back() -> None:
    portal = await installed()

    assert (await portal.event("ONAPPUNINSTALL", application_token="x" * 32)).status_code == 403
    assert (await portal.event("ONAPPUNINSTALL", member_id=OTHER)).status_code == 403
    assert portal.now.state is InstallationState.ACTIVE
    assert (await portal.event("ONAPPUNINSTALL", {"CLEAN": "1"})).status_code == 200
    now = portal.now
    assert (now.state, now.cause, portal.tokens) == (
        InstallationState.DEAD,
        "The portal has removed the application",
        None,
    )
    (told,) = await portal.store.events.read(after=0)
    assert (told.type, told.app) == (EventType.PORTAL_CLOSED, "acme-chat")
    assert told.data.note.startswith("The portal has removed the application at acme.bitrix24.test.")
    assert (await portal.event()).status_code == 403

    portal.token("access-2")
    assert (await portal.install("access-2", application_token="2" * 32)).status_code == 200
    assert (portal.now.state, portal.now.cause, access(portal)) == (InstallationState.ACTIVE, "", "access-2")
    assert (await portal.event(application_token="2" * 32)).status_code == 200


async def test_an_installation_while_nobody_can_be_asked_is_not_believed_and_counts_against_nobody() -> None:
    portal = await opened()
    portal.oauth.down = True

    assert {(await portal.install()).status_code for _ in range(60)} == {503}
    assert portal.now.state is InstallationState.WAITING
    portal.oauth.down = False
    assert (await portal.install()).status_code == 200


async def test_a_portal_that_does_not_answer_is_told_later_which_events_we_want() -> None:
    portal = await opened()
    portal.oauth.deaf = True

    assert (await portal.install()).status_code == 200
    assert (portal.now.state, portal.oauth.again) == (InstallationState.ACTIVE, 1)


async def test_events_that_cannot_be_bound_leave_the_installation_standing() -> None:
    portal = await opened()
    portal.oauth.narrow = True
    with capture_logs() as lines:
        assert (await portal.install()).status_code == 200

    assert (portal.now.state, portal.oauth.again) == (InstallationState.ACTIVE, 0)
    assert [line["log_level"] for line in lines if line["event"] == "bitrix24.connected.events_not_bound"] == [
        "warning"
    ]


async def test_a_crowd_of_installers_does_not_pile_up_and_whoever_guesses_is_asked_about_no_more() -> None:
    portal = await opened()
    portal.oauth.slow.clear()

    crowd = [asyncio.create_task(portal.install(f"guess-{number}")) for number in range(MOST_WAITING + 10)]
    done, _ = await asyncio.wait(crowd, return_when=asyncio.FIRST_COMPLETED)
    while len(done) < 10:
        more, _ = await asyncio.wait(set(crowd) - done, return_when=asyncio.FIRST_COMPLETED)
        done |= more
    assert {task.result().status_code for task in done} == {503}
    assert len(portal.oauth.asked) == 1

    portal.oauth.slow.set()
    answers = [answer.status_code for answer in await asyncio.gather(*crowd)]
    assert answers.count(403) == 50
    asked = len(portal.oauth.asked)
    assert {(await portal.install("guess")).status_code, (await portal.launch("guess")).status_code} == {503}
    assert len(portal.oauth.asked) == asked


async def test_tokens_that_are_refreshed_meanwhile_do_not_stop_an_installation() -> None:
    portal = await installed()
    portal.token("access-2", scopes=("crm", "task", "telephony"))
    portal.oauth.slow.clear()
    portal.oauth.came.clear()
    installing = asyncio.create_task(portal.install("access-2"))
    await portal.oauth.came.wait()
    fresh = Tokens(access="fresh", refresh="fresh-refresh", access_expires=0, user=1)
    assert await portal.store.installations.keep_tokens(portal.number, fresh, instead_of="refresh-access-1")
    renamed = msgspec.structs.replace(portal.now, title="Acme")
    await portal.store.installations.change(renamed)
    portal.oauth.slow.set()

    assert (await installing).status_code == 200
    assert (access(portal), portal.now.title) == ("access-2", "Acme")


async def test_a_portal_that_is_disconnected_meanwhile_stays_disconnected() -> None:
    portal = await opened()
    portal.oauth.slow.clear()
    installing = asyncio.create_task(portal.install())
    await portal.oauth.came.wait()
    await portal.store.installations.delete(portal.number)
    portal.oauth.slow.set()

    assert (await installing).status_code == 404
    assert portal.store.installations.all() == []


async def test_a_launch_at_a_portal_of_webhooks_installs_nothing() -> None:
    portal = await opened(**{**webhook(), "state": InstallationState.WAITING})

    assert (await portal.launch()).status_code == 403
    assert not isinstance(portal.now.access, ApplicationAccess)
    assert portal.now.name == NAME
