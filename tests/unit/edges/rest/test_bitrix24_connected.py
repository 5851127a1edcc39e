"""Administration of connected Bitrix24 portals: connecting, changing, forgetting; secrets come in and never out."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from unit.edges.rest.gateway import Gateway
from wakeline.config import Bitrix24
from wakeline.model.bitrix24.installation import ApplicationAccess, Installation, InstallationState, Tokens
from wakeline.model.bitrix24.outbox import PortalWrite
from wakeline.model.errors import PortalRefused, PortalUnreachable
from wakeline.model.key import Scope

pytestmark = pytest.mark.anyio

ALL = "/v1/bitrix24/installations"
CODE = "s3cr3tw3bh00k"
WEBHOOK = {"app": "acme-chat", "url": f"https://acme.bitrix24.com/rest/1/{CODE}/"}
APPLICATION = {
    "app": "acme-chat",
    "domain": "acme.bitrix24.com",
    "client_id": "local.0123456789abcdef.01234567",
    "client_secret": "T0PS3CR3T",
}


async def connected(gateway: Gateway, body: dict[str, Any] = WEBHOOK, **more: Any) -> Any:
    """Connect a portal and return its view."""
    if gateway.ports.apps.get("acme-chat") is None:
        await gateway.with_app()
    answer = await gateway.call("POST", ALL, json=body | more)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def installed(gateway: Gateway, **more: Any) -> Installation:
    """Connect an application and have it installed, as the portal's own word does it."""
    shown = await connected(gateway, APPLICATION, **more)
    store = gateway.store.installations
    one = store.by_id(shown["id"])
    assert one is not None
    await store.change(msgspec.structs.replace(one, member_id="abc", state=InstallationState.ACTIVE))
    tokens = Tokens(access="ACC3SS", refresh="R3FR3SH", access_expires=1, user=7, scopes=("crm",))
    assert await store.keep_tokens(one.id, tokens, instead_of="")
    gateway.portals.member_id = "abc"
    found = store.by_id(one.id)
    assert found is not None
    return found


async def test_a_webhook_is_tried_and_then_kept(gateway: Gateway) -> None:
    shown = await connected(gateway, title="Acme")
    kept = gateway.store.installations.by_id(shown["id"])

    assert kept is not None
    assert (shown["state"], shown["access"], shown["user"], shown["host"]) == (
        "active",
        "webhook",
        1,
        "acme.bitrix24.com",
    )
    assert kept.client_endpoint == "https://acme.bitrix24.com/rest/"
    assert shown["handler"] == f"http://127.0.0.1:8750/bitrix24/events/{kept.name}"
    assert (shown["proven"], shown["reached"]) == (False, None)
    assert gateway.portals.heard == [f"connected {kept.id}"]


async def test_a_webhook_that_does_not_work_is_not_kept_and_the_cause_is_passed_on(gateway: Gateway) -> None:
    await gateway.with_app()
    gateway.portals.down = PortalUnreachable("acme.bitrix24.com has no address", fix="Check the name.", retry_after=1)
    answer = await gateway.call("POST", ALL, json=WEBHOOK)

    assert (answer.status_code, answer.json()["fix"]) == (503, "Check the name.")
    assert gateway.store.installations.all() == []


async def test_an_application_waits_for_its_installation(gateway: Gateway) -> None:
    shown = await connected(gateway, APPLICATION)
    refused = await gateway.call("POST", f"{ALL}/{shown['id']}/verify")

    assert (shown["state"], shown["access"], shown["client_id"]) == ("waiting", "application", APPLICATION["client_id"])
    assert refused.status_code == 409
    assert shown["handler"] in refused.json()["fix"]


