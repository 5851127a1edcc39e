from __future__ import annotations

import asyncio
from typing import Any

import pytest

from unit.edges.rest.gateway import TOKEN, Gateway
from wakeline.model import ids
from wakeline.model.delivery import Attempt, unpack, unpack_all
from wakeline.model.key import Scope
from wakeline.model.receipt import InboxPage
from wakeline.model.route import Lane
from wakeline.pipeline.receiving import PIECE
from wakeline.ports import AcceptedRun, Settlement

pytestmark = pytest.mark.anyio

APP = "/v1/apps/acme-chat"
SETTINGS = {"settings": {"receipts": True}}


@pytest.fixture
async def acme(gateway: Gateway) -> Gateway:
    await gateway.with_app()
    await gateway.call("PATCH", APP, json=SETTINGS)
    return gateway


async def send(gateway: Gateway, number: int = 1, device: str = "ios-1", **more: Any) -> str:
    body = {"to": {"devices": [device]}, "alert": {"title": "News", "body": f"number {number}"}, **more}
    answer = await gateway.call("POST", f"{APP}/notifications", json=body)
    assert answer.status_code == 202, answer.text
    gateway.clock.advance(0.01)
    return str(answer.json()["id"])


async def borne(gateway: Gateway, notification: str) -> dict[str, str]:
    """Return what the push bears for its receipt."""
    kept = await gateway.store.ledger.notification(ids.parse_key(notification))
    assert kept is not None
    found: dict[str, str] = kept.content.data["wakeline"]
    return found


async def device_token(gateway: Gateway, user: str | None = "alice", device: str = "ios-1") -> str:
    answer = await gateway.call("POST", f"{APP}/device-tokens", json={"user": user, "device": device})
    return str(answer.json()["token"])


async def delivered(gateway: Gateway) -> None:
    """Have the push service accept all that waits."""
    now = gateway.clock.now()
    for route in gateway.store.routes.all():
        for job in await gateway.store.queue.claim(route.id, Lane.ALERT, limit=1000, now=now):
            targets = [unpack(one)[0] for one in unpack_all(job.recipients)]
            keys = unpack_all(job.members) or [job.notification] * len(targets)
            run = AcceptedRun(keys, targets, Attempt(number=1, at=now, status=200), now, whole=True)
            await gateway.store.queue.settle(Settlement(finished=[job.id], accepted=[run]))


async def state(gateway: Gateway, notification: str) -> str:
    found = (await gateway.call("GET", f"{APP}/notifications/{notification}")).json()
    return str(found["deliveries"][0]["state"])


async def second_device(gateway: Gateway, user: str = "alice") -> None:
    target = {"kind": "apns", "value": TOKEN[::-1], "topic": "com.acme.chat"}
    await gateway.call("PUT", f"{APP}/devices/ios-2", json={"user": user, "targets": [target]})


class TestWithADeviceToken:
    async def test_a_phone_acknowledges_and_reports_opened(self, acme: Gateway) -> None:
        notification, token = await send(acme), await device_token(acme)
        states = []
        for status in ("acknowledged", "opened", "acknowledged"):
            answer = await acme.call(
                "POST", "/v1/receipts", key=token, json={"notification": notification, "status": status}
            )
            assert answer.status_code == 200
            states.append(answer.json()["accepted"])

        assert [[one["state"] for one in accepted] for accepted in states] == [["acknowledged"], ["opened"], ["opened"]]
        counts = (await acme.call("GET", f"{APP}/notifications/{notification}")).json()["counts"]
        assert (counts["accepted"], counts["acknowledged"], counts["opened"]) == (1, 0, 1)

    async def test_of_several_the_wrong_ones_are_named_one_by_one(self, acme: Gateway) -> None:
        await second_device(acme)
        mine, other = await send(acme), await send(acme, device="ios-2")
        token = await device_token(acme)
        receipts = [
            {"notification": mine, "status": "opened"},
            {"notification": other, "status": "acknowledged"},
            {"notification": "nonsense", "status": "acknowledged"},
            {"notification": mine, "status": "acknowledged", "device": "ios-2"},
        ]

        answer = await acme.call("POST", "/v1/receipts", key=token, json={"receipts": receipts})

        assert answer.status_code == 200
        assert answer.json()["accepted"] == [{"index": 0, "notification": mine, "state": "opened"}]
        rejected = [(one["index"], one["problem"]["code"]) for one in answer.json()["rejected"]]
        assert rejected == [(1, "not_found"), (2, "not_found"), (3, "not_allowed")]
        assert await state(acme, other) == "queued"

    async def test_one_alone_that_is_wrong_is_the_answer_itself(self, acme: Gateway) -> None:
        await second_device(acme)
        other, token = await send(acme, device="ios-2"), await device_token(acme)

        answer = await acme.call("POST", "/v1/receipts", key=token, json={"notification": other, "status": "opened"})

        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")

    async def test_a_cancelled_notification_stays_cancelled(self, acme: Gateway) -> None:
        notification, token = await send(acme), await device_token(acme)
        await acme.call("DELETE", f"{APP}/notifications/{notification}")

        answer = await acme.call(
            "POST", "/v1/receipts", key=token, json={"notification": notification, "status": "opened"}
        )

        assert [one["state"] for one in answer.json()["accepted"]] == ["cancelled"]


