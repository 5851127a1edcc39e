"""The doctor itself: lines in the order of its table, whatever one check does."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from unit.doctor.surgery import ports_of
from unit.edges.rest.gateway import Gateway
from wakeline.doctor import examination
from wakeline.doctor.checking import DoctorPorts, fine
from wakeline.doctor.examination import examine
from wakeline.model.errors import StoreUnavailable
from wakeline.observe.health import Check, Status

pytestmark = pytest.mark.anyio


@pytest.fixture
def ports() -> DoctorPorts:
    return ports_of(Gateway())


async def good(_: DoctorPorts) -> Sequence[Check]:
    return [fine("good", "It works."), fine("good too", "It works too.")]


async def broken(_: DoctorPorts) -> Sequence[Check]:
    raise StoreUnavailable("the disk is full", fix="Free space.")


async def defective(_: DoctorPorts) -> Sequence[Check]:
    raise ZeroDivisionError


async def endless(_: DoctorPorts) -> Sequence[Check]:
    await asyncio.Event().wait()
    return []


async def test_a_check_that_cannot_look_is_a_line_and_the_others_are_there(
    ports: DoctorPorts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examination, "PATIENCE", 0.05)
    table = (("slow", endless), ("store", broken), ("defect", defective), ("good", good))
    lines = await examine(ports, table)

    assert [(line.name, line.status) for line in lines] == [
        ("slow", Status.FAILED),
        ("store", Status.FAILED),
        ("defect", Status.FAILED),
        ("good", Status.OK),
        ("good too", Status.OK),
    ]
    assert (lines[1].cause, lines[1].fix) == ("the disk is full", "Free space.")
    assert "ZeroDivisionError" not in lines[2].cause


async def test_checks_look_side_by_side(ports: DoctorPorts) -> None:
    both = asyncio.Barrier(2)

    async def meet(_: DoctorPorts) -> Sequence[Check]:
        await both.wait()
        return [fine("met", "Both are here.")]

    lines = await examine(ports, (("one", meet), ("two", meet)))

    assert [line.name for line in lines] == ["met", "met"]
