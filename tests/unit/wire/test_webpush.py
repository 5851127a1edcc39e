from __future__ import annotations

import base64
import json

import http_ece
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from wakeline.model.errors import InvalidRequest, PayloadTooLarge
from wakeline.model.notification import Alert, Call, Content, Notification, Override, Priority, PushType, Translation
from wakeline.model.outcome import OutcomeClass
from wakeline.model.route import Lane
from wakeline.wire import webpush
from wakeline.wire.webpush.keys import encoded, point_of, private_key
from wakeline.wire.webpush.request import is_topic, topic_of, urgency_of

BROWSER = ec.derive_private_key(7, ec.SECP256R1())
POINT = encoded(point_of(BROWSER.public_key()))
AUTH_BYTES = bytes(range(16))
AUTH = encoded(AUTH_BYTES)
ENDPOINT = "https://push.example.net/wpush/v2/gAAAAABi_x?token=a%2fb"
SUBSCRIPTION = webpush.subscription(ENDPOINT, POINT, AUTH, pointer="")


def _message(content: Content, ttl: int = 60) -> webpush.Prepared:
    notification = Notification(
        key=1 << 40, app=1, content=content, lane=Lane.ALERT, due=0, expires=ttl * 1000, created=0
    )
    return webpush.prepare(notification, 0)


# Subscriptions


def _refused_subscription(endpoint: str = ENDPOINT, p256dh: str = POINT, auth: str = AUTH) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        webpush.subscription(endpoint, p256dh, auth, pointer="/targets/0")
    return caught.value


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "push.example.net/x",
        "ftp://push.example.net/x",
        "https:///x",
        "https://push.example.net:0/x",
        "https://push.example.net:99999/x",
        "https://push.example.net:port/x",
        "https://[::1/x",
        "https://[::zz]/x",
        "https://[fe80::1%25eth0]/x",
        "https://user@push.example.net/x",
        "https://user:secret@push.example.net/x",
        "https://@push.example.net/x",
        "https://push.example.net/x#fragment",
        "https://push.example.net/x y",
        "https://push.example.net/x\r\nhost: y",
        "https://push.example.net\\@evil.example/x",
        "https://pu\u0161h.example.net/x",
        "https://-push.example.net/x",
        "https://push..example.net/x",
        f"https://{'a' * 64}.example.net/x",
        "https://push.example.net/" + "x" * 1000,
        "https://push.example.net/\udc80",
    ],
)
def test_what_is_no_endpoint_is_refused_with_what_to_do(endpoint: str) -> None:
    error = _refused_subscription(endpoint)
    assert error.pointer == "/targets/0/endpoint"
    assert error.fix


def test_plain_http_is_taken_only_where_it_is_allowed() -> None:
    assert "https" in _refused_subscription("http://127.0.0.1:8090/notify/x").detail
    taken = webpush.subscription("http://127.0.0.1:8090/notify/x", POINT, AUTH, pointer="", allow_http=True)
    assert (taken.origin, taken.path) == ("http://127.0.0.1:8090", "/notify/x")


@pytest.mark.parametrize(
    ("endpoint", "origin", "path"),
    [
        ("https://FCM.googleapis.com/fcm/send/a:b", "https://fcm.googleapis.com", "/fcm/send/a:b"),
        ("HTTPS://push.example.net:443/x", "https://push.example.net", "/x"),
        ("https://push.example.net:8443/x?y=z&a", "https://push.example.net:8443", "/x?y=z&a"),
        ("https://push.example.net", "https://push.example.net", "/"),
        ("https://push.example.net?token=1", "https://push.example.net", "/?token=1"),
        ("https://[2001:DB8::1]:8443/x", "https://[2001:db8::1]:8443", "/x"),
        ("https://192.0.2.7/x", "https://192.0.2.7", "/x"),
        ("https://push.example.net/a%2Fb//c;d", "https://push.example.net", "/a%2Fb//c;d"),
    ],
)
def test_the_origin_is_normal_and_the_path_stays_as_given(endpoint: str, origin: str, path: str) -> None:
    taken = webpush.subscription(endpoint, POINT, AUTH, pointer="")
    assert (taken.endpoint, taken.origin, taken.path) == (endpoint, origin, path)


def test_an_endpoint_of_a_thousand_bytes_is_taken() -> None:
    longest = "https://push.example.net/".ljust(1000, "x")
    assert webpush.subscription(longest, POINT, AUTH, pointer="").endpoint == longest


def test_keys_are_taken_in_every_form_of_base64() -> None:
    point, auth = point_of(BROWSER.public_key()), bytes([0xFB, 0xFF] * 8)
    for encode in (base64.urlsafe_b64encode, base64.b64encode):
        for pad in ("", "="):
            keys = [encode(data).decode().rstrip("=") for data in (point, auth)]
            padded = [key + pad * (-len(key) % 4) for key in keys]
            taken = webpush.subscription(ENDPOINT, *padded, pointer="")
            assert (taken.p256dh, taken.auth) == (point, auth)


