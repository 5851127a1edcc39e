"""What a portal posts, and what then reaches the push service: real pipeline, real wire, push services that answer as told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

import httpx2
import msgspec
import pytest

from portal_batch import APPLE, APPLE_TOKEN, GCM, GOOGLE, HUAWEI, apple, block, http
from stories.post import Sent, unregistered
from stories.world import BOTH, World
from unit.edges.bitrix24.leaving import asked_and_left
from wakeline.config import QueueSection, Settings
from wakeline.edges.bitrix24.broker import Broker, BrokerPorts
from wakeline.edges.bitrix24.strangers import Strangers
from wakeline.model.bitrix24.broker import MOST_SOURCES, PortalKey, key_digest
from wakeline.model.credential import CredentialKind
from wakeline.model.device import TargetKind, TargetState
from wakeline.model.errors import StoreUnavailable
from wakeline.model.event import EventType
from wakeline.model.notification import Content, Notification
from wakeline.model.route import Lane, ProviderKind
from wakeline.ports import Admission
from wakeline.wire import apns, fcm

pytestmark = pytest.mark.anyio

KEY = "0123456789abcdef0123456789abcdef"
OTHER_TOKEN = "6f" * 32


class Portal:
    """A gateway that a portal uses as its push service."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.world = World(settings)
        for post in (self.world.apple, self.world.google):
            judge = apns.judge if post.kind is ProviderKind.APNS else fcm.judge
            post.size = partial(_judged, judge)  # type: ignore[method-assign]  # the real rules on what a payload may be
        self.client = self._client(("192.0.2.1", 4711))

    async def open(self, *, topic: str = "") -> Portal:
        await self.world.open()
        await self.world.android()
        await self.bind(topic=topic)
        return self

    async def bind(self, text: str = KEY, *, topic: str = "") -> PortalKey:
        key = PortalKey(
            id=0,
            app=self.world.app.id,
            digest=key_digest(text),
            ending=text[-6:],
            name="Office",
            topic=topic,
            created=self.world.clock.now(),
        )
        return await self.world.store.portal_keys.bind(key)

    def comes_from(self, address: str) -> None:
        self.client = self._client((address, 4711))

    def _client(self, address: tuple[str, int]) -> httpx2.AsyncClient:
        store = self.world.store
        self.broker = Broker(
            BrokerPorts(
                clock=self.world.clock,
                apps=store.apps,
                devices=store.devices,
                credentials=store.credentials,
                events=store.events,
                keys=store.portal_keys,
                pipeline=self.world.pipeline,
                strangers=Strangers(self.world.clock, lambda: self.world.settings.bitrix24.failed_authentications),
            )
        )
        transport = httpx2.ASGITransport(app=self.broker, client=address, raise_app_exceptions=False)
        return httpx2.AsyncClient(transport=transport, base_url="http://push.example")

    async def form(self, batch: str, query: str = f"?key={KEY}") -> httpx2.Response:
        body = urlencode({"Action": "SendMessage", "MessageBody": batch})
        headers = {"content-type": "application/x-www-form-urlencoded"}
        answer = await self.client.post(f"/send/{query}", content=body, headers=headers)
        await self.world.run()
        return answer

    async def json(self, body: Any, query: str = "") -> httpx2.Response:
        answer = await self.client.post(f"/pub/{query}", json=body)
        await self.world.run()
        return answer

    async def notification(self, sent: Sent) -> Notification:
        found = await self.world.store.ledger.notification(sent.notification)
        assert found is not None
        return found

    async def to_apple(self) -> list[tuple[Sent, dict[str, Any], dict[str, str]]]:
        """Return what Apple got: token and place, the payload, the headers."""
        found = []
        for sent in self.world.apple.sent:
            notification = await self.notification(sent)
            kind = "apns-voip" if notification.content.call is not None else "apns"
            rule = apns.rule_for(notification.content.type, kind)
            prepared = apns.prepare(notification, "com.acme.chat" + rule.suffix, rule)
            headers = {name.decode(): value.decode() for name, value in (*prepared.stable, *prepared.literal)}
            found.append((sent, json.loads(prepared.body("")), headers))
        return found

    async def to_google(self) -> list[tuple[Sent, dict[str, Any]]]:
        """Return what Google got: token and message."""
        now = self.world.clock.now()
        return [
            (sent, json.loads(fcm.prepare(await self.notification(sent), now).body(sent.token, ""))["message"])
            for sent in self.world.google.sent
        ]


