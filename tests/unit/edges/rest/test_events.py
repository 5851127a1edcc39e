from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from unit.edges.rest.gateway import START, Gateway
from wakeline.model.event import Event, EventData, EventType
from wakeline.model.key import Scope
from wakeline.observe.health import Phase

pytestmark = pytest.mark.anyio


class Follower:
    """A client of the live feed, on bare ASGI: answers are looked at while they come."""

    def __init__(self, gateway: Gateway, *, query: str = "", key: str = "", last: str = "") -> None:
        self.text = ""
        self.status = 0
        self._left = asyncio.Event()
        self._clock = gateway.clock
        headers = [(b"authorization", f"Bearer {key or gateway.admin}".encode())]
        if last:
            headers.append((b"last-event-id", last.encode()))
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/v1/events",
            "raw_path": b"/v1/events",
            "query_string": query.encode(),
            "headers": headers,
        }
        self.task = asyncio.ensure_future(gateway.app(scope, self._receive, self._send))

    async def _receive(self) -> Any:
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        self.status = message.get("status", self.status)
        self.text += message.get("body", b"").decode()

    async def until(self, wanted: str, times: int = 1) -> None:
        deadline = asyncio.get_running_loop().time() + 15
        while self.text.count(wanted) < times:
            assert asyncio.get_running_loop().time() < deadline, self.text
            self._clock.advance(0.005)
            await asyncio.sleep(0.001)

    async def leave(self) -> None:
        self._left.set()
        await self.task

    @property
    def data(self) -> list[Any]:
        return [msgspec.json.decode(line[6:]) for line in self.text.splitlines() if line.startswith("data: ")]


def failed(app: str, device: str) -> Event:
    return Event(type=EventType.PUSH_FAILED, at=START, app=app, data=EventData(device=device))


async def test_what_happens_is_told_as_it_happens(gateway: Gateway) -> None:
    await gateway.store.events.append([failed("one", "before")])
    follower = Follower(gateway)
    await follower.until("retry:")
    await gateway.store.events.append([failed("one", "now")])
    await follower.until("data:")
    await follower.leave()

    assert "id: 2\nevent: push.failed\n" in follower.text
    assert follower.data == [
        {"type": "push.failed", "timestamp": "2026-11-18T11:06:40Z", "data": {"app": "one", "device": "now"}}
    ]


async def test_a_client_that_comes_back_misses_nothing(gateway: Gateway) -> None:
    await gateway.store.events.append([failed("one", f"d{number}") for number in range(4)])
    follower = Follower(gateway, last="2")
    await follower.until("data:", times=2)
    await follower.leave()

    assert [event["data"]["device"] for event in follower.data] == ["d2", "d3"]


async def test_a_bound_key_hears_of_its_apps_only(gateway: Gateway) -> None:
    key = await gateway.key(Scope.EVENTS, apps=("one",))
    await gateway.store.events.append([failed("two", "d"), failed("one", "own"), failed("", "system")])
    follower = Follower(gateway, key=key, query="after=0")
    await follower.until("data:")
    await follower.until("nothing new")
    await follower.leave()

    assert [event["data"]["device"] for event in follower.data] == ["own"]


async def test_types_and_apps_are_chosen(gateway: Gateway) -> None:
    await gateway.call("POST", "/v1/apps", json={"id": "one"})
    other = Event(type=EventType.QUEUE_STALLED, at=START, app="one")
    await gateway.store.events.append([failed("one", "d"), other, failed("two", "d")])
    follower = Follower(gateway, query="after=0&app=one&types=queue.stalled,push.accepted")
    await follower.until("data:")
    await follower.until("nothing new")
    await follower.leave()

    assert [event["type"] for event in follower.data] == ["queue.stalled"]


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("types=push.lost", {}),
        ("app=none", {}),
        ("after=-1", {}),
        (f"after={2**63}", {}),
        ("", {"last-event-id": "x"}),
    ],
)
async def test_a_feed_that_cannot_be_is_422(gateway: Gateway, query: str, headers: dict[str, str]) -> None:
    answer = await gateway.call("GET", f"/v1/events?{query}", headers=headers)

    assert answer.status_code == 422


async def test_head_of_a_feed_ends(gateway: Gateway) -> None:
    async with asyncio.timeout(15):
        answer = await gateway.call("HEAD", "/v1/events")

    assert (answer.status_code, answer.content) == (200, b"")


async def test_silence_is_broken_by_a_comment(gateway: Gateway) -> None:
    follower = Follower(gateway)
    await follower.until(": nothing new\n\n", times=2)
    await follower.leave()

    assert follower.data == []


async def test_a_feed_ends_when_the_process_drains(gateway: Gateway) -> None:
    follower = Follower(gateway)
    await follower.until("retry:")
    gateway.health.phase = Phase.DRAINING

    async with asyncio.timeout(15):
        await follower.task


async def test_an_event_names_its_credential_by_the_public_id(gateway: Gateway) -> None:
    await gateway.with_app()
    shown = (await gateway.call("GET", "/v1/apps/acme-chat/credentials")).json()["credentials"][0]["id"]
    follower = Follower(gateway, query="types=credential.failed")
    await follower.until("retry:")
    event = Event(type=EventType.CREDENTIAL_FAILED, at=START, app="acme-chat", data=EventData(credential=1))
    await gateway.store.events.append([event])
    await follower.until("data:")
    await follower.leave()

    assert follower.data[0]["data"]["credential"] == shown
