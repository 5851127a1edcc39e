from __future__ import annotations

import asyncio

import msgspec
import pytest

from storing import NOW, Store, admission, claim, job, row, some_app, some_route
from wakeline.model.app import AppSettings
from wakeline.model.credential import Credential, CredentialKind, CredentialSecret, CredentialState, Grade, Verdict
from wakeline.model.device import TargetKind
from wakeline.model.errors import Conflict, NotFound
from wakeline.model.key import ApiKey, Scope
from wakeline.model.route import Environment, Hold, HoldReason, ProviderKind
from wakeline.ports import HOLD_NEW_ROUTES, NewCredential

pytestmark = pytest.mark.anyio


class TestApps:
    async def test_are_found_by_slug_and_id(self, store: Store) -> None:
        app = await store.apps.create("other", "Other", NOW)

        assert store.apps.get("other") == store.apps.by_id(app.id) == app
        assert (app.name, app.settings, app.paused, app.created) == ("Other", AppSettings(), False, NOW)
        assert [item.slug for item in store.apps.all()] == ["acme-chat", "other"]
        assert store.apps.get("nobody") is None

    async def test_a_slug_is_taken_once(self, store: Store) -> None:
        results = await asyncio.gather(
            *(store.apps.create("other", "Other", NOW) for _ in range(3)), return_exceptions=True
        )

        assert [type(result).__name__ for result in results].count("Conflict") == 2
        with pytest.raises(Conflict):
            await store.apps.create("other", "Other", NOW)

    async def test_change_only_in_what_is_given(self, store: Store) -> None:
        app = await some_app(store)
        settings = AppSettings(limits=False, max_devices_per_user=3)

        await store.apps.update(app.id, settings=settings)
        changed = await store.apps.update(app.id, paused=True, name="New")

        assert (changed.name, changed.settings, changed.paused) == ("New", settings, True)
        assert store.apps.get("acme-chat") == changed
        with pytest.raises(NotFound):
            await store.apps.update(99, paused=True)

    async def test_listeners_hear_of_a_change_once_it_can_be_read(self, store: Store) -> None:
        heard: list[tuple[int, bool]] = []
        app = await some_app(store)

        def changed(number: int) -> None:
            found = store.apps.by_id(number)
            heard.append((number, found is not None and found.paused))

        store.apps.listen(changed)
        await store.apps.update(app.id, paused=True)
        await store.apps.update(app.id, paused=False)

        assert heard == [(app.id, True), (app.id, False)]

    async def test_go_with_all_that_is_theirs(self, store: Store) -> None:
        app, route = await some_app(store), await some_route(store)
        credential = await store.credentials.create(NewCredential(facts=FACTS, secret=SECRET), NOW)
        await store.devices.put([claim(app)])
        await store.acceptance.accept([admission(10, job(10, route.id)), admission(11, rows=[row(11, 1)])])

        await store.apps.delete(app.id)

        assert store.apps.get("acme-chat") is None
        assert store.apps.by_id(app.id) is None
        assert store.routes.get(route.id) is None
        assert store.credentials.get(credential.id) is None
        assert await store.ledger.notifications([10, 11]) == {}
        assert await store.queue.pending() == 0
        assert await store.queue.due(NOW) == []
        assert await store.devices.by_target(app.id, TargetKind.APNS, "aa") is None
        again = await store.apps.create("acme-chat", "New", NOW)
        assert again.id != app.id

    async def test_others_stay(self, store: Store) -> None:
        app, other = await some_app(store), await some_app(store, "other")
        await store.devices.put([claim(app), claim(other)])

        await store.apps.delete(other.id)

        assert await store.devices.count(app.id, tags=[]) == 1
        assert await store.devices.count(other.id, tags=[]) == 0


FACTS = Credential(
    id=0,
    app=1,
    kind=CredentialKind.APNS_KEY,
    environments=(Environment.PRODUCTION, Environment.SANDBOX),
    topics=("com.acme.chat",),
    key_id="ABC123DEFG",
    team_id="TEAM123456",
    not_after=NOW + 5,
    verdict=Verdict(grade=Grade.WARNING, notes=("It will end soon.",)),
    fingerprint="f0",
)
SECRET = CredentialSecret(kind=CredentialKind.APNS_KEY, private_key=b"very secret key", key_id="ABC123DEFG")


def _other(key_id: str) -> NewCredential:
    return NewCredential(
        facts=msgspec.structs.replace(FACTS, key_id=key_id), secret=msgspec.structs.replace(SECRET, key_id=key_id)
    )


