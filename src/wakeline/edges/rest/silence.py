"""Silence: how many pushes phones confirm, by app, platform, OS version and model, and who fell silent."""

from __future__ import annotations

from datetime import datetime

from wakeline.edges.rest.moments import moment, moment_or_none
from wakeline.edges.rest.operations import Answer, Call, Operation, Reach
from wakeline.edges.rest.shapes import Limit, Slug, Strict, View
from wakeline.model.app import App
from wakeline.model.errors import NotFound
from wakeline.model.key import Scope
from wakeline.model.silence import SliceKind, Suspicion
from wakeline.pipeline.silence.judge import SliceRates


class SilenceQuery(Strict, frozen=True, kw_only=True):
    """Whose phones; `limit` is the number of silences that are over, the newest first."""

    app: Slug = ""
    limit: Limit = 50


class ShareView(View, frozen=True, kw_only=True):
    """How many deliveries were accepted, and how many of them a phone confirmed in time; `share` is null if there were none."""

    sent: int
    confirmed: int
    share: float | None


class SuspicionView(View, frozen=True, kw_only=True):
    """A time of silence. Of the `sent` deliveries until it was noticed `share` were confirmed, of which `usual_share` was usual.

    `ended_at` is null while it lasts; `taken_for_usual`: it lasted for a week, and is not told of any more.
    """

    app: str
    slice: SliceKind
    platform: str
    value: str
    since: datetime
    noticed_at: datetime
    ended_at: datetime | None
    taken_for_usual: bool
    sent: int
    share: float
    usual_share: float
    cause: str


class SliceView(View, frozen=True, kw_only=True):
    """Phones of an app: all, or those of a platform, a major OS version, a model (`value`).

    `day`: the last 24 hours, of which the newest deliveries wait for [silence] grace; `week`: the seven days before.
    """

    app: str
    slice: SliceKind
    platform: str
    value: str
    day: ShareView
    week: ShareView
    silent: bool


class SilenceView(View, frozen=True, kw_only=True):
    """Who is silent, who was, and how all slices do, the widest first; apps whose phones confirm nothing have none."""

    silent: tuple[SuspicionView, ...]
    over: tuple[SuspicionView, ...]
    slices: tuple[SliceView, ...]


async def show(call: Call) -> Answer:
    """Show how much phones confirm, and who fell silent."""
    query: SilenceQuery = call.query
    watch = call.ports.pipeline.silence
    apps = {app.id: app for app in _apps(call, query.app)}
    known = [one for one in watch.suspicions() if one.app in apps]
    return Answer(
        body=SilenceView(
            silent=tuple(_suspicion(apps[one.app], one) for one in known if one.until is None),
            over=tuple(_suspicion(apps[one.app], one) for one in known if one.until is not None)[: query.limit],
            slices=tuple(_slice(app, rates) for app in apps.values() for rates in watch.rates(app.id)),
        )
    )


def _apps(call: Call, slug: str) -> list[App]:
    """Return the apps that are asked for and seen. Raises NotFound."""
    seen = [app for app in call.ports.apps.all() if call.caller.sees(app.slug) and slug in ("", app.slug)]
    if slug and not seen:
        raise NotFound(f"there is no app {slug!r}", pointer="/query/app")
    return seen


def _suspicion(app: App, one: Suspicion) -> SuspicionView:
    return SuspicionView(
        app=app.slug,
        slice=one.part.kind,
        platform=one.part.platform,
        value=one.part.value,
        since=moment(one.since),
        noticed_at=moment(one.noticed),
        ended_at=moment_or_none(one.until),
        taken_for_usual=one.lasting,
        sent=one.sent,
        share=round(one.rate, 4),
        usual_share=round(one.usual, 4),
        cause=one.cause,
    )


def _slice(app: App, rates: SliceRates) -> SliceView:
    return SliceView(
        app=app.slug,
        slice=rates.part.kind,
        platform=rates.part.platform,
        value=rates.part.value,
        day=_share(*rates.day),
        week=_share(*rates.week),
        silent=rates.suspicion is not None,
    )


def _share(sent: int, confirmed: int) -> ShareView:
    return ShareView(sent=sent, confirmed=confirmed, share=round(confirmed / sent, 4) if sent else None)


OPERATIONS = (
    Operation(
        name="silence.show",
        method="GET",
        path="/v1/silence",
        handler=show,
        summary="Show how many pushes phones confirm, by platform, OS version and model, and who fell silent",
        reach=Reach.FILTERED,
        scopes=(Scope.READ,),
        query=SilenceQuery,
        response=SilenceView,
        problems=(NotFound,),
    ),
)
