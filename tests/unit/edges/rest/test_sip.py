from __future__ import annotations

from typing import Any

import pytest

from sip_nouns import ALICE, BOB, binding, message, voip
from storing import DAY, HOUR
from unit.edges.rest.gateway import Gateway, opened
from wakeline.config import Settings, Sip
from wakeline.model.key import Scope
from wakeline.model.sip.binding import Binding, BindingChange
from wakeline.wire.sip.digest import secret_hash

pytestmark = pytest.mark.anyio

USERS = "/v1/sip/users"
BINDINGS = "/v1/sip/bindings"


@pytest.fixture
async def serving() -> Gateway:
    """A gateway that serves example.org."""
    return await opened(Settings(sip=Sip(domains=("example.org",))))


async def registered(gateway: Gateway, *bindings: Binding) -> None:
    for each in bindings:
        await gateway.store.sip_bindings.change(BindingChange(aor=each.aor, put=(each,)))


def phone(gateway: Gateway, uid: str = "phone", **fields: Any) -> Binding:
    now = gateway.clock.now()
    times = {"registered": now, "updated": now, "expires": now + HOUR, "kept": now + DAY}
    return binding(uid, **{**times, **fields})


class TestUsers:
    async def test_are_kept_with_digests_by_which_their_password_is_proven(self, gateway: Gateway) -> None:
        made = await gateway.call("PUT", f"{USERS}/bob@Example.ORG", json={"password": "correct horse"})

        assert made.status_code == 201
        shown = made.json()
        assert (shown["user"], shown["domain"], shown["address"]) == ("bob", "example.org", BOB)
        assert shown["password"] is None
        kept = gateway.store.sip_users.get("bob", "example.org")
        assert kept is not None
        assert kept.realm == "example.org"
        assert kept.md5 == secret_hash("bob", "example.org", "correct horse", "MD5")
        assert kept.sha256 == secret_hash("bob", "example.org", "correct horse", "SHA-256")

    async def test_are_given_a_password_if_none_is_said(self, gateway: Gateway) -> None:
        made = (await gateway.call("PUT", f"{USERS}/bob@example.org", json={})).json()

        kept = gateway.store.sip_users.get("bob", "example.org")
        assert kept is not None
        assert len(made["password"]) >= 20
        assert kept.md5 == secret_hash("bob", "example.org", made["password"], "MD5")

    async def test_keep_their_age_with_another_password(self, gateway: Gateway) -> None:
        first = (await gateway.call("PUT", f"{USERS}/bob@example.org", json={"password": "first one"})).json()
        gateway.clock.advance(60)

        second = await gateway.call("PUT", f"{USERS}/sip:bob@example.org", json={"password": "second one"})

        assert second.status_code == 200
        assert second.json()["created"] == first["created"]
        kept = gateway.store.sip_users.get("bob", "example.org")
        assert kept is not None
        assert kept.md5 == secret_hash("bob", "example.org", "second one", "MD5")

    async def test_need_no_domain_where_one_is_served(self, serving: Gateway) -> None:
        assert (await serving.call("PUT", f"{USERS}/bob", json={})).json()["address"] == BOB
        assert (await serving.call("DELETE", f"{USERS}/bob")).status_code == 204

    async def test_of_domains_that_are_not_served_are_refused(self, serving: Gateway) -> None:
        refused = await serving.call("PUT", f"{USERS}/bob@example.com", json={})

        assert refused.status_code == 422
        assert "example.com is none of [sip] domains" in refused.json()["detail"]

    @pytest.mark.parametrize(
        "name",
        ["bob", "@example.org", "bob@", "bob@a@b", "b ob@example.org", "bob@example.org:5060", "bob@h;x", "b:p@h"],
    )
    async def test_whose_name_is_none_are_refused(self, gateway: Gateway, name: str) -> None:
        path = f"{USERS}/{name}".replace(" ", "%20")

        assert (await gateway.call("PUT", path, json={})).status_code == 422
        assert (await gateway.call("DELETE", path)).status_code == 404
        assert list(gateway.store.sip_users.all()) == []

    @pytest.mark.parametrize("password", ["short", "x" * 256, "with\nnewline"])
    async def test_need_a_password_that_can_be_typed(self, gateway: Gateway, password: str) -> None:
        refused = await gateway.call("PUT", f"{USERS}/bob@example.org", json={"password": password})

        assert refused.status_code == 422
        assert refused.json()["errors"][0]["pointer"] == "/password"

    async def test_are_listed_in_pages_without_anything_secret(self, gateway: Gateway) -> None:
        names = ["ann@a.org", "bob@a.org", "cid@a.org", "ann@b.org"]
        for name in reversed(names):
            await gateway.call("PUT", f"{USERS}/{name}", json={"password": "password"})

        first = (await gateway.call("GET", f"{USERS}?limit=3")).json()
        second = (await gateway.call("GET", f"{USERS}?limit=3&cursor={first['next_cursor']}")).json()

        assert [each["address"] for each in first["users"] + second["users"]] == [f"sip:{name}" for name in names]
        assert second["next_cursor"] is None
        assert set(first["users"][0]) == {"user", "domain", "address", "created"}

    async def test_who_are_forgotten_are_reached_no_more(self, gateway: Gateway) -> None:
        await gateway.call("PUT", f"{USERS}/bob@example.org", json={})
        await registered(gateway, phone(gateway, "a"), phone(gateway, "b"), phone(gateway, aor=ALICE))
        await gateway.store.sip_messages.put(message("c1 1", "a", "b"))
        await gateway.store.sip_messages.put(message("c1 1", "phone", aor=ALICE))

        removed = await gateway.call("DELETE", f"{USERS}/bob@example.org")

        assert removed.status_code == 204
        assert gateway.store.sip_users.get("bob", "example.org") is None
        assert gateway.store.sip_bindings.of(BOB) == []
        assert len(gateway.store.sip_bindings.of(ALICE)) == 1
        assert [await gateway.store.sip_messages.count(aor) for aor in (BOB, ALICE)] == [0, 1]
        assert (await gateway.call("DELETE", f"{USERS}/bob@example.org")).status_code == 404

    async def test_of_an_app_who_are_erased_leave_no_phone_that_it_wakes(self, gateway: Gateway) -> None:
        await gateway.with_app()
        target = {"kind": "apns", "value": "ab" * 32, "topic": "com.acme.chat"}
        device = {"user": BOB, "targets": [target]}
        await gateway.call("PUT", "/v1/apps/acme-chat/devices/7f", json=device)
        await registered(gateway, phone(gateway, "a", app=1, device="7f", push=voip()), phone(gateway, "b", app=2))
        await gateway.store.sip_messages.put(message("c1 1", "a"))

        erased = await gateway.call("DELETE", f"/v1/apps/acme-chat/users/{BOB}")

        assert (erased.status_code, erased.json()["devices"]) == (200, 1)
        assert [each.uid for each in gateway.store.sip_bindings.of(BOB)] == ["b"]
        assert await gateway.store.sip_messages.count(BOB) == 0

    async def test_are_the_administrators_matter(self, gateway: Gateway) -> None:
        await gateway.with_app()
        for key in (await gateway.key(Scope.READ, Scope.DEVICES), await gateway.key(Scope.ADMIN, apps=("acme-chat",))):
            assert (await gateway.call("GET", USERS, key=key)).status_code == 403
            assert (await gateway.call("PUT", f"{USERS}/bob@example.org", key=key, json={})).status_code == 403


