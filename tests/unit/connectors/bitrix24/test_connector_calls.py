"""Calls of a connected portal's users become writes on that portal."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from storing import Store, ToldClock, some_app, sqlite_store
from wakeline.connectors.bitrix24.calls import FINISH, REGISTER, SHOW, Calls, status_of
from wakeline.model.bitrix24.installation import BY_MEMBER_ID, Installation, InstallationState, WebhookAccess
from wakeline.model.bitrix24.outbox import PortalWrite, WriteState
from wakeline.ports.bitrix24_connector import CallBegan, CallEnded
from wakeline.storage.memory import MemoryStore
from wakeline.storage.sealing import Sealer

pytestmark = pytest.mark.anyio

START = 1_795_000_000_000
HOURS = 4 * 3600 * 1000
PHONE = "+49 30 123456"


class Office:
    """A journal over a store; `rung` lists whom it rang."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.rung: list[int] = []
        self.journal = Calls(self.store.installations, self.store.outbox, self.rung.append, lambda: HOURS // 1000)
        self.app = 0

    async def portal(self, prefix: str = "one:", *, app: int = 0, **more: Any) -> Installation:
        """Connect a portal."""
        given: dict[str, Any] = {"telephony": True, "state": InstallationState.ACTIVE, **more}
        return await self.store.installations.create(
            Installation(
                id=0,
                name=f"portal {len(self.store.installations.all())}",
                app=app or self.app,
                access=WebhookAccess(url="https://portal.example/rest/1/code/"),
                client_endpoint="https://portal.example/rest/",
                prefix=prefix,
                **given,
            )
        )

    async def writes(self, installation: Installation | None = None) -> list[PortalWrite]:
        """Return what is written on a portal, or on all, in order."""
        number = None if installation is None else installation.id
        return (await self.store.outbox.recorded(installation=number, limit=100))[::-1]

    def began(self, *users: str, call: str = "c1", **more: Any) -> CallBegan:
        """Return a call that rings these users."""
        given: dict[str, Any] = {"app": self.app, "phone": PHONE, "at": START, **more}
        return CallBegan(call_id=call, users=users, **given)

    def ended(self, duration: int = 0, status: int = 304, call: str = "c1", **more: Any) -> CallEnded:
        """Return the end of a call."""
        given: dict[str, Any] = {"app": self.app, "at": START + 60_000, **more}
        return CallEnded(call_id=call, duration=duration, status=status, **given)


@pytest.fixture(params=["memory", "sqlite"])
async def office(request: pytest.FixtureRequest, tmp_path: Path, anyio_backend: str) -> AsyncIterator[Office]:
    in_memory = request.param == "memory"
    store: Store = MemoryStore(ToldClock(), Sealer(b"k" * 32)) if in_memory else sqlite_store(tmp_path)
    await store.open()
    made = Office(store)
    made.app = (await some_app(store)).id
    yield made
    await store.close()


def params(write: PortalWrite) -> dict[str, Any]:
    said: dict[str, Any] = msgspec.json.decode(write.params)
    return said


async def sent(office: Office, write: PortalWrite, state: WriteState = WriteState.DONE) -> None:
    """Have the portal answer a write."""
    await office.store.outbox.settle(msgspec.structs.replace(write, state=state))


async def test_a_call_is_registered_and_a_finish_waits_for_the_day_nobody_ends_it(office: Office) -> None:
    portal = await office.portal()

    await office.journal.began([office.began("one:7", line="4930")])

    register, finish = await office.writes(portal)
    assert (register.method, register.due, register.after, register.repeatable) == (REGISTER, START, "", True)
    assert params(register) == {
        "USER_ID": 7,
        "PHONE_NUMBER": PHONE,
        "TYPE": 2,
        "CALL_START_DATE": "2026-11-18T11:06:40+00:00",
        "EXTERNAL_CALL_ID": "c1",
        "SHOW": 1,
        "LINE_NUMBER": "4930",
    }
    assert (finish.method, finish.due, finish.after) == (FINISH, START + HOURS, register.key)
    assert params(finish) == {
        "CALL_ID": "$result[CALL_ID]",
        "USER_ID": 7,
        "DURATION": 0,
        "STATUS_CODE": "OTHER",
    }
    assert office.rung == [portal.id]


async def test_a_call_that_is_told_twice_is_one(office: Office) -> None:
    await office.portal()

    await office.journal.began([office.began("one:7")])
    await office.journal.began([office.began("one:7", at=START + 5), office.began("one:7", at=START + 6)])

    assert [write.at for write in await office.writes()] == [START, START]


async def test_the_end_takes_the_place_of_the_finish_that_waits(office: Office) -> None:
    await office.portal()
    await office.journal.began([office.began("one:7")])

    assert await office.journal.ended(office.ended(75, 200, reason="Normal call clearing"))

    _, finish = await office.writes()
    assert params(finish) == {
        "CALL_ID": "$result[CALL_ID]",
        "USER_ID": 7,
        "DURATION": 75,
        "STATUS_CODE": "200",
        "FAILED_REASON": "Normal call clearing",
    }
    assert finish.due == START + 60_000


async def test_a_group_is_one_call_with_a_card_for_each(office: Office) -> None:
    await office.portal()

    await office.journal.began([office.began("one:7", "one:8", "one:7", "carol", "one:9")])

    register, _, cards = await office.writes()
    assert (params(register)["USER_ID"], cards.method, cards.after) == (7, SHOW, register.key)
    assert params(cards) == {"CALL_ID": "$result[CALL_ID]", "USER_ID": [8, 9]}


async def test_a_group_that_is_rung_one_by_one_is_one_call_too(office: Office) -> None:
    await office.portal()

    await office.journal.began([office.began("one:7"), office.began("one:8")])
    await office.journal.began([office.began("one:9")])
    await office.journal.began([office.began("one:9")])

    methods = [write.method for write in await office.writes()]
    assert methods == [REGISTER, FINISH, SHOW, SHOW]
    assert [params(write)["USER_ID"] for write in (await office.writes())[2:]] == [[8], [9]]


async def test_who_answered_is_who_finished(office: Office) -> None:
    await office.portal()
    await office.journal.began([office.began("one:7", "one:8")])

    await office.journal.ended(office.ended(10, 200, user="one:8"))

    finish = (await office.writes())[1]
    assert params(finish)["USER_ID"] == 8


async def test_a_user_of_no_portal_finishes_nothing_in_his_name(office: Office) -> None:
    await office.portal()
    await office.journal.began([office.began("one:7")])

    await office.journal.ended(office.ended(10, 200, user="dave"))

    assert params((await office.writes())[1])["USER_ID"] == 7


async def test_the_first_end_counts(office: Office) -> None:
    await office.portal()
    await office.journal.began([office.began("one:7")])

    await office.journal.ended(office.ended(75, 200))
    assert await office.journal.ended(office.ended(0, 304))

    assert params((await office.writes())[1])["DURATION"] == 75


async def test_a_conversation_counts_even_if_the_call_was_said_to_be_missed(office: Office) -> None:
    await office.portal()
    await office.journal.began([office.began("one:7")])

    await office.journal.ended(office.ended(0, 304))
    await office.journal.ended(office.ended(75, 200))

    assert params((await office.writes())[1])["STATUS_CODE"] == "200"


async def test_what_was_finished_stays_finished(office: Office) -> None:
    await office.portal()
    await office.journal.began([office.began("one:7")])
    await sent(office, (await office.writes())[1])

    assert await office.journal.ended(office.ended(75, 200))

    assert params((await office.writes())[1])["DURATION"] == 0


async def test_no_card_is_shown_for_a_call_that_is_over(office: Office) -> None:
    await office.portal()
    await office.journal.began([office.began("one:7"), office.began("one:7", call="c2")])
    await sent(office, (await office.writes())[2])

    await office.journal.ended(office.ended())
    await office.journal.ended(office.ended(call="c2"))

    assert [params(write)["SHOW"] for write in await office.writes() if write.method == REGISTER] == [0, 1]


async def test_a_call_nobody_noted_has_no_end(office: Office) -> None:
    await office.portal()

    assert not await office.journal.ended(office.ended())
    assert await office.writes() == []


async def test_each_portal_registers_its_own_users(office: Office) -> None:
    one, two = await office.portal("one:"), await office.portal("two:")

    await office.journal.began([office.began("one:7", "two:7")])
    await office.journal.ended(office.ended(5, 200))

    for portal in (one, two):
        register, finish = await office.writes(portal)
        assert (params(register)["USER_ID"], params(finish)["DURATION"]) == (7, 5)


async def test_another_app_neither_begins_nor_ends_a_call(office: Office) -> None:
    other = (await office.store.apps.create("other", "other", START)).id
    await office.portal()
    await office.journal.began([office.began("one:7")])

    assert not office.journal.keeps(other, "one:7")
    assert not await office.journal.ended(office.ended(75, 200, app=other))
    await office.journal.began([office.began("one:7", call="c2", app=other)])

    assert [params(write)["STATUS_CODE"] for write in await office.writes() if write.method == FINISH] == ["OTHER"]


@pytest.mark.parametrize(
    ("prefix", "user", "kept"),
    [
        ("one:", "one:7", True),
        ("one:", "two:7", False),
        ("one:", "one:", False),
        ("one:", "one:alice", False),
        ("one:", "one:0", False),
        ("one:", "one:²", False),
        ("one:", "one:" + "7" * 19, False),
        ("", "7", True),
        ("", "alice", False),
        (BY_MEMBER_ID, f"{BY_MEMBER_ID}7", False),
    ],
)
async def test_whose_calls_are_kept(office: Office, prefix: str, user: str, kept: bool) -> None:
    await office.portal(prefix)

    assert office.journal.keeps(office.app, user) is kept


@pytest.mark.parametrize(
    "more", [{"telephony": False}, {"state": InstallationState.DEAD}, {"state": InstallationState.WAITING}]
)
async def test_a_portal_that_wants_no_calls_gets_none(office: Office, more: dict[str, Any]) -> None:
    await office.portal(**more)

    assert not office.journal.keeps(office.app, "one:7")
    await office.journal.began([office.began("one:7")])
    assert await office.writes() == []


async def test_the_longest_prefix_names_the_portal(office: Office) -> None:
    await office.portal("")
    long = await office.portal("1")

    await office.journal.began([office.began("17")])

    assert {write.installation for write in await office.writes()} == {long.id}


PLACED = {"PHONE_NUMBER": PHONE, "USER_ID": "7", "CALL_ID": "externalCall.89.1773236989"}


async def test_a_call_begun_on_the_portal_only_wants_its_finish(office: Office) -> None:
    portal = await office.portal()

    await office.journal.placed(portal, PLACED, START)
    [waiting] = await office.writes()
    assert await office.journal.ended(office.ended(42, 200, call="externalCall.89.1773236989"))

    [finish] = await office.writes()
    assert (waiting.due, finish.method, finish.after) == (START + HOURS, FINISH, "")
    assert params(finish) == {
        "CALL_ID": "externalCall.89.1773236989",
        "USER_ID": 7,
        "DURATION": 42,
        "STATUS_CODE": "200",
    }


async def test_who_rings_for_a_call_begun_on_the_portal_registers_no_other(office: Office) -> None:
    portal = await office.portal()
    await office.journal.placed(portal, PLACED, START)

    await office.journal.began([office.began("one:7", call="externalCall.89.1773236989"), office.began("one:7")])

    assert [write.method for write in await office.writes()] == [FINISH, REGISTER, FINISH]


@pytest.mark.parametrize(
    "data",
    [{}, {**PLACED, "USER_ID": None}, {**PLACED, "CALL_ID": ""}, {**PLACED, "CALL_ID": ["x"]}],
)
async def test_what_names_no_call_or_user_is_not_noted(office: Office, data: dict[str, Any]) -> None:
    await office.journal.placed(await office.portal(), data, START)

    assert await office.writes() == []


async def test_calls_begun_on_a_portal_without_telephony_are_its_own(office: Office) -> None:
    await office.journal.placed(await office.portal(telephony=False), PLACED, START)

    assert await office.writes() == []


@pytest.mark.parametrize(
    ("sip", "status"),
    [(200, "200"), (202, "200"), (304, "304"), (487, "304"), (408, "304"), (486, "486"), (603, "603"), (500, "OTHER")],
)
def test_statuses_are_those_that_bitrix24_has(sip: int, status: str) -> None:
    assert status_of(sip) == status


async def test_a_portal_that_was_removed_meanwhile_is_told_nothing(office: Office) -> None:
    portal = await office.portal()
    await office.store.installations.delete(portal.id)

    await office.journal.placed(portal, PLACED, START)

    assert (await office.writes(), office.rung) == ([], [])


async def test_who_is_called_by_sip_is_known_to_the_portal_by_his_inner_number(office: Office) -> None:
    await office.portal()
    assert office.journal.keeps(office.app, "sip:107@example.org")
    assert not office.journal.keeps(office.app, "sip:bob@example.org")
    assert not office.journal.keeps(office.app + 1, "sip:107@example.org")
    await office.journal.began([office.began("sip:107@example.org")])
    assert await office.journal.ended(office.ended(42, 200, user="sip:107@example.org"))
    register, finish = await office.writes()
    assert params(register)["USER_PHONE_INNER"] == params(finish)["USER_PHONE_INNER"] == "107"
    assert "USER_ID" not in params(register)
    assert (params(finish)["DURATION"], params(finish)["STATUS_CODE"]) == (42, "200")
