from __future__ import annotations

import asyncio
import re

import msgspec
import pytest

from portal_nouns import TOKEN, application, code, digest, grant, handler, offline, some_application, webhook
from storing import DAY, NOW, Store, some_app
from wakeline.model.bitrix24.access import Grant, PortalUser, PushChange, PushPreferences
from wakeline.model.errors import Conflict, NotFound

pytestmark = pytest.mark.anyio


class TestPortal:
    async def test_has_a_member_id_from_the_start(self, store: Store) -> None:
        assert re.fullmatch(r"[0-9a-f]{32}", store.portal_access.portal().member_id)
        assert store.portal_access.portal() == store.portal_access.portal()

    async def test_is_changed_but_for_its_member_id(self, store: Store) -> None:
        was = store.portal_access.portal()

        await store.portal_access.set_portal(
            msgspec.structs.replace(was, domain="crm.example:8443", blocked=True, member_id="another")
        )

        assert store.portal_access.portal() == msgspec.structs.replace(was, domain="crm.example:8443", blocked=True)


USER = PortalUser(id=7, login="Anna", password="$argon2id$x", admin=True, name="Anna", email="a@acme.example")


class TestUsers:
    async def test_are_made_and_replaced(self, store: Store) -> None:
        await store.portal_access.put_user(USER)
        changed = msgspec.structs.replace(USER, name="Anne", admin=False, login="anne")
        await store.portal_access.put_user(changed)

        assert await store.portal_access.user(7) == changed
        assert await store.portal_access.user_by_login("Anna") is None
        assert await store.portal_access.user(8) is None
        assert await store.portal_access.user(10**30) is None

    async def test_keep_what_they_want_on_their_phones(self, store: Store) -> None:
        wishes = PushPreferences(active=False, smart=True, muted=frozenset({"rest|rest_notify", "im|like"}))
        await store.portal_access.put_user(msgspec.structs.replace(USER, push=wishes))

        found = await store.portal_access.user(7)
        assert found is not None
        assert found.push == wishes

    async def test_change_what_they_want_side_by_side_and_nothing_else(self, store: Store) -> None:
        access = store.portal_access
        await access.put_user(USER)

        await asyncio.gather(
            access.change_push(7, PushChange(active=False)),
            access.change_push(7, PushChange(smart=True)),
            access.change_push(7, PushChange(mute=frozenset({"a|b", "c|d"}))),
            access.change_push(7, PushChange(unmute=frozenset({"a|b"}))),
            access.put_user(msgspec.structs.replace(USER, name="Anne", login="anne")),
        )

        wanted = PushPreferences(active=False, smart=True, muted=frozenset({"c|d"}))
        found = await access.user_by_login("anne")
        assert found == msgspec.structs.replace(USER, name="Anne", login="anne", push=wanted)
        for nobody in (8, 10**30):
            with pytest.raises(NotFound):
                await access.change_push(nobody, PushChange(active=True))

    async def test_are_found_by_login_whatever_its_case(self, store: Store) -> None:
        await store.portal_access.put_user(USER)
        await store.portal_access.put_user(PortalUser(id=8, login="ÄRZTIN"))

        assert await store.portal_access.user_by_login("aNNA") == USER
        found = await store.portal_access.user_by_login("ärztin")
        assert found is not None
        assert found.id == 8

    async def test_do_not_share_a_login(self, store: Store) -> None:
        await store.portal_access.put_user(USER)

        with pytest.raises(Conflict):
            await store.portal_access.put_user(PortalUser(id=8, login="ANNA"))

        assert await store.portal_access.users() == [USER]

    async def test_need_no_login_and_nobody_is_found_by_an_empty_one(self, store: Store) -> None:
        await store.portal_access.put_user(PortalUser(id=9))
        await store.portal_access.put_user(PortalUser(id=8))

        assert [user.id for user in await store.portal_access.users()] == [8, 9]
        assert await store.portal_access.user_by_login("") is None


