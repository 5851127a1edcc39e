"""Portals that break, lie or hang: an error that callers can use, never a hang, a crash or a secret in words."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest
import structlog

from connected_portal import Connected
from wakeline.config import Bitrix24
from wakeline.connectors.bitrix24.connections import Connections
from wakeline.model.bitrix24.installation import InstallationState
from wakeline.model.errors import PortalClosed, PortalError, PortalUnreachable
from wakeline.service.connected import portal_client
from wakeline.simulator.portal.memory import WEBHOOK_CODE
from wakeline.simulator.script import ScriptedAnswer

pytestmark = pytest.mark.anyio


class Rogue:
    """A portal of its own making on a port, and a client that was told to trust it."""

    def __init__(self, world: Connected, origin: str) -> None:
        self._world = world
        self.origin = origin
        self.asked = 0

    async def ask(self, *, once: bool = False) -> object:
        installation = await self._world.webhook(self.origin, client_endpoint=f"{self.origin}/rest/")
        return (await self._world.client(installation).call("profile", once=once)).result


@asynccontextmanager
async def rogue(world: Connected, answer: Callable[[int], bytes | None]) -> AsyncIterator[Rogue]:
    """A server that answers the nth request so; None: it hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            portal.asked += 1
            said = answer(portal.asked)
            if said is not None:
                writer.write(said)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    portal = Rogue(world, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    async with server:
        yield portal


def http(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>maintenance</html>",
        b"[]",
        b"null",
        b"{}",
        b'{"result"',
        b'{"time":{}}',
        b"\xff\xfe",
        b"[" * 200_000,
        b'{"result":' + b'{"a":' * 100_000,
        b'{"error":"INTERNAL_SERVER_ERROR","error_description":"x"}',
    ],
)
async def test_a_200_that_is_no_portals_is_tried_again_later_and_doubtful(world: Connected, body: bytes) -> None:
    async with rogue(world, lambda _: http(body)) as portal:
        with pytest.raises(PortalUnreachable) as unreachable:
            await portal.ask()

    assert unreachable.value.doubtful
    assert unreachable.value.retry_after


async def test_a_page_of_a_proxy_is_tried_again_later_and_was_not_done(world: Connected) -> None:
    async with rogue(world, lambda _: http(b"<html>404</html>", "404 Not Found")) as portal:
        with pytest.raises(PortalUnreachable) as unreachable:
            await portal.ask()

    assert not unreachable.value.doubtful


async def test_a_connection_that_breaks_is_tried_once_more(world: Connected) -> None:
    async with rogue(world, lambda n: None if n == 1 else http(b'{"result":{"ID":"1"}}')) as portal:
        assert await portal.ask() == {"ID": "1"}
        assert portal.asked == 2


async def test_a_connection_that_breaks_twice_is_unreachable(world: Connected) -> None:
    async with rogue(world, lambda _: None) as portal:
        with pytest.raises(PortalUnreachable):
            await portal.ask()
        assert portal.asked == 2


async def test_a_write_whose_connection_breaks_is_not_sent_again_and_doubtful(world: Connected) -> None:
    async with rogue(world, lambda _: None) as portal:
        with pytest.raises(PortalUnreachable) as unreachable:
            await portal.ask(once=True)
        assert portal.asked == 1

    assert unreachable.value.doubtful


async def test_a_write_that_found_nobody_was_not_done(world: Connected) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # it is kept, and does not listen
        portal = Rogue(world, f"http://127.0.0.1:{nobody.getsockname()[1]}")
        with pytest.raises(PortalUnreachable) as unreachable:
            await portal.ask(once=True)

    assert not unreachable.value.doubtful
    assert WEBHOOK_CODE not in unreachable.value.detail


async def test_an_answer_without_end_is_cut_off(world: Connected) -> None:
    endless = http(b'{"result":"' + b"x" * (9 * 1024 * 1024) + b'"}')

    async with rogue(world, lambda _: endless) as portal:
        with pytest.raises(PortalUnreachable, match="longer than"):
            await portal.ask(once=True)


