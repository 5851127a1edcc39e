"""Methods that every token may call."""

from __future__ import annotations

import pytest

from unit.edges.bitrix24.portal import MEMBER, MEMBER_TOKEN, SCOPES, Portal

pytestmark = pytest.mark.anyio


async def test_the_time_is_in_atom_form(portal: Portal) -> None:
    assert portal.result(await portal.call("server.time")) == "2026-11-18T11:06:40+00:00"


async def test_profile_is_who_asks(portal: Portal) -> None:
    assert portal.result(await portal.call("profile", token=MEMBER_TOKEN)) == {
        "ID": str(MEMBER),
        "ADMIN": False,
        "NAME": "Max",
        "LAST_NAME": "Muster",
        "PERSONAL_GENDER": "",
        "TIME_ZONE": "",
    }
    assert portal.result(await portal.hook("profile"))["ADMIN"] is True


async def test_scope_is_that_of_the_token_or_all_there_are(portal: Portal) -> None:
    await portal.grant(MEMBER, "narrow", scopes=("pull", "crm"))
    assert portal.result(await portal.call("scope", token="narrow")) == ["crm", "pull"]
    every = portal.result(await portal.call("scope", {"full": True}, token="narrow"))
    assert every == sorted(set(every))
    assert "" not in every


async def test_methods_are_those_that_the_token_opens(portal: Portal) -> None:
    await portal.grant(MEMBER, "bare", scopes=())
    bare = portal.result(await portal.call("methods", token="bare"))
    assert {"profile", "server.time", "app.info", "batch"} <= set(bare)
    every = portal.result(await portal.call("methods", {"full": "true"}, token="bare"))
    assert set(bare) <= set(every)
    assert portal.result(await portal.call("methods", {"scope": "no-such"})) == []
    assert "profile" in portal.result(await portal.call("methods", {"scope": ""}))


async def test_method_get_tells_whether_a_method_is_there_for_the_token(portal: Portal) -> None:
    for name, exists in (("profile", True), ("Server.Time", True), ("batch", True), ("no.such", False)):
        found = portal.result(await portal.call("method.get", {"name": name}))
        assert found == {"isExisting": exists, "isAvailable": exists}
    answer = await portal.call("method.get")
    assert answer.status_code == 400
    assert answer.json()["argument"] == "name"


async def test_features_are_those_of_the_plan(portal: Portal) -> None:
    for code, value in (("rest_offline_extended", "Y"), ("no_such", "N"), ("LICENSE", "en_selfhosted")):
        assert portal.result(await portal.call("feature.get", {"CODE": code})) == {"value": value}
    refused = portal.refusal(await portal.call("feature.get"))
    assert refused == (400, "CODE_EMPTY", "CODE can't be empty")


async def test_app_info_describes_the_application_or_the_webhook(portal: Portal) -> None:
    await portal.set(license="en_team", language="de")
    found = portal.result(await portal.call("app.info"))
    assert found == {
        "ID": portal.application.id,
        "CODE": "local.test",
        "VERSION": 1,
        "STATUS": "L",
        "INSTALLED": True,
        "PAYMENT_EXPIRED": "N",
        "DAYS": None,
        "LANGUAGE_ID": "de",
        "LICENSE": "en_team",
        "LICENSE_TYPE": "team",
        "LICENSE_FAMILY": "team",
    }
    assert portal.result(await portal.hook("app.info")) == {"SCOPE": sorted(SCOPES), "LICENSE": "en_team"}