async def test_no_answer_bears_a_secret(gateway: Gateway) -> None:
    one = await installed(gateway, application_token="PR00F")
    webhook = await connected(gateway, application_token="PR00F2")
    answers = [
        await gateway.call("GET", ALL),
        await gateway.call("GET", f"{ALL}/{one.id}"),
        await gateway.call("GET", f"{ALL}/{webhook['id']}"),
        await gateway.call("PATCH", f"{ALL}/{one.id}", json={"title": "x", "client_secret": "T0PS3CR3T2"}),
        await gateway.call("POST", f"{ALL}/{one.id}/verify"),
        await gateway.call("GET", "/v1/bitrix24/audit"),
        await gateway.call("POST", ALL, json=WEBHOOK),
    ]

    said = "".join(answer.text for answer in answers) + str(webhook)
    assert not [secret for secret in (CODE, "T0PS3CR3T", "PR00F", "ACC3SS", "R3FR3SH") if secret in said]
    kept = gateway.store.installations.by_id(one.id)
    assert kept is not None
    assert isinstance(kept.access, ApplicationAccess)
    assert kept.access.client_secret == "T0PS3CR3T2"


@pytest.mark.parametrize(
    ("said", "endpoint"),
    [
        ({"url": "https://ACME.bitrix24.com/rest/1/abcdE/profile.json"}, "https://acme.bitrix24.com/rest/"),
        ({"url": " https://acme.test:8443/rest/1/abcdE "}, "https://acme.test:8443/rest/"),
    ],
)
async def test_a_webhook_may_be_pasted_as_the_portal_shows_it(gateway: Gateway, said: Any, endpoint: str) -> None:
    shown = await connected(gateway, WEBHOOK | said)
    assert shown["client_endpoint"] == endpoint


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        (WEBHOOK | {"app": "none"}, "/app"),
        (WEBHOOK | {"url": "https://acme.bitrix24.com/"}, "/url"),
        (WEBHOOK | {"url": "ftp://acme.bitrix24.com/rest/1/abcde/"}, "/url"),
        (WEBHOOK | {"url": "http://acme.bitrix24.com/rest/1/abcde/"}, "/url"),
        (WEBHOOK | {"url": "https://acme.test:99999/rest/1/abcde/"}, "/url"),
        (WEBHOOK | {"url": "https://[::/rest/1/abcde/"}, "/url"),
        (WEBHOOK | {"url": "https://a@acme.test/rest/1/abcde/"}, "/url"),
        (WEBHOOK | {"domain": "acme.bitrix24.com"}, "/domain"),
        ({"app": "acme-chat"}, "/domain"),
        ({"app": "acme-chat", "domain": "acme.test"}, "/client_id"),
        ({"app": "acme-chat", "domain": "acme.test", "client_id": "local.1"}, "/client_secret"),
        (APPLICATION | {"domain": "not a host"}, "/domain"),
        (APPLICATION | {"domain": "http://acme.test"}, "/domain"),
        (APPLICATION | {"prefix": "a\nb"}, "/prefix"),
        (APPLICATION | {"secret": "x"}, "/secret"),
    ],
)
async def test_what_is_wrong_is_said_at_its_field(gateway: Gateway, wrong: Any, pointer: str) -> None:
    await gateway.with_app()
    answer = await gateway.call("POST", ALL, json=wrong)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert gateway.store.installations.all() == []


async def test_a_portal_in_the_operators_own_network_may_be_asked_in_clear(gateway: Gateway) -> None:
    gateway.ports.settings = msgspec.structs.replace(
        gateway.ports.settings, bitrix24=Bitrix24(connected_hosts=("intra.test",))
    )
    shown = await connected(gateway, APPLICATION, domain="http://intra.test:8080/some/page")

    assert shown["client_endpoint"] == "http://intra.test:8080/rest/"


async def test_the_same_access_twice_is_a_conflict_that_names_the_first(gateway: Gateway) -> None:
    first = await connected(gateway)
    await connected(gateway, APPLICATION)
    for body in (WEBHOOK, APPLICATION):
        answer = await gateway.call("POST", ALL, json=body)
        assert answer.status_code == 409
    assert f"/{first['id']}`" in (await gateway.call("POST", ALL, json=WEBHOOK)).json()["fix"]


