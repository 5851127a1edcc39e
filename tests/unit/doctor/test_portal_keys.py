"""The doctor's lines about self-hosted portals, over a memory store: what is said of a key that is silent, moved or unreachable."""

from __future__ import annotations

import msgspec
import pytest

from unit.doctor.surgery import ports_of
from unit.edges.rest.gateway import Gateway, Outlook
from wakeline.doctor import portal_keys, reaching
from wakeline.doctor.checking import DAY, HOUR, span
from wakeline.model.bitrix24.broker import PortalKey, key_digest, seen_from
from wakeline.model.errors import AddressRefused, ConnectFailed
from wakeline.observe.health import Check, Status

pytestmark = pytest.mark.anyio
OFFICE = "push service Office"


class Surgery:
    """A gateway with one bound key, which a test has come from places at times."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.outlook: Outlook = gateway.probe
        self.ports = ports_of(gateway)
        self.key = PortalKey(id=0, app=0, digest=key_digest("licence"), ending="icence")

    async def bind(self, *, name: str = "Office") -> None:
        app = self.gateway.store.apps.get("acme-chat")
        assert app is not None
        key = msgspec.structs.replace(self.key, app=app.id, name=name, created=self.gateway.clock.now())
        self.key = await self.gateway.store.portal_keys.bind(key)

    async def come(self, host: str, address: str, *, ago: int) -> None:
        """Have pushes come from a place some milliseconds ago."""
        self.key, _ = seen_from(self.key, host, address, self.gateway.clock.now() - ago)
        await self.gateway.store.portal_keys.remember(self.key)

    async def lines(self) -> list[Check]:
        return list(await portal_keys.look(self.ports))


@pytest.fixture
async def surgery() -> Surgery:
    gateway = Gateway()
    await gateway.with_app()
    return Surgery(gateway)


def by_status(lines: list[Check], status: Status) -> list[Check]:
    return [line for line in lines if line.status is status]


async def test_without_a_portal_there_is_nothing_to_look_at(surgery: Surgery) -> None:
    (line,) = await surgery.lines()

    assert (line.status, surgery.outlook.asked) == (Status.SKIPPED, [])


async def test_a_portal_that_came_today_and_answers_is_fine(surgery: Surgery) -> None:
    await surgery.bind()
    await surgery.come("portal.test", "192.0.2.7", ago=2 * HOUR)
    lines = await surgery.lines()

    assert {line.status for line in lines} == {Status.OK}
    assert {line.name for line in lines} == {OFFICE}
    assert "portal.test (192.0.2.7), the last ones 2 hours ago" in lines[0].cause
    assert surgery.outlook.asked == ["portal.test"]


async def test_a_key_that_nothing_came_with_says_how_to_point_a_portal_here(surgery: Surgery) -> None:
    await surgery.bind(name="")
    (line,) = await surgery.lines()

    assert (line.name, line.status) == ("push service key ...icence", Status.WARNING)
    assert "push_service_url" in line.fix
    assert surgery.outlook.asked == []


@pytest.mark.parametrize(
    ("ago", "status"), [(3 * DAY - 1, Status.OK), (3 * DAY, Status.WARNING), (90 * DAY, Status.WARNING)]
)
async def test_a_portal_that_was_quiet_for_three_days_is_silent(surgery: Surgery, ago: int, status: Status) -> None:
    await surgery.bind()
    await surgery.come("portal.test", "192.0.2.7", ago=ago)
    seen = (await surgery.lines())[0]

    assert seen.status is status
    assert ("--portal-dump" in seen.fix) is (status is Status.WARNING)


async def test_a_portal_that_moved_says_from_where_to_where_for_a_week(surgery: Surgery) -> None:
    await surgery.bind()
    await surgery.come("old.test", "192.0.2.7", ago=10 * DAY)
    await surgery.come("new.test", "198.51.100.9", ago=2 * HOUR)
    (moved,) = by_status(await surgery.lines(), Status.WARNING)

    assert "old.test (192.0.2.7) and comes from new.test (198.51.100.9)" in moved.cause
    assert f"key remove {surgery.key.id}" in moved.fix
    surgery.gateway.clock.advance(7 * DAY / 1000)
    await surgery.come("new.test", "198.51.100.9", ago=0)
    assert by_status(await surgery.lines(), Status.WARNING) == []


async def test_a_portal_and_its_copy_are_told_as_two_places_at_once(surgery: Surgery) -> None:
    await surgery.bind()
    await surgery.come("portal.test", "192.0.2.7", ago=30 * DAY)
    await surgery.come("copy.test", "192.0.2.8", ago=20 * DAY)
    await surgery.come("portal.test", "192.0.2.7", ago=2 * HOUR)
    await surgery.come("copy.test", "192.0.2.8", ago=HOUR)
    (twice,) = by_status(await surgery.lines(), Status.WARNING)

    assert "two places at once: copy.test (192.0.2.8) and portal.test (192.0.2.7)" in twice.cause
    assert "copy of the portal" in twice.fix


async def test_a_portal_that_does_not_answer_is_told_with_the_reason(surgery: Surgery) -> None:
    await surgery.bind()
    await surgery.come("gone.test:8443", "192.0.2.7", ago=HOUR)
    surgery.outlook.failures["gone.test:8443"] = ConnectFailed(
        "gone.test cannot be resolved: Name or service not known"
    )
    (unreachable,) = by_status(await surgery.lines(), Status.WARNING)

    assert "gone.test cannot be resolved" in unreachable.cause
    assert "external address" in unreachable.fix


async def test_a_portal_in_our_own_network_is_not_asked(surgery: Surgery) -> None:
    await surgery.bind()
    await surgery.come("intranet.test", "10.0.0.3", ago=HOUR)
    surgery.outlook.failures["intranet.test"] = AddressRefused("private")
    lines = await surgery.lines()

    assert [line.status for line in lines] == [Status.OK, Status.SKIPPED]


async def test_hosts_that_take_their_time_keep_no_line_from_being_said(
    surgery: Surgery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reaching, "PATIENCE", 0.05)
    await surgery.bind()
    await surgery.come("slow.test", "192.0.2.7", ago=HOUR)
    surgery.outlook.silent.add("slow.test")
    lines = await surgery.lines()

    assert [line.status for line in lines] == [Status.OK, Status.SKIPPED]
    assert "no time left" in lines[1].cause


async def test_a_host_of_many_keys_is_asked_once(surgery: Surgery) -> None:
    await surgery.bind()
    await surgery.come("portal.test", "192.0.2.7", ago=HOUR)
    surgery.key = msgspec.structs.replace(surgery.key, digest=key_digest("other"), sources=())
    await surgery.bind(name="Second")
    await surgery.come("portal.test", "192.0.2.7", ago=HOUR)

    assert [line.status for line in await surgery.lines()] == [Status.OK] * 4
    assert surgery.outlook.asked == ["portal.test"]


async def test_json_without_a_host_is_asked_nothing(surgery: Surgery) -> None:
    await surgery.bind()
    await surgery.come("", "192.0.2.7", ago=HOUR)
    (line,) = await surgery.lines()

    assert (line.status, surgery.outlook.asked) == (Status.OK, [])
    assert "a host it does not name (192.0.2.7)" in line.cause


async def test_a_key_whose_app_can_send_nothing_is_a_failure(surgery: Surgery) -> None:
    app = await surgery.gateway.store.apps.create("bare", "Bare", surgery.gateway.clock.now())
    surgery.key = msgspec.structs.replace(surgery.key, app=app.id, name="Office")
    surgery.key = await surgery.gateway.store.portal_keys.bind(surgery.key)
    (broken,) = by_status(await surgery.lines(), Status.FAILED)

    assert "bare has no credential" in broken.cause
    assert "--app bare" in broken.fix


@pytest.mark.parametrize(
    ("milliseconds", "words"),
    [(0, "less than a minute"), (60_000, "1 minute"), (3 * HOUR + 1, "3 hours"), (DAY, "1 day"), (41 * DAY, "41 days")],
)
def test_a_time_is_said_in_its_largest_unit(milliseconds: int, words: str) -> None:
    assert span(milliseconds) == words
