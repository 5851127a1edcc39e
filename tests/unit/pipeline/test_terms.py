from __future__ import annotations

from typing import Any

import msgspec
import pytest

from wakeline.model.errors import InvalidRequest
from wakeline.model.notification import NOW_OR_NEVER, NotificationRequest, OnUnknown, Priority, PushType, RawTarget
from wakeline.model.route import Lane
from wakeline.pipeline.terms import MAX_TTL, Terms, terms_of

NOW = 1_795_000_000_000
ANN = {"users": ["ann"]}
CALL = {"id": "c1"}
ALERT = {"title": "hi"}
RAW = {"kind": "apns", "value": "ab" * 32}
FID = "cGxhY2Vob2xkZXIwMDAwMA"
SILENT = ("background", "location", "complication", "fileprovider", "mdm", "pushtotalk", "widgets", "controls")


def terms(**body: Any) -> Terms:
    return terms_of(msgspec.convert({"to": ANN} | body, NotificationRequest), NOW)


@pytest.mark.parametrize(
    ("body", "push_type", "lane", "ttl"),
    [
        ({"alert": ALERT}, PushType.ALERT, Lane.ALERT, 86400),
        ({"data": {"a": 1}}, PushType.BACKGROUND, Lane.BACKGROUND, 3600),
        ({"call": CALL}, PushType.CALL, Lane.CALL, 32),
        ({"type": "call", "call": CALL, "priority": "low"}, PushType.CALL, Lane.CALL, 32),
        ({"alert": ALERT, "priority": "low"}, PushType.ALERT, Lane.BULK, 86400),
        ({"alert": ALERT, "to": {"tags": ["beta"]}}, PushType.ALERT, Lane.BULK, 86400),
        ({"alert": ALERT, "to": {"everyone": True}}, PushType.ALERT, Lane.BULK, 86400),
        ({"alert": ALERT, "to": {"users": [str(n) for n in range(500)]}}, PushType.ALERT, Lane.ALERT, 86400),
        ({"alert": ALERT, "to": {"users": [str(n) for n in range(501)]}}, PushType.ALERT, Lane.BULK, 86400),
        ({"liveactivity": {"event": "update"}}, PushType.LIVEACTIVITY, Lane.ALERT, 86400),
        ({"type": "pushtotalk"}, PushType.PUSHTOTALK, Lane.ALERT, NOW_OR_NEVER / 1000),
        ({"alert": ALERT, "ttl": 60}, PushType.ALERT, Lane.ALERT, 60),
        ({"alert": ALERT, "ttl": 0}, PushType.ALERT, Lane.ALERT, NOW_OR_NEVER / 1000),
    ],
)
def test_defaults_follow_what_is_sent(body: dict[str, Any], push_type: PushType, lane: Lane, ttl: float) -> None:
    found = terms(**body)
    assert (found.content.type, found.lane, found.due, found.expires) == (push_type, lane, NOW, NOW + round(ttl * 1000))