async def test_failures_in_a_row_make_the_waits_longer_and_an_answer_ends_them(world: Connected) -> None:
    client = world.client(await world.webhook())
    world.script("profile", ScriptedAnswer(status=502, html=True, times=4))
    waits = []

    for _ in range(4):
        with pytest.raises(PortalUnreachable) as unreachable:
            await client.call("profile")
        waits.append(unreachable.value.retry_after)
    await client.call("profile")
    world.script("profile", ScriptedAnswer(status=502, html=True))
    with pytest.raises(PortalUnreachable) as once_more:
        await client.call("profile")

    assert waits == [2, 4, 8, 16]
    assert once_more.value.retry_after == 2


@pytest.mark.parametrize("code", ["INVALID_CREDENTIALS", "NO_AUTH_FOUND", "PORTAL_DELETED"])
async def test_a_webhook_that_was_taken_back_is_dead(world: Connected, code: str) -> None:
    installation = await world.webhook()
    world.script("profile", ScriptedAnswer(status=401, error=code, times=None))

    for _ in range(2):
        with pytest.raises(PortalClosed, match=code):
            await world.client(installation).call("profile")

    assert world.kept(installation).state is InstallationState.DEAD
    assert len(world.requests("profile")) == 1


async def test_a_plan_without_rest_refuses_nothing_for_good(world: Connected) -> None:
    installation = await world.application()
    world.switch(paid=False)

    with pytest.raises(PortalUnreachable, match="commercial plans") as unreachable:
        await world.client(installation).call("crm.deal.get", {"ID": 7}, once=True)
    assert not unreachable.value.doubtful

    world.switch(paid=True)
    await world.client(installation).call("crm.deal.get", {"ID": 7})


async def test_what_waits_or_was_deleted_is_not_asked(world: Connected) -> None:
    waiting = await world.application(state=InstallationState.WAITING)
    deleted = await world.application()
    await world.store.installations.delete(deleted.id)

    for installation in (waiting, deleted):
        with pytest.raises(PortalClosed):
            await world.client(installation).call("profile")

    assert world.requests("profile") == []


async def test_secrets_are_in_no_log_line_and_no_error(world: Connected) -> None:
    installation = await world.application()
    tokens = world.access(installation)
    world.script(
        "profile", ScriptedAnswer(status=302, headers={"location": f"https://evil.test/?auth={tokens.access}"})
    )
    world.script("scope", ScriptedAnswer(status=400, error="ERROR_CORE"))
    said: list[str] = []

    with structlog.testing.capture_logs() as lines:
        for method in ("profile", "scope"):
            with pytest.raises(PortalError) as failed:
                await world.client(installation).call(method)
            said.append(f"{failed.value!r} {failed.value.detail} {failed.value.fix}")
        world.portal.refresh.clear()
        world.expire()
        with pytest.raises(PortalClosed) as closed:
            await world.client(installation).call("profile")
    said += [closed.value.detail, str(lines), world.kept(installation).cause]

    assert lines
    for secret in (tokens.access, tokens.refresh, "simulator-secret"):
        assert all(secret not in one for one in said)


async def test_plain_http_is_spoken_to_hosts_that_the_operator_named_and_nobody_else(world: Connected) -> None:
    async with rogue(world, lambda _: http(b'{"result":1}')) as portal:
        assert await portal.ask() == 1
        section = msgspec.structs.replace(world.settings.bitrix24, connected_hosts=("localhost",))
        world.settings = msgspec.structs.replace(world.settings, bitrix24=section)

        with pytest.raises(PortalUnreachable, match="without TLS"):
            await portal.ask()
        assert portal.asked == 1


async def test_private_addresses_are_for_hosts_that_the_operator_named(world: Connected) -> None:
    installation = await world.webhook()
    async with portal_client(Bitrix24(connected_ca_file=world.settings.bitrix24.connected_ca_file)) as stranger:
        connections = Connections(msgspec.structs.replace(world.ports, http=stranger))

        with pytest.raises(PortalUnreachable, match="loopback") as unreachable:
            await connections.of(installation.id).call("profile")

    assert not unreachable.value.doubtful
    assert world.requests("profile") == []
