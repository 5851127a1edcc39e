"""Folding waiting events: none is lost, and none is worked off twice."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from wakeline.connectors.bitrix24 import folding
from wakeline.connectors.bitrix24.kinds import Change
from wakeline.connectors.bitrix24.rules import compiled
from wakeline.model.bitrix24.inbox import Origin, ReceivedEvent, identity_of, subject_of
from wakeline.model.bitrix24.rule import Rule

RULE = compiled(Rule(id=1, name="r", event="*", recipients=("record.ASSIGNED_BY_ID",), title="{{ record.TITLE }}"))
HAPPENINGS = st.lists(
    st.tuples(
        st.sampled_from(
            ["ONCRMDEALADD", "ONCRMDEALUPDATE", "ONCRMLEADUPDATE", "ONCRMDEALDELETE", "ONEXTERNALCALLSTART"]
        ),
        st.integers(0, 70),
        st.sampled_from([Origin.POSTED, Origin.LISTED, Origin.RESENT]),
    ),
    max_size=120,
)


def event(number: int, name: str, deal: int, origin: Origin) -> ReceivedEvent:
    data = msgspec.json.encode({"FIELDS": {"ID": str(deal)}})
    subject = subject_of(name, data)
    return ReceivedEvent(
        id=number,
        installation=1,
        event=name,
        data=data,
        at=number,
        received=number,
        identity=identity_of(subject, number),
        subject=subject,
        origin=origin,
    )


@given(HAPPENINGS)
def test_every_event_is_in_one_plan_and_plans_keep_their_order(happenings: list[tuple[str, int, Origin]]) -> None:
    events = [event(number, *happening) for number, happening in enumerate(happenings, 1)]
    plans = folding.folded([folding.plan(one, [RULE], (), mirrored=False) for one in events])

    covered = [one.id for plan in plans for one in (*plan.folded, plan.event)]
    assert sorted(covered) == [one.id for one in events]
    assert [plan.event.id for plan in plans] == sorted(plan.event.id for plan in plans)
    for plan in plans:
        assert all(one.subject == plan.event.subject and one.id < plan.event.id for one in plan.folded)
        assert not plan.folded or plan.event.event.endswith("UPDATE")
        assert Origin.RESENT not in {one.origin for one in plan.folded}
    updates = [
        plan.event.subject
        for plan in plans
        if plan.subject is not None and plan.subject.change is Change.UPDATE and plan.event.origin is not Origin.RESENT
    ]
    assert len(updates) == len(set(updates))


@given(HAPPENINGS)
def test_what_is_done_at_once_is_what_one_go_can_fetch(happenings: list[tuple[str, int, Origin]]) -> None:
    events = [event(number, *happening) for number, happening in enumerate(happenings, 1)]
    plans = folding.folded([folding.plan(one, [RULE], (), mirrored=False) for one in events])
    calls = [plan for plan in plans if plan.is_call]
    now = folding.in_one_go(plans)

    if calls:
        assert now == calls[:25]
        return
    assert now == plans[: len(now)]
    assert bool(now) == bool(plans)
    wishes = {(one.wish.record, one.wish.number) for one in now if one.wish is not None}
    assert len(wishes) <= 50
    if len(now) < len(plans):
        assert len(wishes) == 50
