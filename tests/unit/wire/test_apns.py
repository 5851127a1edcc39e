from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from wakeline.model.credential import Credential, CredentialKind
from wakeline.model.device import TargetKind
from wakeline.model.errors import InvalidRequest, PayloadTooLarge
from wakeline.model.ids import delivery_id, key_at
from wakeline.model.notification import Alert, Call, Content, Notification, Override, Priority, PushType, Translation
from wakeline.model.outcome import Action, OutcomeClass
from wakeline.model.route import Environment, Lane, ProviderKind
from wakeline.wire import apns
from wakeline.wire.apns.types import priority_of

# Apple, "Sending notification requests to APNs": type, suffix of the topic, bytes.
TYPES = [
    (PushType.ALERT, "alert", "", 4096),
    (PushType.BACKGROUND, "background", "", 4096),
    (PushType.CALL, "voip", ".voip", 5120),
    (PushType.LIVEACTIVITY, "liveactivity", ".push-type.liveactivity", 4096),
    (PushType.LOCATION, "location", ".location-query", 4096),
    (PushType.COMPLICATION, "complication", ".complication", 4096),
    (PushType.FILEPROVIDER, "fileprovider", ".pushkit.fileprovider", 4096),
    (PushType.MDM, "mdm", "", 4096),
    (PushType.PUSHTOTALK, "pushtotalk", ".voip-ptt", 4096),
    (PushType.WIDGETS, "widgets", ".push-type.widgets", 4096),
    (PushType.CONTROLS, "controls", ".push-type.controls", 4096),
]


@pytest.mark.parametrize(("push_type", "name", "suffix", "limit"), TYPES)
def test_each_push_type_has_its_topic_and_limit(push_type: PushType, name: str, suffix: str, limit: int) -> None:
    rule = apns.rule_for(push_type)
    assert (rule.name, rule.limit) == (name, limit)
    assert apns.topic_for(push_type, "com.example.app") == f"com.example.app{suffix}"
    assert apns.bundle_of(f"com.example.app{suffix}") == "com.example.app"


def test_all_push_types_and_all_token_kinds_of_apns_are_served() -> None:
    assert set(apns.RULES) == set(PushType)
    assert {rule.kind for rule in apns.RULES.values()} == {
        kind for kind in TargetKind if kind.provider is ProviderKind.APNS
    }


@pytest.mark.parametrize(
    ("push_type", "wish", "priority"),
    [
        (PushType.ALERT, Priority.HIGH, 10),
        (PushType.ALERT, Priority.NORMAL, 5),
        (PushType.ALERT, Priority.LOW, 5),
        (PushType.BACKGROUND, Priority.HIGH, 5),
        (PushType.CALL, Priority.LOW, 10),
        (PushType.COMPLICATION, Priority.LOW, 1),
        (PushType.LIVEACTIVITY, Priority.LOW, 5),
    ],
)
def test_the_priority_is_the_nearest_that_the_type_takes(push_type: PushType, wish: Priority, priority: int) -> None:
    assert priority_of(apns.rule_for(push_type), wish) == priority


def _credential(kind: CredentialKind, *topics: str) -> Credential:
    return Credential(id=1, app=1, kind=kind, environments=(Environment.PRODUCTION,), topics=topics)


KEY, CERTIFICATE = CredentialKind.APNS_KEY, CredentialKind.APNS_CERTIFICATE


