"""Rules: from an event and its record to a notification's request."""

from __future__ import annotations

import msgspec
import pytest

from wakeline.connectors.bitrix24.rules import Facts, Outcome, compiled, variables
from wakeline.model.bitrix24.installation import Installation, InstallationState, WebhookAccess
from wakeline.model.bitrix24.records import Fields, RecordKind
from wakeline.model.bitrix24.rule import Rule
from wakeline.model.errors import InvalidRequest
from wakeline.model.notification import Alert, Priority, PushType

PORTAL = Installation(
    id=1,
    name="n1",
    app=1,
    access=WebhookAccess(url="https://acme.example/rest/1/s3cretcode/"),
    client_endpoint="https://acme.example/rest/",
    member_id="m1",
    prefix="m1:",
    title="Acme",
    state=InstallationState.ACTIVE,
)
DEAL: Fields = {"ID": "7", "TITLE": "Pumps", "OPPORTUNITY": "1250.50", "CURRENCY_ID": "EUR", "ASSIGNED_BY_ID": "3"}
RULE = Rule(
    id=1,
    name="won",
    event="ONCRMDEALUPDATE",
    recipients=("record.ASSIGNED_BY_ID",),
    title="{{ deal.TITLE }}",
    body="{{ deal.OPPORTUNITY|money(deal.CURRENCY_ID) }}",
)


def rule(**changes: object) -> Rule:
    return msgspec.structs.replace(RULE, **changes)


def facts(**changes: object) -> Facts:
    known = Facts(event="ONCRMDEALUPDATE", data={}, installation=PORTAL, user=5, kind=RecordKind.DEAL, record=DEAL)
    return msgspec.structs.replace(known, **changes)


def applied(one: Rule, known: Facts | None = None) -> Outcome:
    return compiled(one).apply(variables(known or facts()), PORTAL, "call-1")


def test_a_rule_makes_an_alert_with_the_record_in_it() -> None:
    one = rule(
        data={"deal": "{{ deal.ID }}", "link": "{{ portal.url }}/crm/deal/details/{{ deal.ID }}/"},
        image="https://a.example/{{ deal.ID }}.png",
        collapse="deal-{{ deal.ID }}",
        priority=Priority.NORMAL,
        ttl=60,
    )
    found = applied(one)
    assert found.users == ("m1:3",)
    assert found.request is not None
    assert found.request.to.users == ("m1:3",)
    assert found.request.type is PushType.ALERT
    assert found.request.alert == Alert(title="Pumps", body="1\u00a0250.50\u00a0EUR", image="https://a.example/7.png")
    assert found.request.data == {"deal": "7", "link": "https://acme.example/crm/deal/details/7/"}
    assert (found.request.collapse_id, found.request.ttl) == ("deal-7", 60)
    assert found.request.priority is Priority.NORMAL


def test_a_rule_without_its_condition_does_not_apply() -> None:
    found = applied(rule(condition="deal.OPPORTUNITY|float > 5000"))
    assert (found.applies, found.request) == (False, None)
    assert applied(rule(condition="deal.OPPORTUNITY|float > 1000")).request is not None
    assert applied(rule(condition="  ")).request is not None


@pytest.mark.parametrize(
    ("recipients", "users"),
    [
        (("7",), ("m1:7",)),
        (("record.ASSIGNED_BY_ID", "7", "'3'"), ("m1:3", "m1:7")),
        (("[record.ASSIGNED_BY_ID, user, none, 0, '']",), ("m1:3", "m1:5")),
        (("record.OBSERVERS",), ("m1:8", "m1:9")),
        (("responsible",), ("m1:3",)),
        (("7.0",), ("m1:7",)),
    ],
)
def test_recipients_are_numbers_lists_of_them_and_users(recipients: tuple[str, ...], users: tuple[str, ...]) -> None:
    known = facts(record={**DEAL, "OBSERVERS": ["8", "9", "8"]}, responsible={"ID": "3"})
    assert applied(rule(recipients=recipients), known).users == users


def test_nobody_is_told_if_the_recipients_are_nobody() -> None:
    found = applied(rule(recipients=("record.ASSIGNED_BY_ID",)), facts(record={**DEAL, "ASSIGNED_BY_ID": None}))
    assert (found.applies, found.request, found.cause) == (True, None, "the recipients are nobody")


@pytest.mark.parametrize("value", ["Anna", "-3", True, {"NAME": "x"} | {"ID": "x"}, 3.5])
def test_a_recipient_that_is_no_number_is_a_failure(value: object) -> None:
    with pytest.raises(InvalidRequest, match="no number of a user") as refused:
        applied(rule(), facts(record={**DEAL, "ASSIGNED_BY_ID": value}))
    assert refused.value.pointer == "/recipients/0"