class TestWithTheTokenOfThePush:
    async def test_no_key_is_needed(self, acme: Gateway) -> None:
        notification = await send(acme)
        push = await borne(acme, notification)
        assert push["id"] == notification
        await delivered(acme)

        answer = await acme.call(
            "POST",
            "/v1/receipts",
            key="",
            json={"notification": notification, "status": "opened", "device": "ios-1", "receipt": push["receipt"]},
        )

        assert (answer.status_code, await state(acme, notification)) == (200, "opened")

    @pytest.mark.parametrize("wrong", ["x", "of another", "cut", "\u00e4"])
    async def test_a_wrong_token_proves_nothing(self, acme: Gateway, wrong: str) -> None:
        notification, other = await send(acme), await send(acme, 2)
        right = (await borne(acme, notification))["receipt"]
        given = {"of another": (await borne(acme, other))["receipt"], "cut": right[:-1]}.get(wrong, wrong)

        answer = await acme.call(
            "POST",
            "/v1/receipts",
            key="",
            json={"notification": notification, "status": "opened", "device": "ios-1", "receipt": given},
        )

        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
        assert await state(acme, notification) == "queued"

    async def test_without_any_proof_nobody_learns_what_there_is(self, acme: Gateway) -> None:
        notification = await send(acme)
        for said in (notification, "nonsense"):
            one = {"notification": said, "status": "opened", "device": "ios-1"}
            bodies: list[dict[str, Any]] = [one, {"receipts": [one]}, {"receipts": []}, {}]
            for body in bodies:
                answer = await acme.call("POST", "/v1/receipts", key="", json=body)
                assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")

    async def test_a_token_made_with_a_former_master_key_still_counts(self, acme: Gateway) -> None:
        notification = await send(acme)
        push = await borne(acme, notification)
        acme.sealer.adopt(b"n" * 32, [b"k" * 32])
        later = await send(acme, 2)
        await delivered(acme)

        answers = [
            await acme.call(
                "POST",
                "/v1/receipts",
                key="",
                json={"notification": said, "status": "opened", "device": "ios-1", "receipt": token},
            )
            for said, token in ((notification, push["receipt"]), (later, (await borne(acme, later))["receipt"]))
        ]

        assert [answer.status_code for answer in answers] == [200, 200]

    async def test_an_idempotency_key_of_a_stranger_is_nobodys(self, acme: Gateway) -> None:
        states = []
        for number in range(2):
            notification = await send(acme, number)
            push = await borne(acme, notification)
            await delivered(acme)
            body = {"notification": notification, "status": "opened", "device": "ios-1", "receipt": push["receipt"]}
            answer = await acme.call(
                "POST", "/v1/receipts", key="", json=body, headers={"idempotency-key": "everybody's"}
            )
            states.append((answer.status_code, await state(acme, notification)))

        assert states == [(200, "opened"), (200, "opened")]

    async def test_what_another_was_sent_as_well_ends_no_push_that_waits(self, acme: Gateway) -> None:
        await second_device(acme, "bob")
        notification = await send(acme, device="ios-2")
        push = await borne(acme, notification)
        body = {"notification": notification, "status": "opened", "device": "ios-2", "receipt": push["receipt"]}

        answer = await acme.call("POST", "/v1/receipts", key="", json=body)

        assert (answer.status_code, await state(acme, notification)) == (404, "queued")

    async def test_nobody_learns_from_it_which_devices_there_are(self, acme: Gateway) -> None:
        await second_device(acme, "bob")
        push = await borne(acme, await send(acme))
        await delivered(acme)

        answers = []
        for device in ("ios-2", "no-such-device"):
            body = {"notification": push["id"], "status": "opened", "device": device, "receipt": push["receipt"]}
            answer = (await acme.call("POST", "/v1/receipts", key="", json=body)).json()
            answers.append({name: answer[name] for name in answer.keys() - {"instance"}})

        assert answers[0] == answers[1]


