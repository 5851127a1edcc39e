"""Events of connected portals: proven, kept once, answered at once; of strangers nothing is kept, and nobody's token is logged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest
from structlog.testing import capture_logs

from computing import computing_at_most
from storing import Store, ToldClock, sqlite_store
from unit.edges.bitrix24.neighbour import CLERK, MEMBER, NAME, OAUTH, TOKEN, Neighbour, installed, opened, webhook
from wakeline.edges.bitrix24.connected.door import LONGEST
from wakeline.edges.bitrix24.connected.proof import is_proven
from wakeline.edges.bitrix24.connected.queues import MOST_WAITING
from wakeline.model.bitrix24.inbox import Origin, ReceivedEvent
from wakeline.model.bitrix24.installation import InstallationState
from wakeline.model.errors import StoreUnavailable
from wakeline.storage.memory import MemoryStore
from wakeline.storage.sealing import Sealer
from wakeline.wire.bitrix24.posted import Auth

pytestmark = pytest.mark.anyio

NOT_FOUND = (404, "NOT_FOUND")
DENIED = (403, "ACCESS_DENIED")
LATER = (503, "QUERY_LIMIT_EXCEEDED")
COSTS_AT_MOST = 0.006
"""Seconds of a processor that an event takes, with what asks and the tenth that comes twice: eight times what it does take."""


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    made: Store = sqlite_store(tmp_path) if request.param == "sqlite" else MemoryStore(ToldClock(), Sealer(b"m" * 32))
    await made.open()
    yield made
    await made.close()


def refusal(answer: httpx2.Response) -> tuple[int, str]:
    """Return status and code of a refusal in Bitrix24's own form."""
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.json().keys() == {"error", "error_description"}
    return answer.status_code, answer.json()["error"]


async def test_an_event_is_kept_as_it_was_told_and_whoever_reads_it_is_rung_for() -> None:
    portal = await installed()
    portal.oauth.rings.clear()

    answer = await portal.event("ONCRMDEALUPDATE", {"FIELDS": {"ID": "7405"}}, ts=1_794_999_999, user_id="3")

    assert (answer.status_code, answer.json()) == (200, {"result": True})
    (event,) = await portal.events()
    assert (event.installation, event.event, event.data) == (
        portal.number,
        "ONCRMDEALUPDATE",
        b'{"FIELDS":{"ID":"7405"}}',
    )
    assert (event.at, event.received) == (1_794_999_999_000, portal.clock.now())
    assert (event.record, event.user, event.origin) == (7405, 3, Origin.POSTED)
    assert portal.oauth.rings == [portal.number]


async def test_the_same_event_twice_is_answered_twice_and_kept_once() -> None:
    portal = await installed()

    answers = [await portal.event() for _ in range(3)]
    answers += await asyncio.gather(*(portal.event() for _ in range(3)))

    assert {answer.status_code for answer in answers} == {200}
    assert len(await portal.events()) == 1
    assert (await portal.event(ts=1_795_000_001)).status_code == 200
    assert len(await portal.events()) == 2


async def test_a_record_that_changes_twice_in_a_second_is_told_twice_and_repetitions_are_not(store: Store) -> None:
    portal = await installed(store=store)
    second = {"ts": 1_795_000_000}

    async def count(name: str) -> int:
        assert (await portal.event(name, {"FIELDS": {"ID": "7"}}, **second)).status_code == 200
        return sum(event.event == name for event in await portal.events())

    assert [await count("ONCRMDEALUPDATE"), await count("ONCRMDEALUPDATE")] == [1, 1]
    portal.clock.advance(0.4)
    assert [await count("ONCRMDEALUPDATE"), await count("ONCRMDEALUPDATE")] == [2, 2]
    portal.clock.advance(0.4)
    assert await count("ONCRMDEALUPDATE") == 3
    portal.clock.advance(60)
    assert await count("ONCRMDEALUPDATE") == 3
    assert await count("ONCRMDEALADD") == 1
    portal.clock.advance(0.4)
    assert await count("ONCRMDEALADD") == 1


@pytest.mark.parametrize(
    "forged",
    [
        {"application_token": "x" * 32},
        {"application_token": TOKEN[:-1]},
        {"application_token": TOKEN.upper()},
        {"application_token": ""},
        {"application_token": None},
        {"application_token": [TOKEN]},
        {"member_id": "b" * 32},
        {"member_id": ""},
        {"member_id": None},
        {"member_id": [MEMBER]},
    ],
)
async def test_what_is_not_proven_is_refused_and_not_kept(forged: dict[str, Any]) -> None:
    portal = await installed()

    assert refusal(await portal.event(**forged)) == DENIED
    assert await portal.events() == []