@pytest.mark.parametrize(
    ("p256dh", "words"),
    [
        ("", "0 bytes"),
        ("not base64!", "not base64url"),
        ("\u00e9", "not base64url"),
        ("A", "not base64url"),
        (AUTH, "16 bytes instead of 65"),
        (encoded(bytes([2]) + bytes(32)), "33 bytes"),
        (encoded(bytes([4]) + bytes(64)), "no point"),
        (encoded(bytes(65)), "no point"),
        (POINT[:-2] + ("AA" if not POINT.endswith("AA") else "BA"), "no point"),
    ],
)
def test_what_is_no_public_key_is_refused(p256dh: str, words: str) -> None:
    error = _refused_subscription(p256dh=p256dh)
    assert (error.pointer, words in error.detail) == ("/targets/0/keys/p256dh", True), error.detail


@pytest.mark.parametrize("auth", ["", "AAAA", "*", POINT])
def test_what_is_no_secret_is_refused(auth: str) -> None:
    assert _refused_subscription(auth=auth).pointer == "/targets/0/keys/auth"


def test_a_subscription_is_stored_in_one_form_and_read_back() -> None:
    padded = base64.b64encode(point_of(BROWSER.public_key())).decode()
    taken = webpush.subscription(ENDPOINT, padded, AUTH + "==", pointer="")
    value = webpush.written(taken)
    assert value == f"{ENDPOINT} {POINT} {AUTH}"
    assert webpush.read_subscription(value) == taken == SUBSCRIPTION


def test_an_endpoint_without_keys_is_stored_and_read_back_and_nothing_is_encrypted_for_it() -> None:
    taken = webpush.bare(ENDPOINT, pointer="")
    assert webpush.read_subscription(webpush.written(taken)) == taken
    assert taken.bare
    assert not SUBSCRIPTION.bare


@pytest.mark.parametrize(
    "value", ["", "token", f"{ENDPOINT} {POINT}", f"{ENDPOINT}  {POINT} {AUTH}", f"x {POINT} {AUTH}"]
)
def test_what_was_not_written_by_us_is_refused(value: str) -> None:
    with pytest.raises(InvalidRequest):
        webpush.read_subscription(value)


@given(
    endpoint=st.text(max_size=60)
    | st.text(alphabet="htps:/@[]%.#?0123456789abcdef-", max_size=40).map("https://".__add__)
    | st.from_regex(r"https?://[a-z0-9.:\[\]-]{0,30}/[!-~]{0,20}", fullmatch=True),
    key=st.text(max_size=90) | st.binary(max_size=70).map(encoded) | st.just(POINT),
    auth=st.text(max_size=30) | st.just(AUTH),
)
def test_whatever_is_registered_is_refused_or_kept_and_read_back(endpoint: str, key: str, auth: str) -> None:
    try:
        taken = webpush.subscription(endpoint, key, auth, pointer="", allow_http=True)
    except InvalidRequest as error:
        refused = error.pointer
    else:
        refused = ""
        assert webpush.read_subscription(webpush.written(taken)) == taken
        assert taken.origin.startswith(("https://", "http://"))
        assert taken.path.startswith("/")
    assert refused in {"", "/endpoint", "/keys/p256dh", "/keys/auth"}


def test_a_subscription_shows_neither_endpoint_nor_secret() -> None:
    assert repr(SUBSCRIPTION) == "Subscription(origin='https://push.example.net')"


# Bodies


@given(
    text=st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=600),
    seed=st.binary(min_size=48, max_size=48),
    scalar=st.integers(min_value=1, max_value=2**200),
)
def test_a_browser_reads_what_was_written(text: str, seed: bytes, scalar: int) -> None:
    key = ec.derive_private_key(scalar, ec.SECP256R1())
    browser = webpush.subscription(ENDPOINT, encoded(point_of(key.public_key())), AUTH, pointer="")
    message = _message(Content(type=PushType.ALERT, alert=Alert(body=text or "x")))
    body = message.body(browser, "", seed)
    plaintext = http_ece.decrypt(body, private_key=key, auth_secret=AUTH_BYTES)
    assert plaintext == message.plaintext()
    assert json.loads(plaintext)["body"] == (text or "x")
    assert (body[:16], len(body)) == (seed[:16], len(plaintext) + 103)
    assert body == message.body(browser, "", seed)


def test_the_largest_message_is_one_record_of_4096_bytes() -> None:
    room = webpush.LIMIT - webpush.measure(Content(type=PushType.ALERT, alert=Alert(body="x"))).size + 1
    content = Content(type=PushType.ALERT, alert=Alert(body="x" * room))
    webpush.validate(content)
    body = _message(content).body(SUBSCRIPTION, "", bytes(range(48)))
    assert len(body) == webpush.BODY_LIMIT == 4096
    assert int.from_bytes(body[16:20], "big") == 4096
    assert len(http_ece.decrypt(body, private_key=BROWSER, auth_secret=AUTH_BYTES)) == 3993


