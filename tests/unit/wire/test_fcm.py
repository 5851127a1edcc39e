from __future__ import annotations

import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from wakeline.model.errors import InvalidRequest, PayloadTooLarge
from wakeline.model.notification import Alert, Call, Content, Notification, Override, PushType, Translation
from wakeline.model.outcome import OutcomeClass
from wakeline.model.route import Lane
from wakeline.wire import fcm


def _refused(content: Content) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        fcm.validate(content)
    return caught.value


@pytest.mark.parametrize(
    ("content", "pointer"),
    [
        (Content(data={"from": "x"}), "/data/from"),
        (Content(data={"message_type": "x"}), "/data/message_type"),
        (Content(data={"google.sent_time": "x"}), "/data/google.sent_time"),
        (Content(data={"gcm.notification.e": "x"}), "/data/gcm.notification.e"),
        (Content(type=PushType.CALL, call=Call(id="1"), data={"call": 1}), "/data/call"),
        (Content(type=PushType.BACKGROUND, alert=Alert(body="seen")), "/alert"),
        (Content(type=PushType.ALERT, alert=Alert(badge="two")), "/alert/badge"),
        (Content(fcm=Override(payload={"token": "x"})), "/fcm/payload/token"),
        (Content(fcm=Override(payload={"message": {}})), "/fcm/payload/message"),
        (Content(fcm=Override(raw={"validate_only": True})), "/fcm/raw/validate_only"),
        (Content(fcm=Override(payload={"andriod": {}})), "/fcm/payload/andriod"),
        (Content(fcm=Override(payload={"android": "high"})), "/fcm/payload/android"),
        (Content(fcm=Override(payload={"data": {"from": 1}})), "/fcm/payload/data/from"),
        (Content(fcm=Override(raw={"android": {"data": {"google.x": 1}}})), "/fcm/raw/android/data/google.x"),
        (Content(fcm=Override(payload={"android": {}, "android_v2": {}})), "/fcm/payload"),
        (Content(fcm=Override(headers={"authorization": "x"})), "/fcm/headers/authorization"),
        (Content(type=PushType.ALERT, alert=Alert(title="\udfff")), "/alert/title"),
    ],
)
def test_content_that_fcm_would_refuse_is_refused_with_its_field(content: Content, pointer: str) -> None:
    assert _refused(content).pointer == pointer


@pytest.mark.parametrize("key", ["google", "gcm", "fromage", "aps", "from_user", "message"])
def test_keys_that_only_look_reserved_pass(key: str) -> None:
    fcm.validate(Content(data={key: "x"}))


@pytest.mark.parametrize(
    ("content", "pointer"),
    [
        (Content(type=PushType.ALERT, alert=Alert(title="t", body="x" * 4100)), "/alert/body"),
        (Content(data={"blob": "x" * 4100}), "/data"),
        (Content(data={"list": list(range(2000))}), "/data"),
        (Content(fcm=Override(payload={"android": {"data": {"blob": "x" * 4100}}})), "/fcm/payload"),
        (Content(fcm=Override(raw={"data": {"blob": "x" * 4100}})), "/fcm/raw"),
        (
            Content(
                type=PushType.ALERT,
                alert=Alert(
                    body="short", localized={"en": Translation(body="ok"), "de": Translation(title="x" * 4100)}
                ),
            ),
            "/alert/localized/de/title",
        ),
    ],
)
def test_a_message_over_the_limit_is_refused_and_names_its_largest_field(content: Content, pointer: str) -> None:
    error = _refused(content)
    assert isinstance(error, PayloadTooLarge)
    assert error.pointer == pointer


def test_options_do_not_count_against_the_limit_and_text_does() -> None:
    small = fcm.measure(Content(data={"a": "b"}))
    assert small.size == len('{"data":{"a":"b"},"apns.payload":{"aps":{"content-available":1}}}')
    assert small.limit == 4096
    room = 4096 - fcm.measure(Content(data={"a": ""})).size
    fcm.validate(Content(data={"a": "x" * room}, collapse_id="c" * 500))
    assert isinstance(_refused(Content(data={"a": "x" * (room + 1)})), PayloadTooLarge)


