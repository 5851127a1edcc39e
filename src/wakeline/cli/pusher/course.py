"""The course of a run: a plan for each phone, somebody who sends, one push after the other, the last lines."""

from __future__ import annotations

import time
from collections.abc import Sequence

from wakeline.cli.pusher.plans import Plan, Wishes, plan
from wakeline.cli.pusher.report import Report
from wakeline.cli.pusher.ways import Sources, Way, expectation_of, way
from wakeline.config import Settings
from wakeline.model.errors import CredentialRefused, NotFound
from wakeline.model.outcome import Outcome
from wakeline.model.route import ProviderKind
from wakeline.model.sip.push import PushParams, PushProvider
from wakeline.service.lone_push import Said

_NO_ACCOUNT = "missing Firebase service account file, use '--key'"


async def run(
    phones: Sequence[PushParams], wishes: Wishes, sources: Sources, report: Report, settings: Settings
) -> int:
    """Push to each phone and return the exit code. Raises WakelineError."""
    now = time.time_ns() // 1_000_000
    planned = [(one, plan(one, wishes, now)) for one in phones]
    plans = [made for _, made in planned if isinstance(made, Plan)]
    try:
        async with way(settings, sources, plans, expectation_of(settings, phones, now), report) as chosen:
            if any(_is_firebase(one) for one in phones) and not chosen.serves(ProviderKind.FCM):
                return report.wrong(_NO_ACCOUNT)
            for params, made in planned:
                report.parameters(params)
                report.pushed(params, await _said(chosen, made))
    except (NotFound, CredentialRefused) as error:
        return report.wrong(error.detail, error.fix or _hint(error))
    return report.end()


def _hint(error: NotFound | CredentialRefused) -> str:
    """Say where a key's team is from here: a file does not hold it, and many apps write a team that is none."""
    return "Begin --pn-param with the team: TEAM.BUNDLE." if "team_id" in error.detail else ""


async def _said(chosen: Way, made: Plan | Outcome) -> Said:
    return await chosen.send(made) if isinstance(made, Plan) else Said(outcome=made)


def _is_firebase(params: PushParams) -> bool:
    return params.provider is PushProvider.FCM
