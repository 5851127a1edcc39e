"""Rules over REST: judged whole before they are kept, tried without sending."""

from __future__ import annotations

from typing import Any

import pytest

from unit.edges.rest.gateway import Gateway
from unit.edges.rest.test_bitrix24_connected import APPLICATION, connected, installed
from unit.edges.rest.test_bitrix24_outbox import event_of
from wakeline.connectors.bitrix24.kinds import KINDS, Change

pytestmark = pytest.mark.anyio

RULES = "/v1/bitrix24/rules"
RULE = {
    "name": "Deals",
    "event": "onCrmDealUpdate",
    "recipients": ["record.ASSIGNED_BY_ID"],
    "title": "{{ record.TITLE }}",
    "body": "{{ record.OPPORTUNITY }}",
}


async def kept(gateway: Gateway, **more: Any) -> Any:
    """Keep a rule and return it."""
    answer = await gateway.call("POST", RULES, json=RULE | more)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_rule_is_kept_shown_changed_and_forgotten(gateway: Gateway) -> None:
    rule = await kept(gateway, data={"deal": "{{ record.ID }}"}, ttl=60, priority="high")
    path = f"{RULES}/{rule['id']}"
    patch = {"enabled": False, "ttl": None, "type": "background", "event": "*"}
    changed = (await gateway.call("PATCH", path, json=patch)).json()

    assert (rule["event"], rule["enabled"], rule["type"]) == ("ONCRMDEALUPDATE", True, "alert")
    assert (await gateway.call("GET", f"{RULES}/Deals")).json() == changed
    assert changed == rule | patch
    assert (await gateway.call("GET", RULES)).json()["rules"] == [changed]
    assert (await gateway.call("DELETE", path)).status_code == 204
    assert (await gateway.call("DELETE", path)).status_code == 404


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"recipients": []}, "/recipients"),
        ({"recipients": [""]}, "/recipients/0"),
        ({"event": "ON CRM"}, "/event"),
        ({"installation": 9}, "/installation"),
        ({"title": "", "body": ""}, "/title"),
        ({"type": "call"}, "/caller"),
        ({"recipients": ["record."]}, "/recipients/0"),
        ({"condition": "record.STAGE_ID =="}, "/condition"),
        ({"data": {"deal": "{% for %}"}}, "/data/deal"),
        ({"type": "voip"}, "/type"),
        ({"type": "mdm"}, "/type"),
        ({"ttl": -1}, "/ttl"),
        ({"body": "{{ record.TITLE"}, "/body"),
        ({"name": ""}, "/name"),
        ({"colour": "red"}, "/colour"),
    ],
)
async def test_a_rule_that_cannot_work_is_refused_at_its_field(gateway: Gateway, wrong: Any, pointer: str) -> None:
    there = await kept(gateway, name="there")
    answers = [
        await gateway.call("POST", RULES, json=RULE | wrong),
        await gateway.call("PATCH", f"{RULES}/{there['id']}", json=wrong),
        await gateway.call("POST", f"{RULES}/try", json={"rule": RULE | wrong, "event": "ONTASKADD"}),
    ]

    assert [answer.status_code for answer in answers] == [422, 422, 422]
    assert [answer.json()["errors"][0]["pointer"] for answer in answers] == [pointer, pointer, f"/rule{pointer}"]
    assert len(gateway.store.portal_rules.all()) == 1


async def test_two_rules_do_not_have_one_name(gateway: Gateway) -> None:
    await kept(gateway)
    other = await kept(gateway, name="Other")

    assert (await gateway.call("POST", RULES, json=RULE)).status_code == 409
    assert (await gateway.call("PATCH", f"{RULES}/{other['id']}", json={"name": "Deals"})).status_code == 409


async def test_every_change_of_rules_is_said_to_the_portals(gateway: Gateway) -> None:
    rule = await kept(gateway)
    await gateway.call("PATCH", f"{RULES}/{rule['id']}", json={"event": "ONTASKADD"})
    await gateway.call("DELETE", f"{RULES}/{rule['id']}")
    await gateway.call("POST", RULES, json=RULE | {"event": "none at all"})

    assert gateway.portals.heard == ["rules"] * 3