def _prepared(content: Content) -> fcm.Prepared:
    notification = Notification(key=1 << 40, app=1, content=content, lane=Lane.ALERT, due=0, expires=60_000, created=0)
    return fcm.prepare(notification, 0)


PIECE = st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40) | st.text(
    alphabet=st.sampled_from('a"\\\n\x00\u200d👩🏽🚀🇩🇪\u0301\u05e9\u05d5\u202e'), min_size=1, max_size=40
)
# Repeated, because what is drawn at once is rarely long enough to be shortened.
TEXT = st.builds(lambda piece, times: piece * times, PIECE, st.integers(min_value=0, max_value=400))


@given(title=TEXT, body=TEXT, badge=st.sampled_from([None, 3, "+1"]))
def test_a_truncated_message_fits_and_is_utf8_json(title: str, body: str, badge: int | str | None) -> None:
    assume(title or body)
    content = Content(type=PushType.ALERT, alert=Alert(title=title, body=body, badge=badge), truncate=True)
    fcm.validate(content)
    message = json.loads(_prepared(content).body("token", "", 2**31 - 1 if badge == "+1" else None).decode())["message"]
    counted = {"notification": message.get("notification", {}), "android": message["android"].get("notification", {})}
    assert len(json.dumps(counted, ensure_ascii=False, separators=(",", ":")).encode()) <= 4096 + 40
    shown = counted["notification"].get("body", "")
    assert shown in (body, "") or body.startswith(shown.removesuffix("…"))


def test_what_cannot_be_shortened_is_refused_although_shortening_was_asked_for() -> None:
    assert (
        _refused(Content(type=PushType.ALERT, alert=Alert(body="x"), data={"d": "x" * 4200}, truncate=True)).pointer
        == "/data"
    )


@pytest.mark.parametrize(
    ("value", "field", "name"),
    [
        ("dpFNS8rXQ0:APA91bHun4MxP5egoKMwt2KZFBaFUH-1RYqx", "token", "dpFNS8rXQ0:APA91bHun4MxP5egoKMwt2KZFBaFUH-1RYqx"),
        ("cGxhY2Vob2xkZXIwMDAwMA", "fid", "cGxhY2Vob2xkZXIwMDAwMA"),
        ("gGxhY2Vob2xkZXIwMDAwMA", "token", "gGxhY2Vob2xkZXIwMDAwMA"),
        ("fcm-token-000000000001", "token", "fcm-token-000000000001"),
        ("/topics/news", "topic", "news"),
        ("'a' in topics", "condition", "'a' in topics"),
        ("", "", ""),
        ("line\nbreak", "", ""),
        ("half\ud800", "", ""),
    ],
)
def test_a_target_is_told_by_its_form(value: str, field: str, name: str) -> None:
    assert fcm.address(value) == (field, name)


def test_a_value_that_can_be_no_target_has_no_body() -> None:
    assert _prepared(Content()).body("") == b""


def test_an_empty_raw_message_still_has_its_target() -> None:
    body = _prepared(Content(fcm=Override(raw={}))).body("t")
    assert json.loads(body) == {"message": {"token": "t"}}


def test_the_path_names_the_project() -> None:
    assert fcm.path_of("acme-chat") == b"/v1/projects/acme-chat/messages:send"


def test_an_override_with_a_notification_is_shown_and_not_marked_as_background() -> None:
    body = _prepared(Content(fcm=Override(payload={"notification": {"title": "x"}}))).body("t")
    assert "apns" not in json.loads(body)["message"]


def test_answers_are_read_with_body_and_retry_after() -> None:
    outcome = fcm.read(503, [(b"retry-after", b"12")], b"")
    assert (outcome.outcome_class, outcome.retry_after) == (OutcomeClass.TRANSIENT, 12.0)
    dates = [(b"retry-after", b"Sun, 22 Nov 2026 08:02:00 GMT"), (b"date", b"Sun, 22 Nov 2026 08:00:30 GMT")]
    assert fcm.read(429, dates, b"").retry_after == 90.0
    assert fcm.read(200, (), b'{"name":"projects/p/messages/1"}').provider_id == "projects/p/messages/1"
