"""A portal that moves is followed, and one that lies about it is not."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import msgspec
import pytest

from connected_portal import Connected
from wakeline.model.bitrix24.installation import Installation, InstallationState, WebhookAccess
from wakeline.model.errors import PortalUnreachable
from wakeline.model.event import EventType
from wakeline.simulator.portal.memory import WEBHOOK_CODE
from wakeline.simulator.script import ScriptedAnswer

pytestmark = pytest.mark.anyio


def elsewhere(world: Connected) -> str:
    """Another name under which the simulator listens."""
    return world.portal.origin.replace("localhost", "127.0.0.1")


async def installed(world: Connected, kind: str) -> Installation:
    return await (world.application() if kind == "application" else world.webhook())


@pytest.mark.parametrize("kind", ["application", "webhook"])
async def test_a_move_is_followed_kept_and_told(world: Connected, kind: str) -> None:
    installation = await installed(world, kind)
    world.switch(moved_to=elsewhere(world))

    reply = await world.client(installation).call("crm.deal.get", {"ID": 7})

    assert reply.result["ID"] == "7"  # type: ignore[index] # a map of a deal
    moved = world.kept(installation)
    assert moved.client_endpoint == f"{elsewhere(world)}/rest/"
    assert moved.state is InstallationState.ACTIVE
    if isinstance(moved.access, WebhookAccess):
        assert moved.access.url == f"{elsewhere(world)}/rest/1/{WEBHOOK_CODE}/"
    events = await world.store.events.read(after=0, limit=10)
    assert [event.type for event in events] == [EventType.PORTAL_MOVED]
    assert "127.0.0.1" in events[0].data.note
    assert WEBHOOK_CODE not in events[0].data.note


@pytest.mark.parametrize("kind", ["application", "webhook"])
async def test_many_calls_follow_a_move_once(world: Connected, kind: str) -> None:
    installation = await installed(world, kind)
    world.switch(moved_to=elsewhere(world))

    await asyncio.gather(*(world.client(installation).call("profile") for _ in range(8)))
    await world.client(installation).call("profile")

    assert len(await world.store.events.read(after=0, limit=10)) == 1


async def test_a_move_is_followed_with_an_expired_token_too(world: Connected) -> None:
    installation = await world.application()
    world.expire()
    world.switch(moved_to=elsewhere(world))

    await world.client(installation).call("profile")

    assert world.kept(installation).client_endpoint == f"{elsewhere(world)}/rest/"
    assert len(world.requests("oauth/token")) == 1


async def test_a_renewal_tells_where_the_portal_is_now(world: Connected) -> None:
    installation = await world.application(client_endpoint="https://gone.invalid/rest/")
    world.clock.advance(3601)

    await world.client(installation).call("profile")

    assert world.kept(installation).client_endpoint == f"{world.portal.origin}/rest/"


async def test_a_renewal_that_names_a_wrong_place_moves_nothing(world: Connected) -> None:
    installation = await world.application()
    world.switch(client_endpoint="http://evil.test/rest/")
    world.expire()

    await world.client(installation).call("profile")

    assert world.kept(installation).client_endpoint == f"{world.portal.origin}/rest/"


_HOSTILE = [
    "http://evil.test/rest/profile",
    "https://evil.test/rest/profile",
    "https://localhost@evil.test/rest/profile",
    "https://169.254.169.254/latest/meta-data/",
    "https://10.0.0.1/rest/profile",
    "//evil.test/rest/profile",
    "/login",
    "javascript:alert(1)",
    "https://evil.test:0/",
    "https://[::1/",
    "https://evil.test\\@localhost/",
    "file:///etc/passwd",
]


@pytest.mark.parametrize("location", _HOSTILE)
async def test_a_hostile_redirect_takes_no_token_of_an_application_anywhere(world: Connected, location: str) -> None:
    installation = await world.application()
    asked = Asked(world)
    world.script("profile", ScriptedAnswer(status=302, headers={"location": location}, times=None))

    with pytest.raises(PortalUnreachable, match="we do not follow"):
        await world.client(installation).call("profile")

    assert world.kept(installation) == installation
    assert asked.hosts <= {"localhost", "127.0.0.1"}


@pytest.mark.parametrize("location", [one for one in _HOSTILE if one != "https://evil.test/rest/profile"])
async def test_a_hostile_redirect_takes_no_webhook_anywhere(world: Connected, location: str) -> None:
    installation = await world.webhook()
    world.script("profile", ScriptedAnswer(status=302, headers={"location": location}, times=None))

    with pytest.raises(PortalUnreachable) as refused:
        await world.client(installation).call("profile")

    assert world.kept(installation) == installation
    assert WEBHOOK_CODE not in refused.value.detail


async def test_a_strangers_webhook_does_not_lead_into_our_network(world: Connected) -> None:
    installation = await world.webhook()
    section = msgspec.structs.replace(world.settings.bitrix24, connected_hosts=("127.0.0.1",))
    world.settings = msgspec.structs.replace(world.settings, bitrix24=section)
    world.switch(moved_to=elsewhere(world))

    with pytest.raises(PortalUnreachable, match="the operator put there"):
        await world.client(installation).call("profile")

    assert world.requests("app.info") == []


async def test_a_webhook_does_not_go_where_it_is_not_let_in(world: Connected) -> None:
    installation = await world.webhook()
    world.script("profile", ScriptedAnswer(status=302, headers={"location": f"{elsewhere(world)}/"}, times=None))
    world.script("app.info", ScriptedAnswer(status=403, times=None))

    # The simulator's other name answers for its OAuth host only where no code stands in the address.
    with pytest.raises(PortalUnreachable, match="does not let the webhook in"):
        await world.client(installation).call("profile")

    assert world.kept(installation) == installation


async def test_an_oauth_host_that_refuses_the_token_stops_the_move(world: Connected) -> None:
    installation = await world.application()
    world.switch(moved_to=elsewhere(world))
    world.portal.access.clear()
    grant = {"access_token": "unknown", "refresh_token": "new", "member_id": world.portal.member_id}
    world.script("oauth/token", ScriptedAnswer(body=msgspec.json.encode(grant).decode()))

    with pytest.raises(PortalUnreachable, match="does not say where the portal is"):
        await world.client(installation).call("profile")

    assert world.kept(installation).client_endpoint == installation.client_endpoint


async def test_an_oauth_host_that_names_another_portal_stops_the_move(world: Connected) -> None:
    installation = await world.application(member_id="f" * 32)
    world.switch(moved_to=elsewhere(world))

    with pytest.raises(PortalUnreachable, match="names another portal"):
        await world.client(installation).call("profile")


async def test_a_place_that_the_oauth_host_does_not_name_is_not_followed(world: Connected) -> None:
    installation = await world.application()
    world.switch(moved_to=elsewhere(world), client_endpoint=f"{world.portal.origin}/rest/")

    with pytest.raises(PortalUnreachable, match="OAuth host says that the portal is at localhost"):
        await world.client(installation).call("profile")


async def test_a_portal_that_sends_us_around_is_not_followed_for_ever(world: Connected) -> None:
    installation = await world.application()
    there = f"{elsewhere(world)}/rest/profile"
    world.switch(client_endpoint=f"{elsewhere(world)}/rest/")
    world.script("profile", ScriptedAnswer(status=302, headers={"location": there}, times=None))

    with pytest.raises(PortalUnreachable, match="circles"):
        await world.client(installation).call("profile")
    with pytest.raises(PortalUnreachable, match="leads to itself"):
        await world.client(installation).call("profile")


async def test_an_address_that_the_operator_does_not_name_any_more_gets_no_token(world: Connected) -> None:
    plain = world.portal.origin.replace("https://", "http://")
    installation = await world.application(client_endpoint=f"{plain}/rest/")
    section = msgspec.structs.replace(world.settings.bitrix24, connected_hosts=())
    world.settings = msgspec.structs.replace(world.settings, bitrix24=section)

    with pytest.raises(PortalUnreachable, match="without TLS") as refused:
        await world.client(installation).call("profile")

    assert "connected_hosts" in refused.value.fix


class Asked:
    """The hosts that the guard was asked to connect to."""

    def __init__(self, world: Connected) -> None:
        self.hosts: set[str] = set()
        http = world.ports.http
        inner = http.post

        async def post(url: str, *args: object, **more: object) -> object:
            self.hosts.add(urlsplit(url).hostname or "")
            return await inner(url, *args, **more)  # type: ignore[arg-type] # what it was called with

        http.post = post  # type: ignore[method-assign, assignment] # this test's own client
