"""Certificates of our own listeners: asked of the listeners, judged by the days they have left."""

from __future__ import annotations

import msgspec
import pytest

from stories.world import World
from unit.doctor.clinic import line, ports_in
from unit.edges.rest.gateway import Outlook
from wakeline.config import Server, Settings, Sip
from wakeline.doctor.checking import DAY, DoctorPorts
from wakeline.doctor.listeners import certificates

pytestmark = pytest.mark.anyio

HERE = "certificate of server"


@pytest.fixture
async def world() -> World:
    return await World().open()


def looking(world: World, outlook: Outlook, listen: str = "0.0.0.0:8750") -> DoctorPorts:
    settings = Settings(
        server=Server(listen=listen, tls_certificate="server.pem", tls_key="server.key"),
        sip=Sip(
            listen=("udp:127.0.0.1:5060", "tls:[::]:5061"),
            domains=("example.org",),
            tls_certificate="sip.pem",
            tls_key="sip.key",
        ),
    )
    return msgspec.structs.replace(ports_in(world, outlook=outlook), settings=settings)


@pytest.mark.parametrize(
    ("days", "status", "words"),
    [(60, "ok", "60 days left"), (7, "warning", "ends in 7 days"), (-3, "failed", "ended 3 days ago")],
)
async def test_what_a_listener_shows_is_judged_by_the_days_it_has_left(
    world: World, days: int, status: str, words: str
) -> None:
    outlook = Outlook()
    outlook.ends["127.0.0.1", 8750] = world.clock.now() + days * DAY

    found = await line(certificates, looking(world, outlook), HERE)

    assert found[0] == status
    assert words in found[1]
    assert ("server.tls_certificate" in found[2]) is (status != "ok")


async def test_the_certificate_of_sip_is_that_of_its_tls_address(world: World) -> None:
    outlook = Outlook()
    outlook.ends["::1", 5061] = world.clock.now() + 60 * DAY

    assert (await line(certificates, looking(world, outlook), "certificate of sip"))[0] == "ok"


async def test_a_listener_that_does_not_show_it_is_told(world: World) -> None:
    status, cause, _ = await line(certificates, looking(world, Outlook()), HERE)

    assert status == "warning"
    assert "127.0.0.1:8750: no connection" in cause


async def test_a_port_chosen_at_each_start_is_not_looked_for(world: World) -> None:
    assert (await line(certificates, looking(world, Outlook(), "127.0.0.1:0"), HERE))[0] == "skipped"


async def test_without_a_certificate_there_is_nothing_to_look_at(world: World) -> None:
    assert (await line(certificates, ports_in(world), "certificates"))[0] == "skipped"
