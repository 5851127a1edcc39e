"""RFC 8599 section 5.5: a phone that sleeps is woken to renew its registration."""

from __future__ import annotations

from typing import Any

import pytest

from sip_nouns import binding
from stories.world import World
from wakeline.edges.sip.refreshing import STAGES, TICK, Refreshing
from wakeline.model.notification import PushType
from wakeline.model.sip.binding import Binding, BindingChange
from wakeline.model.sip.push import PushParams, PushProvider, PushToken

pytestmark = pytest.mark.anyio

SECOND = 1000


class Sleepers:
    """Phones that sleep, and whoever asks them to renew."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.refreshing = Refreshing(world.store.sip_bindings, world.pipeline.accept, world.store.apps, world.clock)

    async def phone(self, uid: str = "phone", *, service: str = "remote", lasts: int = 3600, **fields: Any) -> Binding:
        """Register one, for so many seconds."""
        now = self.world.clock.now()
        value = uid.encode().hex().ljust(64, "0")
        kind = "apns-voip" if service == "voip" else "apns"
        topic = "com.acme.voip" if service == "voip" else "com.acme"
        push = PushParams(
            provider=PushProvider.APNS,
            param="T.com.acme",
            prid=value,
            tokens=(PushToken(service=service, value=value, topic=topic),),
        )
        await self.world.device(uid, "sip:bob@example.org", f"{kind}:{value}")
        made = binding(
            uid,
            **{"expires": now + lasts * SECOND, "kept": now + lasts * SECOND, "push": push, "app": 1, "device": uid}
            | fields,
        )
        await self.world.store.sip_bindings.change(BindingChange(aor=made.aor, put=(made,)))
        return made

    async def pass_time(self, seconds: float) -> list[float]:
        """Let time pass, looking as often as the gateway does; return when pushes were sent, in seconds."""
        begun, before = self.world.clock.monotonic(), len(self.world.apple.sent)
        for _ in range(round(seconds / TICK)):
            await self.refreshing.look()
            await self.world.run()
            self.world.clock.advance(TICK)
        return [sent.at - begun for sent in self.world.apple.sent[before:]]


async def sleepers() -> Sleepers:
    return Sleepers(await World().open())


async def test_a_phone_is_asked_two_minutes_before_the_end_and_once_more() -> None:
    edge = await sleepers()
    await edge.phone()
    asked = await edge.pass_time(3600)
    assert len(asked) == len(STAGES)
    for at, stage in zip(asked, STAGES, strict=True):
        assert 3600 - stage - TICK <= at <= 3600 - stage
    assert {sent.type for sent in edge.world.apple.sent} == {PushType.BACKGROUND}


async def test_a_phone_that_renews_is_left_alone() -> None:
    edge = await sleepers()
    await edge.phone()
    assert await edge.pass_time(3300) == []
    await edge.phone()
    assert await edge.pass_time(3300) == []


async def test_what_can_only_be_woken_by_voip_and_what_cannot_be_woken_is_left_alone() -> None:
    edge = await sleepers()
    await edge.phone("iphone", service="voip")
    await edge.phone("no-app", app=0, device="")
    await edge.phone("no-push", push=None)
    assert await edge.pass_time(3600) == []


async def test_after_a_restart_nobody_who_ends_soon_is_forgotten() -> None:
    edge = await sleepers()
    await edge.phone(lasts=100)
    assert len(await edge.pass_time(TICK)) == 1


async def test_many_that_end_at_once_are_each_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wakeline.edges.sip.refreshing._PAGE", 3)
    edge = await sleepers()
    phones = [
        await edge.phone(f"phone-{number}", lasts=130 + (number > 6), aor=f"sip:{number}@example.org")
        for number in range(10)
    ]
    await edge.pass_time(TICK)
    assert sorted(sent.token for sent in edge.world.apple.sent) == sorted(
        phone.push.tokens[0].value for phone in phones if phone.push is not None
    )
