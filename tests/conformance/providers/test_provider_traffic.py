"""Apple's and Google's servers in a bad mood: whatever they do, each push arrives once and is told once."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import msgspec
import pytest

from conformance.providers.conftest import DEADLINE, Results
from wakeline.model.notification import Call, Content, PushType
from wakeline.model.outcome import Action, OutcomeClass
from wakeline.ports import Sender
from wakeline.transport.http2_hedge import PATIENCE

if TYPE_CHECKING:
    from conformance.providers.conftest import Rig

pytestmark = pytest.mark.anyio

RING = Content(type=PushType.CALL, call=Call(id="c1", caller="Alice"))
SLICE = 250
NEVER = {"status": 200, "delay_ms": 60_000}
"""Once: an answer that comes after all deadlines."""


class Flood:
    """Many pushes, handed over as there is room, and what became of each."""

    def __init__(self, rig: Rig, sender: Sender, count: int) -> None:
        self.rig = rig
        self.sender = sender
        self.tokens = [f"{number:064x}" for number in range(1, count + 1)]
        self.parts: list[Results] = []

    async def run(self, seconds: float, count: int | None = None) -> None:
        """Send `count` of them, all that are left by default, and wait for their results."""
        upto = len(self.tokens) - (sum(part.size for part in self.parts)) if count is None else count
        async with asyncio.timeout(seconds):
            while upto:
                size = min(self.sender.room(), SLICE, upto)
                if size:
                    self._hand_over(size)
                    upto -= size
                await asyncio.sleep(0 if size else 0.002)
            for part in self.parts:
                await part.complete.wait()

    def _hand_over(self, size: int) -> None:
        first = sum(part.size for part in self.parts)
        part = Results(size)
        shipment = self.rig.shipment(*self.tokens[first : first + size], results=part, within=120.0)
        # Ids are made of the notification and the target: each part has its own notification.
        shipment.notification = msgspec.structs.replace(
            shipment.notification, key=shipment.notification.key + (len(self.parts) << 8), bulk=True
        )
        self.parts.append(part)
        self.sender.send(shipment)

    @property
    def accepted(self) -> int:
        return sum(len(part.accepted) for part in self.parts)

    def causes(self) -> set[str]:
        return {outcome.reason for part in self.parts for outcome in part.others.values() if not outcome.accepted}


async def accepted_ids(rig: Rig) -> list[str]:
    """The ids of all that the simulator accepted, as often as it did."""
    answer = await rig.control.get("/ids", params={"status": 200})
    return [identity for identity, _, _ in msgspec.json.decode(answer.content)["rows"]]


async def _goaway_every(rig: Rig, after: int, count: int, seconds: float) -> None:
    await rig.tell("/behave", {"provider": "apns", "goaway_after": after})
    flood = Flood(rig, rig.open_apns(rig.key()), count)
    await flood.run(seconds)
    assert (flood.accepted, flood.causes()) == (count, set())
    ids = await accepted_ids(rig)
    assert len(ids) == len(set(ids)) == count, "each was accepted exactly once"
    counts = (await rig.control.get("/counts")).json()["apns"]
    assert counts["answers"] == {"200": count}
    assert counts["connections"] >= count // after


async def test_a_goaway_every_thousand_requests_loses_and_doubles_nothing(rig: Rig) -> None:
    await _goaway_every(rig, 1000, 5_000, 50)


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_a_goaway_every_thousand_requests_in_a_hundred_thousand(rig: Rig) -> None:
    await _goaway_every(rig, 1000, 100_000, 380)


async def test_the_reason_of_a_goaway_is_shown(rig: Rig) -> None:
    sender = rig.open_apns(rig.key())
    await rig.send(sender, "ab")
    await rig.tell("/disconnect", {"provider": "apns", "reason": "IdleTimeout"})
    await rig.until(lambda: sender.stats().connections == 0)
    assert sender.stats().last_goaway == "IdleTimeout"


async def test_a_stream_limit_that_changes_in_full_flow_is_obeyed(rig: Rig) -> None:
    """The simulator refuses what is above its limit; nothing above it is ever sent, so nothing is refused."""
    await rig.tell("/behave", {"provider": "apns", "min_latency_ms": 2})
    flood = Flood(rig, rig.open_apns(rig.key()), 1_600)
    sending = asyncio.create_task(flood.run(50))
    for limit, enough in ((1, 400), (0, 420), (3, 500), (1000, 0)):
        await rig.until(lambda enough=enough: flood.accepted >= enough)  # type: ignore[misc]  # bound per turn
        await rig.tell("/behave", {"provider": "apns", "max_streams": limit})
        if limit == 0:
            await rig.until(lambda: flood.sender.stats().in_flight == 0)
            await rig.tell("/behave", {"provider": "apns", "max_streams": 2})
    await sending
    assert (flood.accepted, flood.causes()) == (1_600, set())
    counts = (await rig.control.get("/counts")).json()["apns"]
    assert counts["answers"] == {"200": 1_600}


async def test_after_a_rejected_token_one_stream_is_used_until_one_is_accepted_again(rig: Rig) -> None:
    sender = rig.open_apns(rig.key())
    await Flood(rig, sender, 300).run(DEADLINE)
    await rig.tell("/trust", {"apns_keys": []})
    refused = await rig.send(sender, *(f"{number:064x}" for number in range(1, 301)))
    assert {outcome.action for outcome in refused.others.values()} == {Action.HOLD}
    assert len(refused.others) == 300
    assert sender.room() <= 1
    await rig.tell("/trust", {"apns_keys": None})
    flood = Flood(rig, sender, 500)
    await flood.run(DEADLINE)
    assert (flood.accepted, flood.causes()) == (500, set())
    assert sender.room() > 100


async def test_a_server_that_shuts_down_gets_no_more_and_the_push_goes_elsewhere_at_once(rig: Rig) -> None:
    sender = rig.open_apns(rig.key())
    await rig.send(sender, "ab")
    await rig.script("cd", {"status": 503, "reason": "Shutdown"})
    refused = await rig.send(sender, "cd")
    assert (refused.only.action, refused.only.reason) == (Action.REPLAY, "Shutdown")
    assert (await rig.send(sender, "cd")).accepted == [0]
    assert [request["connection"] for request in await rig.requests(provider="apns")] == [1, 1, 2]


async def test_an_unanswered_call_rings_by_a_second_connection_with_the_same_id(rig: Rig) -> None:
    sender = rig.open_apns(rig.key())
    await rig.send(sender, "ab")
    await rig.script("cd", NEVER)
    before = time.monotonic()
    results = await rig.send(sender, "cd", content=RING, kinds=("apns-voip",), ttl=30)
    assert results.accepted == [0]
    assert time.monotonic() - before >= PATIENCE
    first, second = (await rig.requests(provider="apns", target="cd"))[-2:]
    assert first["headers"] == second["headers"]
    assert first["body"] == second["body"]
    assert first["connection"] != second["connection"]


async def test_an_unanswered_call_by_fcm_goes_out_again_as_the_same_message(rig: Rig) -> None:
    """FCM knows no id of ours: the app tells the two apart from two calls by the call's id."""
    sender = rig.open_fcm(rig.account())
    await rig.send(sender, "warm")
    await rig.script("slow", NEVER)
    results = await rig.send(sender, "slow", content=RING, ttl=30)
    assert len(results.accepted) == 1
    first, second = (await rig.requests(provider="fcm", target="slow"))[-2:]
    assert first["body"] == second["body"]
    assert msgspec.json.decode(first["body"]["message"]["data"]["call"])["id"] == "c1"
    assert first["connection"] != second["connection"]


async def test_an_unanswered_alert_is_not_sent_twice(rig: Rig) -> None:
    sender = rig.open_apns(rig.key())
    await rig.script("cd", {"status": 200, "delay_ms": 1500})
    assert (await rig.send(sender, "cd")).accepted == [0]
    assert len(await rig.requests(provider="apns", target="cd")) == 1


async def test_a_call_to_a_silent_service_is_asked_twice_and_ends_unknown(rig: Rig) -> None:
    sender = rig.open_apns(rig.key())
    await rig.send(sender, "ab")
    await rig.tell("/behave", {"provider": "apns", "silent": True})
    results = await rig.send(sender, "cd", content=RING, kinds=("apns-voip",), ttl=30, within=3.0)
    assert (results.only.outcome_class, results.only.reason) == (OutcomeClass.UNKNOWN, "timeout")
    assert len(await rig.requests(provider="apns", target="cd")) == 2