async def test_the_token_of_one_portal_proves_nothing_at_the_address_of_another() -> None:
    portal = await installed()
    first = portal.number
    await portal.connect(name="other", application_token="o" * 32, member_id="b" * 32, state=InstallationState.ACTIVE)
    form = {"event": "ONCRMDEALADD", "auth": {"member_id": MEMBER, "application_token": TOKEN}}

    assert refusal(await portal.post(form, name="other")) == DENIED
    assert (await portal.post(form)).status_code == 200
    assert [event.installation for event in await portal.events()] == [first]


async def test_nothing_is_believed_before_the_application_is_installed() -> None:
    portal = await opened()

    assert refusal(await portal.event(application_token="")) == DENIED
    assert refusal(await portal.event()) == DENIED
    assert (await portal.events(), portal.oauth.asked) == ([], [])


async def test_an_unknown_address_is_not_found() -> None:
    portal = await installed()
    for path in ("/bitrix24/events/other", f"/bitrix24/events/{NAME}/more", "/bitrix24/events/", "/bitrix24/events"):
        assert refusal(await portal.client.post(path, content=b"event=ONX")) == NOT_FOUND
    assert (
        await portal.client.post(f"https://push.test//bitrix24//events/{NAME}/", content=b"event=ONX")
    ).status_code == 403


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS"])
async def test_events_are_posted(method: str) -> None:
    portal = await installed()
    answer = await portal.client.request(method, f"/bitrix24/events/{NAME}")

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"hello", 400),
        (b'{"event":"ONCRMDEALADD"}', 400),
        (b"event=ONX&data" + b"[a]" * 30 + b"=1", 400),
        (b"event=ONX&data%5B" + b"%5B" * 50_000 + b"=1", 403),
        (b"&".join(b"a%d=1" % place for place in range(6000)), 400),
        (b"event=ONX&data[a]=" + b"x" * LONGEST, 413),
        (b"\xff\xfe\x00", 400),
    ],
    ids=["empty", "text", "json", "deep", "brackets", "many", "large", "bytes"],
)
async def test_hostile_forms_are_refused_at_once(body: bytes, status: int) -> None:
    portal = await installed()
    with computing_at_most(1):
        answer = await portal.client.post(f"/bitrix24/events/{NAME}", content=body)

    assert refusal(answer)[0] == status
    assert await portal.events() == []


async def test_a_body_of_unknown_length_is_read_no_further_than_allowed() -> None:
    portal = await installed()
    sent = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 4 * LONGEST:
            sent += 1024
            yield b"x" * 1024

    answer = await portal.client.post(f"/bitrix24/events/{NAME}", content=pieces())

    assert refusal(answer) == (413, "INVALID_REQUEST")


async def test_a_time_in_the_future_hides_nothing_that_comes_before_it() -> None:
    portal = await installed()
    for ts in (9_999_999_999, 0, 999_999_999_999):
        assert (await portal.event(ts=ts)).status_code == 200

    assert {event.at for event in await portal.events()} == {portal.clock.now()}


class Full:
    """An inbox on a disk that is full."""

    async def put(self, events: Sequence[ReceivedEvent]) -> list[bool]:
        raise StoreUnavailable("the disk is full")


async def test_an_event_that_cannot_be_kept_is_not_answered_as_if_it_were() -> None:
    portal = await installed(inbox=Full())
    portal.oauth.rings.clear()
    with capture_logs() as lines:
        answer = await portal.event()

    assert refusal(answer) == (503, "INTERNAL_SERVER_ERROR")
    assert portal.oauth.rings == []
    (line,) = [line for line in lines if line["event"] == "bitrix24.connected.event_not_kept"]
    assert (line["log_level"], line["bitrix24_event"]) == ("error", "ONCRMDEALADD")
    assert "does not post it again" in line["consequence"]


async def test_a_webhook_names_its_portal_with_its_first_event_and_no_other_portal_after_that(store: Store) -> None:
    portal = await opened(**webhook(), store=store)
    assert portal.now.user(7) == "{member_id}:7"

    answers = await asyncio.gather(
        *(portal.event(ts=1_795_000_000 + place, member_id=MEMBER) for place in range(5)),
        *(portal.event(ts=1_795_000_100 + place, member_id="b" * 32) for place in range(5)),
    )

    assert [answer.status_code for answer in answers] == [200] * 5 + [403] * 5
    assert (portal.now.member_id, portal.now.user(7)) == (MEMBER, f"{MEMBER}:7")
    assert len(await portal.events()) == 5


@pytest.mark.parametrize("wrong", [{"application_token": "x" * 32}, {"member_id": ""}, {"member_id": None}])
async def test_a_webhooks_wrong_token_and_a_portal_without_a_name_teach_nothing(wrong: dict[str, Any]) -> None:
    portal = await opened(**webhook())

    assert refusal(await portal.event(**wrong)) == DENIED
    assert (portal.now.member_id, await portal.events()) == ("", [])


async def test_no_token_is_not_proven_by_none() -> None:
    portal = await opened(member_id=MEMBER)

    assert not is_proven(portal.now, Auth(member_id=MEMBER))
    assert not is_proven(portal.now, Auth(member_id=MEMBER, application_token=TOKEN))