async def test_users_have_the_portals_id_before_their_number_unless_chosen_otherwise(gateway: Gateway) -> None:
    one = await installed(gateway)
    path = f"{ALL}/{one.id}"
    changed = [
        (await gateway.call("PATCH", path, json={"prefix": prefix})).json()["prefix"] for prefix in ("", "sales-", None)
    ]

    assert (one.prefix, changed) == ("abc:", ["", "sales-", "abc:"])


@pytest.mark.parametrize(("prefix", "mixes"), [("acme", True), ("acme7", True), ("", False), ("acme-", False)])
async def test_users_of_two_portals_are_never_called_the_same_in_one_app(
    gateway: Gateway, prefix: str, mixes: bool
) -> None:
    await connected(gateway, prefix="acme")
    await connected(gateway, APPLICATION, prefix="acme")  # the same portal, and the same users
    other = {**APPLICATION, "domain": "emca.bitrix24.com"}

    answer = await gateway.call("POST", ALL, json={**other, "prefix": prefix})
    if mixes:
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (409, "/prefix")
        shown = await connected(gateway, other)
        answer = await gateway.call("PATCH", f"{ALL}/{shown['id']}", json={"prefix": prefix})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (409, "/prefix")
    else:
        assert answer.status_code == 201


async def test_one_portal_is_mirrored_and_the_next_is_told_which(gateway: Gateway) -> None:
    first = await connected(gateway, mirror=True)
    await gateway.call("POST", ALL, json=APPLICATION)
    second = gateway.store.installations.all()[-1]
    refused = [
        await gateway.call("POST", ALL, json=APPLICATION | {"client_id": "local.2", "mirror": True}),
        await gateway.call("PATCH", f"{ALL}/{second.id}", json={"mirror": True}),
    ]
    assert [answer.status_code for answer in refused] == [409, 409]
    assert all(answer.json()["errors"][0]["pointer"] == "/mirror" for answer in refused)

    await gateway.call("PATCH", f"{ALL}/{first['id']}", json={"mirror": False})
    moved = await gateway.call("PATCH", f"{ALL}/{second.id}", json={"mirror": True})
    assert moved.json()["mirror"] is True


async def test_a_new_webhook_takes_the_place_of_a_dead_one_once_it_works(gateway: Gateway) -> None:
    shown = await connected(gateway)
    store, path = gateway.store.installations, f"{ALL}/{shown['id']}"
    one = store.by_id(shown["id"])
    assert one is not None
    await store.change(msgspec.structs.replace(one, state=InstallationState.DEAD, cause="the webhook was deleted"))
    body = {"url": "https://acme.bitrix24.com/rest/1/an0th3r/"}
    gateway.portals.down = PortalRefused("INVALID_CREDENTIALS", answered=401, reason="INVALID_CREDENTIALS")
    refused = await gateway.call("PATCH", path, json=body)
    still = store.by_id(one.id)
    gateway.portals.down = None
    changed = (await gateway.call("PATCH", path, json=body)).json()

    assert refused.status_code == 502
    assert still is not None
    assert (still.state, still.access) == (InstallationState.DEAD, one.access)
    assert (changed["state"], changed["cause"]) == ("active", "")


@pytest.mark.parametrize(
    ("body", "patch", "pointer"),
    [
        (WEBHOOK, {"client_secret": "x"}, "/client_secret"),
        (WEBHOOK, {"url": "https://other.bitrix24.com/rest/1/abcde/"}, "/url"),
        (WEBHOOK, {"app": "none"}, "/app"),
        (APPLICATION, {"url": WEBHOOK["url"]}, "/url"),
    ],
)
async def test_a_change_that_does_not_fit_is_refused(gateway: Gateway, body: Any, patch: Any, pointer: str) -> None:
    shown = await connected(gateway, body)
    answer = await gateway.call("PATCH", f"{ALL}/{shown['id']}", json=patch)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_verifying_brings_a_dead_portal_back_and_binds_its_events(gateway: Gateway) -> None:
    one = await installed(gateway)
    dead = msgspec.structs.replace(one, state=InstallationState.DEAD, cause="unpaid")
    await gateway.store.installations.change(dead)
    answer = (await gateway.call("POST", f"{ALL}/{one.id}/verify")).json()

    assert answer["bound"] == ["ONCRMDEALADD"]
    assert (answer["portal"]["state"], answer["portal"]["cause"]) == ("active", "")
    assert (answer["portal"]["user"], answer["portal"]["scopes"]) == (7, ["crm"])


