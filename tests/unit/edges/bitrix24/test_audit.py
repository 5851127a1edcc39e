"""The audit: each thing that keeps a client out is said, with what to do; and nothing else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from wakeline.config import Bitrix24, Server, Settings
from wakeline.edges.bitrix24.audit import Facts, Finding, Grade, audit
from wakeline.edges.bitrix24.scopes import ALL
from wakeline.model.bitrix24.access import IncomingWebhook, PortalApplication, PortalState, PortalUser

DAY = 86_400_000
NOW = 1000 * DAY

GOOD = Facts(
    now=NOW,
    settings=Settings(server=Server(public_url="https://crm.test")),
    portal=PortalState(member_id="m"),
    users=(PortalUser(id=1, admin=True, login="anna", password="hash"),),
    applications=(
        PortalApplication(
            id=1, client_id="local.1", secret=b"", name="Sales", app=4, redirect_uri="https://app.test/", scopes=ALL
        ),
    ),
    webhooks=(IncomingWebhook(id=1, user=1, digest=b"", scopes=("crm",), created=1, used=NOW - 89 * DAY),),
    apps={4: "acme-chat"},
    credentials=frozenset({4}),
)


def troubles(facts: Facts) -> list[Finding]:
    return [one for one in audit(facts) if one.status is not Grade.OK]


def with_(**fields: Any) -> Facts:
    return msgspec.structs.replace(GOOD, **fields)


def application(**fields: Any) -> Facts:
    return with_(applications=(msgspec.structs.replace(GOOD.applications[0], **fields),))


def test_a_portal_that_works_has_no_troubles() -> None:
    assert troubles(GOOD) == []
    assert len(list(audit(GOOD))) == 8


@pytest.mark.parametrize(
    ("facts", "name", "grade", "said"),
    [
        (with_(settings=Settings(server=Server(tls_certificate="x"))), "address", Grade.WARNING, "no name of its own"),
        (with_(settings=Settings(server=Server(public_url="http://a"))), "https", Grade.FAILED, "INVALID_REQUEST"),
        (
            with_(settings=Settings(server=Server(public_url="http://a"), bitrix24=Bitrix24(require_https=False))),
            "https",
            Grade.WARNING,
            "can be read",
        ),
        (with_(portal=PortalState(member_id="m", closed=True)), "portal", Grade.FAILED, "PORTAL_DELETED"),
        (with_(portal=PortalState(member_id="m", blocked=True)), "portal", Grade.FAILED, "OVERLOAD_LIMIT"),
        (with_(portal=PortalState(member_id="m", commercial=False)), "portal", Grade.FAILED, "ACCESS_DENIED"),
        (with_(users=(PortalUser(id=1, login="a", password="h"),)), "users", Grade.WARNING, "administrator"),
        (with_(users=(PortalUser(id=1, admin=True),)), "logins", Grade.WARNING, "login and a password"),
        (with_(applications=()), "applications", Grade.WARNING, "no application"),
        (with_(credentials=frozenset()), "application local.1", Grade.FAILED, "no credential"),
        (application(name=""), "application local.1", Grade.FAILED, "EMPTY_APP_NAME"),
        (application(manifest=False), "application local.1", Grade.FAILED, "MANIFEST"),
        (application(redirect_uri=""), "application local.1", Grade.WARNING, "No address"),
        (application(redirect_uri="http://app.test/"), "application local.1", Grade.WARNING, "plain http"),
        (application(scopes=("crm",)), "application local.1", Grade.WARNING, "scope pull"),
        (application(scopes=("pull", "disk")), "application local.1", Grade.WARNING, "disk"),
        (
            with_(webhooks=(IncomingWebhook(id=2, user=9, digest=b"", scopes=("crm",)),)),
            "webhook 2",
            Grade.FAILED,
            "user 9",
        ),
        (
            with_(webhooks=(IncomingWebhook(id=3, user=1, digest=b"", scopes=("crm",), created=NOW - 91 * DAY),)),
            "webhook 3",
            Grade.WARNING,
            "91 days",
        ),
        (
            with_(webhooks=(msgspec.structs.replace(GOOD.webhooks[0], id=4, scopes=("crm", "crmm")),)),
            "webhook 4",
            Grade.WARNING,
            "crmm",
        ),
    ],
)
def test_each_trouble_is_said_with_what_to_do(facts: Facts, name: str, grade: Grade, said: str) -> None:
    (found,) = troubles(facts)

    assert (found.name, found.status) == (name, grade)
    assert said in found.cause
    assert found.fix


def test_an_address_on_this_machine_may_be_plain() -> None:
    assert troubles(application(redirect_uri="http://localhost:3000/back")) == []


def test_a_portal_without_users_says_so_for_all_that_needs_one() -> None:
    assert [one.name for one in troubles(with_(users=(), webhooks=()))] == ["users", "logins"]


def test_an_oauth_host_is_named() -> None:
    settings = Settings(server=Server(public_url="https://crm.test"), bitrix24=Bitrix24(oauth_hosts=("oauth.test",)))
    assert any("oauth.test" in one.cause for one in audit(with_(settings=settings)))


def test_a_new_webhook_has_its_time() -> None:
    assert troubles(with_(webhooks=(msgspec.structs.replace(GOOD.webhooks[0], created=NOW - DAY, used=0),))) == []