def test_another_salt_or_seed_is_another_body() -> None:
    message = _message(Content(data={"a": 1}))
    bodies = {message.body(SUBSCRIPTION, "", bytes([n]) * 16 + bytes([m]) * 32) for n in (1, 2) for m in (1, 2)}
    assert len(bodies) == 4


@pytest.mark.parametrize("entropy", [b"", bytes(47), bytes(49)])
def test_too_little_entropy_is_a_defect(entropy: bytes) -> None:
    with pytest.raises(ValueError, match="48 bytes"):
        _message(Content()).body(SUBSCRIPTION, "", entropy)


def test_a_seed_that_is_no_scalar_still_makes_a_key() -> None:
    keys = {private_key(seed).private_numbers().private_value for seed in (bytes(32), b"\xff" * 32)}
    assert len(keys) == 2
    assert private_key((5).to_bytes(32, "big")).private_numbers().private_value == 5


# What is asked of the push service


@pytest.mark.parametrize("topic", ["chat", "inbox-42", "a_b-cd", "0" * 32, "ab", "abc"])
def test_a_collapse_id_that_can_be_a_topic_is_the_topic(topic: str) -> None:
    assert is_topic(topic)
    assert topic_of(topic) == topic


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=64))
def test_every_topic_is_one_that_base64_can_have(collapse_id: str) -> None:
    topic = topic_of(collapse_id)
    assert is_topic(topic)
    assert topic == topic_of(collapse_id)
    base64.urlsafe_b64decode(topic + "=" * (-len(topic) % 4))


@pytest.mark.parametrize("collapse_id", ["a", "abcde", "neue-angebote", "x" * 33, "a b", "chat/1", "\u00e4"])
def test_a_collapse_id_that_cannot_be_a_topic_is_hashed(collapse_id: str) -> None:
    assert len(topic_of(collapse_id)) == 32


@pytest.mark.parametrize(
    ("push_type", "urgencies"),
    [
        (PushType.CALL, ["high", "high", "high"]),
        (PushType.ALERT, ["high", "normal", "low"]),
        (PushType.BACKGROUND, ["normal", "low", "very-low"]),
    ],
)
def test_urgency_follows_type_and_priority(push_type: PushType, urgencies: list[str]) -> None:
    assert [urgency_of(Content(type=push_type, priority=priority)) for priority in Priority] == urgencies


# VAPID


def test_a_token_is_shared_for_hours_and_always_valid_for_less_than_a_day() -> None:
    start = 1_795_305_600
    for origin in ("https://a.example", "https://b.example:8443"):
        expiries = [webpush.expiry(origin, now) for now in range(start, start + 86_400, 60)]
        assert len(set(expiries)) in {4, 5}
        left = [expiry - now for expiry, now in zip(expiries, range(start, start + 86_400, 60), strict=True)]
        assert min(left) > 6 * 3600 - 60
        assert max(left) <= 12 * 3600
    assert webpush.expiry("https://a.example", start) != webpush.expiry("https://b.example:8443", start)


def test_whoever_holds_the_key_makes_the_same_token() -> None:
    now = 1_795_305_600
    tokens = {webpush.vapid(BROWSER, "https://a.example", "mailto:ops@example.com", now) for _ in range(3)}
    assert len(tokens) == 1
    assert webpush.vapid(BROWSER, "https://b.example", "mailto:ops@example.com", now) not in tokens


def test_a_token_without_a_contact_has_no_sub() -> None:
    token = webpush.vapid(BROWSER, "https://a.example", "", 1_795_305_600).split(" ")[1]
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert sorted(claims) == ["aud", "exp"]


# What is refused


def _refused(content: Content) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        webpush.validate(content)
    return caught.value


@pytest.mark.parametrize(
    ("content", "pointer"),
    [
        (Content(type=PushType.BACKGROUND, alert=Alert(body="seen")), "/alert"),
        (Content(type=PushType.ALERT, alert=Alert(badge="two")), "/alert/badge"),
        (Content(type=PushType.ALERT, alert=Alert(title="\udfff")), "/alert/title"),
        (Content(webpush=Override(headers={"authorization": "x"})), "/webpush/headers/authorization"),
        (Content(webpush=Override(headers={"content-encoding": "aesgcm"})), "/webpush/headers/content-encoding"),
        (Content(webpush=Override(headers={"crypto-key": "x"})), "/webpush/headers/crypto-key"),
        (Content(webpush=Override(headers={"TTL": "5"})), "/webpush/headers/TTL"),
        (Content(webpush=Override(headers={"ttl": "soon"})), "/webpush/headers/ttl"),
        (Content(webpush=Override(headers={"ttl": "2419201"})), "/webpush/headers/ttl"),
        (Content(webpush=Override(headers={"urgency": "urgent"})), "/webpush/headers/urgency"),
        (Content(webpush=Override(headers={"topic": "neue-angebote"})), "/webpush/headers/topic"),
        (Content(webpush=Override(headers={"topic": "a/b"})), "/webpush/headers/topic"),
    ],
)
def test_content_that_a_push_service_would_refuse_is_refused_with_its_field(content: Content, pointer: str) -> None:
    assert _refused(content).pointer == pointer