async def test_a_portal_that_became_another_one_is_not_taken_for_it(gateway: Gateway) -> None:
    one = await installed(gateway)
    gateway.portals.member_id = "xyz"
    answer = await gateway.call("POST", f"{ALL}/{one.id}/verify")

    assert answer.status_code == 409
    assert gateway.store.installations.by_id(one.id) == one


@pytest.mark.parametrize("verb", ["PATCH", "POST"])
async def test_what_is_learnt_while_a_portal_is_asked_stays(gateway: Gateway, verb: str) -> None:
    shown = await connected(gateway)
    store, path = gateway.store.installations, f"{ALL}/{shown['id']}"

    async def event_comes() -> None:
        one = store.by_id(shown["id"])
        assert one is not None
        await store.change(msgspec.structs.replace(one, title="New", member_id="abc"), of=one)

    gateway.portals.meanwhile = event_comes
    body = {"url": "https://acme.bitrix24.com/rest/1/an0th3r/"} if verb == "PATCH" else None
    answer = await gateway.call(verb, path if body else f"{path}/verify", json=body)
    kept = store.by_id(shown["id"])

    assert answer.status_code == 200, answer.text
    assert kept is not None
    assert (kept.title, kept.prefix, kept.state) == ("New", "abc:", InstallationState.ACTIVE)


async def test_a_portal_is_found_by_number_and_member_id_and_forgotten_with_its_writes(gateway: Gateway) -> None:
    one = await installed(gateway)
    await gateway.store.outbox.put([PortalWrite(id=0, installation=one.id, method="crm.deal.add", params=b"{}")])
    for name in (str(one.id), "abc", one.name):
        assert (await gateway.call("GET", f"{ALL}/{name}")).json()["id"] == one.id

    assert (await gateway.call("DELETE", f"{ALL}/{one.id}")).status_code == 204
    assert (await gateway.call("DELETE", f"{ALL}/{one.id}")).status_code == 404
    assert await gateway.store.outbox.recorded(limit=9) == []
    assert gateway.portals.heard[-1] == f"disconnected {one.id}"
    assert (await gateway.call("GET", f"{ALL}/none")).status_code == 404


async def test_a_mirrored_portal_is_read_anew_and_says_how_far_it_is(gateway: Gateway) -> None:
    one = await installed(gateway)
    path = f"{ALL}/{one.id}/sync"
    refused = await gateway.call("POST", path)
    none = await gateway.call("GET", path)
    await gateway.call("PATCH", f"{ALL}/{one.id}", json={"mirror": True})
    begun = await gateway.call("POST", path)
    progress = gateway.portals.progresses[one.id]
    gateway.portals.progresses[one.id] = msgspec.structs.replace(progress, ended=2000, done={"crm.deal": 9})
    over = (await gateway.call("GET", path)).json()

    assert (refused.status_code, none.status_code, begun.status_code) == (409, 404, 202)
    assert (begun.json()["running"], over["running"]) == (True, False)
    assert over["kinds"] == [{"kind": "crm.deal", "done": 9, "total": 9}]


async def test_nobody_but_an_administrator_of_the_installation_may(gateway: Gateway) -> None:
    await connected(gateway)
    for key in (await gateway.key(Scope.SEND), await gateway.key(Scope.ADMIN, apps=("acme-chat",))):
        for method, path in (("GET", ALL), ("POST", ALL), ("GET", "/v1/bitrix24/rules"), ("GET", f"{ALL}/1/events")):
            assert (await gateway.call(method, path, key=key, json={})).status_code == 403