class CountedKeys:
    """Keys that count what is written of them, on a disk that may be stuck for some."""

    def __init__(self, portal: Portal) -> None:
        self.written = 0
        self.stuck: dict[int, asyncio.Event] = {}
        self.waits = asyncio.Event()
        keys = portal.world.store.portal_keys
        self._remember = keys.remember
        keys.remember = self.remember  # type: ignore[method-assign]  # the disk is what is replaced

    async def remember(self, key: PortalKey) -> None:
        self.written += 1
        if key.id in self.stuck:
            self.waits.set()
            await self.stuck[key.id].wait()
        await self._remember(key)


@pytest.fixture
async def portal(anyio_backend: str) -> AsyncIterator[Portal]:
    made = await Portal().open(topic="com.acme.chat")
    yield made
    await made.client.aclose()


def _judged(judge: Callable[[Content], tuple[int, int, str]], notification: Notification) -> tuple[int, int, str]:
    return judge(notification.content)


def entries(answer: httpx2.Response) -> list[dict[str, str]]:
    assert answer.text.startswith('<?xml version="1.0"?>')
    return [dict(one.attrib) for one in ET.fromstring(answer.text)]  # noqa: S314 - our own answer


def codes(answer: httpx2.Response) -> list[tuple[str, str]]:
    return [(one["result"], one["code"]) for one in entries(answer)]


@pytest.mark.parametrize(
    ("mode", "environment", "push_type", "topic"),
    [
        (1, "sandbox", "alert", "com.acme.chat"),
        (2, "production", "alert", "com.acme.chat"),
        (4, "sandbox", "voip", "com.acme.chat.voip"),
        (5, "production", "voip", "com.acme.chat.voip"),
    ],
)
async def test_a_payload_for_apple_arrives_as_it_is(
    portal: Portal, mode: int, environment: str, push_type: str, topic: str
) -> None:
    expires = portal.world.clock.now() // 1000 + 43200

    answer = await portal.form(block(mode, apple(APPLE, expires=expires)))

    assert (answer.status_code, codes(answer)) == (200, [("taken", "0")])
    [(sent, payload, headers)] = await portal.to_apple()
    assert (sent.token, sent.environment, payload) == (APPLE_TOKEN, environment, APPLE)
    assert headers["apns-push-type"] == push_type
    assert headers["apns-topic"] == topic
    assert headers["apns-priority"] == "10"
    assert headers["apns-expiration"] == str(expires)


async def test_a_call_goes_in_the_lane_of_calls(portal: Portal) -> None:
    await portal.form(block(5, apple(APPLE)))

    [(sent, _, _)] = await portal.to_apple()
    assert (await portal.notification(sent)).lane is Lane.CALL


async def test_an_expiry_of_nothing_is_one_try(portal: Portal) -> None:
    await portal.form(block(2, apple(APPLE, expires=0)))

    [(_, _, headers)] = await portal.to_apple()
    assert headers["apns-expiration"] == "0"


async def test_what_shows_nothing_is_a_background_push(portal: Portal) -> None:
    silent = {"aps": {"content-available": 1, "alert": {"title": "", "body": ""}}, "params": {"A": "b"}}

    answer = await portal.form(block(2, apple(silent)))

    assert codes(answer) == [("taken", "0")]
    [(_, payload, headers)] = await portal.to_apple()
    assert payload == {"aps": {"content-available": 1}, "params": {"A": "b"}}
    assert (headers["apns-push-type"], headers["apns-priority"]) == ("background", "5")


async def test_a_message_for_google_arrives_as_it_is(portal: Portal) -> None:
    answer = await portal.form(block(7, http(GOOGLE)))

    assert codes(answer) == [("taken", "0")]
    [(sent, message)] = await portal.to_google()
    assert message == GOOGLE["message"]
    notification = await portal.notification(sent)
    assert (notification.lane, notification.expires - notification.due) == (Lane.ALERT, 43_200_000)


async def test_a_message_of_gcm_arrives_as_one_of_fcm_for_each_token(portal: Portal) -> None:
    answer = await portal.form(block(3, http(GCM)))

    assert [(one["number"], one["result"]) for one in entries(answer)] == [("1", "taken"), ("1", "taken")]
    expected = {
        "data": {"contentTitle": "Anna", "contentText": "Deal №7 is won", "badge": "3"},
        "android": {"priority": "HIGH", "ttl": "43200s", "collapseKey": "deal"},
    }
    assert [message for _, message in await portal.to_google()] == [
        expected | {"token": "old:APA91a"},
        expected | {"token": "old:APA91b"},
    ]


