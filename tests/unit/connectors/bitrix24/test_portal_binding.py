"""The portal posts the events of our rules to us, and no others that we bound."""

from __future__ import annotations

import pytest

from connected_portal import PUBLIC, Connected
from wakeline.config import Server
from wakeline.connectors.bitrix24.binding import bind
from wakeline.model.bitrix24.installation import Installation
from wakeline.model.bitrix24.rule import Rule
from wakeline.model.errors import InvalidRequest
from wakeline.simulator.portal.memory import Application, Binding

pytestmark = pytest.mark.anyio


async def rule(world: Connected, event: str, **more: object) -> None:
    name = f"rule{len(world.store.portal_rules.all())}"
    made = Rule(id=0, name=name, event=event, recipients=("1",), **more)  # type: ignore[arg-type] # fields of a rule
    await world.store.portal_rules.create(made)


async def bound(world: Connected, installation: Installation) -> tuple[str, ...]:
    return (await bind(world.connections, world.store.portal_rules, world.kept(installation))).events


def there(world: Connected) -> set[tuple[str, str, str]]:
    """What the portal has bound: event, handler, connector."""
    return {(one.event, one.handler, one.connector) for one in world.portal.bindings}


async def test_events_of_rules_are_posted_and_queued(world: Connected) -> None:
    installation = await world.application()
    await rule(world, "ONCRMDEALUPDATE")
    await rule(world, "ONTASKADD", installation=installation.id)
    await rule(world, "ONCRMLEADADD", enabled=False)

    events = await bound(world, installation)

    handler = f"{PUBLIC}/bitrix24/events/{installation.name}"
    assert events == ("ONAPPUNINSTALL", "ONCRMDEALUPDATE", "ONTASKADD")
    assert there(world) == {
        ("ONAPPUNINSTALL", handler, ""),
        ("ONCRMDEALUPDATE", handler, ""),
        ("ONTASKADD", handler, ""),
        ("ONOFFLINEEVENT", handler, ""),
        ("ONCRMDEALUPDATE", "", "wakeline"),
        ("ONTASKADD", "", "wakeline"),
    }
    assert world.kept(installation).offline
    (notice,) = [one for one in world.portal.bindings if one.event == "ONOFFLINEEVENT"]
    assert (notice.user, notice.min_timeout_s) == (world.access(installation).user, 60)


async def test_bound_twice_is_bound_once_and_what_no_rule_wants_is_taken_back(world: Connected) -> None:
    installation = await world.application()
    await rule(world, "ONCRMDEALUPDATE")
    await bound(world, installation)
    before = there(world)

    again = await bound(world, installation)
    assert there(world) == before
    assert "ONCRMDEALUPDATE" in again

    await world.store.portal_rules.delete(1)
    assert await bound(world, installation) == ("ONAPPUNINSTALL",)
    assert [one.event for one in world.portal.bindings] == ["ONAPPUNINSTALL"]
    assert not world.kept(installation).offline


async def test_bindings_of_others_stay_and_those_at_our_former_address_go(world: Connected) -> None:
    installation = await world.application()
    others = [
        Binding(901, "local.simulator", "ONCRMDEALADD", "https://other.test/hook"),
        Binding(902, "local.simulator", "ONCRMDEALADD", "", offline=True, connector="erp"),
    ]
    former = Binding(903, "local.simulator", "ONCRMDEALADD", f"https://old.test/bitrix24/events/{installation.name}")
    world.portal.bindings += [*others, former]

    await bound(world, installation)

    assert all(one in world.portal.bindings for one in others)
    assert former not in world.portal.bindings


async def test_a_call_is_not_queued_for_it_rings_now_or_never(world: Connected) -> None:
    installation = await world.application()
    await rule(world, "ONEXTERNALCALLSTART")

    assert "ONEXTERNALCALLSTART" in await bound(world, installation)
    assert {one.event for one in world.portal.bindings if one.offline} == set()


async def test_the_mirror_wants_what_changes_its_records(world: Connected) -> None:
    installation = await world.application(mirror=True)

    events = await bound(world, installation)

    assert {"ONCRMDEALADD", "ONCRMCONTACTDELETE", "ONTASKUPDATE", "ONCRMACTIVITYADD"} <= set(events)


async def test_a_rule_for_any_event_binds_what_the_portal_has(world: Connected) -> None:
    installation = await world.application()
    await rule(world, "*")

    events = set(await bound(world, installation))

    assert {"ONCRMCOMPANYDELETE", "ONEXTERNALCALLBACKSTART", "ONTASKDELETE"} <= events
    assert not events & {"ONAPPTEST", "ONOFFLINEEVENT", "*"}


async def test_an_event_that_the_portal_does_not_have_keeps_no_other_from_being_bound(world: Connected) -> None:
    installation = await world.application()
    world.portal.applications[installation.access.client_id] = Application(scope=("crm",))  # type: ignore[union-attr] # it is one
    for event in ("ONTASKADD", "ONNOSUCHTHING", "ONCRMDEALADD"):
        await rule(world, event)

    assert await bound(world, installation) == ("ONAPPUNINSTALL", "ONCRMDEALADD")


async def test_with_a_webhook_an_operator_binds(world: Connected) -> None:
    installation = await world.webhook()
    await rule(world, "ONCRMDEALUPDATE")

    assert await bound(world, installation) == ()
    assert world.requests("event.get") == []


async def test_without_a_public_address_nothing_is_bound(world: Connected) -> None:
    installation = await world.application()
    world.settings = type(world.settings)(server=Server(), bitrix24=world.settings.bitrix24)

    with pytest.raises(InvalidRequest, match="reaches this gateway") as refused:
        await bound(world, installation)

    assert "public_url" in refused.value.fix