class TestApplications:
    async def test_are_found_by_id_and_client_id(self, store: Store) -> None:
        app = await some_app(store)
        first = await store.portal_access.create_application(application("local.a", app.id))
        second = await store.portal_access.create_application(application("local.b", app.id))

        assert first == msgspec.structs.replace(application("local.a", app.id), id=first.id)
        assert first.application_token == TOKEN
        assert store.portal_access.application(first.id) == first
        assert store.portal_access.application_of("local.b") == second
        assert store.portal_access.applications() == [first, second]
        assert store.portal_access.application(99) is None
        assert store.portal_access.application_of("local.c") is None

    async def test_have_one_client_id_each(self, store: Store) -> None:
        first, second = await some_application(store, "local.a"), await some_application(store, "local.b")

        with pytest.raises(Conflict):
            await store.portal_access.create_application(application("local.a", first.app))
        with pytest.raises(Conflict):
            await store.portal_access.change_application(msgspec.structs.replace(second, client_id="local.a"))

        assert store.portal_access.applications() == [first, second]

    async def test_made_at_once_with_one_client_id_are_one(self, store: Store) -> None:
        app = await some_app(store)
        made = await asyncio.gather(
            *(store.portal_access.create_application(application("local.a", app.id)) for _ in range(3)),
            return_exceptions=True,
        )

        assert sum(isinstance(each, Conflict) for each in made) == 2
        assert len(store.portal_access.applications()) == 1

    async def test_are_changed(self, store: Store) -> None:
        kept = await some_application(store)
        changed = msgspec.structs.replace(kept, client_id="local.new", manifest=False, application_token="t2", users=())

        await store.portal_access.change_application(changed)

        assert store.portal_access.application(kept.id) == changed
        assert store.portal_access.application_of("local.new") == changed
        assert store.portal_access.application_of("local.acme") is None
        with pytest.raises(NotFound):
            await store.portal_access.change_application(msgspec.structs.replace(changed, id=99, client_id="x"))

    async def test_belong_to_an_app_that_is_there(self, store: Store) -> None:
        other = await store.apps.create("other", "Other", NOW)
        kept = await some_application(store)
        await store.apps.delete(other.id)

        with pytest.raises(NotFound):
            await some_application(store, "local.b", app=other.id)
        with pytest.raises(NotFound):
            await store.portal_access.change_application(msgspec.structs.replace(kept, app=other.id))

    async def test_go_with_all_that_is_theirs(self, store: Store) -> None:
        gone, stays = await some_application(store, "local.a"), await some_application(store, "local.b")
        for each in (gone, stays):
            await store.portal_access.keep_code(code(each.client_id, each.id))
            await store.portal_access.issue(grant(each.client_id, each.id))
            await store.portal_access.change_options(each.id, 7, {"a": 1}, most=99)
            await store.portal_events.bind(handler(each.id))
            await store.portal_events.queue([offline(each.id)])

        await store.portal_access.delete_application(gone.id)

        assert store.portal_access.applications() == [stays]
        assert store.portal_access.application_of("local.a") is None
        assert await store.portal_access.take_code(digest("local.a")) is None
        assert await store.portal_access.grant_by_access(digest("local.a-access")) is None
        assert await store.portal_access.grant_by_refresh(digest("local.a-refresh")) is None
        assert await store.portal_access.options(gone.id, 7) == {}
        assert await store.portal_access.options(stays.id, 7) == {"a": 1}
        assert [each.application for each in store.portal_events.handlers()] == [stays.id]
        assert await store.portal_events.reserve(gone.id, "", "p", limit=9, failed=False) == []

        assert await store.portal_access.take_code(digest("local.b")) is not None
        assert await store.portal_access.grant_by_access(digest("local.b-access")) is not None
        assert len(await store.portal_events.reserve(stays.id, "", "p", limit=9, failed=False)) == 1
        with pytest.raises(NotFound):
            await store.portal_access.delete_application(gone.id)

    async def test_that_are_gone_are_given_nothing_more(self, store: Store) -> None:
        gone = await some_application(store)
        await store.portal_access.delete_application(gone.id)

        with pytest.raises(NotFound):
            await store.portal_access.keep_code(code("c", gone.id))
        with pytest.raises(NotFound):
            await store.portal_access.issue(grant("g", gone.id))
        with pytest.raises(NotFound):
            await store.portal_access.change_options(gone.id, 0, {"a": 1}, most=99)
        with pytest.raises(NotFound):
            await store.portal_events.bind(handler(gone.id))
        await store.portal_events.queue([offline(gone.id)])
        assert await store.portal_events.waiting(gone.id, "", filters=(), order=(), start=0, limit=9) == ([], 0)

    async def test_go_with_their_app(self, store: Store) -> None:
        other = await store.apps.create("other", "Other", NOW)
        stays, gone = await some_application(store), await some_application(store, "local.b", app=other.id)
        await store.portal_access.issue(grant("g", gone.id))
        await store.portal_events.bind(handler(gone.id))

        await store.apps.delete(other.id)

        assert store.portal_access.applications() == [stays]
        assert await store.portal_access.grant_by_access(digest("g-access")) is None
        assert store.portal_events.handlers() == []