async def test_huawei_is_answered_clearly(portal: Portal) -> None:
    answer = await portal.form(block(6, http(HUAWEI)))

    [entry] = entries(answer)
    assert (entry["result"], entry["code"]) == ("refused", "901")
    assert "Huawei" in entry["cause"]


async def test_a_mixed_batch_is_answered_entry_by_entry(portal: Portal) -> None:
    past = portal.world.clock.now() // 1000 - 60
    batch = block(2, apple(APPLE), "!!!", apple(APPLE, OTHER_TOKEN, expires=past)) + block(7, http(GOOGLE))

    answer = await portal.form(batch)

    assert codes(answer) == [("taken", "0"), ("refused", "913"), ("refused", "0"), ("taken", "0")]
    assert "base64" in entries(answer)[1]["cause"]
    assert len(portal.world.apple.sent) == len(portal.world.google.sent) == 1


async def test_a_batch_is_one_commit(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    commits: list[int] = []
    accept = portal.world.store.acceptance.accept

    async def counted(admissions: list[Admission]) -> Any:
        commits.append(len(admissions))
        return await accept(admissions)

    monkeypatch.setattr(portal.world.parts.acceptance, "accept", counted)

    await portal.form(block(2, *(apple(APPLE, f"{number:064x}") for number in range(100))))

    assert commits == [100]
    assert len(portal.world.apple.sent) == 100


async def test_a_payload_beyond_apples_limit_is_refused_alone(portal: Portal) -> None:
    answer = await portal.form(block(2, apple({"aps": {"alert": "x" * 5000}}), apple(APPLE)))

    assert codes(answer) == [("refused", "913"), ("taken", "0")]


async def test_a_token_that_is_gone_is_answered_with_911_later(portal: Portal) -> None:
    gone = unregistered(portal.world.clock.now())
    portal.world.apple.to_token[APPLE_TOKEN].extend([gone, gone, gone])

    first = await portal.form(block(2, apple(APPLE)))
    for _ in range(2):
        await portal.world.later(86_400, step=60)
        again = await portal.form(block(2, apple(APPLE, OTHER_TOKEN), apple(APPLE)))

    assert codes(first) == [("taken", "0")]
    assert codes(again) == [("taken", "0"), ("refused", "911")]


async def test_a_token_in_doubt_is_answered_with_911_too(portal: Portal) -> None:
    portal.world.apple.to_token[APPLE_TOKEN].append(unregistered(portal.world.clock.now()))
    await portal.form(block(2, apple(APPLE)))  # nobody vouched for it: the first answer of this kind is doubt
    device = await portal.world.store.devices.by_target(portal.world.app.id, TargetKind.APNS, APPLE_TOKEN)
    assert device is not None
    assert device.targets[0].state is TargetState.QUARANTINED

    assert codes(await portal.form(block(2, apple(APPLE)))) == [("refused", "911")]


async def test_without_a_credential_the_answer_is_901() -> None:
    portal = Portal()
    await portal.world.open()
    await portal.bind(topic="com.acme.chat")

    answer = await portal.form(block(7, http(GOOGLE)))

    assert (answer.status_code, codes(answer)) == (200, [("refused", "901")])


@pytest.mark.parametrize(
    ("topics", "own", "application", "expected"),
    [
        (("com.acme.chat",), "", "Bitrix24", "com.acme.chat"),
        (("com.acme.chat", "com.acme.crm"), "", "com.acme.crm", "com.acme.crm"),
        (("com.acme.chat", "com.acme.crm"), "com.acme.chat", "Bitrix24", "com.acme.chat"),
        ((), "", "com.acme.crm_bxdev", "com.acme.crm"),
        ((), "com.acme.chat", "Bitrix24", "com.acme.chat"),
    ],
)
async def test_the_bundle_id_is_the_only_one_or_the_one_that_is_named(
    topics: tuple[str, ...], own: str, application: str, expected: str
) -> None:
    portal = Portal()
    world = portal.world
    world.app = await world.store.apps.create("acme", "Acme", world.clock.now())
    await world.credential(CredentialKind.APNS_KEY, topics=topics, environments=BOTH)
    await portal.bind(topic=own)

    answer = await portal.form(block(2, apple(APPLE), app=application))

    assert codes(answer) == [("taken", "0")]
    [route] = world.store.routes.all()
    assert route.topic == expected


async def test_json_asks_for_one_push(portal: Portal) -> None:
    payload = {"aps": {"alert": "hi"}, "deal": 7}

    answer = await portal.json(
        {"key": KEY, "token": APPLE_TOKEN, "platform": "ios", "environment": "sandbox", "payload": payload}
    )

    body = answer.json()
    assert answer.status_code == 200
    assert (body["token"], body["result"], body["code"]) == (APPLE_TOKEN, "taken", 0)
    [(sent, arrived, _)] = await portal.to_apple()
    assert (sent.token, sent.environment, arrived) == (APPLE_TOKEN, "sandbox", payload)


async def test_a_list_is_answered_token_by_token(portal: Portal) -> None:
    words = {"title": "Anna", "body": "won", "deal": 7}
    items = [
        {"token": APPLE_TOKEN, "platform": "ios", "payload": words},
        {"token": "f:APA91x", "platform": "android", "payload": words},
        {"token": "hms", "platform": "huawei", "payload": words},
        {"token": "not hex", "platform": "ios", "payload": words},
        {"token": "t", "platform": "symbian", "payload": words},
    ]

    answer = await portal.json(items, f"?key={KEY}")

    body = answer.json()
    assert [(one["token"], one["result"], one["code"]) for one in body] == [
        (APPLE_TOKEN, "taken", 0),
        ("f:APA91x", "taken", 0),
        ("hms", "refused", 901),
        ("not hex", "refused", 911),
        ("t", "refused", 913),
    ]
    [(_, payload, _)] = await portal.to_apple()
    assert payload == {"aps": {"alert": {"title": "Anna", "body": "won"}}, "deal": 7}
    [(_, message)] = await portal.to_google()
    assert message == {
        "notification": {"title": "Anna", "body": "won"},
        "data": {"deal": "7"},
        "token": "f:APA91x",
    }


@pytest.mark.parametrize(
    "query", [f"?key={KEY}", f"?key=wrong?key={KEY}", f"?key={KEY}?key=of-the-portal", f"?a=?key={KEY}"]
)
async def test_a_key_may_stand_beside_the_portals_own(portal: Portal, query: str) -> None:
    assert codes(await portal.form(block(2, apple(APPLE)), query)) == [("taken", "0")]


@pytest.mark.parametrize("query", ["", "?key=", "?key=wrong", f"?key={KEY[:-1]}", f"?kei={KEY}"])
async def test_an_unknown_key_sends_nothing(portal: Portal, query: str) -> None:
    form = await portal.form(block(2, apple(APPLE)), query)
    json_answer = await portal.json({"token": APPLE_TOKEN, "platform": "ios", "payload": {"title": "x"}}, query)

    assert form.status_code == json_answer.status_code == 401
    assert form.text.startswith('<?xml version="1.0"?>')
    assert KEY not in form.text + json_answer.text
    assert portal.world.apple.sent == []


async def test_a_query_of_hundreds_of_keys_is_none(portal: Portal) -> None:
    query = "?" + "&".join([f"key=guess{number}" for number in range(100)] + [f"key={KEY}"])

    assert (await portal.form(block(2, apple(APPLE)), query)).status_code == 401


async def test_a_portal_that_leaves_before_the_end_of_its_batch_sends_nothing(portal: Portal) -> None:
    assert await asked_and_left(portal.broker, f"/send/?key={KEY}") == []
    assert portal.world.apple.sent == []


async def test_pushes_are_taken_although_it_cannot_be_written_from_where(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(_: PortalKey) -> None:
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(portal.world.store.portal_keys, "remember", full)

    assert codes(await portal.form(block(2, apple(APPLE)))) == [("taken", "0")]
    assert portal.world.store.portal_keys.all()[0].sources == ()


async def test_a_key_that_is_removed_while_its_pushes_are_taken_is_not_written(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, accept = portal.world.store.portal_keys, portal.world.pipeline.accept.accept

    async def taken(app: Any, submissions: Any) -> Any:
        found = await accept(app, submissions)
        await keys.remove(keys.all()[0].id)
        return found

    monkeypatch.setattr(portal.world.pipeline.accept, "accept", taken)

    assert codes(await portal.form(block(2, apple(APPLE)))) == [("taken", "0")]
    assert keys.all() == []


async def test_a_removed_key_sends_nothing(portal: Portal) -> None:
    [key] = portal.world.store.portal_keys.all()
    await portal.world.store.portal_keys.remove(key.id)

    assert (await portal.form(block(2, apple(APPLE)))).status_code == 401


async def test_keys_of_a_list_are_judged_each_by_itself(portal: Portal) -> None:
    item = {"token": APPLE_TOKEN, "platform": "ios", "payload": {"title": "x"}}

    answer = await portal.json([item | {"key": "wrong"}, item | {"key": KEY}])

    assert answer.status_code == 200
    assert [one["result"] for one in answer.json()] == ["refused", "taken"]


async def test_a_full_queue_is_503_with_the_time_to_come_back() -> None:
    portal = await Portal(Settings(queue=QueueSection(max_pending=1))).open(topic="com.acme.chat")
    portal.world.apple.answers = False
    await portal.form(block(2, apple(APPLE)))

    form = await portal.form(block(2, apple(APPLE, OTHER_TOKEN)))
    json_answer = await portal.json({"key": KEY, "token": OTHER_TOKEN, "platform": "ios", "payload": {"title": "x"}})

    assert form.status_code == json_answer.status_code == 503
    assert form.headers["retry-after"] == json_answer.headers["retry-after"] == "30"
    assert codes(form) == [("refused", "0")]


async def test_a_store_that_keeps_nothing_is_503(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_admissions: list[Admission]) -> Any:
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(portal.world.parts.acceptance, "accept", broken)

    answer = await portal.form(block(2, apple(APPLE)))

    assert (answer.status_code, codes(answer)) == (503, [("refused", "0")])


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"[1,", "application/json", 400),
        (b"7", "application/json", 400),
        (b"[]", "application/json", 200),
        (b"Action=SendMessage&MessageBody=" + b";2;x" * 600, "application/x-www-form-urlencoded", 400),
        (b"&" * 20_000, "application/x-www-form-urlencoded", 413),
        (b"x" * (1024 * 1024 + 1), "application/x-www-form-urlencoded", 413),
        (b"\xff\xfe\x00", "", 200),
        (b"", "", 200),
    ],
)
async def test_a_body_that_is_none_is_said_to_be_none(portal: Portal, body: bytes, kind: str, status: int) -> None:
    answer = await portal.client.post(f"/send/?key={KEY}", content=body, headers={"content-type": kind})

    assert answer.status_code == status
    assert portal.world.apple.sent == []


