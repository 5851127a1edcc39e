from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from both_stores import Both
from connected_nouns import WEBHOOK, application, connected, event, installation, pair, rule, write
from fuzzing import examples
from storing import NOW, Store, some_app
from wakeline.model.bitrix24.installation import (
    BY_MEMBER_ID,
    ApplicationAccess,
    Installation,
    InstallationState,
    Tokens,
)
from wakeline.model.errors import Conflict, NotFound, WakelineError

pytestmark = pytest.mark.anyio


def present(store: Store, number: int) -> Installation:
    found = store.installations.by_id(number)
    assert found is not None
    return found


def tokens(store: Store, number: int) -> Tokens | None:
    access = present(store, number).access
    return access.tokens if isinstance(access, ApplicationAccess) else None


class TestKeeping:
    async def test_one_is_found_by_id_and_name(self, store: Store) -> None:
        first = await store.installations.create(installation())
        second = await store.installations.create(installation("other", access=application(pair())))

        assert first == msgspec.structs.replace(installation(), id=first.id)
        assert store.installations.by_id(first.id) == store.installations.by_name("acme") == first
        assert store.installations.by_id(second.id) == store.installations.by_name("other") == second
        assert store.installations.all() == [first, second]
        assert store.installations.by_id(99) is None
        assert store.installations.by_name("nobody") is None

    async def test_a_name_is_one_installations(self, store: Store) -> None:
        await store.installations.create(installation())
        other = await store.installations.create(installation("other"))

        with pytest.raises(Conflict, match="acme"):
            await store.installations.create(installation())
        with pytest.raises(Conflict, match="acme"):
            await store.installations.change(msgspec.structs.replace(other, name="acme"))

        assert present(store, other.id) == other

    async def test_two_at_once_with_one_name_are_one(self, store: Store) -> None:
        done = await asyncio.gather(
            *(store.installations.create(installation()) for _ in range(3)), return_exceptions=True
        )

        assert sum(isinstance(each, Conflict) for each in done) == 2
        assert len(store.installations.all()) == 1

    async def test_one_at_most_is_the_mirror(self, store: Store) -> None:
        mirror = await store.installations.create(installation(mirror=True))
        other = await store.installations.create(installation("other"))

        with pytest.raises(Conflict, match="mirror"):
            await store.installations.create(installation("third", mirror=True))
        with pytest.raises(Conflict, match="mirror"):
            await store.installations.change(msgspec.structs.replace(other, mirror=True))
        await store.installations.change(msgspec.structs.replace(mirror, title="Still the mirror"))

        await store.installations.change(msgspec.structs.replace(mirror, mirror=False))
        await store.installations.change(msgspec.structs.replace(other, mirror=True))
        assert [each.mirror for each in store.installations.all()] == [False, True]

    async def test_one_of_a_deleted_app_is_refused(self, store: Store) -> None:
        app = await store.apps.create("gone", "Gone", NOW)
        kept = await connected(store)
        await store.apps.delete(app.id)

        with pytest.raises(NotFound):
            await store.installations.create(installation("late", app=app.id))
        with pytest.raises(NotFound):
            await store.installations.change(msgspec.structs.replace(kept, app=app.id))


class TestChanging:
    async def test_takes_everything_but_tokens_and_how_far_the_past_is_known(self, store: Store) -> None:
        kept = await store.installations.create(installation(access=application(pair())))
        await store.installations.reach(kept.id, NOW)
        await store.installations.keep_tokens(kept.id, pair("second"), instead_of="first-refresh")

        stale = msgspec.structs.replace(
            kept, name="moved", title="Moved", client_endpoint="https://new.example/rest/", application_token="another"
        )
        await store.installations.change(stale)

        expected = msgspec.structs.replace(stale, access=application(pair("second")), reached=NOW)
        assert present(store, kept.id) == store.installations.by_name("moved") == expected
        assert store.installations.by_name("acme") is None

    async def test_of_a_client_secret_keeps_the_tokens(self, store: Store) -> None:
        kept = await store.installations.create(installation(access=application(pair())))
        renewed = ApplicationAccess(client_id="local.new", client_secret="another")

        await store.installations.change(msgspec.structs.replace(kept, access=renewed))

        assert present(store, kept.id).access == msgspec.structs.replace(renewed, tokens=pair())

    async def test_to_a_webhook_and_back_loses_the_tokens(self, store: Store) -> None:
        kept = await store.installations.create(installation(access=application(pair())))

        await store.installations.change(msgspec.structs.replace(kept, access=WEBHOOK))
        assert present(store, kept.id).access == WEBHOOK

        await store.installations.change(kept)
        assert present(store, kept.id).access == application()

    async def test_of_something_takes_what_differs_from_that(self, store: Store) -> None:
        seen = await store.installations.create(installation(access=application(pair()), mirror=True))
        dead = msgspec.structs.replace(seen, state=InstallationState.DEAD, cause="It was uninstalled there.")
        renamed = msgspec.structs.replace(seen, title="Another", mirror=False, member_id="another")
        secret = msgspec.structs.replace(seen, access=ApplicationAccess(client_id="local.acme", client_secret="new"))

        await asyncio.gather(
            store.installations.keep_tokens(seen.id, pair("second"), instead_of="first-refresh"),
            *(store.installations.change(each, of=seen) for each in (dead, renamed, secret)),
        )

        access = ApplicationAccess(client_id="local.acme", client_secret="new", tokens=pair("second"))
        assert present(store, seen.id) == msgspec.structs.replace(
            dead, title="Another", mirror=False, member_id="another", access=access
        )

    async def test_of_something_that_another_has_meanwhile_is_refused(self, store: Store) -> None:
        seen = await store.installations.create(installation())
        await store.installations.create(installation("other", mirror=True))

        with pytest.raises(Conflict, match="mirror"):
            await store.installations.change(msgspec.structs.replace(seen, mirror=True), of=seen)
        with pytest.raises(NotFound):
            await store.installations.change(msgspec.structs.replace(seen, id=99), of=seen)

    async def test_to_dead_keeps_it_with_its_cause(self, store: Store) -> None:
        kept = await connected(store)
        dead = msgspec.structs.replace(kept, state=InstallationState.DEAD, cause="It was uninstalled there.")

        await store.installations.change(dead)

        assert store.installations.all() == [dead]

    async def test_one_that_is_not_there_is_refused(self, store: Store) -> None:
        for number in (1, -1, 1 << 80):
            with pytest.raises(NotFound):
                await store.installations.change(msgspec.structs.replace(installation(), id=number))


