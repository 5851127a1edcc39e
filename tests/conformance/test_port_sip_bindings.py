from __future__ import annotations

import asyncio

import pytest

from sip_nouns import ALICE, BOB, binding, voip
from storing import HOUR, NOW, Store, ToldClock, some_app
from wakeline.model.errors import InvalidRequest
from wakeline.model.sip.binding import Binding, BindingChange
from wakeline.model.sip.push import PushParams, PushProvider, PushTexts, PushToken

pytestmark = pytest.mark.anyio


async def register(store: Store, *bindings: Binding, removed: tuple[str, ...] = ()) -> None:
    aor = bindings[0].aor if bindings else BOB
    await store.sip_bindings.change(BindingChange(aor=aor, put=bindings, removed=removed))


def uids(bindings: list[Binding]) -> list[str]:
    return [each.uid for each in bindings]


class TestRegistering:
    async def test_keeps_a_binding_as_it_is(self, store: Store) -> None:
        full = binding(
            "<urn:uuid:7f>;reg-id=1",
            q=0.5,
            instance="<urn:uuid:7f>",
            reg_id=1,
            path=("<sip:edge.example.org;lr>", "<sip:b.example.org;lr>"),
            flow="tcp:192.0.2.7:5060#7",
            gruu=f"{BOB};gr=urn:uuid:7f",
            user_agent="LinphoneiOS/5.2 (Bob\u2019s phone)",
            push=PushParams(
                provider=PushProvider.APNS_DEV,
                param="ABCD1234.org.example.phone.voip&remote",
                prid="aa:voip&bb:remote",
                tokens=(
                    PushToken(service="voip", value="aa", topic="org.example.phone.voip"),
                    PushToken(service="remote", value="bb", topic="org.example.phone"),
                ),
                texts=PushTexts(call="CALL", call_sound="ring.caf"),
                legacy=True,
                timeout=2.5,
                repeat=0.0,
                warnings=("a label was missing",),
            ),
            app=1,
            device="7f",
            why_not="nothing",
        )

        await register(store, full)

        assert store.sip_bindings.of(BOB) == [full]
        assert store.sip_bindings.of(ALICE) == []

    async def test_replaces_by_uid_and_removes(self, store: Store) -> None:
        await register(store, binding("a"), binding("b"), binding("c"))

        await register(store, binding("a", cseq=2, updated=NOW + 5), removed=("b", "never was"))

        assert store.sip_bindings.of(BOB) == [binding("a", cseq=2, updated=NOW + 5), binding("c")]

    async def test_may_put_what_it_removes(self, store: Store) -> None:
        await register(store, binding("a"))

        await register(store, binding("a", cseq=2), removed=("a",))

        assert store.sip_bindings.of(BOB) == [binding("a", cseq=2)]

    async def test_leaves_other_addresses_alone(self, store: Store) -> None:
        await register(store, binding("a"))
        await register(store, binding("a", aor=ALICE))

        await register(store, removed=("a",))

        assert store.sip_bindings.of(BOB) == []
        assert store.sip_bindings.of(ALICE) == [binding("a", aor=ALICE)]

    async def test_is_seen_at_once_also_by_whoever_asks_before_it_is_on_disk(self, store: Store) -> None:
        await register(store, binding("old"))
        change = BindingChange(aor=BOB, put=(binding("new", gruu="sip:g"),), removed=("old",))

        task = asyncio.ensure_future(store.sip_bindings.change(change))
        await asyncio.sleep(0)
        at_once, by_gruu = store.sip_bindings.of(BOB), store.sip_bindings.by_gruu("sip:g")
        await task

        assert at_once == [by_gruu] == store.sip_bindings.of(BOB)

    async def test_keeps_the_order_of_what_comes_together(self, store: Store) -> None:
        await asyncio.gather(*(register(store, binding("a", cseq=number)) for number in range(50)))

        assert [each.cseq for each in store.sip_bindings.of(BOB)] == [49]

    async def test_refuses_what_is_no_text(self, store: Store) -> None:
        with pytest.raises(InvalidRequest):
            await register(store, binding("a"), binding("b", user_agent="\udcff"))

        assert store.sip_bindings.of(BOB) == store.sip_bindings.of("sip:\udcff@example.org") == []
        assert store.sip_bindings.by_gruu("sip:\udcff@example.org;gr=1") is None
        assert await store.sip_bindings.by_token(1, "\udcff") == []