def test_a_notification_has_no_more_recipients_than_it_takes_by_name() -> None:
    crowd = [str(number) for number in range(1, 401)]
    known = facts(record={**DEAL, "A": crowd, "B": [str(number) for number in range(401, 601)]})
    with pytest.raises(InvalidRequest, match="500 are the most"):
        applied(rule(recipients=("record.A", "record.B")), known)


def test_a_call_rings_with_the_caller_that_the_rule_names() -> None:
    one = rule(
        event="ONEXTERNALCALLSTART",
        type=PushType.CALL,
        recipients=("call.USER_ID",),
        caller="{{ contact.NAME if contact else call.PHONE_NUMBER }}",
    )
    known = facts(event="ONEXTERNALCALLSTART", data={"USER_ID": "4", "PHONE_NUMBER": "+4930"}, kind=None, record=None)
    found = applied(one, known)
    assert found.users == ("m1:4",)
    assert found.request is not None
    assert found.request.call is not None
    assert (found.request.call.id, found.request.call.caller) == ("call-1", "+4930")
    with_contact = applied(one, msgspec.structs.replace(known, kind=RecordKind.CONTACT, record={"NAME": "Anna"}))
    assert with_contact.request is not None
    assert with_contact.request.call is not None
    assert with_contact.request.call.caller == "Anna"


def test_a_background_push_has_data_and_shows_nothing() -> None:
    found = applied(rule(type=PushType.BACKGROUND, title="", body="", data={"id": "{{ deal.ID }}"}))
    assert found.request is not None
    assert (found.request.alert, found.request.data) == (None, {"id": "7"})


def test_an_alert_that_turns_out_empty_is_not_sent() -> None:
    found = applied(rule(title="{{ deal.COMMENTS }}", body=""), facts(record={**DEAL, "COMMENTS": None}))
    assert (found.applies, found.request, found.cause) == (True, None, "title and body are empty")


def test_long_texts_are_cut_and_long_addresses_are_refused() -> None:
    long = facts(record={**DEAL, "COMMENTS": "x" * 60_000})
    found = applied(rule(title="{{ deal.COMMENTS }}", body="{{ deal.COMMENTS }}"), long)
    assert found.request is not None
    assert found.request.alert is not None
    assert (len(found.request.alert.title), len(found.request.alert.body)) == (300, 4000)
    with pytest.raises(InvalidRequest, match="image: more than 1024"):
        applied(rule(image="https://a.example/{{ deal.COMMENTS }}"), long)
    with pytest.raises(InvalidRequest, match="data/x: more than 1000"):
        applied(rule(data={"x": "{{ deal.COMMENTS }}"}), long)


def test_a_long_collapse_id_is_told_by_its_digest() -> None:
    first, again, other = (
        applied(rule(collapse="\u00e4" * 60 + tail)).request for tail in ("{{ deal.ID }}", "{{ deal.ID }}", "x")
    )
    assert first is not None
    assert again is not None
    assert other is not None
    assert len(first.collapse_id.encode()) == 64
    assert first.collapse_id == again.collapse_id != other.collapse_id


def test_the_way_into_the_portal_is_no_variable() -> None:
    known = variables(facts())
    assert known["portal"] == {"member_id": "m1", "title": "Acme", "url": "https://acme.example"}
    assert "s3cretcode" not in repr(known)


def test_a_record_that_is_too_large_is_not_looked_into() -> None:
    huge: Fields = {f"UF_{number}": "x" * 4096 for number in range(400)}
    with pytest.raises(InvalidRequest, match="characters"):
        variables(facts(record=huge))
    deep: object = "x"
    for _ in range(50):
        deep = [deep]
    assert variables(facts(record={"UF_DEEP": deep})) is not None


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"condition": "deal.TITLE ="}, "/condition"),
        ({"recipients": ("7", "{{ 7 }}")}, "/recipients/1"),
        ({"recipients": ()}, "/recipients"),
        ({"title": "{{ deal.TITLE"}, "/title"),
        ({"body": "{{ nobody }}"}, "/body"),
        ({"image": "{% include 'x' %}"}, "/image"),
        ({"collapse": "{{ deal|x }}"}, "/collapse"),
        ({"data": {"a": "{{ deal() }}"}}, "/data/a"),
        ({"event": "deal changed"}, "/event"),
        ({"event": ""}, "/event"),
        ({"type": PushType.LIVEACTIVITY}, "/type"),
        ({"title": " ", "body": ""}, "/title"),
        ({"type": PushType.CALL}, "/caller"),
    ],
)
def test_a_wrong_rule_is_refused_with_the_field_named(changes: dict[str, object], pointer: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        compiled(rule(**changes))
    assert refused.value.pointer == pointer
    assert refused.value.detail.startswith(pointer[1:])


def test_what_goes_wrong_while_a_rule_is_applied_names_the_field() -> None:
    with pytest.raises(InvalidRequest) as refused:
        applied(rule(body="{{ deal.NOPE }}"))
    assert refused.value.pointer == "/body"
    assert "there is no NOPE" in refused.value.detail