def test_only_background_pushes_are_less_urgent_by_default() -> None:
    assert terms(alert=ALERT).content.priority is Priority.HIGH
    assert terms(data={"a": 1}).content.priority is Priority.NORMAL
    assert terms(alert=ALERT).content.on_unknown is OnUnknown.RETRY


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"to": {}, "alert": ALERT}, "/to"),
        ({"to": {"users": ["ann", ""]}, "alert": ALERT}, "/to/users/1"),
        ({"to": {"tags": ["x" * 256]}, "alert": ALERT}, "/to/tags/0"),
        ({"type": "call"}, "/call"),
        ({"type": "call", "call": {"id": ""}}, "/call/id"),
        ({"type": "alert", "alert": ALERT, "call": CALL}, "/call"),
        ({"type": "alert"}, "/alert"),
        ({"type": "background", "alert": ALERT}, "/alert"),
        ({"data": {"aps": {}}}, "/data/aps"),
        ({"alert": ALERT, "collapse_id": "ä" * 33}, "/collapse_id"),
        ({"alert": {}}, "/alert"),
        ({"alert": {"sound": "default", "badge": 1}}, "/alert"),
        ({"type": "alert", "apns": {"headers": {"apns-priority": "5"}}}, "/alert"),
        ({"type": "liveactivity"}, "/liveactivity"),
        ({"type": "alert", "alert": ALERT, "liveactivity": {"event": "end"}}, "/liveactivity"),
        *(({"type": one, "alert": ALERT}, "/alert") for one in SILENT),
        ({"alert": {"badge": "+2"}}, "/alert/badge"),
        ({"alert": {"badge": -1}}, "/alert/badge"),
        ({"alert": ALERT, "ttl": -1}, "/ttl"),
        ({"alert": ALERT, "ttl": MAX_TTL + 1}, "/ttl"),
        ({"alert": ALERT, "send_at": "tomorrow"}, "/send_at"),
        ({"alert": ALERT, "send_at": "2026-11-21T08:00:00"}, "/send_at"),
        ({"alert": ALERT, "send_at": "2036-11-21T08:00:00Z"}, "/send_at"),
        ({"alert": ALERT, "to": {"targets": [RAW | {"kind": "pigeon"}]}}, "/to/targets/0/kind"),
        ({"alert": ALERT, "to": {"targets": [RAW, RAW | {"kind": "apns-voip"}]}}, "/to/targets/1/kind"),
        ({"alert": ALERT, "to": {"targets": [RAW | {"environment": "moon"}]}}, "/to/targets/0/environment"),
        ({"alert": ALERT, "to": {"targets": [RAW | {"value": ""}]}}, "/to/targets/0/value"),
        ({"alert": ALERT, "to": {"targets": [RAW, RAW | {"value": "no hex"}]}}, "/to/targets/1/value"),
        ({"alert": ALERT, "to": {"targets": [RAW | {"value": "abc"}]}}, "/to/targets/0/value"),
        ({"alert": ALERT, "to": {"targets": [RAW | {"value": "a\nb"}]}}, "/to/targets/0/value"),
        ({"alert": ALERT, "to": {"targets": [RAW | {"topic": "com.a\r\nx: y"}]}}, "/to/targets/0/topic"),
        ({"alert": ALERT, "to": {"targets": [RAW | {"project": "../x"}]}}, "/to/targets/0/project"),
        ({"call": CALL, "to": {"targets": [RAW | {"kind": "apns-location"}]}}, "/to/targets/0/kind"),
        (
            {"alert": ALERT, "to": {"targets": [RAW, RAW, {"kind": "fcm", "fcm_topic": "a b"}]}},
            "/to/targets/2/fcm_topic",
        ),
        ({"alert": ALERT, "to": {"targets": [{"kind": "fcm", "value": "/topics/"}]}}, "/to/targets/0/value"),
        ({"alert": ALERT, "to": {"targets": [{"kind": "fcm", "fid": "short"}]}}, "/to/targets/0/fid"),
        ({"alert": ALERT, "to": {"targets": [{"kind": "fcm", "condition": "news"}]}}, "/to/targets/0/condition"),
        (
            {"alert": ALERT, "to": {"targets": [{"kind": "fcm", "condition": "'a' in topics &&"}]}},
            "/to/targets/0/condition",
        ),
        ({"alert": ALERT, "to": {"targets": [{"kind": "fcm", "value": "t", "fid": FID}]}}, "/to/targets/0/value"),
        ({"alert": ALERT, "to": {"targets": [RAW | {"fcm_topic": "news"}]}}, "/to/targets/0/fcm_topic"),
        ({"alert": ALERT, "to": {"targets": [{"kind": "fcm"}]}}, "/to/targets/0/value"),
        (
            {"liveactivity": {"event": "end"}, "to": {"targets": [{"kind": "fcm", "value": v} for v in "tu"]}},
            "/to/targets",
        ),
    ],
)
def test_what_is_wrong_is_named(body: dict[str, Any], pointer: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        terms(**body)
    assert caught.value.pointer == pointer


@pytest.mark.parametrize(
    "body",
    [
        {"type": "alert", "apns": {"payload": {"aps": {"alert": "x"}}}},
        {"alert": {"badge": "+1"}, "apns": {"payload": {"aps": {"sound": "quiet.caf"}}}},
        {"alert": {"localized": {"de": {"title": "Hallo"}}}},
        {"alert": {"title_loc_key": "HELLO"}},
        {"alert": ALERT, "collapse_id": "x" * 64},
        {"call": CALL, "to": {"targets": [RAW | {"kind": "apns-voip"}]}},
        {"liveactivity": {"event": "update"}, "to": {"targets": [RAW]}},
        {"liveactivity": {"event": "update"}, "to": {"targets": [{"kind": "fcm", "value": "t"}]}},
        {"type": "liveactivity", "apns": {"payload": {"aps": {"event": "end"}}}, "to": {"targets": [RAW]}},
    ],
)
def test_what_is_unusual_but_right_is_taken(body: dict[str, Any]) -> None:
    assert terms(**body).expires > NOW


@pytest.mark.parametrize(
    ("target", "value"),
    [
        ({"fid": FID}, FID),
        ({"fcm_topic": "news"}, "/topics/news"),
        ({"fcm_topic": "/topics/news"}, "/topics/news"),
        ({"condition": "'a' in topics && !('b' in topics || 'c' in topics)"}, None),
        ({"value": "/topics/news"}, "/topics/news"),
    ],
)
def test_what_fcm_reaches_besides_tokens_is_a_target(target: dict[str, str], value: str | None) -> None:
    [found] = terms(alert=ALERT, to={"targets": [{"kind": "fcm", **target}]}).audience.targets
    assert found == RawTarget(kind="fcm", value=value or target["condition"])


def test_a_push_to_a_voip_token_that_is_no_call_is_refused_with_the_reason() -> None:
    with pytest.raises(InvalidRequest, match="iOS terminates an app") as caught:
        terms(alert=ALERT, to={"targets": [RAW | {"kind": "apns-voip"}]})
    assert "alert token" in caught.value.fix


def test_a_time_to_send_moves_the_life_of_the_push() -> None:
    found = terms(alert=ALERT, ttl=60, send_at="2026-11-18T20:06:40+01:00")
    assert found.due == 1_795_028_800_000
    assert found.expires == found.due + 60_000


def test_names_said_twice_count_once_and_everyone_includes_them() -> None:
    audience = {"users": ["a", "a"], "devices": ["d", "d"], "targets": [RAW, RAW], "tags": ["t", "t"]}
    found = terms(alert=ALERT, to=audience)
    assert found.named == 3
    assert found.audience.tags == ("t",)
    assert terms(alert=ALERT, to=audience | {"everyone": True}).named == 0


def test_one_raw_token_in_two_spellings_is_one_target() -> None:
    spellings = [RAW, RAW | {"value": RAW["value"].upper()}, {"kind": "fcm", "value": "aB:c"}]
    found = terms(alert=ALERT, to={"targets": spellings}).audience.targets
    assert [target.value for target in found] == ["ab" * 32, "aB:c"]
