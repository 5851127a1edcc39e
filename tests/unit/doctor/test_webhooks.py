"""Endpoints that take what they are told, that fail, lag, miss something, want no more; and who may know of which."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from stories.world import World
from storing import DAY, HOUR
from unit.doctor.clinic import line, ports_in
from wakeline.doctor import webhooks
from wakeline.doctor.checking import DoctorPorts
from wakeline.model.app import App
from wakeline.model.event import Event, EventType
from wakeline.model.webhook import Disabled, Endpoint, EndpointHealth, MessageState
from wakeline.observe.health import Check
from webhook_nouns import listening, message, told

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world() -> World:
    return await World().open()


async def seen(world: World, of: Endpoint, ports: DoctorPorts | None = None) -> tuple[str, str, str]:
    """Return status, cause and fix of the one line about an endpoint."""
    return await line(_all_lines, ports or ports_in(world), f"webhook {of.name} ({of.public_id})")


async def _all_lines(ports: DoctorPorts) -> list[Check]:
    return [*await webhooks.of_installation(ports), *await webhooks.of_apps(ports)]


async def happen(world: World, *, app: str = "acme", kind: EventType = EventType.PUSH_FAILED) -> None:
    await world.store.events.append([Event(type=kind, at=world.clock.now(), app=app)])


async def ailing(world: World, of: Endpoint, status: int, *, since: int, **facts: Any) -> None:
    now = world.clock.now()
    known = {"failures": 4, "failing_since": now - since, "retry_at": now + 10 * 60_000, "status": status, **facts}
    await told(world.store, of, health=EndpointHealth(**known))


async def test_nobody_who_is_told_is_nothing_to_look_at(world: World) -> None:
    [found] = await webhooks.of_installation(ports_in(world))

    assert (found.name, found.status) == ("webhooks", "skipped")
    assert await webhooks.of_apps(ports_in(world)) == []


async def test_one_that_takes_what_it_is_told_is_fine(world: World) -> None:
    of = await listening(world.store, "results")
    assert await seen(world, of) == ("ok", "Nothing has happened yet that it wants to be told of.", "")
    await happen(world)
    await told(world.store, of, message(of, 1), health=EndpointHealth(cursor=1, taken_at=world.clock.now()))
    world.clock.advance(7200)

    assert await seen(world, of) == ("ok", "It takes what it is told; the last message 2 hours ago.", "")


async def test_one_that_fails_says_since_when_how_and_what_comes(world: World) -> None:
    of = await listening(world.store, "results")
    await ailing(world, of, 503, since=3 * HOUR, detail="Service Unavailable")

    status, cause, fix = await seen(world, of)

    assert status == "failed"
    assert cause.startswith(
        "For 3 hours it answers 503 (Service Unavailable), 4 times in a row. It is tried again in 10 "
    )
    assert "log of the program" in fix
    assert f"wakeline webhook test {of.public_id}" in fix


async def test_one_that_began_to_fail_a_moment_ago_is_a_warning(world: World) -> None:
    of = await listening(world.store, "results")
    await ailing(world, of, 503, since=60_000, retry_at=world.clock.now() + 5000)

    status, cause, _ = await seen(world, of)

    assert (status, "It is tried again now" in cause) == ("warning", True)


@pytest.mark.parametrize(
    ("status", "words"),
    [(0, "certificate"), (302, "redirects are never followed"), (401, "signature"), (404, "URL"), (405, "POST")],
)
async def test_what_to_do_about_a_failure_is_said_by_its_answer(world: World, status: int, words: str) -> None:
    of = await listening(world.store, "results")
    await ailing(world, of, status, since=HOUR)

    _, cause, fix = await seen(world, of)

    assert words in fix
    assert ("does not answer" in cause) == (status == 0)


async def test_one_that_answered_410_is_named_and_one_that_was_switched_off_is_not_looked_at(world: World) -> None:
    gone = await listening(world.store, "gone", disabled=Disabled.GONE)
    off = await listening(world.store, "off", disabled=Disabled.OPERATOR)
    await ailing(world, off, 503, since=HOUR)

    status, cause, fix = await seen(world, gone)

    assert (status, "410" in cause, gone.public_id in fix) == ("failed", True, True)
    assert (await seen(world, off))[0] == "skipped"


async def test_one_that_is_told_of_an_app_that_was_deleted_is_named(world: World) -> None:
    of = await listening(world.store, "results", apps=("acme", "former"))

    status, cause, fix = await seen(world, of)

    assert (status, "former" in cause, "acme" in cause, of.public_id in fix) == ("warning", True, False, True)


async def test_one_that_answers_too_slowly_is_behind_by_what_it_wants_alone(world: World) -> None:
    await world.store.apps.create("other", "Other", world.clock.now())
    of = await listening(world.store, "results", events=(EventType.PUSH_FAILED,), apps=("acme", "other"))
    await happen(world, kind=EventType.PUSH_EXPIRED)
    await happen(world, app="third")
    world.clock.advance(3600)
    assert (await seen(world, of))[0] == "ok"
    await happen(world)
    world.clock.advance(299)
    assert (await seen(world, of))[0] == "ok"
    world.clock.advance(1)

    status, cause, fix = await seen(world, of)

    assert status == "warning"
    assert "5 minutes behind" in cause
    assert "max_connections" in fix


async def test_what_was_set_aside_is_counted(world: World) -> None:
    of = await listening(world.store, "results")
    await told(world.store, of, *(message(of, seq, MessageState.WAITING) for seq in range(3)))

    status, cause, fix = await seen(world, of)

    assert status == "warning"
    assert cause.startswith("3 messages wait beside the others")
    assert "--state waiting" in fix


async def test_what_was_given_up_is_told_for_a_day(world: World) -> None:
    of = await listening(world.store, "results")
    now = world.clock.now()
    lost = (MessageState.GIVEN_UP, {"detail": "It was not taken", "at": now})
    await told(world.store, of, message(of, 2, lost[0], **lost[1]), message(of, 1, lost[0], at=now - 1))

    status, cause, fix = await seen(world, of)
    assert status == "warning"
    assert cause == "2 messages of the last day it has never taken: It was not taken."
    assert f"webhook replay {of.public_id}" in fix

    world.clock.advance(DAY // 1000)
    assert (await seen(world, of))[1].startswith("1 message of")
    world.clock.advance(1)
    assert (await seen(world, of))[0] == "ok"


async def test_a_test_that_was_not_taken_is_no_message_that_was_missed(world: World) -> None:
    of = await listening(world.store, "results")
    await told(world.store, of, message(of, -5, MessageState.GIVEN_UP, at=world.clock.now()))

    assert (await seen(world, of))[0] == "ok"


async def test_a_journal_that_forgets_sooner_than_messages_are_given_up_is_named(world: World) -> None:
    await listening(world.store)
    short = msgspec.structs.replace(world.settings.retention, events=DAY // 1000)
    world.settings = msgspec.structs.replace(world.settings, retention=short)

    status, cause, _ = await line(webhooks.of_installation, ports_in(world), "webhooks")

    assert (status, "keeps an event for 1 day, and [webhooks] retry_for is 3 days" in cause) == ("warning", True)


async def test_whoever_sees_some_apps_sees_the_endpoints_of_these_alone(world: World) -> None:
    other = await world.store.apps.create("other", "Other", world.clock.now())
    made = {
        name: await listening(world.store, name, apps=apps)
        for name, apps in {"all": (), "acme": ("acme",), "two": ("acme", "other"), "other": ("other",)}.items()
    }

    async def names(look: Any, *only: App) -> list[str]:
        ports = msgspec.structs.replace(ports_in(world), only=only or None)
        lines = [found.name for found in await look(ports)]
        return [name for name, of in made.items() if f"webhook {name} ({of.public_id})" in lines]

    assert await names(webhooks.of_apps, world.app) == ["acme"]
    assert await names(webhooks.of_apps, other) == ["other"]
    assert await names(webhooks.of_apps) == ["acme", "two", "other"]
    assert await names(webhooks.of_installation) == ["all"]
    assert await names(webhooks.of_installation, world.app) == ["all", "two"]


async def test_no_line_shows_a_url_which_may_hold_a_secret(world: World) -> None:
    of = msgspec.structs.replace(await listening(world.store), url="https://receiver.example.org/t0ken?key=s3cret")
    await world.store.endpoints.change(of)
    await ailing(world, of, 500, since=HOUR)

    [found] = await webhooks.of_installation(ports_in(world))

    assert found.name == f"webhook receiver.example.org ({of.public_id})"
    assert "t0ken" not in repr(found)
    assert "s3cret" not in repr(found)