async def test_the_portals_own_check_finds_a_push_service(portal: Portal) -> None:
    answer = await portal.client.get("/send/")

    assert answer.status_code == 200
    assert answer.text.startswith('<?xml version="1.0"?>')
    assert (await portal.client.put("/send/")).status_code == 405


async def test_a_defect_of_ours_is_an_answer(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    async def defect(*_arguments: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(portal.world.store.devices, "by_target", defect)

    answer = await portal.form(block(2, apple(APPLE)))

    assert answer.status_code == 500
    assert "ZeroDivision" not in answer.text


async def test_a_portal_that_moves_is_an_event(portal: Portal) -> None:
    batch = block(2, apple(APPLE))
    await portal.form(batch)
    assert await portal.world.events(EventType.PORTAL_MOVED) == []

    portal.comes_from("192.0.2.9")
    await portal.form(batch)
    await portal.form(block(2, apple(APPLE), host="new.example"))
    await portal.form(batch)

    moves = await portal.world.events(EventType.PORTAL_MOVED)
    assert [(event.app, event.data.note) for event in moves] == [
        (
            "acme",
            "The portal Office came from portal.example (192.0.2.1) and comes from portal.example (192.0.2.9) now.",
        ),
        ("acme", "The portal Office came from portal.example (192.0.2.9) and comes from new.example (192.0.2.9) now."),
    ]
    [key] = portal.world.store.portal_keys.all()
    assert {(source.host, source.address) for source in key.sources} == {
        ("portal.example", "192.0.2.1"),
        ("portal.example", "192.0.2.9"),
        ("new.example", "192.0.2.9"),
    }


async def test_requests_that_come_together_are_one_move(portal: Portal) -> None:
    await portal.form(block(2, apple(APPLE)))
    portal.comes_from("192.0.2.9")

    await asyncio.gather(*(portal.form(block(2, apple(APPLE))) for _ in range(5)))

    assert len(await portal.world.events(EventType.PORTAL_MOVED)) == 1


async def test_json_from_a_known_address_is_no_move(portal: Portal) -> None:
    await portal.form(block(2, apple(APPLE)))

    await portal.json({"key": KEY, "token": APPLE_TOKEN, "platform": "ios", "payload": {"title": "x"}})

    assert await portal.world.events(EventType.PORTAL_MOVED) == []


async def test_a_known_source_is_written_seldom(portal: Portal) -> None:
    seen = []
    for _ in range(3):
        await portal.form(block(2, apple(APPLE)))
        [key] = portal.world.store.portal_keys.all()
        seen.append(key.seen)
        portal.world.clock.advance(300)

    assert seen[0] == seen[1]
    assert seen[2] - seen[0] >= 600_000


async def test_two_places_in_turn_are_written_as_seldom_as_one(portal: Portal) -> None:
    keys = CountedKeys(portal)
    for host in ("portal.example", "copy.example") * 5:
        await portal.form(block(2, apple(APPLE), host=host))

    assert keys.written == 2
    assert len(await portal.world.events(EventType.PORTAL_MOVED)) == 1


async def test_a_key_that_names_another_host_each_time_is_told_of_sixteen_times_an_hour(portal: Portal) -> None:
    keys = CountedKeys(portal)
    for number in range(40):
        await portal.form(block(2, apple(APPLE), host=f"host{number}.example"))
    assert len(await portal.world.events(EventType.PORTAL_MOVED)) == MOST_SOURCES - 1
    assert keys.written == MOST_SOURCES

    portal.world.clock.advance(3600)
    await portal.form(block(2, apple(APPLE), host="moved.example"))
    assert len(await portal.world.events(EventType.PORTAL_MOVED)) == MOST_SOURCES


async def test_a_key_whose_source_cannot_be_written_yet_keeps_no_other_key_waiting(portal: Portal) -> None:
    keys = CountedKeys(portal)
    slow, other = portal.world.store.portal_keys.all()[0], "fedcba9876543210fedcba9876543210"
    await portal.bind(other, topic="com.acme.chat")
    keys.stuck[slow.id] = asyncio.Event()
    waits = asyncio.create_task(portal.form(block(2, apple(APPLE))))
    async with asyncio.timeout(15):
        await keys.waits.wait()
        answer = await portal.form(block(2, apple(APPLE, OTHER_TOKEN)), f"?key={other}")

    assert codes(answer) == [("taken", "0")]
    assert not waits.done()
    keys.stuck[slow.id].set()
    assert codes(await waits) == [("taken", "0")]


async def test_one_push_of_a_key_comes_through_a_flood_of_another(portal: Portal) -> None:
    other = "fedcba9876543210fedcba9876543210"
    await portal.bind(other, topic="com.acme.chat")
    ended: list[str] = []

    async def post(batch: str, key: str) -> None:
        body = urlencode({"Action": "SendMessage", "MessageBody": batch})
        headers = {"content-type": "application/x-www-form-urlencoded"}
        answer = await portal.client.post(f"/send/?key={key}", content=body, headers=headers)
        assert {code for code, _ in codes(answer)} == {"taken"}
        ended.append(key)

    flood = block(2, *(apple(APPLE, f"{number:064x}") for number in range(300)))
    await asyncio.gather(*(post(flood, KEY) for _ in range(6)), post(block(2, apple(APPLE, OTHER_TOKEN)), other))

    assert ended.index(other) < len(ended) - 1


async def test_a_host_that_is_none_is_not_kept(portal: Portal) -> None:
    await portal.form(block(2, apple(APPLE), host="<script>"))

    [key] = portal.world.store.portal_keys.all()
    assert [source.host for source in key.sources] == [""]


async def test_no_key_is_kept_or_shown(portal: Portal) -> None:
    [key] = portal.world.store.portal_keys.all()

    assert KEY.encode() not in msgspec.json.encode(key)


@pytest.mark.parametrize("as_json", [False, True])
async def test_an_address_that_tries_keys_is_not_heard_for_a_while(as_json: bool) -> None:
    portal = await Portal().open()

    async def tried(key: str) -> httpx2.Response:
        return await (portal.json([{"key": key, "data": ""}]) if as_json else portal.form("", f"?key={key}"))

    assert {(await tried(f"guess-{number}")).status_code for number in range(50)} == {401}

    refused = await tried(KEY)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
    assert (refused.headers["content-type"].startswith("application/json")) is as_json
    assert (await portal.client.get("/send/")).status_code == 200
    portal.world.clock.advance(2)
    assert (await tried(KEY)).status_code == 200
