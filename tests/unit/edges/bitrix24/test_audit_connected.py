"""The audit of connected portals: each thing that keeps events from becoming pushes is said, with what to do."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from wakeline.config import Server, Settings
from wakeline.edges.bitrix24.audit import Finding, Grade
from wakeline.edges.bitrix24.audit_connected import ConnectedFacts, audit
from wakeline.model.bitrix24.installation import (
    BY_MEMBER_ID,
    ApplicationAccess,
    Installation,
    InstallationState,
    Tokens,
    WebhookAccess,
)
from wakeline.model.bitrix24.rule import Rule

MINUTE = 60_000
NOW = 1_795_000_000_000
PORTAL = Installation(
    id=3,
    name="n",
    app=4,
    access=WebhookAccess(url="https://acme.test/rest/1/secret/"),
    client_endpoint="https://acme.test/rest/",
    member_id="abc",
    application_token="proof",
    prefix="abc:",
    state=InstallationState.ACTIVE,
    reached=NOW - MINUTE,
)
GOOD = ConnectedFacts(
    now=NOW,
    settings=Settings(server=Server(public_url="https://push.test")),
    installations=(PORTAL,),
    rules=(Rule(id=1, name="r", event="*", recipients=("7",)),),
    apps={4: "acme-chat"},
    credentials=frozenset({4}),
    events={3: NOW + MINUTE},
    writes={},
    doubtful={},
)
APPLICATION = ApplicationAccess(client_id="local.1", client_secret="secret")


def held(*, days: int = 0) -> ApplicationAccess:
    """Return access by tokens that were renewed so long ago."""
    pair = Tokens(access="a", refresh="r", access_expires=NOW - days * 86_400_000)
    return msgspec.structs.replace(APPLICATION, tokens=pair)


def with_(**fields: Any) -> ConnectedFacts:
    return msgspec.structs.replace(GOOD, **fields)


def portal(**fields: Any) -> ConnectedFacts:
    return with_(installations=(msgspec.structs.replace(PORTAL, **fields),))


def troubles(facts: ConnectedFacts) -> list[Finding]:
    return [one for one in audit(facts) if one.status is not Grade.OK]


def test_a_portal_that_works_has_no_troubles_and_says_who_its_users_are() -> None:
    address, fine = audit(GOOD)

    assert troubles(GOOD) == []
    assert "https://push.test" in address.cause
    assert "abc:7" in fine.cause


def test_who_is_connected_to_nobody_hears_nothing() -> None:
    assert list(audit(with_(installations=()))) == []


@pytest.mark.parametrize(
    ("facts", "grade", "cause", "fix"),
    [
        (with_(settings=Settings()), Grade.FAILED, "how portals reach", "public_url"),
        (with_(settings=Settings(server=Server(public_url="http://a"))), Grade.WARNING, "in clear", "https"),
        (
            portal(state=InstallationState.DEAD, cause="it was deleted"),
            Grade.FAILED,
            "it was deleted",
            "change 3 --url",
        ),
        (portal(state=InstallationState.DEAD, access=APPLICATION), Grade.FAILED, "no more", "Install"),
        (portal(state=InstallationState.WAITING, access=APPLICATION), Grade.FAILED, "not yet", "portal show 3"),
        (portal(application_token=""), Grade.FAILED, "believed", "--application-token"),
        (portal(access=APPLICATION), Grade.FAILED, "no tokens", "Install the application"),
        (portal(access=held(days=60)), Grade.WARNING, "60 days ago", "portal verify 3"),
        (portal(application_token="", access=held()), Grade.WARNING, "first event", "Change a record"),
        (portal(prefix=BY_MEMBER_ID, member_id=""), Grade.WARNING, "No event", "--prefix"),
        (portal(client_endpoint="http://intra.test/rest/"), Grade.WARNING, "in clear", "https"),
        (with_(rules=()), Grade.WARNING, "No rule", "rule add"),
        (with_(credentials=frozenset()), Grade.FAILED, "acme-chat has no credential", "credential add"),
        (portal(reached=NOW - 60 * MINUTE), Grade.WARNING, "60 minutes", "portal verify 3"),
        (with_(events={3: NOW - 11 * MINUTE}), Grade.WARNING, "first event", "portal events 3"),
        (with_(writes={3: NOW - 30 * MINUTE}), Grade.WARNING, "30 minutes", "portal writes 3"),
        (with_(doubtful={3: 2}), Grade.WARNING, "2 writes", "--state doubtful"),
    ],
)
def test_each_trouble_is_said_with_what_to_do(facts: ConnectedFacts, grade: Grade, cause: str, fix: str) -> None:
    (found,) = troubles(facts)

    assert found.status is grade
    assert cause in found.cause
    assert fix in found.fix


def test_tokens_that_are_renewed_in_time_are_no_trouble() -> None:
    assert troubles(portal(access=held(days=59))) == []


@pytest.mark.parametrize("use", ["mirror", "telephony"])
def test_a_portal_without_rules_may_serve_something_else(use: str) -> None:
    served = portal(access=held(), **{use: True})
    assert troubles(msgspec.structs.replace(served, rules=())) == []


def test_no_finding_bears_a_secret() -> None:
    for facts in (GOOD, portal(state=InstallationState.DEAD), portal(application_token="")):
        assert not [one for one in audit(facts) if "secret" in str(one) or "proof" in str(one)]


def installed(*scopes: str) -> ApplicationAccess:
    tokens = Tokens(access="a", refresh="r", access_expires=NOW, scopes=scopes)
    return msgspec.structs.replace(APPLICATION, tokens=tokens)


def test_calls_want_an_application_that_may_register_them() -> None:
    [by_webhook] = troubles(portal(telephony=True))
    [narrow] = troubles(portal(telephony=True, access=installed("crm", "task")))

    assert (by_webhook.status, narrow.status) == (Grade.WARNING, Grade.FAILED)
    assert "local application" in by_webhook.fix
    assert "telephony" in narrow.cause
    for access in (installed("crm", "telephony"), installed()):
        assert troubles(portal(telephony=True, access=access)) == []
    assert troubles(portal(access=installed("crm"))) == []