class TestAPhoneThatChangedHands:
    @pytest.fixture
    async def former(self, acme: Gateway) -> str:
        """Return the device token of alice, whose phone is bob's since a second ago."""
        token = await device_token(acme)
        acme.clock.advance(1)
        target = {"kind": "apns", "value": TOKEN, "topic": "com.acme.chat"}
        await acme.call("PUT", f"{APP}/devices/ios-1", json={"user": "bob", "targets": [target]})
        acme.clock.advance(1)
        return token

    async def test_says_nothing_of_what_is_for_others_now(self, acme: Gateway, former: str) -> None:
        notification = await send(acme)
        body = {"notification": notification, "status": "opened"}

        refused = await acme.call("POST", "/v1/receipts", key=former, json=body)

        assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
        assert await state(acme, notification) == "queued"
        taken = await acme.call("POST", "/v1/receipts", key=await device_token(acme, "bob"), json=body)
        assert taken.status_code == 200

    async def test_may_still_say_what_it_had_before(self, acme: Gateway) -> None:
        notification, token = await send(acme), await device_token(acme)
        await delivered(acme)
        acme.clock.advance(1)
        target = {"kind": "apns", "value": TOKEN, "topic": "com.acme.chat"}
        await acme.call("PUT", f"{APP}/devices/ios-1", json={"user": "bob", "targets": [target]})

        answer = await acme.call(
            "POST", "/v1/receipts", key=token, json={"notification": notification, "status": "opened"}
        )

        assert (answer.status_code, await state(acme, notification)) == (200, "opened")


class TestManyAtOnce:
    @pytest.mark.parametrize("length", [PIECE, 500])
    async def test_one_list_is_read_at_a_time_and_others_have_the_loop_in_between(
        self, acme: Gateway, length: int
    ) -> None:
        receipts = [{"notification": "nonsense", "status": "opened", "receipt": "x"}] * length
        many = 4 * 500 // length
        lists = [
            asyncio.ensure_future(acme.call("POST", "/v1/receipts", key="", json={"receipts": receipts}))
            for _ in range(many)
        ]
        turns = 0
        while not lists[-1].done():
            await asyncio.sleep(0)
            turns += 1

        assert [len((await one).json()["rejected"]) for one in lists] == [length] * many
        assert turns >= 4 * 500 // PIECE

    async def test_looking_for_the_device_that_was_not_named_lets_others_have_the_loop(self, acme: Gateway) -> None:
        await second_device(acme)
        push = await borne(acme, await send(acme, to={"devices": ["ios-1", "ios-2"]}))
        one = {"notification": push["id"], "receipt": push["receipt"], "status": "opened"}
        asked = asyncio.ensure_future(acme.call("POST", "/v1/receipts", key="", json={"receipts": [one] * PIECE}))
        turns = 0
        while not asked.done():
            await asyncio.sleep(0)
            turns += 1

        problems = [rejected["problem"]["errors"][0]["pointer"] for rejected in (await asked).json()["rejected"]]
        assert problems == ["/device"] * PIECE
        assert turns >= PIECE

    async def test_what_is_said_twice_is_kept_by_no_idempotency_key(self, acme: Gateway) -> None:
        notification, token = await send(acme), await device_token(acme)
        answers = [
            await acme.call(
                "POST",
                "/v1/receipts",
                key=token,
                json={"notification": notification, "status": status},
                headers={"idempotency-key": "one"},
            )
            for status in ("acknowledged", "opened")
        ]

        assert [answer.json()["accepted"][0]["state"] for answer in answers] == ["acknowledged", "opened"]