class TestTokens:
    async def test_follow_each_other(self, store: Store) -> None:
        kept = await store.installations.create(installation(access=application()))
        keep = store.installations.keep_tokens

        assert await keep(kept.id, pair(), instead_of="")
        assert tokens(store, kept.id) == pair()
        assert await keep(kept.id, pair("second"), instead_of="first-refresh")
        assert tokens(store, kept.id) == pair("second")
        assert await keep(kept.id, None, instead_of="second-refresh")
        assert tokens(store, kept.id) is None

    async def test_of_who_was_slower_change_nothing(self, store: Store) -> None:
        kept = await store.installations.create(installation(access=application(pair())))
        names = ["a", "b", "c"]

        done = await asyncio.gather(
            *(store.installations.keep_tokens(kept.id, pair(name), instead_of="first-refresh") for name in names)
        )

        assert sorted(done) == [False, False, True]
        assert tokens(store, kept.id) == pair(names[done.index(True)])
        assert not await store.installations.keep_tokens(kept.id, pair("late"), instead_of="")

    async def test_are_nothing_for_a_webhook(self, store: Store) -> None:
        kept = await connected(store)

        assert not await store.installations.keep_tokens(kept.id, pair(), instead_of="")
        assert present(store, kept.id) == kept

    async def test_of_one_that_is_not_there_are_refused(self, store: Store) -> None:
        with pytest.raises(NotFound):
            await store.installations.keep_tokens(1, pair(), instead_of="")


async def test_how_far_the_past_is_known_only_grows(store: Store) -> None:
    kept = await connected(store)

    await asyncio.gather(*(store.installations.reach(kept.id, NOW + each) for each in (5, 9, 7)))
    await store.installations.reach(kept.id, NOW)
    await store.installations.reach(99, NOW)

    assert present(store, kept.id).reached == NOW + 9


class TestUsers:
    async def test_are_of_the_installation_with_the_longest_prefix(self, store: Store) -> None:
        created = {
            prefix: await store.installations.create(installation(f"i{place}", prefix=prefix))
            for place, prefix in enumerate(("", "acme:", "acme:eu:", BY_MEMBER_ID))
        }
        nameless = msgspec.structs.replace(installation("nameless", prefix=BY_MEMBER_ID), member_id="")
        await store.installations.create(nameless)

        assert store.installations.by_prefix("acme:7") == created["acme:"]
        assert store.installations.by_prefix("acme:eu:7") == created["acme:eu:"]
        assert store.installations.by_prefix("0123456789abcdef0123456789abcdef:7") == created[BY_MEMBER_ID]
        assert store.installations.by_prefix("{member_id}:7") is None
        assert store.installations.by_prefix("7") is None

    async def test_of_two_portals_with_one_prefix_are_the_older_ones(self, store: Store) -> None:
        older = await store.installations.create(installation(prefix="acme:"))
        await store.installations.create(installation("other", prefix="acme:"))

        assert store.installations.by_prefix("acme:7") == older