class TestOptions:
    async def test_are_kept_by_application_and_user(self, store: Store) -> None:
        one, other = await some_application(store, "local.a"), await some_application(store, "local.b")
        said = {"text": "words", "deep": {"list": [1, None, True]}}

        assert await store.portal_access.change_options(one.id, 7, said, most=999)
        assert await store.portal_access.change_options(one.id, 0, {"a": "1"}, most=999)

        assert await store.portal_access.options(one.id, 7) == said
        assert await store.portal_access.options(one.id, 0) == {"a": "1"}
        assert await store.portal_access.options(one.id, 8) == {}
        assert await store.portal_access.options(other.id, 7) == {}

    async def test_that_are_changed_side_by_side_all_count(self, store: Store) -> None:
        owner = await some_application(store)
        await asyncio.gather(
            *(store.portal_access.change_options(owner.id, 7, {f"{place}": place}, most=999) for place in range(5))
        )
        await store.portal_access.change_options(owner.id, 7, {"0": "new"}, most=999)

        assert await store.portal_access.options(owner.id, 7) == {"0": "new", "1": 1, "2": 2, "3": 3, "4": 4}

    async def test_that_would_be_too_long_change_nothing(self, store: Store) -> None:
        owner = await some_application(store)
        assert await store.portal_access.change_options(owner.id, 7, {"a": "x"}, most=9)

        assert not await store.portal_access.change_options(owner.id, 7, {"b": "x"}, most=9)

        assert await store.portal_access.options(owner.id, 7) == {"a": "x"}


class TestWebhooks:
    async def test_are_found_by_the_digest_of_their_code(self, store: Store) -> None:
        first = await store.portal_access.create_webhook(webhook("first"))
        second = await store.portal_access.create_webhook(webhook("second", user=8))

        assert first == msgspec.structs.replace(webhook("first"), id=first.id)
        assert store.portal_access.webhook_by(digest("second")) == second
        assert store.portal_access.webhook_by(digest("third")) is None
        assert store.portal_access.webhooks() == [first, second]
        with pytest.raises(Conflict):
            await store.portal_access.create_webhook(webhook("first"))

    async def test_are_marked_as_used(self, store: Store) -> None:
        access = store.portal_access
        used, idle, gone = [await access.create_webhook(webhook(code)) for code in ("used", "idle", "gone")]

        await asyncio.gather(access.touch_webhooks({used.id: NOW, gone.id: NOW}), access.delete_webhook(gone.id))
        await access.touch_webhooks({gone.id: NOW, 99: NOW})

        assert access.webhooks() == [msgspec.structs.replace(used, used=NOW), idle]
        assert access.webhook_by(used.digest) == access.webhooks()[0]
        assert access.webhook_by(gone.digest) is None

    async def test_that_are_deleted_open_nothing(self, store: Store) -> None:
        kept = await store.portal_access.create_webhook(webhook("first"))

        await store.portal_access.delete_webhook(kept.id)

        assert store.portal_access.webhook_by(kept.digest) is None
        assert store.portal_access.webhooks() == []
        with pytest.raises(NotFound):
            await store.portal_access.delete_webhook(kept.id)