class TestWithAnApiKey:
    async def test_a_backend_may_say_what_its_phones_told_it(self, acme: Gateway) -> None:
        notification, key = await send(acme), await acme.key(Scope.DEVICES, apps=("acme-chat",))

        answer = await acme.call(
            "POST",
            "/v1/receipts",
            key=key,
            json={"notification": notification, "status": "acknowledged", "device": "ios-1"},
        )

        assert (answer.status_code, await state(acme, notification)) == (200, "acknowledged")

    async def test_the_first_answer_is_given_again_to_a_backend_that_asks_with_an_idempotency_key(
        self, acme: Gateway
    ) -> None:
        notification, key = await send(acme), await acme.key(Scope.DEVICES, apps=("acme-chat",))
        body = {"notification": notification, "device": "ios-1", "status": "acknowledged"}
        headers = {"idempotency-key": "one"}

        first, again = [await acme.call("POST", "/v1/receipts", key=key, json=body, headers=headers) for _ in range(2)]
        other = await acme.call("POST", "/v1/receipts", key=key, json=body | {"status": "opened"}, headers=headers)

        assert (first.json(), first.status_code) == (again.json(), again.status_code)
        assert again.headers["idempotent-replayed"] == "true"
        assert other.status_code == 422

    async def test_a_key_bound_to_other_apps_knows_nothing_of_it(self, acme: Gateway) -> None:
        notification, key = await send(acme), await acme.key(Scope.DEVICES, apps=("other",))
        body = {"notification": notification, "status": "acknowledged", "device": "ios-1"}

        answer = await acme.call("POST", "/v1/receipts", key=key, json=body)

        assert (answer.status_code, await state(acme, notification)) == (404, "queued")

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({}, "/receipts"),
            ({"status": "opened"}, "/notification"),
            ({"notification": "x"}, "/status"),
            ({"notification": "x", "status": "seen"}, "/status"),
            ({"receipts": [], "status": "opened"}, "/receipts"),
            ({"receipts": [{"notification": "x", "status": "opened"}] * 501}, "/receipts"),
        ],
    )
    async def test_what_is_no_receipt_is_named(self, acme: Gateway, body: dict[str, Any], pointer: str) -> None:
        answer = await acme.call("POST", "/v1/receipts", json=body)

        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == pointer

    async def test_the_phone_has_to_be_named_unless_there_is_only_one(self, acme: Gateway) -> None:
        await second_device(acme)
        several = []
        for to in ({"users": ["alice"]}, {"everyone": True}):
            body = {"to": to, "alert": {"title": "To several"}}
            several.append((await acme.call("POST", f"{APP}/notifications", json=body)).json()["id"])
        one = await send(acme)

        *refused, taken = [
            await acme.call("POST", "/v1/receipts", json={"notification": said, "status": "opened"})
            for said in (*several, one)
        ]

        for answer in refused:
            assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/device")
        assert (taken.status_code, await state(acme, one)) == (200, "opened")

    async def test_the_phone_behind_a_raw_token_says_so_with_what_its_push_bore(self, acme: Gateway) -> None:
        target = {"kind": "apns", "value": "f" * 64, "topic": "com.acme.chat"}
        body = {"to": {"targets": [target]}, "alert": {"title": "News"}}
        notification = (await acme.call("POST", f"{APP}/notifications", json=body)).json()["id"]
        push = await borne(acme, notification)

        answer = await acme.call(
            "POST",
            "/v1/receipts",
            key="",
            json={"notification": notification, "status": "acknowledged", "receipt": push["receipt"]},
        )

        assert (answer.status_code, await state(acme, notification)) == (200, "acknowledged")


class TestWhatAPushBears:
    async def test_is_nothing_unless_the_app_wants_receipts(self, gateway: Gateway) -> None:
        await gateway.with_app()
        kept = await gateway.store.ledger.notification(ids.parse_key(await send(gateway, data={"a": 1})))

        assert kept is not None
        assert kept.content.data == {"a": 1}

    @pytest.mark.parametrize("to", [{"devices": ["ios-1"]}, {"users": ["alice"]}, {"everyone": True}])
    async def test_is_beside_the_callers_data(self, acme: Gateway, to: dict[str, Any]) -> None:
        body = {"to": to, "data": {"a": 1}}
        notification = (await acme.call("POST", f"{APP}/notifications", json=body)).json()["id"]

        kept = await acme.store.ledger.notification(ids.parse_key(notification))

        assert kept is not None
        assert kept.content.data.keys() == {"a", "wakeline"}
        assert (await borne(acme, notification))["id"] == notification

    @pytest.mark.parametrize("to", [{"devices": ["ios-1"]}, {"everyone": True}])
    async def test_has_its_place_to_itself(self, acme: Gateway, to: dict[str, Any]) -> None:
        body = {"to": to, "data": {"wakeline": 1}}

        answer = await acme.call("POST", f"{APP}/notifications", json=body)

        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/data/wakeline")


