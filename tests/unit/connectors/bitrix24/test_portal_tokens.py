"""Tokens of a connected portal: renewed once, kept before they are used, whatever breaks in between."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from connected_portal import Connected
from storing import Store, some_app, sqlite_store
from wakeline.connectors.bitrix24.connections import Connections
from wakeline.connectors.bitrix24.oauth import IDLE
from wakeline.model.bitrix24.installation import InstallationState, Tokens
from wakeline.model.errors import (
    PortalClosed,
    PortalUnreachable,
    StoreUnavailable,
    TransportError,
)
from wakeline.model.event import EventType
from wakeline.ports import HttpAnswer, HttpClient
from wakeline.simulator.portal.memory import Application
from wakeline.simulator.script import ScriptedAnswer

pytestmark = pytest.mark.anyio

DAY = 86_400


async def test_an_expired_token_is_renewed_and_the_call_repeated(world: Connected) -> None:
    installation = await world.application()
    world.expire()

    reply = await world.client(installation).call("crm.deal.get", {"ID": 7})

    assert reply.result["ID"] == "7"  # type: ignore[index] # a map of a deal
    assert len(world.requests("oauth/token")) == 1
    assert world.access(installation).access in world.portal.access


async def test_many_calls_with_an_expired_token_make_one_renewal(world: Connected) -> None:
    installation = await world.application()
    world.expire()

    await asyncio.gather(*(world.client(installation).call("profile") for _ in range(12)))

    assert len(world.requests("oauth/token")) == 1


async def test_a_token_that_is_known_to_have_expired_is_not_tried(world: Connected) -> None:
    installation = await world.application()
    world.clock.advance(3601)

    await world.client(installation).call("profile")

    assert len(world.requests("oauth/token")) == 1
    assert len(world.requests("profile")) == 1


async def test_tokens_that_are_good_are_not_renewed(world: Connected) -> None:
    installation = await world.application()

    for _ in range(3):
        await world.client(installation).call("profile")
        world.clock.advance(600)
    await world.connections.renew_idle()

    assert world.requests("oauth/token") == []


class Watching:
    """An HTTP client that notes what the store held when each access token was first used."""

    def __init__(self, world: Connected, inner: HttpClient) -> None:
        self._world = world
        self._inner = inner
        self.early: list[str] = []

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float) -> HttpAnswer:
        if "/rest/" in url:
            used = msgspec.json.decode(body)["auth"]
            if used != self._world.access(self._world.store.installations.all()[0]).access:
                self.early.append(used)
        return await self._inner.post(url, body, headers, timeout=timeout)


async def test_a_new_pair_is_kept_before_it_is_used(world: Connected) -> None:
    watching = Watching(world, world.ports.http)
    connections = Connections(msgspec.structs.replace(world.ports, http=watching))
    installation = await world.application()
    world.expire()

    await connections.of(installation.id).call("profile")

    assert watching.early == []


async def test_a_pair_that_could_not_be_written_is_kept_in_memory_until_it_can(
    world: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation = await world.application()
    world.expire()
    keep, full = world.store.installations.keep_tokens, [True]

    async def fragile(number: int, tokens: Tokens | None, *, instead_of: str) -> bool:
        if full.pop() if full else False:
            raise StoreUnavailable("the disk is full")
        return await keep(number, tokens, instead_of=instead_of)

    monkeypatch.setattr(world.store.installations, "keep_tokens", fragile)
    with pytest.raises(StoreUnavailable):
        await world.client(installation).call("profile")

    assert world.access(installation) == installation.access.tokens  # type: ignore[union-attr] # an application's
    await world.client(installation).call("profile")
    assert len(world.requests("oauth/token")) == 1
    assert world.access(installation).refresh in world.portal.refresh


class Held:
    """An HTTP client that holds the answer of the OAuth host back."""

    def __init__(self, inner: HttpClient) -> None:
        self._inner = inner
        self.answered = asyncio.Event()
        self.release = asyncio.Event()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float) -> HttpAnswer:
        answer = await self._inner.post(url, body, headers, timeout=timeout)
        if "oauth/token" in url:
            self.answered.set()
            await self.release.wait()
        return answer


async def test_a_renewal_that_has_begun_is_kept_although_nobody_waits_for_it(world: Connected) -> None:
    held = Held(world.ports.http)
    connections = Connections(msgspec.structs.replace(world.ports, http=held))
    installation = await world.application()
    world.expire()
    calling = asyncio.create_task(connections.of(installation.id).call("profile"))
    await held.answered.wait()

    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    held.release.set()
    await connections.close()

    assert world.access(installation) != installation.access.tokens  # type: ignore[union-attr] # an application's
    await world.client(installation).call("profile")
    assert len(world.requests("oauth/token")) == 1


async def test_whoever_lost_the_race_takes_the_pair_that_is_there(
    world: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation = await world.application()
    world.expire()
    fresh, used = world.tokens(), world.access(installation)
    post = type(world.ports.http).post

    async def overtaken(self: object, url: str, *args: object, **more: object) -> HttpAnswer:
        if "oauth/token" in url and used.refresh in world.portal.refresh:
            del world.portal.refresh[used.refresh]
            await world.store.installations.keep_tokens(installation.id, fresh, instead_of=used.refresh)
        return await post(self, url, *args, **more)  # type: ignore[arg-type] # what it was called with

    monkeypatch.setattr(type(world.ports.http), "post", overtaken)
    await world.client(installation).call("profile")

    assert world.access(installation) == fresh
    assert world.kept(installation).state is InstallationState.ACTIVE


@pytest.mark.parametrize("code", ["invalid_grant", "NOT_INSTALLED", "PAYMENT_REQUIRED", "wrong_client"])
async def test_a_renewal_refused_for_good_ends_the_installation_and_nothing_is_asked_any_more(
    world: Connected, code: str
) -> None:
    installation = await world.application()
    world.expire()
    match code:
        case "invalid_grant":
            world.portal.refresh.clear()
        case "NOT_INSTALLED":
            world.portal.applications = {name: Application(installed=False) for name in world.portal.applications}
        case _:
            world.script("oauth/token", ScriptedAnswer(body=f'{{"error":"{code}"}}'))

    with pytest.raises(PortalClosed, match=code):
        await world.client(installation).call("profile")

    dead = world.kept(installation)
    assert dead.state is InstallationState.DEAD
    assert code in dead.cause
    asked = len(world.requests("profile")), len(world.requests("oauth/token"))
    with pytest.raises(PortalClosed, match=code):
        await world.client(installation).call("profile")
    await world.connections.renew_idle()
    assert asked == (len(world.requests("profile")), len(world.requests("oauth/token")))
    events = await world.store.events.read(after=0, limit=10)
    assert [(event.type, event.app) for event in events] == [(EventType.PORTAL_CLOSED, "acme")]
    assert code in events[0].data.note


async def test_an_oauth_host_that_stumbles_ends_nothing(world: Connected) -> None:
    installation = await world.application()
    world.expire()
    world.script(
        "oauth/token", ScriptedAnswer(status=500), ScriptedAnswer(status=503), ScriptedAnswer(status=502, html=True)
    )

    for _ in range(3):
        with pytest.raises(PortalUnreachable) as unreachable:
            await world.client(installation).call("profile")
        assert unreachable.value.retry_after
    await world.client(installation).call("profile")

    assert world.kept(installation).state is InstallationState.ACTIVE


async def test_a_refusal_that_may_pass_ends_nothing(world: Connected) -> None:
    installation = await world.application()
    world.expire()
    world.script("oauth/token", ScriptedAnswer(status=403, body='{"error":"insufficient_scope"}'))

    with pytest.raises(PortalUnreachable, match="insufficient_scope") as unreachable:
        await world.client(installation).call("profile", once=True)

    assert not unreachable.value.doubtful
    assert world.kept(installation).state is InstallationState.ACTIVE


async def test_a_lost_answer_is_named_if_the_used_token_is_good_for_nothing_then(world: Connected) -> None:
    installation = await world.application()
    world.clock.advance(4000)
    lossy = Connections(msgspec.structs.replace(world.ports, http=Losing(world.ports.http)))
    with pytest.raises(PortalUnreachable):
        await lossy.of(installation.id).call("profile")
    world.portal.refresh.clear()

    with pytest.raises(PortalClosed, match=r"invalid_grant.*the answer before was lost"):
        await lossy.of(installation.id).call("profile")


class Losing:
    """An HTTP client whose first request arrives, and its answer does not."""

    def __init__(self, inner: HttpClient) -> None:
        self._inner = inner
        self._lost = False

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float) -> HttpAnswer:
        answer = await self._inner.post(url, body, headers, timeout=timeout)
        if not self._lost:
            self._lost = True
            raise TransportError("the connection broke")
        return answer


async def test_tokens_of_another_portal_are_never_kept(world: Connected) -> None:
    installation = await world.application(member_id="f" * 32)
    world.expire()

    with pytest.raises(PortalClosed, match="another portal"):
        await world.client(installation).call("profile")

    assert world.access(installation) == installation.access.tokens  # type: ignore[union-attr] # an application's


async def test_a_token_that_stays_unknown_is_renewed_once_a_call(world: Connected) -> None:
    installation = await world.application()
    world.script("profile", ScriptedAnswer(status=401, body='{"error":"invalid_token"}', times=None))

    with pytest.raises(PortalUnreachable, match="invalid_token"):
        await world.client(installation).call("profile")

    assert len(world.requests("oauth/token")) == 1


async def test_what_is_idle_for_a_month_is_renewed_once_a_month(world: Connected) -> None:
    installation = await world.application()
    await world.webhook()
    dead = await world.application(state=InstallationState.DEAD)

    for _ in range(200):
        world.clock.advance(DAY)
        await world.connections.renew_idle()

    assert len(world.requests("oauth/token")) == 200 * DAY * 1000 // (IDLE + 3_600_000)
    assert world.access(dead) == dead.access.tokens  # type: ignore[union-attr] # an application's
    await world.client(installation).call("profile")


async def test_one_that_cannot_be_renewed_keeps_no_other_from_it(world: Connected) -> None:
    lost, idle = await world.application(), await world.application()
    del world.portal.refresh[world.access(lost).refresh]
    world.clock.advance(31 * DAY)

    await world.connections.renew_idle()

    assert world.kept(lost).state is InstallationState.DEAD
    assert world.access(idle) != idle.access.tokens  # type: ignore[union-attr] # an application's


async def test_an_installation_deleted_while_it_is_renewed_is_closed(
    world: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation = await world.application()
    world.expire()
    post = type(world.ports.http).post

    async def deleting(self: object, url: str, *args: object, **more: object) -> HttpAnswer:
        answer = await post(self, url, *args, **more)  # type: ignore[arg-type] # what it was called with
        if "oauth/token" in url:
            await world.store.installations.delete(installation.id)
        return answer

    monkeypatch.setattr(type(world.ports.http), "post", deleting)
    with pytest.raises(PortalClosed):
        await world.client(installation).call("profile")


async def test_an_answer_to_old_tokens_does_not_end_what_was_connected_anew(
    world: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation = await world.application()
    old, fresh = world.access(installation), world.tokens()
    world.script("profile", ScriptedAnswer(status=401, error="APPLICATION_NOT_FOUND"))
    post = type(world.ports.http).post

    async def reinstalled(self: object, url: str, *args: object, **more: object) -> HttpAnswer:
        answer = await post(self, url, *args, **more)  # type: ignore[arg-type] # what it was called with
        await world.store.installations.keep_tokens(installation.id, fresh, instead_of=old.refresh)
        return answer

    monkeypatch.setattr(type(world.ports.http), "post", reinstalled)
    with pytest.raises(PortalUnreachable, match="APPLICATION_NOT_FOUND"):
        await world.client(installation).call("profile")

    assert world.kept(installation).state is InstallationState.ACTIVE
    await world.client(installation).call("profile")


async def test_a_portal_that_took_the_tokens_back_is_closed(world: Connected) -> None:
    installation = await world.application()
    await world.store.installations.keep_tokens(installation.id, None, instead_of=world.access(installation).refresh)

    with pytest.raises(PortalClosed):
        await world.client(installation).call("profile")

    assert world.requests("profile") == []


async def test_secrets_go_to_no_oauth_host_that_the_operator_names_no_more(world: Connected) -> None:
    installation = await world.application()
    world.clock.advance(4000)
    section = msgspec.structs.replace(world.settings.bitrix24, connected_hosts=("localhost",))
    world.settings = msgspec.structs.replace(world.settings, bitrix24=section)

    with pytest.raises(PortalUnreachable, match="not an OAuth host") as refused:
        await world.client(installation).call("profile")

    assert "connected_hosts" in refused.value.fix
    assert world.requests("oauth/token") == []


async def test_a_gateway_that_starts_anew_goes_on_with_the_pair_that_was_renewed(
    world: Connected, tmp_path: Path
) -> None:
    before = sqlite_store(tmp_path)
    await before.open()
    app = await some_app(before)
    installation = await world.application()
    kept = await before.installations.create(msgspec.structs.replace(installation, app=app.id))
    world.expire()
    await of_store(world, before).of(kept.id).call("profile")
    await before.close()

    after = sqlite_store(tmp_path)
    await after.open()
    await of_store(world, after).of(kept.id).call("profile")
    await after.close()

    assert len(world.requests("oauth/token")) == 1


def of_store(world: Connected, store: Store) -> Connections:
    ports = msgspec.structs.replace(
        world.ports, installations=store.installations, apps=store.apps, events=store.events
    )
    return Connections(ports)


class Broken:
    """A network that breaks as told."""

    def __init__(self, error: TransportError) -> None:
        self._error = error

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float) -> HttpAnswer:
        raise self._error


async def test_an_oauth_host_that_cannot_be_reached_is_tried_again_later(world: Connected) -> None:
    installation = await world.application()
    world.clock.advance(4000)
    broken = Connections(msgspec.structs.replace(world.ports, http=Broken(TransportError("no route"))))

    with pytest.raises(PortalUnreachable, match="OAuth host: no route") as unreachable:
        await broken.of(installation.id).call("telephony.externalcall.register", once=True)

    assert not unreachable.value.doubtful

    assert world.kept(installation).state is InstallationState.ACTIVE