def test_what_others_reserve_is_free_here() -> None:
    call = Content(type=PushType.CALL, call=Call(id="1"), data={"aps": 1, "from": "x", "call": 2})
    webpush.validate(call)
    assert json.loads(_message(call).plaintext())["data"] == {"aps": 1, "from": "x", "call": 2}


@pytest.mark.parametrize(
    ("content", "pointer"),
    [
        (Content(type=PushType.ALERT, alert=Alert(title="t", body="x" * 4000)), "/alert/body"),
        (Content(data={"blob": "x" * 4000}), "/data"),
        (Content(webpush=Override(payload={"blob": "x" * 4000})), "/webpush/payload"),
        (Content(webpush=Override(raw={"blob": "x" * 4000})), "/webpush/raw"),
        (
            Content(
                type=PushType.ALERT,
                alert=Alert(
                    body="short", localized={"en": Translation(body="ok"), "de": Translation(title="x" * 4000)}
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


def test_the_measure_is_what_is_sent() -> None:
    for content in (
        Content(type=PushType.ALERT, alert=Alert(title="t", body="b", badge=2147483647), collapse_id="c" * 40),
        Content(type=PushType.CALL, call=Call(id="1", caller="Anna")),
        Content(data={"a": "\u00e9"}),
        Content(webpush=Override(raw={"a": 1})),
    ):
        assert webpush.measure(content).size == len(_message(content).plaintext())


@given(
    body=st.builds(
        lambda piece, times: piece * times,
        st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
        | st.text(
            alphabet=st.sampled_from('a"\\\n\x00\u200d\U0001f469\U0001f3fd\U0001f1e9\u0301'), min_size=1, max_size=30
        ),
        st.integers(min_value=0, max_value=400),
    ),
    badge=st.sampled_from([None, 3, "+1"]),
)
def test_a_truncated_message_fits(body: str, badge: int | str | None) -> None:
    content = Content(type=PushType.ALERT, alert=Alert(title="t", body=body, badge=badge), truncate=True)
    webpush.validate(content)
    plaintext = _message(content).plaintext("", 2147483647 if badge == "+1" else None)
    assert len(plaintext) <= webpush.LIMIT
    assert json.loads(plaintext)["title"] == "t"


# Answers


def test_the_messages_address_is_its_id_at_the_provider() -> None:
    location = b"https://push.example.net/message/qDIYHNcfAIPP_5ITvURr"
    accepted = webpush.read(201, [(b"location", location)])
    assert (accepted.outcome_class, accepted.provider_id) == (OutcomeClass.ACCEPTED, location.decode())
    assert webpush.read(201, [(b"apns-id", b"5A1")]).provider_id == "5A1"
    assert webpush.read(202).provider_id == ""


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ([(b"retry-after", b"7")], 7.0),
        ([(b"retry-after", b"Sun, 22 Nov 2026 04:10:00 GMT"), (b"date", b"Sun, 22 Nov 2026 04:05:00 GMT")], 300.0),
        ([(b"retry-after", b"Sunday, 22-Nov-26 04:10:00 GMT"), (b"date", b"Sun Nov 22 04:05:00 2026")], 300.0),
        ([(b"retry-after", b"Sun, 22 Nov 2026 04:00:00 GMT"), (b"date", b"Sun, 22 Nov 2026 04:05:00 GMT")], 0.0),
        ([(b"retry-after", b"Sun, 22 Nov 2026 04:10:00 GMT")], 60.0),
        ([(b"retry-after", b"-5")], 60.0),
        ([(b"retry-after", b"99999999999")], 60.0),
        ([(b"retry-after", b"Sun, 99 Nov 2026 04:10:00 GMT"), (b"date", b"Sun, 22 Nov 2026 04:05:00 GMT")], 60.0),
        ([(b"retry-after", b"\xff")], 60.0),
        ([], 60.0),
    ],
)
def test_retry_after_is_read_as_seconds_and_as_a_date(headers: list[tuple[bytes, bytes]], wait: float) -> None:
    outcome = webpush.read(429, headers)
    assert (outcome.outcome_class, outcome.retry_after) == (OutcomeClass.THROTTLED, wait)