class TestLookingUp:
    async def test_gives_the_highest_q_first_and_of_equals_who_registered_last(self, store: Store) -> None:
        await register(
            store,
            binding("low", q=0.1, updated=NOW + 9),
            binding("old", updated=NOW + 1),
            binding("new", updated=NOW + 2),
            binding("b same", q=0.5),
            binding("a same", q=0.5),
        )

        assert uids(store.sip_bindings.of(BOB)) == ["new", "old", "a same", "b same", "low"]

    async def test_leaves_out_what_is_kept_no_longer(self, store: Store, clock: ToldClock) -> None:
        await register(
            store,
            binding("short", kept=NOW + HOUR, gruu="sip:g", push=voip(), app=1),
            binding("long"),
        )

        clock.time = NOW + HOUR - 1
        assert len(store.sip_bindings.of(BOB)) == 2
        clock.time = NOW + HOUR
        assert uids(store.sip_bindings.of(BOB)) == ["long"]
        assert store.sip_bindings.by_gruu("sip:g") is None
        assert await store.sip_bindings.by_token(1, "a1" * 32) == []

    async def test_finds_by_gruu_who_registered_last(self, store: Store) -> None:
        await register(store, binding("a", gruu="sip:bob@example.org;gr=1"), binding("none"))
        await register(
            store, binding("b", gruu="sip:bob@example.org;gr=1", updated=NOW + 1), binding("c", gruu="sip:other")
        )

        found = store.sip_bindings.by_gruu("sip:bob@example.org;gr=1")
        assert found is not None
        assert found.uid == "b"
        assert store.sip_bindings.by_gruu("sip:bob@example.org;gr=2") is None
        assert store.sip_bindings.by_gruu("") is None

    async def test_finds_by_a_token_of_an_app(self, store: Store) -> None:
        both = PushParams(
            provider=PushProvider.APNS,
            param="T.x.voip&remote",
            prid="v:voip&r:remote",
            tokens=(PushToken(service="voip", value="v"), PushToken(service="remote", value="r")),
        )
        await register(store, binding("a", push=both, app=1), binding("b", push=voip("v"), app=2))
        await register(store, binding("c", aor=ALICE, push=voip("v"), app=1), binding("d", aor=ALICE, app=1))

        by_token = store.sip_bindings.by_token
        assert sorted(uids(await by_token(1, "v"))) == ["a", "c"]
        assert uids(await by_token(1, "r")) == ["a"]
        assert uids(await by_token(2, "v")) == ["b"]
        assert await by_token(2, "r") == []

    async def test_finds_no_binding_by_a_token_that_it_left(self, store: Store) -> None:
        await register(store, binding("a", push=voip("old"), app=1))
        await register(store, binding("a", push=voip("new"), app=1))

        assert await store.sip_bindings.by_token(1, "old") == []
        assert uids(await store.sip_bindings.by_token(1, "new")) == ["a"]
        await register(store, binding("a"))
        assert await store.sip_bindings.by_token(1, "new") == []

    async def test_lists_addresses_in_pages(self, store: Store, clock: ToldClock) -> None:
        names = [f"sip:{name}@example.org" for name in ("ann", "bob", "cid", "d\u00fc")]
        for name in reversed(names):
            await register(store, binding("a", aor=name), binding("b", aor=name))
        await register(store, binding("a", aor="sip:over@example.org", kept=NOW + 1))
        clock.time = NOW + 1

        assert await store.sip_bindings.aors(limit=99) == names
        assert await store.sip_bindings.aors(limit=2) == names[:2]
        assert await store.sip_bindings.aors(after=names[1], limit=2) == names[2:]
        assert await store.sip_bindings.aors(after=names[-1], limit=2) == []

    async def test_tells_which_registrations_end_soon(self, store: Store) -> None:
        await register(
            store,
            binding("third", push=voip("c"), expires=NOW + 300),
            binding("first", push=voip("a"), expires=NOW + 100),
            binding("no push", expires=NOW + 100),
        )
        await register(store, binding("second", aor=ALICE, push=voip("b"), expires=NOW + 200))

        expiring = store.sip_bindings.expiring
        assert uids(await expiring(NOW + 301, limit=9)) == ["first", "second", "third"]
        assert uids(await expiring(NOW + 300, limit=9)) == ["first", "second"]
        assert uids(await expiring(NOW + 301, limit=1)) == ["first"]
        assert uids(await expiring(NOW + 301, after=NOW + 200, limit=9)) == ["second", "third"]


class TestForgetting:
    async def test_forgets_what_is_kept_no_longer(self, store: Store) -> None:
        await register(store, binding("a", kept=NOW - 1), binding("b", kept=NOW), binding("c", kept=NOW + 1))
        await register(store, binding("d", aor=ALICE, kept=NOW - 1, push=voip(), app=1))

        assert await store.sip_bindings.prune(NOW) == 3
        assert await store.sip_bindings.prune(NOW) == 0
        assert uids(store.sip_bindings.of(BOB)) == ["c"]
        assert await store.sip_bindings.aors(limit=9) == [BOB]

    async def test_of_a_deleted_app_nobody_is_woken_and_all_stay_registered(self, store: Store) -> None:
        other = await some_app(store, "other")
        await register(store, binding("a", push=voip("v"), app=1, device="7f"))
        await register(store, binding("b", push=voip("v"), app=other.id, device="7f", updated=NOW - 1))

        await store.apps.delete(other.id)

        mine, theirs = store.sip_bindings.of(BOB)
        assert (mine.uid, mine.app, mine.device, mine.why_not) == ("a", 1, "7f", "")
        assert (theirs.uid, theirs.app, theirs.device) == ("b", 0, "")
        assert "deleted" in theirs.why_not
        assert await store.sip_bindings.by_token(other.id, "v") == []
        assert uids(await store.sip_bindings.by_token(1, "v")) == ["a"]