@pytest.mark.parametrize(
    ("push_type", "bundle", "kind", "topics", "expected"),
    [
        (PushType.ALERT, "a.b", KEY, (), "a.b"),
        (PushType.CALL, "a.b", KEY, (), "a.b.voip"),
        (PushType.CALL, "a.b", KEY, ("a.b",), "a.b.voip"),
        (PushType.CALL, "a.c", KEY, ("a.b",), ""),
        (PushType.ALERT, "", KEY, ("a.b",), "a.b"),
        (PushType.ALERT, "", KEY, ("a.b", "a.c"), ""),
        (PushType.ALERT, "", KEY, (), ""),
        (PushType.LOCATION, "a.b", KEY, (), "a.b.location-query"),
        # a certificate covers exactly what is in it
        (PushType.ALERT, "a.b", CERTIFICATE, ("a.b", "a.b.voip"), "a.b"),
        (PushType.CALL, "a.b", CERTIFICATE, ("a.b", "a.b.voip"), "a.b.voip"),
        (PushType.CALL, "a.b", CERTIFICATE, ("a.b",), ""),
        (PushType.CALL, "", CERTIFICATE, ("a.b", "a.b.voip", "a.b.complication"), "a.b.voip"),
        (PushType.CALL, "a.b.voip", CERTIFICATE, ("a.b.voip",), "a.b.voip"),
        (PushType.ALERT, "a.b", CERTIFICATE, (), "a.b"),
        (PushType.LOCATION, "a.b", CERTIFICATE, ("a.b.location-query",), ""),
        # an app whose bundle id ends like a suffix
        (PushType.CALL, "a.voip", KEY, (), "a.voip.voip"),
        (PushType.CALL, "a.voip", KEY, ("a.voip",), "a.voip.voip"),
        (PushType.CALL, "a.voip", KEY, ("a",), "a.voip"),
    ],
)
def test_the_topic_is_one_that_the_credential_covers(
    push_type: PushType, bundle: str, kind: CredentialKind, topics: tuple[str, ...], expected: str
) -> None:
    assert apns.topic_with(apns.rule_for(push_type), bundle, _credential(kind, *topics)) == expected


def _nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def _languages(number: int) -> dict[str, Translation]:
    return {f"x-{at}": Translation(body="b") for at in range(number)}


def test_data_may_be_nested_and_spoken_in_every_language() -> None:
    alert = Alert(title="t", localized=_languages(300))
    apns.check(Content(type=PushType.ALERT, alert=alert, data={"deep": _nested(62)}))


def _refused(content: Content, kind: str = "") -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        apns.validate(content, kind)
    return caught.value


@pytest.mark.parametrize(
    ("content", "pointer"),
    [
        (Content(data={"aps": {}}), "/data/aps"),
        (Content(type=PushType.CALL, call=Call(id="1"), data={"call": 1}), "/data/call"),
        (Content(type=PushType.BACKGROUND, alert=Alert(body="seen")), "/alert"),
        (Content(type=PushType.ALERT, alert=Alert(badge="+2")), "/alert/badge"),
        (Content(type=PushType.ALERT, alert=Alert(badge=-1)), "/alert/badge"),
        (Content(collapse_id="é" * 33), "/collapse_id"),
        (Content(collapse_id="a\nb"), "/collapse_id"),
        (Content(apns=Override(headers={"apns-priority": "10"})), "/apns/headers/apns-priority"),
        (
            Content(type=PushType.ALERT, alert=Alert(body="x"), apns=Override(headers={"apns-priority": "1"})),
            "/apns/headers/apns-priority",
        ),
        (Content(apns=Override(headers={"apns-expiration": "soon"})), "/apns/headers/apns-expiration"),
        (Content(apns=Override(headers={"apns-push-type": "shout"})), "/apns/headers/apns-push-type"),
        (Content(apns=Override(headers={"apns-collapse-id": "x" * 65})), "/apns/headers/apns-collapse-id"),
        (Content(apns=Override(headers={"apns-id": "1"})), "/apns/headers/apns-id"),
        (Content(apns=Override(headers={"authorization": "bearer x"})), "/apns/headers/authorization"),
        (Content(apns=Override(headers={":path": "/"})), "/apns/headers/:path"),
        (Content(apns=Override(headers={"Apns-Topic": "x"})), "/apns/headers/Apns-Topic"),
        (Content(apns=Override(headers={"x/y": "1"})), "/apns/headers/x~1y"),
        (Content(apns=Override(headers={"apns-topic": "com.example.other"})), "/apns/headers/apns-topic"),
        (Content(apns=Override(headers={"x-note": "a\r\nb: c"})), "/apns/headers/x-note"),
        (Content(apns=Override(headers={"content-length": "1"})), "/apns/headers/content-length"),
        (Content(apns=Override(headers={"x-http-method-override": "GET"})), "/apns/headers/x-http-method-override"),
        (Content(apns=Override(headers={f"x-{number}": "1" for number in range(17)})), "/apns/headers"),
        (Content(apns=Override(headers={"x-long": "1" * 2050})), "/apns/headers"),
        (Content(data={"deep": _nested(64)}), "/data"),
        (Content(type=PushType.ALERT, apns=Override(raw={"deep": _nested(2000)})), "/apns/raw"),
        (Content(type=PushType.ALERT, alert=Alert(localized=_languages(301))), "/alert/localized"),
        (Content(type=PushType.ALERT, alert=Alert(body="x" * 16_385), truncate=True), "/alert/body"),
        (
            Content(type=PushType.ALERT, alert=Alert(localized={"de": Translation(title="x" * 16_385)}), truncate=True),
            "/alert/localized/de/title",
        ),
        (Content(type=PushType.ALERT, alert=Alert(localized={"-" * 65: Translation(body="x")})), "/alert/localized"),
        (Content(type=PushType.ALERT, alert=Alert(body="\ud83d")), "/alert/body"),
        (Content(data={"a/b": ["ok", "\udc00"]}), "/data/a~1b/1"),
        (Content(data={"\ud800": 1}), "/data"),
    ],
)
def test_content_that_apns_would_refuse_is_refused_with_its_field(content: Content, pointer: str) -> None:
    assert _refused(content).pointer == pointer


