"""Calls and batches of a connected portal: what it answers is what callers get."""

from __future__ import annotations

import pytest

from connected_portal import Connected
from wakeline.model.errors import InvalidRequest, PortalRefused
from wakeline.wire.bitrix24.commands import Call

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("kind", ["application", "webhook"])
async def test_a_call_brings_the_result_with_next_and_total(world: Connected, kind: str) -> None:
    installation = await (world.application() if kind == "application" else world.webhook())

    reply = await world.client(installation).call("crm.deal.list", {"select": ["ID"], "filter": {">ID": 3}})

    assert isinstance(reply.result, list)
    assert len(reply.result) == 50
    assert (reply.next, reply.total) == (50, 320)


async def test_a_refused_method_is_an_error_with_status_code_and_text(world: Connected) -> None:
    installation = await world.webhook()

    with pytest.raises(PortalRefused, match="Not found") as refused:
        await world.client(installation).call("crm.deal.get", {"ID": 999_999})

    assert (refused.value.answered, refused.value.reason) == (400, "")
    assert world.portal.origin not in refused.value.detail or "rest/1/" not in refused.value.detail


async def test_a_name_that_would_lead_elsewhere_is_no_method(world: Connected) -> None:
    installation = await world.webhook()

    for name in ("../crm.deal.list", "crm.deal.list?auth=1", "", "crm/deal", "crm.deal.list#", ".json"):
        with pytest.raises(InvalidRequest):
            await world.client(installation).call(name)


async def test_a_batch_of_more_than_fifty_takes_more_requests(world: Connected) -> None:
    installation = await world.application()
    commands: dict[str, Call] = {str(n): ("crm.deal.get", {"ID": n}) for n in range(1, 121)}

    answered = await world.client(installation).batch(commands)

    assert answered.errors == {}
    assert [answered.results[key]["ID"] for key in commands] == list(commands)  # type: ignore[index] # maps of a deal
    assert len(world.requests("batch")) == 3
