"""Pushes by an external push URI: whose values are filled in, and what an answer means."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from sip_nouns import voip
from wakeline.model.errors import InvalidRequest
from wakeline.model.notification import Alert, Call, Content, PushType
from wakeline.model.outcome import Action
from wakeline.model.sip.push import PushParams, PushProvider, PushTexts, PushToken
from wakeline.wire.credential_file import Expectation, inspect
from wakeline.wire.flexisip.external import Method, Template, phone_of, read, read_phone, request, template_of

URI = "https://gw.example/push?type=$type&token=$token&app=$app-id&e=$event&c=$call-id&f=$from-uri&n=$from-name&u=$uid&m=$msgid"
BOTH = PushParams(
    provider=PushProvider.APNS,
    param="T.org.x.voip&remote",
    prid="",
    tokens=(
        PushToken(service="voip", value="aa", topic="org.x.voip"),
        PushToken(service="remote", value="bb", topic="org.x"),
    ),
    texts=PushTexts(call="RING"),
)
CALL = Content(type=PushType.CALL, call=Call(id="c 1", caller="Al"), data={"from-uri": "sip:al@ex.org", "other": 1})


def query(content: Content, value: str, uri: str = URI) -> dict[str, list[str]]:
    found = request(Template(uri), content, read_phone(value))
    return parse_qs(urlsplit(found.url).query)


def test_a_call_goes_with_the_voip_token_and_the_facts_of_the_call() -> None:
    assert query(CALL, phone_of(BOTH, "urn:uuid:7")) == {
        "type": ["apple"],
        "token": ["aa"],
        "app": ["org.x.voip.prod"],
        "e": ["call"],
        "c": ["c 1"],
        "f": ["sip:al@ex.org"],
        "n": ["Al"],
        "u": ["urn:uuid:7"],
        "m": ["RING"],
    }


@pytest.mark.parametrize(("kind", "event"), [(PushType.ALERT, ["message"]), (PushType.BACKGROUND, None)])
def test_all_else_goes_with_the_other_token(kind: PushType, event: list[str] | None) -> None:
    found = query(Content(type=kind), phone_of(BOTH))
    assert (found["token"], found["app"], found.get("e"), found["m"]) == (["bb"], ["org.x.prod"], event, ["IM_MSG"])


def test_a_phone_with_one_token_is_told_by_it() -> None:
    assert query(CALL, phone_of(voip("ab", "org.y")))["token"] == ["ab"]


def test_a_phone_may_be_registered_by_hand() -> None:
    assert query(Content(), "token=a%26b&type=mine")["token"] == ["a&b"]


def test_the_text_of_an_alert_is_posted() -> None:
    content = Content(type=PushType.ALERT, alert=Alert(title="Al", body="Höllo"))
    phone = read_phone("token=t")
    assert request(Template(URI, Method.POST), content, phone).body == "Höllo".encode()
    assert request(Template(URI, Method.GET), content, phone).body == b""


@pytest.mark.parametrize(
    "value", ["", "t", "type=apple", "token=", "token=t&colour=red", "token=t&", "&".join(["token=t"] * 99)]
)
def test_what_is_no_phone_is_refused(value: str) -> None:
    with pytest.raises(InvalidRequest):
        read_phone(value)


@pytest.mark.parametrize(
    ("status", "action", "code"),
    [
        (200, Action.DONE, 0),
        (202, Action.DONE, 0),
        (302, Action.RETRY, 902),
        (400, Action.FAIL, 913),
        (401, Action.HOLD, 904),
        (403, Action.HOLD, 904),
        (404, Action.FAIL, 913),
        (410, Action.RETIRE, 911),
        (422, Action.FAIL, 913),
        (429, Action.RETRY, 914),
        (500, Action.RETRY, 902),
        (503, Action.RETRY, 902),
        (99, Action.RETRY, 902),
    ],
)
def test_what_an_answer_means(status: int, action: Action, code: int) -> None:
    found = read(status, {"retry-after": "7"}, b'{"reason":"no such token"}')
    assert (found.action, found.code, found.status) == (action, code, status)
    if status == 429:
        assert found.retry_after == 7.0


def judged(text: str, **more: str) -> tuple[str, str]:
    found = inspect(text.encode(), Expectation(now=0))
    return found.verdict.grade.value, " ".join(found.verdict.notes)


def test_a_file_with_an_external_push_uri_is_a_credential() -> None:
    found = inspect(
        b'{"external_push_uri": "%s", "method": "POST"}' % URI.encode(), Expectation(now=0, topics=("org.x",))
    )
    assert found.facts is not None
    assert found.secret is not None
    assert (found.facts.kind, found.facts.topics, found.verdict.grade) == ("external_push", ("org.x",), "ok")
    assert template_of(found.secret.private_key) == Template(URI, Method.POST)
    assert "gw.example" not in repr(found.secret) + repr(template_of(found.secret.private_key))


@pytest.mark.parametrize(
    ("text", "grade", "words"),
    [
        ('{"external_push_uri": 1}', "refused", "no text"),
        ('{"external_push_uri": "https://$token.example/"}', "refused", "path and query"),
        ('{"external_push_uri": "file:///etc/passwd"}', "refused", "http"),
        ('{"external_push_uri": "https://h/$token", "method": "PUT"}', "refused", "GET nor POST"),
        ('{"external_push_uri": "https://h/$uid"}', "warning", "$token"),
        ('{"external_push_uri": "http://h/$token"}', "warning", "allow_http"),
    ],
)
def test_a_file_that_cannot_work_says_why(text: str, grade: str, words: str) -> None:
    found = judged(text)
    assert found[0] == grade
    assert words in found[1]