@pytest.mark.parametrize(
    ("content", "pointer"),
    [
        (Content(type=PushType.ALERT, alert=Alert(title="t", body="x" * 4100)), "/alert/body"),
        (Content(type=PushType.ALERT, alert=Alert(title="x" * 4100, body="b")), "/alert/title"),
        (Content(data={"blob": "x" * 4100}), "/data"),
        (Content(apns=Override(payload={"blob": "x" * 4100})), "/apns/payload"),
        (Content(apns=Override(raw={"aps": {"content-available": 1}, "blob": "x" * 4100})), "/apns/raw"),
        (
            Content(
                type=PushType.ALERT,
                alert=Alert(body="short", localized={"en": Translation(body="ok"), "de": Translation(body="x" * 4100)}),
            ),
            "/alert/localized/de/body",
        ),
    ],
)
def test_a_payload_over_the_limit_is_refused_and_names_its_largest_field(content: Content, pointer: str) -> None:
    error = _refused(content)
    assert isinstance(error, PayloadTooLarge)
    assert error.pointer == pointer


def test_a_call_may_have_5120_bytes_and_its_alert_form_4096() -> None:
    content = Content(type=PushType.CALL, call=Call(id="1"), data={"blob": "x" * 4500})
    apns.validate(content)
    assert isinstance(_refused(content, TargetKind.APNS), PayloadTooLarge)
    assert apns.measure(content).limit == 5120


def test_the_limit_is_exact() -> None:
    def content(size: int) -> Content:
        return Content(type=PushType.ALERT, alert=Alert(body="x" * size))

    overhead = apns.measure(content(1)).size - 1
    assert apns.measure(content(4096 - overhead)).size == 4096
    apns.validate(content(4096 - overhead))
    assert isinstance(_refused(content(4097 - overhead)), PayloadTooLarge)


def test_a_counted_badge_is_measured_with_its_longest_number() -> None:
    plain = apns.measure(Content(type=PushType.ALERT, alert=Alert(body="x"))).size
    assert (
        apns.measure(Content(type=PushType.ALERT, alert=Alert(body="x", badge="+1"))).size
        == plain + len(',"badge":') + 10
    )


def _prepared(content: Content, kind: str = "") -> apns.Prepared:
    notification = Notification(
        key=key_at(1_795_305_600_000, 1), app=1, content=content, lane=Lane.ALERT, due=0, expires=60_001, created=0
    )
    return apns.prepare(notification, "a.b", apns.rule_for(content.type, kind))


def test_the_id_of_a_request_is_the_deliverys_id() -> None:
    prepared = _prepared(Content())
    assert prepared.id_of(77).decode() == delivery_id(key_at(1_795_305_600_000, 1), 77)


def test_expiration_is_rounded_up_to_whole_seconds() -> None:
    assert dict(_prepared(Content()).literal)[b"apns-expiration"] == b"61"


def test_headers_of_one_notification_or_device_are_never_among_those_to_be_indexed() -> None:
    prepared = _prepared(Content(type=PushType.ALERT, apns=Override(headers={"apns-priority": "5", "x-own": "1"})))
    assert [name for name, _ in prepared.stable] == [b"apns-topic", b"apns-push-type", b"apns-priority"]
    assert {name for name, _ in prepared.literal} == {b"apns-expiration", b"apns-collapse-id", b"x-own"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("00AAff", b"00aaff"),
        ("ab" * 80, b"ab" * 80),
        ("", b""),
        ("xyz", b""),
        ("aa/../bb", b""),
        ("aa\n", b""),
        ("٣٣", b""),
    ],
)
def test_tokens_are_hexadecimal_of_any_length(value: str, expected: bytes) -> None:
    assert apns.normal_token(value) == expected


