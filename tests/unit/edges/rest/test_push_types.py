"""What each push type takes, asked at the door: the request that would go out, or a problem that names field, cause and fix.

The push services are our own, opened on no network: what they would write and what they refuse is known before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from unit.edges.rest.gateway import START, TOKEN, Gateway
from wakeline import config
from wakeline.model.route import ProviderKind
from wakeline.ports import HttpAnswer
from wakeline.providers.apns import ApnsProvider
from wakeline.providers.fcm import FcmProvider

pytestmark = pytest.mark.anyio

PATH = "/v1/apps/acme-chat/notifications"
SECOND = START // 1000
FID = "cGxhY2Vob2xkZXIwMDAwMA"
HI = {"title": "Hi"}


class NoNetwork:
    """Nobody is asked for an access token here."""

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float) -> HttpAnswer:
        raise AssertionError(url, body, headers, timeout)


@pytest.fixture
async def app(gateway: Gateway) -> Gateway:
    """An app whose pushes are written by the real providers."""
    await gateway.with_app()
    providers = gateway.pipeline.accept._parts.providers
    assert isinstance(providers, dict)
    providers[ProviderKind.APNS] = ApnsProvider(config.Apns(), gateway.clock)
    providers[ProviderKind.FCM] = FcmProvider(config.Fcm(), gateway.clock, NoNetwork())
    return gateway


def apns(kind: str = "apns") -> dict[str, Any]:
    return {"targets": [{"kind": kind, "value": TOKEN, "topic": "com.acme.chat"}]}


def fcm(**target: str) -> dict[str, Any]:
    return {"targets": [{"kind": "fcm", **(target or {"value": "a-token"})}]}


async def shown(app: Gateway, body: dict[str, Any]) -> dict[str, Any]:
    answer = await app.call("POST", f"{PATH}?validate_only=true", json=body)
    assert answer.status_code == 200, answer.text
    [one] = answer.json()["requests"]
    request: dict[str, Any] = one["request"]
    return {**request, "body": json.loads(request["body"]), "warnings": one["warnings"], "limit": one["limit"]}


START_ACTIVITY = {
    "event": "start",
    "attributes_type": "ScoreAttributes",
    "attributes": {"teams": ["A", "B"]},
    "content_state": {"score": "0:0"},
    "stale_at": "2026-11-20T00:00:00Z",
    "relevance_score": 75.5,
}

# Apple, "Sending notification requests to APNs": type, kind of token, suffix of the topic, bytes, and the least payload.
TYPES: list[tuple[str, str, str, int, dict[str, Any], dict[str, Any]]] = [
    ("alert", "apns", "", 4096, {"alert": HI}, {"aps": {"alert": HI}}),
    ("background", "apns", "", 4096, {"data": {"a": 1}}, {"aps": {"content-available": 1}, "a": 1}),
    (
        "voip",
        "apns-voip",
        ".voip",
        5120,
        {"call": {"id": "c1", "caller": "Ann"}},
        {"aps": {}, "call": {"id": "c1", "caller": "Ann", "video": False}},
    ),
    (
        "liveactivity",
        "apns-liveactivity",
        ".push-type.liveactivity",
        4096,
        {"liveactivity": {"event": "update", "content_state": {"score": "1:0"}}},
        {"aps": {"timestamp": SECOND, "event": "update", "content-state": {"score": "1:0"}}},
    ),
    ("location", "apns-location", ".location-query", 4096, {}, {"aps": {}}),
    ("complication", "apns-complication", ".complication", 4096, {"data": {"n": 1}}, {"aps": {}, "n": 1}),
    (
        "fileprovider",
        "apns-fileprovider",
        ".pushkit.fileprovider",
        4096,
        {"data": {"domain": "main"}},
        {"container-identifier": "NSFileProviderWorkingSetContainerItemIdentifier", "domain": "main"},
    ),
    ("mdm", "apns-mdm", "", 4096, {"data": {"mdm": "magic"}}, {"mdm": "magic"}),
    ("pushtotalk", "apns-pushtotalk", ".voip-ptt", 4096, {"data": {"who": "Ann"}}, {"aps": {}, "who": "Ann"}),
    ("widgets", "apns-widgets", ".push-type.widgets", 4096, {}, {"aps": {"content-changed": True}}),
    ("controls", "apns-controls", ".push-type.controls", 4096, {}, {"aps": {"content-changed": True}}),
]


@pytest.mark.parametrize(("name", "kind", "suffix", "limit", "body", "payload"), TYPES, ids=[row[0] for row in TYPES])
async def test_each_push_type_has_its_topic_limit_token_and_payload(
    app: Gateway, name: str, kind: str, suffix: str, limit: int, body: dict[str, Any], payload: dict[str, Any]
) -> None:
    push_type = "call" if name == "voip" else name
    request = await shown(app, {"to": apns(kind), "type": push_type, **body})
    assert request["body"] == payload
    headers = request["headers"]
    assert (headers["apns-push-type"], headers["apns-topic"]) == (name, f"com.acme.chat{suffix}")
    assert headers["apns-priority"] == ("5" if name == "background" else "10")
    assert request["limit"] == limit


@pytest.mark.parametrize("row", TYPES, ids=[row[0] for row in TYPES])
async def test_each_push_type_has_its_limit_enforced(app: Gateway, row: tuple[Any, ...]) -> None:
    name, kind, _, limit, body, _ = row
    push_type = "call" if name == "voip" else name
    data = {**body.get("data", {}), "blob": "x" * limit}
    answer = await app.call("POST", PATH, json={"to": apns(kind), "type": push_type, **body, "data": data})
    assert (answer.status_code, answer.json()["code"]) == (422, "payload_too_large")
    assert answer.json()["errors"][0]["pointer"] == "/data"


async def test_a_live_activity_starts_with_its_attributes_and_an_alert(app: Gateway) -> None:
    alert = {"title": "Kick-off", "body_loc_key": "TEAMS", "body_loc_args": ["A", "B"], "sound": "horn.caf"}
    request = await shown(app, {"to": apns("apns-liveactivity"), "liveactivity": START_ACTIVITY, "alert": alert})
    assert request["body"]["aps"] == {
        "timestamp": SECOND,
        "event": "start",
        "content-state": {"score": "0:0"},
        "attributes-type": "ScoreAttributes",
        "attributes": {"teams": ["A", "B"]},
        "stale-date": 1_795_132_800,
        "relevance-score": 75.5,
        "alert": {
            "title": "Kick-off",
            "body": {"loc-key": "TEAMS", "loc-args": ["A", "B"]},
            "sound": "horn.caf",
        },
    }


async def test_a_live_activity_ends_at_its_dismissal_date(app: Gateway) -> None:
    end = {"event": "end", "dismiss_at": "2026-11-20T01:00:00+01:00"}
    request = await shown(app, {"to": apns("apns-liveactivity"), "liveactivity": end, "priority": "low"})
    assert request["body"] == {"aps": {"timestamp": SECOND, "event": "end", "dismissal-date": 1_795_132_800}}
    assert request["headers"]["apns-priority"] == "5"


async def test_a_live_activity_goes_through_fcm_by_its_own_token(app: Gateway) -> None:
    activity = {"event": "update", "content_state": {"score": "1:0"}}
    body = {"to": fcm(), "liveactivity": activity, "fcm": {"payload": {"apns": {"live_activity_token": "80ab"}}}}
    message = (await shown(app, body))["body"]["message"]
    assert message["apns"]["liveActivityToken"] == "80ab"
    assert message["apns"]["payload"] == {
        "aps": {"timestamp": SECOND, "event": "update", "content-state": {"score": "1:0"}}
    }
    assert "android" not in message


async def test_a_raw_live_activity_is_taken_as_it_is(app: Gateway) -> None:
    aps = {"timestamp": 1, "event": "update", "content-state": {}}
    body = {"to": apns("apns-liveactivity"), "type": "liveactivity", "apns": {"payload": {"aps": aps}}}
    assert (await shown(app, body))["body"] == {"aps": aps}


async def test_a_background_push_is_never_urgent_on_an_iphone_and_says_so(app: Gateway) -> None:
    request = await shown(app, {"to": apns(), "data": {"a": 1}, "priority": "high"})
    assert request["headers"]["apns-priority"] == "5"
    assert "priority 5 only" in request["warnings"][0]


async def test_localized_texts_loc_keys_and_a_counted_badge_are_written_for_both(app: Gateway) -> None:
    alert = {
        "title": "Hello",
        "localized": {"de": {"title": "Hallo"}},
        "body_loc_key": "NEW",
        "body_loc_args": ["3"],
        "badge": "+1",
    }
    await app.call(
        "PUT",
        "/v1/apps/acme-chat/devices/ios-1",
        json={"user": "ann", "locale": "de-AT", "targets": [{"kind": "apns", "value": TOKEN}]},
    )
    apple = (await shown(app, {"to": {"devices": ["ios-1"]}, "alert": alert}))["body"]["aps"]
    google = (await shown(app, {"to": fcm(), "alert": alert}))["body"]["message"]
    assert apple["alert"] == {"title": "Hallo", "loc-key": "NEW", "loc-args": ["3"]}
    assert google["notification"] == {"title": "Hello"}
    assert google["android"]["notification"]["bodyLocKey"] == "NEW"
    assert google["apns"]["payload"]["aps"]["alert"] == {"loc-key": "NEW", "loc-args": ["3"]}


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ({"value": "a-token"}, "token"),
        ({"fid": FID}, "fid"),
        ({"fcm_topic": "news"}, "topic"),
        ({"condition": "'a' in topics || 'b' in topics"}, "condition"),
    ],
)
async def test_fcm_is_addressed_by_token_installation_topic_and_condition(
    app: Gateway, target: dict[str, str], name: str
) -> None:
    request = await shown(app, {"to": fcm(**target), "alert": HI})
    assert {"token", "fid", "topic", "condition"} & set(request["body"]["message"]) == {name}
    assert request["limit"] == (2048 if name in {"topic", "condition"} else 4096)


@pytest.mark.parametrize("block", ["android", "android_v2", "apns", "webpush"])
async def test_each_block_of_fcm_is_laid_over_the_message(app: Gateway, block: str) -> None:
    inside: dict[str, Any] = {
        "android": {"collapse_key": "k", "notification": {"channel_id": "c"}},
        "android_v2": {"remote_notification": {"use_as_v1_data_message": True}},
        "apns": {"headers": {"apns-priority": "10"}, "fcm_options": {"image": "https://example.com/i.png"}},
        "webpush": {"headers": {"TTL": "60"}, "fcm_options": {"link": "https://example.com/"}},
    }
    message = (await shown(app, {"to": fcm(), "alert": HI, "fcm": {"payload": {block: inside[block]}}}))["body"]
    written = {
        "android": ("android", "collapseKey", "k"),
        "android_v2": ("androidV2", "remoteNotification", {"useAsV1DataMessage": True}),
        "apns": ("apns", "fcmOptions", {"image": "https://example.com/i.png"}),
        "webpush": ("webpush", "fcmOptions", {"link": "https://example.com/"}),
    }
    name, key, value = written[block]
    assert message["message"][name][key] == value
    assert ("android" in message["message"]) is (block != "android_v2")


def payload(**blocks: Any) -> dict[str, Any]:
    return {"to": fcm(), "alert": HI, "fcm": {"payload": blocks}}


def activity(event: str = "update", **more: Any) -> dict[str, Any]:
    return {"to": apns("apns-liveactivity"), "liveactivity": {"event": event, **more}}


def raw_activity(**aps: Any) -> dict[str, Any]:
    return {"to": apns("apns-liveactivity"), "type": "liveactivity", "apns": {"payload": {"aps": aps}}}


def own(kind: str, **more: Any) -> dict[str, Any]:
    return {"to": apns(f"apns-{kind}"), "type": kind, **more}


# What is refused, where, and a word of the reason.
REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    # alerts
    "an alert without text": ({"to": apns(), "alert": {"sound": "default"}}, "/alert", "text"),
    "an alert without anything": ({"to": apns(), "type": "alert"}, "/alert", "text"),
    "an empty raw alert": ({"to": apns(), "type": "alert", "apns": {"raw": {"aps": {}}}}, "/apns/raw/aps/alert", "no text"),
    "a raw alert without words": (
        {"to": apns(), "type": "alert", "apns": {"payload": {"aps": {"alert": {"launch-image": "x"}}}}},
        "/apns/payload/aps/alert",
        "no text",
    ),
    "an alert written for Android alone, to an iPhone": (
        {"to": apns(), "type": "alert", "fcm": {"payload": {"notification": {"title": "x"}}}},
        "/alert",
        "no text",
    ),
    "an alert written for the iPhone alone, to Android": (
        {"to": fcm(), "type": "alert", "apns": {"payload": {"aps": {"alert": "x"}}}},
        "/alert",
        "no text",
    ),
    "arguments without a key": ({"to": apns(), "alert": {**HI, "body_loc_args": ["1"]}}, "/alert/body_loc_args", "key"),
    "a badge that is none": ({"to": apns(), "alert": {**HI, "badge": "+2"}}, "/alert/badge", "+1"),
    # background
    "a background push with priority 10": (
        {"to": apns(), "data": {"a": 1}, "apns": {"headers": {"apns-priority": "10"}}},
        "/apns/headers/apns-priority",
        "priority 5",
    ),
    "a background push with an alert": ({"to": apns(), "type": "background", "alert": HI}, "/alert", "shows nothing"),
    "a background push with a raw badge": (
        {"to": apns(), "data": {"a": 1}, "apns": {"payload": {"aps": {"badge": 1}}}},
        "/apns/payload/aps/badge",
        "shows nothing",
    ),
    "a raw background push without content-available": (
        {"to": apns(), "type": "background", "apns": {"raw": {"aps": {}}}},
        "/apns/raw/aps",
        "content-available",
    ),
    "a background push through FCM with priority 10": (
        {"to": fcm(), "data": {"a": "1"}, "fcm": {"payload": {"apns": {"headers": {"apns-priority": "10"}}}}},
        "/fcm/payload/apns/headers/apns-priority",
        "priority 5",
    ),
    # voip
    "an alert to a VoIP token": ({"to": apns("apns-voip"), "alert": HI}, "/to/targets/0/kind", "iOS terminates"),
    "data to a VoIP token": ({"to": apns("apns-voip"), "data": {"a": 1}}, "/to/targets/0/kind", "iOS terminates"),
    "a call to a location token": (
        {"to": apns("apns-location"), "call": {"id": "1"}},
        "/to/targets/0/kind",
        "cannot go to a target of kind",
    ),
    # headers
    "another push type by header": (
        {"to": apns(), "alert": HI, "apns": {"headers": {"apns-push-type": "voip"}}},
        "/apns/headers/apns-push-type",
        "push type is alert",
    ),
    "priority 1 where it is not taken": (
        {"to": apns(), "alert": HI, "apns": {"headers": {"apns-priority": "1"}}},
        "/apns/headers/apns-priority",
        "10 or 5",
    ),
    # Live Activities
    "a Live Activity without its block": (own("liveactivity"), "/liveactivity", "needs"),
    "an unknown event": (activity("pause"), "/liveactivity/event", "pause"),
    "a start without its attributes' type": (
        activity("start", attributes={"a": 1}) | {"alert": HI},
        "/liveactivity/attributes_type",
        "type",
    ),
    "a start without an alert": (activity("start", attributes_type="A"), "/alert", "shows an alert"),
    "an update with attributes": (activity(attributes={"a": 1}), "/liveactivity/attributes", "start"),
    "an update with a dismissal date": (
        activity(dismiss_at="2026-11-20T00:00:00Z"),
        "/liveactivity/dismiss_at",
        "belongs to an end",
    ),
    "a stale date that is none": (activity(stale_at="soon"), "/liveactivity/stale_at", "RFC 3339"),
    "a Live Activity with a subtitle": (activity() | {"alert": {**HI, "subtitle": "x"}}, "/alert/subtitle", "subtitle"),
    "a raw Live Activity without timestamp": (
        raw_activity(event="update", **{"content-state": {}}),
        "/apns/payload/aps/timestamp",
        "timestamp",
    ),
    "a raw Live Activity without content state": (
        raw_activity(event="update", timestamp=1),
        "/apns/payload/aps/content-state",
        "content-state",
    ),
    "a raw Live Activity that starts without attributes": (
        raw_activity(event="start", timestamp=1, **{"content-state": {}, "attributes-type": "A", "alert": HI}),
        "/apns/payload/aps/attributes",
        "attributes",
    ),
    "a Live Activity through FCM without its token": (
        {"to": fcm(), "liveactivity": {"event": "update"}},
        "/fcm/payload/apns/liveActivityToken",
        "own token",
    ),
    # what shows nothing
    **{
        f"{kind} with an alert": (own(kind, alert=HI), "/alert", "shows nothing")
        for kind in ("location", "complication", "fileprovider", "mdm", "pushtotalk", "widgets", "controls")
    },
    **{
        f"{kind} with a raw sound": (
            own(kind, apns={"payload": {"aps": {"sound": "x"}}}),
            "/apns/payload/aps/sound",
            "shows nothing",
        )
        for kind in ("location", "complication", "pushtotalk", "widgets", "controls")
    },
    "widgets without content-changed": (own("widgets", apns={"raw": {"aps": {}}}), "/apns/raw/aps", "content-changed"),
    "mdm without its magic": (own("mdm"), "/data/mdm", "mdm"),
    "mdm with an aps dictionary": (
        own("mdm", data={"mdm": "m"}, apns={"payload": {"aps": {}}}),
        "/apns/payload/aps",
        "no `aps`",
    ),
    "fileprovider with a container that is none": (
        own("fileprovider", data={"container-identifier": 7}),
        "/data/container-identifier",
        "a text",
    ),
    # FCM
    "both forms of android": (payload(android={}, android_v2={}), "/fcm/payload", "exclude each other"),
    "an unknown block": (payload(andriod={}), "/fcm/payload/andriod", "no field"),
    "an unknown field, as it was spelled": (
        payload(android={"notification": {"channel_idd": "x"}}),
        "/fcm/payload/android/notification/channel_idd",
        "no field",
    ),
    "an unknown field of androidV2": (
        payload(android_v2={"priority": "HIGH"}),
        "/fcm/payload/android_v2/priority",
        "no field",
    ),
    "a field of the wrong type": (payload(android={"ttl": 60}), "/fcm/payload/android/ttl", "duration"),
    "a name that an enumeration has not": (payload(android={"priority": "urgent"}), "/fcm/payload/android/priority", "HIGH"),
    "a list with something else in it": (
        payload(android={"notification": {"body_loc_args": ["a", 1]}}),
        "/fcm/payload/android/notification/body_loc_args/1",
        "a text",
    ),
    "a header that is no text": (payload(webpush={"headers": {"TTL": 60}}), "/fcm/payload/webpush/headers/TTL", "a text"),
    "a ttl over four weeks": (payload(android={"ttl": "2419201s"}), "/fcm/payload/android/ttl", "4 weeks"),
    "a ttl below zero": (payload(android={"ttl": "-1s"}), "/fcm/payload/android/ttl", "duration"),
    "a link that is not https": (
        payload(webpush={"fcm_options": {"link": "http://example.com"}}),
        "/fcm/payload/webpush/fcm_options/link",
        "https",
    ),
    "a label that is none": (
        payload(fcm_options={"analytics_label": "two words"}),
        "/fcm/payload/fcm_options/analytics_label",
        "label",
    ),
    "a target inside the override": (payload(token="x"), "/fcm/payload/token", "set by the gateway"),
    "a reserved key": ({"to": fcm(), "data": {"from": "x"}}, "/data/from", "reserved"),
    "a reserved message_type": ({"to": fcm(), "data": {"message_type": "x"}}, "/data/message_type", "reserved"),
    "a reserved key of Google's": ({"to": fcm(), "data": {"google.c": "x"}}, "/data/google.c", "reserved"),
    "a reserved key of GCM's": ({"to": fcm(), "data": {"gcm.notification.e": "1"}}, "/data/gcm.notification.e", "reserved"),
    "a reserved key of a block": (payload(android={"data": {"from": "x"}}), "/fcm/payload/android/data/from", "reserved"),
    "a ttl over four weeks for all": ({"to": fcm(), "alert": HI, "ttl": 28 * 86400 + 1}, "/ttl", "28 days"),
    "a ttl below zero for all": ({"to": fcm(), "alert": HI, "ttl": -1}, "/ttl", "from 0"),
    "a collapse id over 64 bytes": ({"to": fcm(), "alert": HI, "collapse_id": "x" * 65}, "/collapse_id", "64"),
    "a topic with a space": ({"to": fcm(fcm_topic="the news"), "alert": HI}, "/to/targets/0/fcm_topic", "topic"),
    "a condition that is none": ({"to": fcm(condition="'a' in topics &&"), "alert": HI}, "/to/targets/0/condition", "condition"),
    "a condition over six topics": (
        {"to": fcm(condition=" || ".join(f"'{name}' in topics" for name in "abcdef")), "alert": HI},
        "/to/targets/0/condition",
        "takes 5",
    ),
    "an installation id that is none": ({"to": fcm(fid="token"), "alert": HI}, "/to/targets/0/fid", "installation id"),
    "two targets in one": ({"to": fcm(fid=FID, value="t"), "alert": HI}, "/to/targets/0/value", "two targets"),
    "2049 bytes to a topic": ({"to": fcm(fcm_topic="news"), "data": {"a": "x" * 2049}}, "/data", "2048"),
    "2049 bytes to a condition": ({"to": fcm(condition="'a' in topics"), "data": {"a": "x" * 2049}}, "/data", "2048"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "pointer", "word"), REFUSED.values(), ids=REFUSED)
async def test_what_a_push_type_does_not_take_is_refused(
    app: Gateway, body: dict[str, Any], pointer: str, word: str
) -> None:
    answer = await app.call("POST", PATH, json=body)
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    [error] = problem["errors"]
    assert error["pointer"] == pointer
    assert word in problem["detail"]
    assert problem.get("fix") or pointer == "/liveactivity/event"  # what the decoder says names the choices
    assert await app.store.queue.pending() == 0


async def test_a_device_cannot_register_a_topic_as_its_token(app: Gateway) -> None:
    answer = await app.call(
        "PUT", "/v1/apps/acme-chat/devices/a-1/targets/fcm", json={"value": "/topics/everybody", "project": "acme"}
    )
    assert answer.status_code == 422
    assert "topic" in answer.json()["detail"]