class TestCredentials:
    async def test_keep_facts_and_the_sealed_secret(self, store: Store) -> None:
        kept = await store.credentials.create(NewCredential(facts=FACTS, secret=SECRET), NOW)

        assert kept == msgspec.structs.replace(FACTS, id=kept.id, created=NOW)
        assert kept.id > 0
        assert store.credentials.get(kept.id) == kept
        assert store.credentials.of_app(1) == store.credentials.all() == [kept]
        assert store.credentials.of_app(2) == []
        assert await store.credentials.secret(kept.id) == SECRET

    async def test_keep_what_worked_until_it_is_forgotten(self, store: Store) -> None:
        kept = await store.credentials.create(NewCredential(facts=FACTS, secret=SECRET), NOW)
        await store.credentials.set_state(kept.id, CredentialState.WORKING, "")
        worked = store.credentials.get(kept.id)
        await store.credentials.replace(kept.id, _other("NEW"), NOW + 1)
        await store.credentials.replace(kept.id, _other("NEW"), NOW + 2)  # what never worked is not worth keeping

        assert store.credentials.former(kept.id) == worked
        assert await store.credentials.secret(kept.id, former=True) == SECRET

        await store.credentials.forget_former(kept.id)

        assert store.credentials.former(kept.id) is None
        with pytest.raises(NotFound):
            await store.credentials.secret(kept.id, former=True)
        with pytest.raises(NotFound):
            await store.credentials.revert(kept.id, "")

    async def test_keep_what_worked_before_a_trial_not_what_was_on_trial(self, store: Store) -> None:
        kept = await store.credentials.create(NewCredential(facts=FACTS, secret=SECRET), NOW)
        await store.credentials.set_state(kept.id, CredentialState.WORKING, "")
        await store.credentials.replace(kept.id, _other("TRIED"), NOW + 1)
        await store.credentials.set_state(kept.id, CredentialState.WORKING, "")

        await store.credentials.replace(kept.id, _other("NEXT"), NOW + 2)

        former = store.credentials.former(kept.id)
        assert former is not None
        assert former.key_id == FACTS.key_id
        assert await store.credentials.secret(kept.id, former=True) == SECRET

    async def test_keep_what_was_on_trial_if_what_was_before_has_ended(self, store: Store) -> None:
        ending = msgspec.structs.replace(FACTS, not_after=NOW + 2)
        kept = await store.credentials.create(NewCredential(facts=ending, secret=SECRET), NOW)
        await store.credentials.set_state(kept.id, CredentialState.WORKING, "")
        await store.credentials.replace(kept.id, _other("TRIED"), NOW + 1)
        await store.credentials.set_state(kept.id, CredentialState.WORKING, "")

        await store.credentials.replace(kept.id, _other("NEXT"), NOW + 3)

        former = store.credentials.former(kept.id)
        assert former is not None
        assert former.key_id == "TRIED"

    async def test_replaced_twice_at_once_keep_what_worked(self, store: Store) -> None:
        kept = await store.credentials.create(NewCredential(facts=FACTS, secret=SECRET), NOW)
        await store.credentials.set_state(kept.id, CredentialState.WORKING, "")

        await asyncio.gather(
            store.credentials.replace(kept.id, _other("ONE"), NOW + 1),
            store.credentials.replace(kept.id, _other("TWO"), NOW + 1),
            store.credentials.set_state(kept.id, CredentialState.FAILED, "InvalidProviderToken"),
        )

        now = store.credentials.get(kept.id)
        assert now is not None
        assert (now.key_id, now.revision) == ("TWO", 3)
        assert (await store.credentials.secret(kept.id)).key_id == "TWO"
        assert await store.credentials.secret(kept.id, former=True) == SECRET

    async def test_keep_no_vapid_key_that_was_replaced(self, store: Store) -> None:
        vapid = NewCredential(facts=msgspec.structs.replace(FACTS, kind=CredentialKind.VAPID_KEY), secret=SECRET)
        kept = await store.credentials.create(vapid, NOW)
        await store.credentials.set_state(kept.id, CredentialState.WORKING, "")

        await store.credentials.replace(kept.id, vapid, NOW + 1)

        assert store.credentials.former(kept.id) is None

    async def test_can_go_back_to_what_worked(self, store: Store) -> None:
        kept = await store.credentials.create(NewCredential(facts=FACTS, secret=SECRET), NOW)
        await store.credentials.set_state(kept.id, CredentialState.WORKING, "")
        await store.credentials.replace(
            kept.id, NewCredential(facts=FACTS, secret=msgspec.structs.replace(SECRET, key_id="NEW")), NOW + 1
        )
        heard: list[int] = []
        store.credentials.listen(heard.append)

        back = await store.credentials.revert(kept.id, "The other one was for another team.")

        assert back == store.credentials.get(kept.id)
        assert (back.revision, back.state) == (3, CredentialState.WORKING)
        assert (back.key_id, back.state_note) == (FACTS.key_id, "The other one was for another team.")
        assert await store.credentials.secret(kept.id) == SECRET
        assert store.credentials.former(kept.id) is None
        assert heard == [1]

    async def test_are_replaced_in_place(self, store: Store) -> None:
        kept = await store.credentials.create(NewCredential(facts=FACTS, secret=SECRET), NOW)
        await store.credentials.set_state(kept.id, CredentialState.FAILED, "InvalidProviderToken")
        new = NewCredential(
            facts=msgspec.structs.replace(FACTS, key_id="NEW"), secret=msgspec.structs.replace(SECRET, key_id="NEW")
        )

        replaced = await store.credentials.replace(kept.id, new, NOW + 9)

        assert (replaced.id, replaced.revision, replaced.key_id) == (kept.id, 2, "NEW")
        assert (replaced.state, replaced.state_note) == (CredentialState.UNPROVEN, "")
        assert (await store.credentials.secret(kept.id)).key_id == "NEW"

    async def test_remember_what_the_provider_thought(self, store: Store) -> None:
        kept = await store.credentials.create(NewCredential(facts=FACTS, secret=SECRET), NOW)

        await store.credentials.set_state(kept.id, CredentialState.WORKING, "")

        found = store.credentials.get(kept.id)
        assert found is not None
        assert found.state is CredentialState.WORKING
        assert await store.credentials.secret(kept.id) == SECRET

    async def test_listeners_hear_of_every_change(self, store: Store) -> None:
        heard: list[int] = []
        store.credentials.listen(heard.append)

        kept = await store.credentials.create(NewCredential(facts=FACTS, secret=SECRET), NOW)
        await store.credentials.set_state(kept.id, CredentialState.WORKING, "")
        await store.credentials.set_state(kept.id, CredentialState.WORKING, "")
        await store.credentials.replace(kept.id, NewCredential(facts=FACTS, secret=SECRET), NOW)
        await store.credentials.delete(kept.id)

        assert heard == [1, 1, 1, 1]
        assert store.credentials.all() == []

    async def test_unknown_ones_are_not_found(self, store: Store) -> None:
        with pytest.raises(NotFound):
            await store.credentials.secret(9)
        with pytest.raises(NotFound):
            await store.credentials.replace(9, NewCredential(facts=FACTS, secret=SECRET), NOW)
        with pytest.raises(NotFound):
            await store.credentials.set_state(9, CredentialState.WORKING, "")
        await store.credentials.delete(9)


