"""A portal that is connected by its administrator: from the webhook to the phone, and what the command line says of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from acme import APP, Stack, furnish
from contract import Caller
from processes import Gateway, end, pointing_at, simulator, until

PUBLIC = "https://push.test"
PROOF = "0123456789abcdef0123456789abcdef"
DEAL, TITLE, AMOUNT = 7, "Nine crates of apples", "1250.50"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    directory = tmp_path_factory.mktemp("connected")
    with simulator(directory / "simulator", portal_port=0) as fake:
        settings = f'[bitrix24]\nconnected_hosts = ["localhost", "127.0.0.1"]\nconnected_ca_file = "{fake.ca_file}"\n'
        running = Gateway(directory / "gateway", pointing_at(fake, settings))
        running.start({"WAKELINE_SERVER__PUBLIC_URL": PUBLIC})
        assert running.process is not None
        try:
            with running.client() as http:
                furnish(running, fake)
                yield Stack(gateway=running, simulator=fake, http=http)
        finally:
            end(running.process)


@pytest.fixture(scope="module")
def portal(stack: Stack) -> Any:
    """Connect the portal as its administrator does."""
    change(stack, TITLE=TITLE, OPPORTUNITY=AMOUNT, CURRENCY_ID="EUR", ASSIGNED_BY_ID="1")
    asked: dict[str, dict[str, Any]] = {
        "installations": {
            "app": APP,
            "url": stack.simulator.portal_webhook,
            "application_token": PROOF,
            "prefix": "acme-",
        },
        "rules": {
            "name": "Deals",
            "event": "ONCRMDEALUPDATE",
            "recipients": ["record.ASSIGNED_BY_ID"],
            "title": "{{ record.TITLE }}",
            "body": "{{ record.OPPORTUNITY|money(record.CURRENCY_ID) }}",
        },
    }
    made = [stack.http.post(f"/v1/bitrix24/{noun}", json=body).raise_for_status() for noun, body in asked.items()]
    return made[0].json()


def tried(stack: Stack, **trial: Any) -> Any:
    """Try the rule."""
    return stack.http.post("/v1/bitrix24/rules/try", json={"id": 1, **trial}).raise_for_status().json()


def change(stack: Stack, **fields: str) -> None:
    """Change the deal on the portal."""
    body = {"kind": "deal", "id": DEAL, "fields": fields}
    httpx2.post(f"{stack.simulator.control}/portal/change", json=body, trust_env=False, timeout=60).raise_for_status()


def tell(stack: Stack, portal: Any) -> None:
    """Have the portal's outgoing webhook say that the deal has changed."""
    body = {
        "event": "ONCRMDEALUPDATE",
        "data": {"FIELDS": {"ID": str(DEAL)}},
        "handler": portal["handler"].replace(PUBLIC, stack.gateway.address),
        "auth": {"application_token": PROOF},
    }
    httpx2.post(f"{stack.simulator.control}/portal/event", json=body, trust_env=False, timeout=60).raise_for_status()


def test_a_rule_is_tried_on_a_deal_as_the_portal_has_it_and_nothing_is_sent(stack: Stack, portal: Any) -> None:
    phone = Caller(stack).phone(user="acme-1")
    there, gone = tried(stack, record=DEAL), tried(stack, record=999_999)

    assert portal["state"] == "active"
    assert (there["applies"], there["users"], there["record"]["TITLE"]) == (True, ["acme-1"], TITLE)
    assert there["notification"]["alert"]["title"] == TITLE
    assert (gone["applies"], gone["notification"]) == (False, None)
    assert Caller(stack).received(phone) == []


def test_an_event_becomes_a_push_and_once_more_if_its_administrator_wants_it(stack: Stack, portal: Any) -> None:
    caller, path = Caller(stack), f"/v1/bitrix24/installations/{portal['id']}/events"
    phone = caller.phone(user="acme-1")
    tell(stack, portal)
    [request] = until(lambda: caller.received(phone) or None, "Apple has the push")
    alert = request["body"]["aps"]["alert"]
    [event] = until(
        lambda: stack.http.get(path, params={"state": "done"}).json()["events"] or None, "the event is done"
    )
    again = stack.http.post(f"{path}/{event['id']}/resend").raise_for_status().json()
    until(lambda: caller.received(phone)[1:] or None, "Apple has it once more")

    assert alert["title"] == TITLE
    assert "1\u00a0250.50" in alert["body"]
    assert (event["event"], event["record"], len(event["notifications"])) == ("ONCRMDEALUPDATE", DEAL, 1)
    assert again["origin"] == "resent"
    assert tried(stack, event_id=event["id"])["applies"] is True


def test_a_write_reaches_the_portal_and_its_answer_comes_back(stack: Stack, portal: Any) -> None:
    path = f"/v1/bitrix24/installations/{portal['id']}/writes"
    wrong, kept = [
        stack.http.post(path, json=body).raise_for_status().json()
        for body in (
            {"method": "crm.deal.nonsense"},
            {"method": "crm.deal.add", "params": {"fields": {"TITLE": "Order 1"}}, "key": "order-1"},
        )
    ]

    def settled(write: Any) -> Any:
        found = stack.http.get(f"{path}/{write['id']}").json()
        return found if found["state"] not in ("waiting", "sent") else None

    refused, done = until(lambda: settled(wrong), "it is refused"), until(lambda: settled(kept), "it is done")
    query = {"kind": "deal", "id": str(done["result"])}
    [row] = httpx2.get(f"{stack.simulator.control}/portal/records", params=query, trust_env=False, timeout=60).json()

    assert refused["state"] == "refused"
    assert "ERROR_METHOD_NOT_FOUND" in refused["cause"]
    assert (done["state"], row["TITLE"]) == ("done", "Order 1")


def test_how_the_portal_is_is_said_without_its_secrets(stack: Stack, portal: Any) -> None:
    checks = stack.gateway.json("bitrix24", "audit")["checks"]
    answers = [
        stack.http.get("/v1/bitrix24/installations"),
        stack.http.post(f"/v1/bitrix24/installations/{portal['id']}/verify"),
    ]
    [listed] = answers[0].json()["installations"]
    code = stack.simulator.portal_webhook.rstrip("/").rpartition("/")[2]
    said = "".join(answer.text for answer in answers) + str(checks) + stack.gateway.log.read_text()

    assert {check["name"] for check in checks} == {"connected portals", f"connected portal {portal['id']}"}
    assert {check["status"] for check in checks} == {"ok"}
    assert (listed["state"], listed["prefix"]) == ("active", "acme-")
    assert answers[1].json()["portal"]["state"] == "active"
    assert not [secret for secret in (code, PROOF) if secret in said]