class TestInbox:
    async def test_shows_in_order_what_the_phone_has_not_acknowledged(self, acme: Gateway) -> None:
        sent = [await send(acme, number) for number in range(3)]
        token = await device_token(acme)
        await acme.call("POST", "/v1/receipts", key=token, json={"notification": sent[1], "status": "acknowledged"})

        answer = await acme.call("GET", "/v1/inbox", key=token)

        assert answer.status_code == 200
        shown = answer.json()["notifications"]
        assert [one["id"] for one in shown] == [sent[0], sent[2]]
        assert [one["alert"]["body"] for one in shown] == ["number 0", "number 2"]
        assert shown[0]["data"]["wakeline"] == await borne(acme, sent[0])
        assert answer.json()["next_after"] is None

    async def test_goes_on_after_the_last_one(self, acme: Gateway) -> None:
        sent = [await send(acme, number) for number in range(3)]
        token = await device_token(acme)

        first = (await acme.call("GET", "/v1/inbox?limit=2", key=token)).json()
        second = (await acme.call("GET", f"/v1/inbox?limit=2&after={first['next_after']}", key=token)).json()

        assert [[one["id"] for one in page["notifications"]] for page in (first, second)] == [sent[:2], sent[2:]]
        assert (first["next_after"], second["next_after"]) == (sent[1], None)

    async def test_an_app_that_keeps_no_content_has_none(self, acme: Gateway) -> None:
        await acme.call("PATCH", APP, json={"settings": {"keep_content": False}})

        answer = await acme.call("GET", "/v1/inbox", key=await device_token(acme))

        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")

    async def test_a_phone_that_changed_hands_shows_nothing_of_before(self, acme: Gateway) -> None:
        await send(acme)
        former = await device_token(acme)
        target = {"kind": "apns", "value": TOKEN, "topic": "com.acme.chat"}
        acme.clock.advance(1)
        await acme.call("PUT", f"{APP}/devices/ios-1", json={"user": "bob", "targets": [target]})
        acme.clock.advance(1)
        later = await send(acme, 2)

        refused = await acme.call("GET", "/v1/inbox", key=former)
        shown = await acme.call("GET", "/v1/inbox", key=await device_token(acme, "bob"))

        assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
        assert [one["id"] for one in shown.json()["notifications"]] == [later]

    async def test_a_key_names_app_and_device(self, acme: Gateway) -> None:
        sent, reader = await send(acme), await acme.key(Scope.READ, apps=("acme-chat",))
        stranger = await acme.key(Scope.READ, apps=("other",))
        path = "/v1/inbox?app=acme-chat&device=ios-1"

        answers = [
            await acme.call("GET", path, key=reader),
            await acme.call("GET", "/v1/inbox", key=reader),
            await acme.call("GET", path, key=stranger),
            await acme.call("GET", "/v1/inbox?app=acme-chat&device=none", key=reader),
        ]

        assert [answer.status_code for answer in answers] == [200, 422, 404, 404]
        assert [one["id"] for one in answers[0].json()["notifications"]] == [sent]

    @pytest.mark.parametrize("query", ["app=other", "device=ios-2"])
    async def test_a_device_token_opens_no_other(self, acme: Gateway, query: str) -> None:
        answer = await acme.call("GET", f"/v1/inbox?{query}", key=await device_token(acme))

        assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")

    async def test_many_that_are_read_at_once_are_read_one_after_the_other(
        self, acme: Gateway, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sent, token, reading, most = await send(acme), await device_token(acme), 0, 0
        read = acme.store.receipts.inbox

        async def watched(app: int, device: int, *, after: int, limit: int) -> InboxPage:
            nonlocal reading, most
            reading += 1
            most = max(most, reading)
            await asyncio.sleep(0)
            page = await read(app, device, after=after, limit=limit)
            reading -= 1
            return page

        monkeypatch.setattr(acme.store.receipts, "inbox", watched)

        answers = await asyncio.gather(*(acme.call("GET", "/v1/inbox", key=token) for _ in range(5)))

        assert [answer.json()["notifications"][0]["id"] for answer in answers] == [sent] * 5
        assert most == 1

    @pytest.mark.parametrize("query", ["after=nonsense", "limit=0", "limit=101", "before=1"])
    async def test_what_it_cannot_be_asked_is_named(self, acme: Gateway, query: str) -> None:
        answer = await acme.call("GET", f"/v1/inbox?{query}", key=await device_token(acme))

        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == f"/query/{query.split('=', maxsplit=1)[0]}"