class TestRoutes:
    async def test_are_made_at_their_first_use(self, store: Store) -> None:
        app = await some_app(store)

        routes = await asyncio.gather(
            *(store.routes.ensure(app.id, ProviderKind.FCM, Environment.PRODUCTION, "acme") for _ in range(3))
        )
        other = await store.routes.ensure(app.id, ProviderKind.APNS, Environment.SANDBOX, "acme")

        assert len(set(routes)) == 1
        assert store.routes.get(routes[0].id) == routes[0]
        assert sorted(route.id for route in store.routes.all()) == sorted({routes[0].id, other.id})
        assert store.routes.get(99) is None

    async def test_are_held_and_released(self, store: Store) -> None:
        route = await some_route(store)
        hold = Hold(reason=HoldReason.BRAKE, code=902, since=NOW, cause="Too many dead tokens", fix="Look")

        assert (await store.routes.hold(route.id, hold)).hold == hold
        assert (await some_route(store)).hold == hold
        assert (await store.routes.hold(route.id, None)).hold is None
        with pytest.raises(NotFound):
            await store.routes.hold(99, None)

    async def test_of_a_restored_store_are_born_held(self, store: Store) -> None:
        await store.settings.set(HOLD_NEW_ROUTES, "1")
        held = await some_route(store)
        await store.settings.set(HOLD_NEW_ROUTES, None)
        free = await some_route(store, "com.acme.other")

        assert held.hold is not None
        assert held.hold.reason is HoldReason.OPERATOR
        assert free.hold is None


KEY = ApiKey(
    id=0, name="ci", prefix="wk_abc", digest=b"d" * 32, scopes=(Scope.SEND, Scope.READ), apps=("a",), created=NOW
)


class TestApiKeys:
    async def test_are_found_by_digest(self, store: Store) -> None:
        kept = await store.api_keys.create(KEY)

        assert kept == msgspec.structs.replace(KEY, id=kept.id)
        assert store.api_keys.by_digest(b"d" * 32) == kept
        assert store.api_keys.by_digest(b"e" * 32) is None
        assert store.api_keys.all() == [kept]
        with pytest.raises(Conflict):
            await store.api_keys.create(KEY)

    async def test_are_revoked_once(self, store: Store) -> None:
        kept = await store.api_keys.create(KEY)

        assert (await store.api_keys.revoke(kept.id, NOW + 1)).revoked == NOW + 1
        assert (await store.api_keys.revoke(kept.id, NOW + 2)).revoked == NOW + 1
        with pytest.raises(NotFound):
            await store.api_keys.revoke(99, NOW)

    async def test_remember_their_last_use(self, store: Store) -> None:
        kept = await store.api_keys.create(KEY)

        await store.api_keys.touch({kept.id: NOW + 7, 99: NOW})

        found = store.api_keys.by_digest(KEY.digest)
        assert found is not None
        assert found.last_used == NOW + 7


async def test_settings_keep_and_forget(store: Store) -> None:
    assert await store.settings.get("store_id") is None
    await store.settings.set("store_id", "x")
    await store.settings.set("store_id", "y")
    assert await store.settings.get("store_id") == "y"
    await store.settings.set("store_id", None)
    assert await store.settings.get("store_id") is None


async def test_keeper_is_well_and_folds_its_logs(store: Store) -> None:
    await store.settings.set("a", "b")

    await store.keeper.checkpoint()

    health = store.keeper.health()
    assert (health.writable, health.low_disk, health.wal_bytes) == (True, False, 0)
