"""Limits: what users of an app may get, who of them may have no more for now, and until when."""

from __future__ import annotations

from datetime import datetime

from wakeline.edges.rest import cursors
from wakeline.edges.rest.moments import moment
from wakeline.edges.rest.operations import Answer, Call, Operation
from wakeline.edges.rest.shapes import PageQuery, View
from wakeline.model.key import Scope
from wakeline.model.notification import PushType
from wakeline.pipeline.limits import Limited


class AllowanceView(View, frozen=True, kw_only=True):
    """A type of push of which a user may have no more for now; the next goes out at `until`."""

    type: PushType
    until: datetime


class LimitedView(View, frozen=True, kw_only=True):
    """A user who may have no more pushes of a type for now; the next goes out at `until`."""

    user: str
    type: PushType
    until: datetime


class LimitsView(View, frozen=True, kw_only=True):
    """The limits of an app's users, and who has reached them, by name; `next_cursor` is null at the end.

    `enabled`: off where the app's setting `limits` or `[limits] per_user` is. The numbers are what one user may get.
    """

    enabled: bool
    alert_per_hour: int
    alert_burst: int
    background_per_hour: int
    call_per_minute: int
    limited: tuple[LimitedView, ...]
    next_cursor: str | None


def allowances(limited: list[Limited]) -> tuple[AllowanceView, ...]:
    """Return what limits a user, as the world sees it."""
    return tuple(AllowanceView(type=one.push_type, until=moment(one.until)) for one in limited)


async def show(call: Call) -> Answer:
    """Show the limits of an app's users, and who has reached them."""
    query: PageQuery = call.query
    of, key = f"limits {call.app.id}", call.ports.secrets.derive(cursors.PURPOSE)
    user, _, push_type = cursors.read_name(query.cursor, of, key).rpartition("\n")
    found = await call.ports.pipeline.limited.page(call.app, after=(user, push_type), limit=query.limit + 1)
    shown, rates = found[: query.limit], call.ports.settings.limits
    last = f"{shown[-1].subject}\n{shown[-1].push_type.value}" if len(found) > len(shown) else None
    return Answer(
        body=LimitsView(
            enabled=call.ports.pipeline.limited.applies(call.app),
            alert_per_hour=rates.alert_per_hour,
            alert_burst=rates.alert_burst,
            background_per_hour=rates.background_per_hour,
            call_per_minute=rates.call_per_minute,
            limited=tuple(LimitedView(user=one.subject, type=one.push_type, until=moment(one.until)) for one in shown),
            next_cursor=cursors.make_name(last, of, key),
        )
    )


OPERATIONS = (
    Operation(
        name="app.limits",
        method="GET",
        path="/v1/apps/{app}/limits",
        handler=show,
        summary="Show what users of an app may get, and who may have no more for now",
        scopes=(Scope.DEVICES, Scope.READ),
        query=PageQuery,
        response=LimitsView,
    ),
)