class TestForgetting:
    async def test_takes_rules_events_and_writes_along(self, store: Store) -> None:
        gone, stays = await connected(store), await connected(store, "other")
        for each in (gone, stays):
            await store.portal_rules.create(rule(each.name, of=each.id))
            await store.event_inbox.put([event(number, of=each.id) for number in range(3)])
            await store.outbox.put([write("k", of=each.id)])
        everywhere = await store.portal_rules.create(rule("everywhere"))

        await store.installations.delete(gone.id)

        assert store.installations.all() == [stays]
        assert store.installations.by_name("acme") is None
        assert store.portal_rules.by_id(everywhere.id) == everywhere
        assert [each.name for each in store.portal_rules.all()] == ["other", "everywhere"]
        assert {each.installation for each in await store.event_inbox.recorded(limit=99)} == {stays.id}
        assert {each.installation for each in await store.outbox.recorded(limit=99)} == {stays.id}
        assert set(await store.event_inbox.next_due()) == set(await store.outbox.next_due()) == {stays.id}
        with pytest.raises(NotFound):
            await store.installations.delete(gone.id)

    async def test_an_app_takes_its_installations_with_it(self, store: Store) -> None:
        app = await store.apps.create("other", "Other", NOW)
        mine = await connected(store)
        gone = await store.installations.create(installation("gone", app=app.id, mirror=True))
        await store.event_inbox.put([event(of=gone.id)])

        await store.apps.delete(app.id)

        assert store.installations.all() == [mine]
        assert await store.event_inbox.recorded(limit=9) == []
        mirror = await store.installations.create(installation("gone", mirror=True))
        assert mirror.id > gone.id

    async def test_leaves_nothing_for_what_comes_in_late(self, store: Store) -> None:
        gone = await connected(store)
        await store.event_inbox.put([event(1, of=gone.id)])
        deleted = asyncio.create_task(store.installations.delete(gone.id))
        kept, refused = 0, 0
        for number in range(2, 40):
            await asyncio.sleep(0)
            kept += (await store.event_inbox.put([event(number, of=gone.id)]))[0]
            try:
                await store.outbox.put([write(of=gone.id)])
            except NotFound:
                refused += 1
        await deleted

        assert kept < 38
        assert refused > 0
        assert await store.event_inbox.recorded(limit=99) == []
        assert await store.outbox.recorded(limit=99) == []
        with pytest.raises(NotFound):
            await store.portal_rules.create(rule(of=gone.id))
        assert not await dies(store.installations.reach(gone.id, NOW))


async def dies(work: Any) -> bool:
    """Tell whether it raises an error of ours."""
    try:
        await work
    except WakelineError:
        return True
    return False


NAMES = st.sampled_from(["a", "b", "c"])
PLACES = st.integers(0, 2)
PAIRS = st.sampled_from(["p", "q", ""])
STEPS = st.one_of(
    st.tuples(st.just("create"), NAMES, st.booleans(), st.booleans()),
    st.tuples(st.just("change"), PLACES, NAMES, st.booleans(), st.booleans()),
    st.tuples(st.just("keep"), PLACES, PAIRS, PAIRS),
    st.tuples(st.just("reach"), PLACES, st.integers(0, 5)),
    st.tuples(st.just("delete"), PLACES),
)


def nth(store: Store, place: int) -> Installation:
    """Return one of those that are there; else one that is not."""
    there = store.installations.all()
    return there[place] if place < len(there) else installation()


async def step(store: Store, app: int, made: tuple[Any, ...]) -> object:
    """Take one step, return what it answered."""
    match made:
        case ("create", str(name), bool(mirror), bool(hook)):
            access = WEBHOOK if hook else application()
            return await dies(store.installations.create(installation(name, app=app, access=access, mirror=mirror)))
        case ("change", int(place), str(name), bool(mirror), bool(hook)):
            changed = msgspec.structs.replace(
                nth(store, place), name=name, mirror=mirror, access=WEBHOOK if hook else application(), reached=9
            )
            return await dies(store.installations.change(changed))
        case ("keep", int(place), str(name), str(former)):
            number, new = nth(store, place).id, pair(name) if name else None
            if not number:
                return None
            former = f"{former}-refresh" if former else ""
            return await store.installations.keep_tokens(number, new, instead_of=former)
        case ("reach", int(place), int(moment)):
            await store.installations.reach(nth(store, place).id, moment)
            return None
        case ("delete", int(place)):
            return await dies(store.installations.delete(nth(store, place).id))
    raise AssertionError(made)


@settings(max_examples=examples(25), deadline=None)
@given(life=st.lists(STEPS, max_size=20))
def test_every_adapter_lives_the_same_life_and_a_restart_changes_nothing(
    both: Both, life: list[tuple[Any, ...]]
) -> None:
    async def lived(store: Store) -> list[object]:
        app = (await some_app(store)).id
        answers: list[object] = []
        for made in life:
            answers.append(await step(store, app, made))
            answers += [msgspec.structs.replace(each, id=0) for each in store.installations.all()]
            answers += [each.name for name in "abc" if (each := store.installations.by_name(name)) is not None]
        kept = store.installations.all()
        await store.close()
        await store.open()
        answers.append(store.installations.all() == kept)
        await store.apps.delete(app)
        return [msgspec.structs.replace(each, app=0) if isinstance(each, Installation) else each for each in answers]

    first, second = [both.loop.run_until_complete(lived(store)) for store in both.stores]

    assert first == second