class TestCodes:
    async def test_are_good_once(self, store: Store) -> None:
        owner = await some_application(store)
        await store.portal_access.keep_code(code("c", owner.id))

        taken = await asyncio.gather(*(store.portal_access.take_code(digest("c")) for _ in range(4)))

        assert [each for each in taken if each is not None] == [code("c", owner.id)]
        assert await store.portal_access.take_code(digest("c")) is None
        assert await store.portal_access.take_code(digest("unknown")) is None

    async def test_that_expired_are_returned_once_too(self, store: Store) -> None:
        owner = await some_application(store)
        old = code("c", owner.id, expires=NOW - DAY)
        await store.portal_access.keep_code(old)

        assert await store.portal_access.take_code(digest("c")) == old
        assert await store.portal_access.take_code(digest("c")) is None


def rotated(kept: Grant, name: str) -> Grant:
    return msgspec.structs.replace(
        kept,
        access=digest(f"{name}-access"),
        refresh=digest(f"{name}-refresh"),
        former=kept.refresh,
        former_until=NOW + 60_000,
        refresh_expires=NOW + DAY,
    )


class TestGrants:
    async def test_are_found_by_either_token(self, store: Store) -> None:
        owner = await some_application(store)

        kept = await store.portal_access.issue(grant("g", owner.id))

        assert kept == msgspec.structs.replace(grant("g", owner.id), id=kept.id)
        assert await store.portal_access.grant_by_access(digest("g-access")) == kept
        assert await store.portal_access.grant_by_refresh(digest("g-refresh")) == kept
        assert await store.portal_access.grant_by_access(digest("g-refresh")) is None
        assert await store.portal_access.grant_by_refresh(digest("g-access")) is None
        assert await store.portal_access.grant_by_refresh(b"") is None

    async def test_stand_beside_what_the_user_granted_before(self, store: Store) -> None:
        owner, other = await some_application(store), await some_application(store, "local.b")
        kept = [
            await store.portal_access.issue(grant("phone", owner.id)),
            await store.portal_access.issue(grant("tablet", owner.id)),
            await store.portal_access.issue(grant("elsewhere", other.id)),
            await store.portal_access.issue(grant("colleague", owner.id, user=8)),
        ]

        assert len({each.id for each in kept}) == 4
        for each in kept:
            assert await store.portal_access.grant_by_access(each.access) == each

    async def test_rotate_and_still_know_the_former_refresh_token(self, store: Store) -> None:
        owner = await some_application(store)
        kept = await store.portal_access.issue(grant("g", owner.id))
        second, third = rotated(kept, "second"), rotated(rotated(kept, "second"), "third")

        assert await store.portal_access.rotate(kept.refresh, second)
        assert await store.portal_access.grant_by_access(kept.access) is None
        assert await store.portal_access.grant_by_access(second.access) == second
        assert await store.portal_access.grant_by_refresh(kept.refresh) == second
        assert await store.portal_access.grant_by_refresh(second.refresh) == second

        assert await store.portal_access.rotate(second.refresh, third)
        assert await store.portal_access.grant_by_refresh(kept.refresh) is None
        assert await store.portal_access.grant_by_refresh(second.refresh) == third

    async def test_are_revoked_with_what_is_left_of_their_former_pairs(self, store: Store) -> None:
        owner = await some_application(store)
        kept, other = [await store.portal_access.issue(grant(name, owner.id)) for name in ("first", "other")]
        left = msgspec.structs.replace(grant("left", owner.id), of=kept.id)
        assert await store.portal_access.rotate(kept.refresh, rotated(kept, "second"), leaving=left)

        await store.portal_access.revoke(kept.id)

        assert await store.portal_access.grant_by_access(left.access) is None
        assert await store.portal_access.grant_by_access(other.access) == other

    async def test_leave_something_of_the_former_pair_beside_the_next(self, store: Store) -> None:
        owner = await some_application(store)
        kept = await store.portal_access.issue(grant("g", owner.id))
        left = msgspec.structs.replace(grant("left", owner.id), access=kept.access)

        assert await store.portal_access.rotate(kept.refresh, rotated(kept, "second"), leaving=left)
        assert not await store.portal_access.rotate(kept.refresh, rotated(kept, "late"), leaving=grant("no", owner.id))

        found = await store.portal_access.grant_by_access(kept.access)
        assert found is not None
        assert msgspec.structs.replace(found, id=0) == msgspec.structs.replace(left, id=0)
        assert found.id != kept.id
        assert await store.portal_access.grant_by_access(grant("no", owner.id).access) is None

    async def test_are_rotated_by_one_of_those_who_try_at_once(self, store: Store) -> None:
        owner = await some_application(store)
        kept = await store.portal_access.issue(grant("g", owner.id))
        tried = [rotated(kept, f"try-{number}") for number in range(4)]

        done = await asyncio.gather(*(store.portal_access.rotate(kept.refresh, each) for each in tried))

        assert sorted(done) == [False, False, False, True]
        winner = tried[done.index(True)]
        assert await store.portal_access.grant_by_refresh(kept.refresh) == winner
        assert not await store.portal_access.rotate(kept.refresh, rotated(kept, "late"))

    async def test_that_are_revoked_are_forgotten(self, store: Store) -> None:
        owner = await some_application(store)
        kept = await store.portal_access.issue(grant("g", owner.id))

        await store.portal_access.revoke(kept.id)
        await store.portal_access.revoke(kept.id)

        assert await store.portal_access.grant_by_access(kept.access) is None
        assert await store.portal_access.grant_by_refresh(kept.refresh) is None
        assert not await store.portal_access.rotate(kept.refresh, rotated(kept, "late"))

    async def test_that_expired_are_still_found_until_they_are_pruned(self, store: Store) -> None:
        owner = await some_application(store)
        over = await store.portal_access.issue(grant("over", owner.id, 1, until=NOW))
        refreshable = await store.portal_access.issue(grant("refreshable", owner.id, 2, until=NOW + DAY))
        readable = await store.portal_access.issue(
            msgspec.structs.replace(grant("readable", owner.id, 3), refresh_expires=NOW - DAY)
        )
        await store.portal_access.keep_code(code("over", owner.id, expires=NOW))
        await store.portal_access.keep_code(code("young", owner.id, expires=NOW + 1))
        assert await store.portal_access.grant_by_access(over.access) == over

        assert await store.portal_access.prune(NOW) == 2

        assert await store.portal_access.grant_by_access(over.access) is None
        assert await store.portal_access.grant_by_access(refreshable.access) == refreshable
        assert await store.portal_access.grant_by_access(readable.access) == readable
        assert await store.portal_access.take_code(digest("over")) is None
        assert await store.portal_access.take_code(digest("young")) is not None
        assert await store.portal_access.prune(NOW) == 0

    async def test_are_pruned_however_many_they_are(self, store: Store) -> None:
        owner = await some_application(store)
        await asyncio.gather(
            *(store.portal_access.issue(grant(f"g{user}", owner.id, user, until=NOW)) for user in range(401))
        )

        assert await store.portal_access.prune(NOW) == 401