async def test_a_portal_shows_the_events_that_its_rules_and_its_mirror_wish_for(gateway: Gateway) -> None:
    one, webhook = await installed(gateway), await connected(gateway)
    await kept(gateway, installation=webhook["id"])
    await kept(gateway, name="all", event="ONTASKADD")
    await kept(gateway, name="off", event="ONLEADADD", enabled=False)
    path = "/v1/bitrix24/installations"
    mirrored = (await gateway.call("PATCH", f"{path}/{one.id}", json={"mirror": True})).json()
    shown = (await gateway.call("GET", f"{path}/{webhook['id']}")).json()
    kinds = [kind.event(change) for kind in KINDS for change in (Change.ADD, Change.UPDATE, Change.DELETE)]

    assert shown["events"] == ["ONCRMDEALUPDATE", "ONTASKADD"]
    assert set(mirrored["events"]) == {"ONTASKADD", *kinds}
    assert len(mirrored["events"]) == len(set(mirrored["events"]))


async def test_a_rule_is_tried_on_a_recorded_event_and_nothing_is_sent(gateway: Gateway) -> None:
    one = (await connected(gateway))["id"]
    event = await event_of(gateway, one, 5)
    for body in ({"rule": RULE}, {"id": (await kept(gateway))["id"]}):
        answer = (await gateway.call("POST", f"{RULES}/try", json=body | {"event_id": event.id})).json()
        assert (answer["applies"], answer["users"], answer["record"]) == (True, ["m:7"], {"ID": "5"})
        assert answer["notification"]["to"] == {"users": ["m:7"]}
        assert gateway.portals.tried[-1] == event
    assert await gateway.store.queue.pending() == 0


@pytest.mark.parametrize(
    ("event", "body", "data"),
    [
        ("ONCRMDEALUPDATE", {"record": 7}, b'{"FIELDS":{"ID":"7"}}'),
        ("ONTASKADD", {"record": 7}, b'{"FIELDS_AFTER":{"ID":"7"}}'),
        ("ONCRMLEADADD", {"data": {"FIELDS": {"ID": 7}}}, b'{"FIELDS":{"ID":"7"}}'),
    ],
)
async def test_a_rule_is_tried_on_an_event_that_never_was(gateway: Gateway, event: str, body: Any, data: bytes) -> None:
    one = (await connected(gateway))["id"]
    await gateway.call("POST", f"{RULES}/try", json={"rule": RULE | {"event": event}, "user": 3} | body)
    (tried,) = gateway.portals.tried

    assert (tried.installation, tried.event, tried.data, tried.record, tried.user) == (one, event, data, 7, 3)


async def test_a_trial_that_does_not_apply_says_why(gateway: Gateway) -> None:
    await connected(gateway)
    answer = (await gateway.call("POST", f"{RULES}/try", json={"rule": RULE, "event": "ontaskadd"})).json()

    assert (answer["applies"], answer["notification"]) == (False, None)
    assert "ONCRMDEALUPDATE" in answer["cause"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/rule"),
        ({"rule": RULE, "id": 1}, "/rule"),
        ({"rule": RULE, "event_id": 99}, "/event_id"),
        ({"rule": RULE, "event_id": 99, "record": 1}, "/record"),
        ({"rule": RULE, "record": 1, "data": {}}, "/record"),
        ({"rule": RULE, "installation": 99}, "/installation"),
        ({"rule": RULE}, "/installation"),
        ({"rule": RULE | {"event": "*"}, "installation": 1}, "/event"),
    ],
)
async def test_a_trial_that_cannot_be_made_is_refused_at_its_field(gateway: Gateway, body: Any, pointer: str) -> None:
    await connected(gateway)
    await connected(gateway, APPLICATION)
    answer = await gateway.call("POST", f"{RULES}/try", json=body)

    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_a_rule_is_not_tried_where_no_portal_is(gateway: Gateway) -> None:
    answer = await gateway.call("POST", f"{RULES}/try", json={"rule": RULE})

    assert (answer.status_code, answer.json()["detail"]) == (422, "no portal is connected")
