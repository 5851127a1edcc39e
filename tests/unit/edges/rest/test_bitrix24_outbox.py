"""Writes on connected portals and events of them, as an operator sees and handles them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from unit.edges.rest.gateway import Gateway
from unit.edges.rest.test_bitrix24_connected import ALL, APPLICATION, connected
from wakeline.model.bitrix24.inbox import EventState, Origin, ReceivedEvent, Settled, identity_of, subject_of
from wakeline.model.bitrix24.outbox import PortalWrite, WriteState
from wakeline.storage.memory.bitrix24.outbox import MemoryOutbox

pytestmark = pytest.mark.anyio

ADD = {"method": "crm.deal.add", "params": {"fields": {"TITLE": "A deal"}}, "key": "deal-1"}


async def write_of(gateway: Gateway, number: int) -> PortalWrite:
    """Return a write as it is kept."""
    write = await gateway.store.outbox.by_id(number)
    assert write is not None
    return write


async def event_of(gateway: Gateway, installation: int, number: int, event: str = "ONCRMDEALUPDATE") -> ReceivedEvent:
    """Have an event received."""
    data = b'{"FIELDS":{"ID":"%d"}}' % number
    subject = subject_of(event, data)
    received = ReceivedEvent(
        id=0,
        installation=installation,
        event=event,
        data=data,
        at=gateway.clock.now(),
        received=gateway.clock.now(),
        identity=identity_of(subject, gateway.clock.now()),
        subject=subject,
        record=number,
        user=7,
    )
    await gateway.store.event_inbox.put([received])
    (kept,) = await gateway.store.event_inbox.recorded(installation=installation, limit=1)
    return kept


async def test_a_write_is_kept_and_the_portal_is_told_of_it(gateway: Gateway) -> None:
    path = f"{ALL}/{(await connected(gateway))['id']}/writes"
    rung = len(gateway.portals.rung)
    answer = await gateway.call("POST", path, json=ADD)
    later = {"method": "crm.timeline.comment.add", "params": {"ENTITY_ID": "$result"}, "after": "deal-1"}
    second = (await gateway.call("POST", path, json=later)).json()
    shown = (await gateway.call("GET", f"{path}/{answer.json()['id']}")).json()

    assert answer.status_code == 202
    assert shown == answer.json()
    assert (shown["state"], shown["params"], shown["attempts"]) == ("waiting", ADD["params"], 0)
    assert second["after"] == "deal-1"
    assert len(gateway.portals.rung) == rung + 2


async def test_the_same_key_is_the_same_write(gateway: Gateway) -> None:
    path = f"{ALL}/{(await connected(gateway))['id']}/writes"
    first, second = [(await gateway.call("POST", path, json=ADD)).json()["id"] for _ in range(2)]
    headers = {"idempotency-key": "k"}
    body = {"method": "crm.deal.add"}
    third, fourth = [(await gateway.call("POST", path, json=body, headers=headers)).json()["id"] for _ in range(2)]

    assert first == second
    assert third == fourth != first


@pytest.mark.parametrize("other", [{"method": "crm.lead.add"}, {"params": {"fields": {"TITLE": "Another"}}}])
async def test_a_key_that_is_taken_by_something_else_is_a_conflict(gateway: Gateway, other: Any) -> None:
    path = f"{ALL}/{(await connected(gateway))['id']}/writes"
    await gateway.call("POST", path, json=ADD)

    answer = await gateway.call("POST", path, json=ADD | other)

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (409, "/key")
    assert len((await gateway.call("GET", path)).json()["writes"]) == 1


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"method": "crm deal"}, "/method"),
        ({"method": "crm.deal.add", "params": {"auth": "x"}}, "/params/auth"),
        ({"method": "crm.deal.add", "after": "none"}, "/after"),
        ({"params": {}}, "/method"),
    ],
)
async def test_a_wrong_write_is_refused_at_its_field(gateway: Gateway, wrong: Any, pointer: str) -> None:
    answer = await gateway.call("POST", f"{ALL}/{(await connected(gateway))['id']}/writes", json=wrong)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_writes_are_listed_by_state_and_page_by_page(gateway: Gateway) -> None:
    path = f"{ALL}/{(await connected(gateway))['id']}/writes"
    other = f"{ALL}/{(await connected(gateway, APPLICATION))['id']}/writes"
    for number in range(5):
        await gateway.call("POST", path, json=ADD | {"key": str(number)})
    await gateway.call("POST", other, json=ADD)
    doubtful = await write_of(gateway, 2)
    await gateway.store.outbox.settle(msgspec.structs.replace(doubtful, state=WriteState.DOUBTFUL, cause="it broke"))
    listed, cursor = [], ""
    while cursor is not None:
        page = (await gateway.call("GET", path, params={"limit": 2, "cursor": cursor})).json()
        listed += [write["key"] for write in page["writes"]]
        cursor = page["next_cursor"]
    (found,) = (await gateway.call("GET", path, params={"state": "doubtful"})).json()["writes"]
    first = (await gateway.call("GET", path, params={"limit": 2})).json()["next_cursor"]

    assert listed == ["4", "3", "2", "1", "0"]
    assert (found["id"], found["cause"]) == (2, "it broke")
    assert (await gateway.call("GET", other, params={"cursor": first})).status_code == 422
    assert (await gateway.call("GET", path, params={"state": "lost"})).status_code == 422


async def test_a_doubtful_write_is_sent_again_or_given_up_and_one_that_is_done_stays_done(gateway: Gateway) -> None:
    path = f"{ALL}/{(await connected(gateway))['id']}/writes"
    number = (await gateway.call("POST", path, json=ADD)).json()["id"]
    doubtful = msgspec.structs.replace(
        await write_of(gateway, number), state=WriteState.DOUBTFUL, cause="it broke", attempts=3
    )
    await gateway.store.outbox.settle(doubtful)
    retried = (await gateway.call("POST", f"{path}/{number}/retry")).json()
    again = await gateway.call("POST", f"{path}/{number}/retry")
    dropped = (await gateway.call("POST", f"{path}/{number}/drop")).json()
    done = msgspec.structs.replace(await write_of(gateway, number), state=WriteState.DONE, result=b'{"ID":9}')
    await gateway.store.outbox.settle(done)

    assert (retried["state"], retried["attempts"], retried["cause"]) == ("waiting", 0, "")
    assert again.status_code == 409
    assert dropped["state"] == "dropped"
    assert (await gateway.call("GET", f"{path}/{number}")).json()["result"] == {"ID": 9}
    for verb in ("retry", "drop"):
        assert (await gateway.call("POST", f"{path}/{number}/{verb}")).status_code == 409


class Overtaken(MemoryOutbox):
    """An outbox whose worker sends a write as soon as an operator has looked at it."""

    async def by_id(self, number: int) -> PortalWrite | None:
        seen = await super().by_id(number)
        if seen is not None:
            await self.settle(msgspec.structs.replace(seen, state=WriteState.SENT))
        return seen


async def test_a_write_that_went_on_meanwhile_is_not_dropped(gateway: Gateway) -> None:
    path = f"{ALL}/{(await connected(gateway))['id']}/writes"
    outbox = Overtaken(gateway.store.installations)
    gateway.ports.connected = msgspec.structs.replace(gateway.ports.connected, outbox=outbox)
    number = (await gateway.call("POST", path, json=ADD)).json()["id"]
    answer = await gateway.call("POST", f"{path}/{number}/drop")
    (kept,) = await outbox.recorded(limit=1)

    assert (answer.status_code, kept.state) == (409, WriteState.SENT)
    assert "not waiting any more" in answer.json()["detail"]


async def test_a_write_of_another_portal_is_none_of_this_one(gateway: Gateway) -> None:
    mine, others = await connected(gateway), await connected(gateway, APPLICATION)
    number = (await gateway.call("POST", f"{ALL}/{mine['id']}/writes", json=ADD)).json()["id"]

    for wanted in (number, 99, "x"):
        assert (await gateway.call("GET", f"{ALL}/{others['id']}/writes/{wanted}")).status_code == 404


async def test_events_are_listed_by_name_and_state_and_page_by_page(gateway: Gateway) -> None:
    one = (await connected(gateway))["id"]
    path = f"{ALL}/{one}/events"
    events = [await event_of(gateway, one, number) for number in (1, 2, 3)]
    other = await event_of(gateway, one, 4, "ONTASKADD")
    await gateway.store.event_inbox.settle(
        [Settled(id=events[0].id, state=EventState.FAILED, cause="the template said no")]
    )
    page = (await gateway.call("GET", path, params={"limit": 2})).json()
    rest = (await gateway.call("GET", path, params={"limit": 2, "cursor": page["next_cursor"]})).json()
    (failed,) = (await gateway.call("GET", path, params={"state": "failed"})).json()["events"]
    (task,) = (await gateway.call("GET", path, params={"event": "OnTaskAdd"})).json()["events"]

    assert [event["record"] for event in page["events"] + rest["events"]] == [4, 3, 2, 1]
    assert (failed["cause"], failed["due"]) == ("the template said no", None)
    assert (task["id"], task["data"], task["user"]) == (other.id, {"FIELDS": {"ID": "4"}}, 7)
    assert (await gateway.call("GET", f"{path}/{other.id}")).json() == task


async def test_a_recorded_event_is_taken_once_more_under_a_number_of_its_own(gateway: Gateway) -> None:
    one = (await connected(gateway))["id"]
    event = await event_of(gateway, one, 1)
    path = f"{ALL}/{one}/events/{event.id}"
    early = await gateway.call("POST", f"{path}/resend")
    await gateway.store.event_inbox.settle([Settled(id=event.id, state=EventState.DONE, notifications=("n",))])
    rung = len(gateway.portals.rung)
    gateway.clock.advance(60)
    first = await gateway.call("POST", f"{path}/resend")
    gateway.clock.advance(60)
    second = await gateway.call("POST", f"{path}/resend")
    kept = await gateway.store.event_inbox.by_id(first.json()["id"])

    assert early.status_code == 409
    assert first.status_code == second.status_code == 202
    assert len({event.id, first.json()["id"], second.json()["id"]}) == 3
    assert kept is not None
    assert (kept.origin, kept.state, kept.at, kept.data) == (Origin.RESENT, EventState.WAITING, event.at, event.data)
    assert kept.notifications == ()
    assert len(gateway.portals.rung) == rung + 2
    assert (await gateway.call("POST", f"{ALL}/{one}/events/999/resend")).status_code == 404
