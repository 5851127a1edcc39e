"""Whoever tries codes is slowed down, by address; whoever has a credential that was good is not."""

from __future__ import annotations

import msgspec
import pytest

from unit.edges.bitrix24.portal import ADMIN, CODE, MEMBER, Portal, opened
from wakeline.config import Bitrix24, Settings
from wakeline.edges.bitrix24 import strangers
from wakeline.edges.bitrix24.strangers import Strangers

pytestmark = pytest.mark.anyio

SHUT_OUT = (503, "QUERY_LIMIT_EXCEEDED", "Too many requests")


async def guess(portal: Portal, number: int) -> int:
    if number % 2:
        return (await portal.call("profile", token=f"guess-{number}")).status_code
    return (await portal.hook("profile", code=f"guess-{number}")).status_code


async def test_after_fifty_wrong_codes_others_are_refused_and_the_right_one_is_served() -> None:
    portal = await opened()
    assert {await guess(portal, number) for number in range(50)} == {401}

    assert portal.refusal(await portal.hook("profile", code="guess")) == SHUT_OUT
    assert portal.refusal(await portal.call("profile", token="guess")) == SHUT_OUT
    portal.result(await portal.hook("profile"))
    portal.result(await portal.call("profile"))

    portal.clock.advance(1.3)
    assert await guess(portal, 1) == 401
    assert await guess(portal, 1) == 503


async def test_the_webhook_of_somebody_else_is_a_wrong_one() -> None:
    portal = await opened()
    for _ in range(50):
        assert (await portal.client.post(f"/rest/{MEMBER}/{CODE}/profile")).status_code == 401

    assert portal.refusal(await portal.client.post(f"/rest/{MEMBER}/{CODE}/profile")) == SHUT_OUT
    portal.result(await portal.client.post(f"/rest/{ADMIN}/{CODE}/profile"))


async def test_tokens_that_expired_are_no_guesses() -> None:
    portal = await opened()
    grant = await portal.grant(MEMBER, "old")
    await portal.store.portal_access.rotate(grant.refresh, msgspec.structs.replace(grant, access_expires=0))

    assert {(await portal.call("profile", token="old")).json()["error"] for _ in range(60)} == {"expired_token"}
    portal.result(await portal.call("profile"))


async def test_it_can_be_switched_off() -> None:
    portal = await opened(Settings(bitrix24=Bitrix24(failed_authentications=0)))
    assert {await guess(portal, number) for number in range(60)} == {401}


async def test_each_address_has_its_own_bucket_and_an_ipv6_network_has_one() -> None:
    portal = await opened()
    bucket = Strangers(portal.clock, lambda: 2)
    for address in ("192.0.2.1", "192.0.2.1", "2001:db8::1", "2001:db8::2"):
        assert bucket.wait(address) == 0
        bucket.failed(address)

    assert bucket.wait("192.0.2.1") == 30
    assert bucket.wait("2001:db8::3") == 30
    assert bucket.wait("192.0.2.2") == 0
    portal.clock.advance(30)
    assert bucket.wait("192.0.2.1") == 0


async def test_a_flood_of_addresses_costs_little_and_forgets_the_oldest() -> None:
    portal = await opened()
    bucket = Strangers(portal.clock, lambda: 1)
    for number in range(strangers._MOST_ADDRESSES + 5):
        bucket.failed(f"host-{number}")

    assert len(bucket._levels) == strangers._MOST_ADDRESSES
    assert bucket.wait("host-4") == 0
    assert bucket.wait("host-5") == 60