def test_a_uniform_notification_has_one_body_for_all() -> None:
    assert _prepared(Content(type=PushType.ALERT, alert=Alert(body="x"))).is_uniform
    assert not _prepared(Content(type=PushType.ALERT, alert=Alert(body="x", badge="+1"))).is_uniform
    assert not _prepared(Content(type=PushType.ALERT, alert=Alert(localized={"de": Translation(body="x")}))).is_uniform
    assert _prepared(Content(type=PushType.ALERT, alert=Alert(badge="+1"), apns=Override(raw={"a": 1}))).is_uniform


PIECE = st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40) | st.text(
    alphabet=st.sampled_from('a"\\\n\x00\u200d👩🏽🚀🇩🇪\u0301\u05e9\u05d5\u202e'), min_size=1, max_size=40
)
# Repeated, because what is drawn at once is rarely long enough to be shortened.
TEXT = st.builds(lambda piece, times: piece * times, PIECE, st.integers(min_value=0, max_value=400))


@given(title=TEXT, body=TEXT, badge=st.sampled_from([None, 3, "+1"]), data=st.integers(min_value=0, max_value=3000))
def test_a_truncated_payload_never_exceeds_the_limit_and_is_utf8_json(
    title: str, body: str, badge: int | str | None, data: int
) -> None:
    content = Content(
        type=PushType.ALERT, alert=Alert(title=title, body=body, badge=badge), data={"d": "x" * data}, truncate=True
    )
    assume(title or body)
    apns.validate(content)
    prepared = _prepared(content)
    written = prepared.body("", 2**31 - 1 if badge == "+1" else None)
    assert len(written) <= 4096
    alert: dict[str, Any] = json.loads(written.decode())["aps"].get("alert", {})
    for name, given_text in (("title", title), ("body", body)):
        shown = alert.get(name, "")
        assert shown in (given_text, "") or given_text.startswith(shown.removesuffix("…"))


def test_what_cannot_be_shortened_is_refused_although_shortening_was_asked_for() -> None:
    content = Content(type=PushType.ALERT, alert=Alert(body="x"), data={"d": "x" * 4200}, truncate=True)
    assert _refused(content).pointer == "/data"


def test_answers_are_read_with_their_reason_timestamp_and_ids() -> None:
    outcome = apns.read(
        410,
        [(b"apns-id", b"eabeae54-14a8-11e5-b60b-1697f925ec7b")],
        b'{"reason":"Unregistered","timestamp":1637679125000}',
    )
    assert (outcome.action, outcome.since) == (Action.RETIRE, 1637679125000)
    assert outcome.provider_id == "eabeae54-14a8-11e5-b60b-1697f925ec7b"
    sandbox = apns.read(200, [(b"apns-id", b"a"), (b"apns-unique-id", b"b")])
    assert sandbox.provider_id == "b"
    assert sandbox.accepted


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"reason":7,"timestamp":"x"}', b'{"reason":null,"timestamp":-1}', b"\xff\xfe"]
)
def test_unreadable_answers_are_judged_by_their_status(body: bytes) -> None:
    outcome = apns.read(503, [(b"retry-after", b"30")], body)
    assert (outcome.outcome_class, outcome.reason, outcome.retry_after) == (OutcomeClass.TRANSIENT, "", 30.0)
    assert apns.read(410, (), body).since is None


def test_a_retry_after_that_is_no_number_of_seconds_is_left_out() -> None:
    assert apns.read(429, [(b"retry-after", b"Wed, 21 Oct 2026 07:28:00 GMT")], b"").retry_after is None


def test_the_guide_has_the_table_that_is_enforced() -> None:
    guide = Path(__file__).parents[3] / "docs" / "guide" / "push-types.md"
    rows = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in guide.read_text().splitlines()]
    told = {row[0]: row[1:6] for row in rows if len(row) == 7 and row[0] in set(PushType)}
    topics = {"bundle id": "", "the certificate's own": ""}
    for push_type, rule in apns.RULES.items():
        name, topic, priorities, limit, kind = told[push_type]
        assert (name, topics.get(topic, topic), int(limit), kind) == (rule.name, rule.suffix, rule.limit, rule.kind)
        assert {int(number) for number in re.findall(r"\d+", priorities)} == set(rule.priorities)
