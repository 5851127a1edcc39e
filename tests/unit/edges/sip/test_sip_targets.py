"""Whom a request is for: which phones of an address-of-record may hear what came to `sips:`."""

from __future__ import annotations

import pytest

from sip_nouns import BOB, binding
from sip_wire import our_request
from stories.world import World
from wakeline.config import Sip
from wakeline.edges.sip.asking import Asked
from wakeline.edges.sip.refusals import Refused
from wakeline.edges.sip.targets import Targets
from wakeline.model.sip.binding import BindingChange

pytestmark = pytest.mark.anyio


def _asked() -> Asked:
    request = our_request()
    request.uri = "sips:bob@example.org"
    return Asked(request=request, aor=BOB, occasion=None, mark="m", direct=True, patience=1.0)


@pytest.mark.parametrize("transport", ["tls", "wss"])
async def test_a_sips_call_is_for_phones_whose_way_is_encrypted(transport: str) -> None:
    """RFC 5630 section 3.1.3, RFC 7118 section 5.4."""
    world = await World().open()
    targets = Targets(world.store.sip_bindings, Sip, lambda: ())
    names = {"clear": "tcp:192.0.2.7:5060#1", "web": "ws:192.0.2.7:5060#2"}
    now = world.clock.now()
    clear = [binding(uid, flow=flow, expires=now + 9, kept=now + 9) for uid, flow in names.items()]
    await world.store.sip_bindings.change(BindingChange(aor=BOB, put=tuple(clear)))
    with pytest.raises(Refused, match="TLS"):
        targets.phones(_asked())
    safe = binding("safe", flow=f"{transport}:192.0.2.7:5061#3", expires=now + 9, kept=now + 9)
    await world.store.sip_bindings.change(BindingChange(aor=BOB, put=(safe,)))

    assert [each.uid for each in targets.phones(_asked())] == ["safe"]
