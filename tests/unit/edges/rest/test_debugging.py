from __future__ import annotations

import pytest

from unit.edges.rest.gateway import Gateway
from wakeline.model.key import Scope

pytestmark = pytest.mark.anyio

WINDOW = "/v1/apps/acme-chat/debug"


async def test_a_debug_window_is_opened_shown_and_closed(gateway: Gateway) -> None:
    await gateway.with_app()
    before = (await gateway.call("GET", WINDOW)).json()
    opened = (await gateway.call("PUT", WINDOW)).json()
    gateway.clock.advance(60)
    closed = (await gateway.call("DELETE", WINDOW)).json()

    assert before == {
        "open": False, "since": None, "until": None, "next_at": None, "recorded": 0, "spent_ms": 0.0,
    }  # fmt: skip
    assert opened["open"] is True
    assert opened["until"] is not None
    assert (closed["open"], closed["since"]) == (False, opened["since"])
    assert closed["until"] < opened["until"]


async def test_a_window_that_was_used_up_names_the_time_when_it_may_be_opened_again(gateway: Gateway) -> None:
    await gateway.with_app()
    await gateway.call("PUT", WINDOW)
    gateway.clock.advance(3 * 3600)
    refused = await gateway.call("PUT", WINDOW, json={"seconds": 60})
    shown = (await gateway.call("GET", WINDOW)).json()

    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert refused.headers["retry-after"] == str(5 * 3600)
    assert shown["next_at"].replace("T", " ")[:19] in refused.json()["detail"]


async def test_no_time_at_all_is_no_window(gateway: Gateway) -> None:
    await gateway.with_app()
    refused = await gateway.call("PUT", WINDOW, json={"seconds": 0})

    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/seconds"


async def test_who_may_only_read_opens_nothing(gateway: Gateway) -> None:
    await gateway.with_app()
    reader = await gateway.key(Scope.READ, apps=("acme-chat",))

    assert (await gateway.call("PUT", WINDOW, key=reader)).status_code == 403
    assert (await gateway.call("GET", WINDOW, key=reader)).status_code == 200
