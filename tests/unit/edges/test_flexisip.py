"""What a Flexisip's external-push-uri brings: real pipeline, push services that answer as told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import urlencode

import httpx2
import pytest
from structlog.testing import capture_logs

from sip_nouns import voip
from unit.edges.rest.gateway import Gateway, opened
from wakeline.edges.flexisip import FlexisipDoor
from wakeline.model.errors import StoreUnavailable
from wakeline.model.ids import parse_key
from wakeline.model.key import Scope
from wakeline.model.notification import Notification
from wakeline.model.route import Lane
from wakeline.observe.health import Phase
from wakeline.wire.flexisip.payloads import Occasion, Push
from wakeline.wire.flexisip.placeholders import fill, values

pytestmark = pytest.mark.anyio

TOKEN = "c3" * 32
URI = (
    "http://wakeline/flexisip?key={key}&type=$type&token=$token&appid=$app-id&event=$event&from=$from-uri&name=$from-name"
    "&tag=$from-tag&to=$to-uri&cid=$call-id&uid=$uid&msgid=$msgid&snd=$sound"
)
CALL = {
    "type": "apple",
    "token": TOKEN,
    "app-id": "com.acme.chat.voip.prod",
    "event": "call",
    "call-id": "c1",
    "msgid": "RING",
    "uid": '"<urn:uuid:7f>"',
}


@pytest.fixture
async def flexisip(anyio_backend: str) -> AsyncIterator[Gateway]:
    gateway = await opened()
    await gateway.with_app()
    door = FlexisipDoor(gateway.ports)
    gateway.serve(door)
    gateway.admin = await gateway.key(Scope.SEND)
    yield gateway
    await door.close()
    await gateway.client.aclose()
    await gateway.store.close()


async def asks(gateway: Gateway, method: str = "GET", key: str | None = None, **given: str) -> httpx2.Response:
    query = urlencode({"key": gateway.admin if key is None else key, **given})
    return await gateway.client.request(method, f"/flexisip?{query}")


async def kept(gateway: Gateway, answer: httpx2.Response) -> Notification:
    assert answer.status_code == 200, answer.text
    found = await gateway.store.ledger.notification(parse_key(answer.json()["id"]))
    assert found is not None
    return found


async def test_a_call_becomes_a_voip_push_with_the_texts_of_the_phone(flexisip: Gateway) -> None:
    found = await kept(flexisip, await asks(flexisip, **CALL, name="Al"))
    raw = found.content.apns.raw
    assert raw is not None
    assert (found.lane, found.expires - found.due) == (Lane.CALL, 90_000)
    assert (raw["aps"]["loc-key"], raw["aps"]["call-id"], raw["aps"]["uuid"]) == ("RING", "c1", '"<urn:uuid:7f>"')
    assert raw["display-name"] == "Al"


async def test_a_message_is_posted_with_its_text_and_is_an_alert(flexisip: Gateway) -> None:
    given = CALL | {"event": "message", "app-id": "com.acme.chat.dev", "msgid": "IM_MSG"}
    query = urlencode({"key": flexisip.admin, **given})
    answer = await flexisip.client.post(
        f"/flexisip?{query}", content=b"Hello Bob\r\n", headers={"content-type": "text/plain"}
    )
    found = await kept(flexisip, answer)
    assert found.lane is Lane.ALERT
    assert b"Hello Bob" not in repr(found).encode()


async def test_a_repeat_is_answered_alike_and_sent_once(flexisip: Gateway) -> None:
    first, again, posted = (
        await asks(flexisip, **CALL),
        await asks(flexisip, **CALL),
        await asks(flexisip, "POST", **CALL),
    )
    other = await asks(flexisip, **CALL | {"call-id": "c2"})
    assert {one.status_code for one in (first, again, posted, other)} == {200}
    assert first.json() == again.json() == posted.json()
    assert other.json() != first.json()
    assert await flexisip.store.queue.pending() == 2


async def test_renewing_a_registration_is_a_new_push_each_time(flexisip: Gateway) -> None:
    given = CALL | {"event": "", "app-id": "com.acme.chat.prod"}
    first, again = await asks(flexisip, **given), await asks(flexisip, **given)
    assert first.json()["id"] != again.json()["id"]
    assert (await kept(flexisip, first)).lane is Lane.BACKGROUND


async def test_what_we_fill_in_we_understand(flexisip: Gateway) -> None:
    push = Push(
        occasion=Occasion.CALL, ttl=30, at=0, call_id="a b&c", uuid="<urn:uuid:1>", from_name="Ö & co", to_uri="sip:b"
    )
    uri = fill(URI.format(key=flexisip.admin), values(voip(topic="com.acme.chat"), push))
    found = await kept(flexisip, await flexisip.client.get(uri))
    raw = found.content.apns.raw
    assert raw is not None
    assert (raw["aps"]["call-id"], raw["display-name"]) == ("a b&c", "Ö & co")


async def test_only_a_key_that_may_send_wakes_a_phone(flexisip: Gateway) -> None:
    await flexisip.store.apps.create("other", "other", flexisip.clock.now())
    reader, narrow = await flexisip.key(Scope.READ), await flexisip.key(Scope.SEND, apps=("other",))
    assert [(await asks(flexisip, key=key, **CALL)).status_code for key in ("", "wk_no", reader, narrow)] == [
        401,
        401,
        403,
        422,
    ]
    assert await flexisip.store.queue.pending() == 0


async def test_a_key_in_a_header_does_as_well(flexisip: Gateway) -> None:
    answer = await flexisip.call("GET", f"/flexisip?{urlencode(CALL)}")
    assert answer.status_code == 200


async def test_what_cannot_be_sent_is_no_success_and_says_why(flexisip: Gateway) -> None:
    with capture_logs() as logs:
        answers = [
            await asks(flexisip, **CALL | {"token": ""}),
            await asks(flexisip, **CALL | {"app-id": "org.unknown.prod"}),
            await asks(flexisip, **CALL | {"event": "message"}),
            await asks(flexisip, "PUT", **CALL),
        ]
    assert [answer.status_code for answer in answers] == [422, 422, 422, 405]
    assert [entry["event"] for entry in logs] == ["flexisip.refused"] * 4
    assert not any(TOKEN in repr(entry) or flexisip.admin in repr(entry) for entry in logs)


async def test_a_flood_of_parameters_is_refused(flexisip: Gateway) -> None:
    answer = await flexisip.client.get("/flexisip?" + "a=b&" * 100)
    assert answer.status_code == 422


async def test_of_a_parameter_given_twice_the_first_counts(flexisip: Gateway) -> None:
    answer = await flexisip.client.get(f"/flexisip?key={flexisip.admin}&{urlencode(CALL)}&event=message")
    assert (await kept(flexisip, answer)).lane is Lane.CALL


async def test_while_the_gateway_stops_a_flexisip_is_told_to_come_back(flexisip: Gateway) -> None:
    flexisip.health.phase = Phase.DRAINING
    answer = await asks(flexisip, **CALL)
    assert (answer.status_code, "retry-after" in answer.headers) == (503, True)


async def test_a_store_that_fails_is_no_success(flexisip: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_: object) -> None:
        raise StoreUnavailable("the disk is gone")

    monkeypatch.setattr(flexisip.store.acceptance, "accept", fails)
    assert (await asks(flexisip, **CALL)).status_code == 503