class TestBindings:
    async def test_are_shown_without_their_tokens(self, gateway: Gateway) -> None:
        await gateway.with_app()
        token = "0a1b2c3d" * 8
        await registered(
            gateway,
            phone(
                gateway,
                "<urn:uuid:7f>",
                instance="<urn:uuid:7f>",
                contact=f"sip:bob@192.0.2.7:5060;pn-provider=apns;pn-prid={token};pn-param=T.x;transport=tls",
                push=voip(token),
                app=1,
                device="7f",
                user_agent="LinphoneiOS/5.2",
            ),
        )

        answer = await gateway.call("GET", BINDINGS)

        assert token not in answer.text
        (shown,) = answer.json()["bindings"]
        assert shown["address"] == BOB
        assert shown["contact"] == "sip:bob@192.0.2.7:5060;transport=tls"
        assert (shown["instance"], shown["app"], shown["device"]) == ("<urn:uuid:7f>", "acme-chat", "7f")
        assert shown["push"]["provider"] == "apns"
        assert shown["push"]["tokens"] == [
            {"service": "voip", "topic": "org.example.phone.voip", "value": f"...{token[-6:]}"}
        ]

    async def test_without_push_or_app_say_so(self, gateway: Gateway) -> None:
        await registered(gateway, phone(gateway, "a", push=voip(), why_not="No app has a credential for x", q=0.5))
        await registered(gateway, phone(gateway, "b"))

        asleep, deaf = (await gateway.call("GET", BINDINGS)).json()["bindings"][::-1]

        assert (asleep["app"], asleep["why_not"]) == (None, "No app has a credential for x")
        assert (deaf["app"], deaf["push"], deaf["why_not"]) == (None, None, "")

    async def test_are_listed_in_pages_of_addresses(self, gateway: Gateway) -> None:
        addresses = [f"sip:{name}@example.org" for name in ("ann", "bob", "cid")]
        for address in addresses:
            await registered(gateway, phone(gateway, "a", aor=address), phone(gateway, "b", aor=address))

        first = (await gateway.call("GET", f"{BINDINGS}?limit=2")).json()
        second = (await gateway.call("GET", f"{BINDINGS}?limit=2&cursor={first['next_cursor']}")).json()

        shown = [each["address"] for each in first["bindings"] + second["bindings"]]
        assert shown == [address for address in addresses for _ in "ab"]
        assert second["next_cursor"] is None

    @pytest.mark.parametrize("address", ["sip:bob@example.org", "bob@EXAMPLE.org", "sips:bob@example.org:5061;x=y"])
    async def test_are_found_by_their_address_however_it_is_written(self, gateway: Gateway, address: str) -> None:
        await registered(gateway, phone(gateway), phone(gateway, aor=ALICE))

        shown = (await gateway.call("GET", BINDINGS, params={"address": address})).json()

        assert [each["address"] for each in shown["bindings"]] == [BOB]
        assert shown["next_cursor"] is None

    async def test_of_what_is_no_address_are_refused(self, gateway: Gateway) -> None:
        refused = await gateway.call("GET", BINDINGS, params={"address": "sip:b b@example.org"})

        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/query/address")


class TestExplain:
    async def test_tells_of_an_address(self, serving: Gateway) -> None:
        await registered(serving, phone(serving))

        said = await serving.call("GET", "/v1/explain", params={"q": "sip:bob@example.org"})

        assert said.status_code == 200
        assert said.json()["about"] == "SIP address sip:bob@example.org"

    async def test_tells_a_key_of_one_app_nothing_of_registrations(self, serving: Gateway) -> None:
        await serving.with_app()
        await registered(serving, phone(serving))
        key = await serving.key(Scope.READ, apps=("acme-chat",))

        assert (await serving.call("GET", "/v1/explain", key=key, params={"q": BOB})).status_code == 404
