"""The registrar on the store that a gateway has: what a REGISTER was answered with 200 is there after a restart, once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sip_nouns import message
from sip_registering import AOR, APNS, FCM, INSTANCE, TOKEN, Registering, contact
from storing import ToldClock, sqlite_store
from wakeline.model.sip.binding import BindingChange
from wakeline.storage.sqlite import SqliteStore

pytestmark = pytest.mark.anyio


class Crowd(Registering):
    """Many phones at once: an answer on the connection may be another phone's."""

    def _registered(self, change: BindingChange) -> None:
        self.changes.append(change)


async def opened(folder: Path, clock: ToldClock) -> SqliteStore:
    store = sqlite_store(folder, clock)
    await store.open()
    return store


async def test_a_restart_keeps_the_phone_its_token_and_its_gruu(tmp_path: Path) -> None:
    clock = ToldClock()
    async with Registering(clock=clock, store=await opened(tmp_path, clock)) as sip:
        await sip.apple("phone-app", "org.example.phone")
        await sip.register(contact(APNS), supported="gruu, path", path="<sip:edge.example.org;lr>")
        (before,) = sip.bindings()

    async with Registering(clock=clock, store=await opened(tmp_path, clock)) as again:
        assert again.bindings() == [before]
        assert before.app == 1
        assert again.store.sip_bindings.by_gruu(before.gruu) == before
        assert await again.store.sip_bindings.by_token(1, TOKEN) == [before]
        device = await again.store.devices.get(1, INSTANCE)
        assert device is not None
        assert device.users == (AOR,)

        again.clock.time += 1000
        await again.register(contact(APNS, host="192.0.2.99:5062"), call_id="c2", supported="gruu")
        (after,) = again.bindings()
        assert (after.uid, after.registered) == (before.uid, before.registered)
        assert "192.0.2.99" in after.contact


async def test_phones_that_register_at_once_are_all_there_and_share_commits(tmp_path: Path) -> None:
    clock = ToldClock()
    store = await opened(tmp_path, clock)
    async with Crowd(clock=clock, store=store) as sip:
        await sip.firebase()
        commits = 0

        def count(statement: str) -> None:
            nonlocal commits
            commits += statement == "COMMIT"

        store.sip_bindings._writer._connection.set_trace_callback(count)
        phones = [contact(FCM.replace("token-1", f"token-{n}"), instance=f"urn:uuid:{n}") for n in range(12)]
        answers = [sip.register(each, call_id=f"c{n}", user=f"user{n}") for n, each in enumerate(phones)]

        assert {answer.status for answer in await asyncio.gather(*answers)} == {200}

        registered = [sip.bindings(f"sip:user{n}@example.org") for n in range(12)]
        assert [[each.device for each in phone] for phone in registered] == [[f"urn:uuid:{n}"] for n in range(12)]
        assert 0 < commits < 12
        assert len(sip.changes) == 12


async def test_accounts_of_one_phone_that_register_again_in_turn_write_nothing_to_the_registry(tmp_path: Path) -> None:
    clock = ToldClock()
    store = await opened(tmp_path, clock)
    async with Registering(clock=clock, store=store) as sip:
        await sip.firebase()
        registry = store.devices._writer._connection

        async def all_register(cseq: int) -> int:
            before = registry.total_changes
            for name in ("work", "bob", "alice"):
                clock.time += 1000
                assert (await sip.register(contact(FCM), user=name, call_id=name, cseq=cseq)).status == 200
            return registry.total_changes - before

        assert await all_register(1) > 0
        version = store.devices.version
        assert [await all_register(cseq) for cseq in (2, 3)] == [0, 0]

        assert store.devices.version == version  # else the memory of every other phone would be worth nothing
        device = await store.devices.get(1, INSTANCE)
        assert device is not None
        assert sorted(device.users) == [f"sip:{name}@example.org" for name in ("alice", "bob", "work")]


async def test_an_account_that_is_registered_again_no_more_ends_with_the_next_change_of_its_phone(
    tmp_path: Path,
) -> None:
    clock = ToldClock()
    async with Registering(clock=clock, store=await opened(tmp_path, clock)) as sip:
        await sip.firebase()
        await sip.register(contact(FCM), user="work", call_id="work", expires=600)
        await sip.register(contact(FCM))
        clock.time += 601_000

        await sip.register(contact(FCM.replace("token-1", "token-2")), cseq=2)

        device = await sip.store.devices.get(1, INSTANCE)
        assert device is not None
        assert device.users == (AOR,)


async def test_a_phone_that_leaves_is_gone_after_a_restart_too(tmp_path: Path) -> None:
    clock = ToldClock()
    async with Registering(clock=clock, store=await opened(tmp_path, clock)) as sip:
        await sip.firebase()
        await sip.register(contact(FCM))
        await sip.register(contact(FCM), expires=0, cseq=2)

    async with Registering(clock=clock, store=await opened(tmp_path, clock)) as again:
        assert again.bindings() == []
        assert await again.store.sip_bindings.by_token(1, "fcm-token-1") == []
        assert await again.store.devices.get(1, INSTANCE) is None


@pytest.mark.parametrize(
    "again",
    [
        contact(FCM, instance="urn:uuid:installed-again"),
        contact(FCM, more=";reg-id=1"),
    ],
)
async def test_what_waits_for_a_phone_waits_for_it_when_it_is_told_apart_by_something_else(
    tmp_path: Path, again: str
) -> None:
    clock = ToldClock()
    async with Registering(clock=clock, store=await opened(tmp_path, clock)) as sip:
        await sip.firebase()
        await sip.register(contact(FCM))
        (before,) = sip.bindings()
        await sip.store.sip_messages.put(message("c1 1", before.uid))

        await sip.register(again, call_id="c2", supported="outbound")

        (after,) = sip.bindings()
        assert after.uid != before.uid
        waiting = sip.store.sip_messages.waiting
        assert [each.key for each in await waiting(AOR, after.uid, now=clock.time, limit=9)] == ["c1 1"]
        assert await waiting(AOR, before.uid, now=clock.time, limit=9) == []