async def test_what_looks_like_an_installation_is_an_event_to_a_webhook() -> None:
    portal = await opened(**webhook())
    for event in ("ONAPPINSTALL", "ONAPPUNINSTALL"):
        assert (await portal.install(event=event)).status_code == 200

    assert [event.event for event in await portal.events()] == ["ONAPPUNINSTALL", "ONAPPINSTALL"]
    assert (portal.oauth.asked, portal.now.state) == ([], InstallationState.ACTIVE)


async def test_an_application_that_was_authorized_in_a_browser_learns_its_token_from_an_event_with_a_live_one() -> None:
    portal = await opened(member_id=MEMBER, state=InstallationState.ACTIVE, server_endpoint=OAUTH)
    portal.token("clerks", user=CLERK)

    assert refusal(await portal.event()) == DENIED
    assert refusal(await portal.event(access_token="nobodys")) == DENIED
    assert refusal(await portal.event(access_token="clerks", member_id="b" * 32)) == DENIED
    answers = await asyncio.gather(
        *(portal.event(access_token="clerks", ts=1_795_000_000 + place) for place in range(MOST_WAITING))
    )

    assert {answer.status_code for answer in answers} == {200}
    assert (portal.now.application_token, portal.tokens) == (TOKEN, None)
    assert len(portal.oauth.asked) == 2
    assert (await portal.event(ts=1_795_000_999)).status_code == 200


async def test_whoever_opens_such_an_application_brings_its_token_too() -> None:
    portal = await opened(member_id=MEMBER, state=InstallationState.ACTIVE, server_endpoint=OAUTH)

    assert (await portal.launch("nobodys")).status_code == 403
    assert (await portal.launch()).status_code == 200
    assert (portal.now.application_token, portal.tokens) == (TOKEN, None)
    assert (await portal.event()).status_code == 200


async def test_a_live_token_of_another_portal_teaches_nothing() -> None:
    portal = await opened(member_id=MEMBER, state=InstallationState.ACTIVE, server_endpoint=OAUTH)
    portal.token("elsewhere", member_id="b" * 32)
    portal.token("other-application", client_id="local.other")

    for access in ("elsewhere", "other-application"):
        assert refusal(await portal.event(access_token=access, application_token="evil" * 8)) == DENIED
    assert portal.now.application_token == ""


async def test_whoever_guesses_is_slowed_down_and_the_portal_is_served_all_the_same() -> None:
    portal = await installed()
    for number in range(50):
        assert refusal(await portal.event(application_token=f"guess-{number}")) == DENIED

    assert refusal(await portal.event(application_token="guess")) == LATER
    assert (await portal.event()).status_code == 200
    portal.clock.advance(2)
    assert refusal(await portal.event(application_token="guess")) == DENIED


async def test_no_token_and_no_data_reaches_a_log_or_an_answer() -> None:
    with capture_logs() as lines:
        portal = await installed()
        await portal.event(application_token="sesame-wrong", access_token="sesame-access", ts=1)
        await portal.event("ONCRMDEALADD", {"FIELDS": {"ID": "1", "TITLE": "sesame-data"}})
        answer = await portal.install("sesame-access", refresh_token="sesame-refresh", application_token="sesame-app")
        portal.oauth.down = True
        await portal.launch("sesame-access", REFRESH_ID="sesame-refresh", APPLICATION_TOKEN="sesame-app")
        await portal.client.get(f"/bitrix24/oauth/{NAME}?code=sesame-code&state=sesame-state")

    said = repr(lines)
    assert "bitrix24.connected.installed" in said
    assert "bitrix24.connected.refused" in said
    assert "sesame" not in said + answer.text
    assert all(secret not in said for secret in (TOKEN, "access-1", "client-secret"))


async def test_a_burst_is_answered_fast_and_none_is_lost(store: Store) -> None:
    await burst(await installed(store=store), 600)


@pytest.mark.slow
async def test_ten_thousand_events_are_answered_fast_and_none_is_lost(store: Store) -> None:
    await burst(await installed(store=store), 10_000)


async def burst(portal: Neighbour, count: int, at_once: int = 20) -> None:
    """Post so many events over so many connections, each tenth of them twice."""
    waits: list[float] = []
    numbers = iter(range(count))

    async def one_connection() -> None:
        for number in numbers:
            for _ in range(1 + (number % 10 == 0)):
                began = time.perf_counter()
                answer = await portal.event("ONCRMDEALUPDATE", {"FIELDS": {"ID": str(number)}})
                waits.append(time.perf_counter() - began)
                assert answer.status_code == 200

    with computing_at_most(count * COSTS_AT_MOST):
        await asyncio.gather(*(one_connection() for _ in range(at_once)))

    assert sorted(event.record for event in await portal.events()) == list(range(count))
    # Each answer waited for those of the other connections and for a commit, and for no timer and no portal.
    assert sorted(waits)[len(waits) // 2] < 1
