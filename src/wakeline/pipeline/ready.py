"""What a submission becomes before its commit: a draft while it is decided on, and then all that the commit keeps of it."""

from __future__ import annotations

import msgspec

from wakeline.model.delivery import DeliveryRow, NewJob
from wakeline.model.event import Event
from wakeline.model.notification import Notification
from wakeline.model.outcome import Outcome
from wakeline.model.route import ProviderKind
from wakeline.pipeline.limits import Charge
from wakeline.pipeline.resolve import Wait, fanout_job, jobs_of
from wakeline.pipeline.terms import Terms
from wakeline.ports import Single


class Draft(msgspec.Struct, kw_only=True):
    """A submission on its long way to be ready. `missing`: somebody who is named has nothing to send to.

    `keeps_unserved`: it is wanted even if the app can reach nobody.
    """

    terms: Terms
    key: int
    created: int
    charges: dict[str, Charge | int]
    keeps_unserved: bool = False
    missing: bool = False
    waiting: dict[tuple[int, Wait], list[int]] = msgspec.field(default_factory=dict)
    rows: list[DeliveryRow] = msgspec.field(default_factory=list)
    events: list[Event] = msgspec.field(default_factory=list)
    failures: list[Outcome] = msgspec.field(default_factory=list)
    providers: set[ProviderKind] = msgspec.field(default_factory=set)
    estimate: int | None = None

    def ready(self, app: int, request_id: str) -> Ready:
        """Return what its commit needs; the names are kept where a walk or explain will ask for them."""
        walked = self.terms.walked
        recipients = sum(map(len, self.waiting.values())) + len(self.rows)
        notification = notification_of(
            self.terms,
            self.key,
            app,
            request_id,
            created=self.created,
            recipients=0 if walked else recipients,
            keeps_names=walked or self.missing,
        )
        return Ready(
            notification=notification,
            jobs=(fanout_job(notification),) if walked else tuple(jobs_of(notification, self.waiting)),
            rows=tuple(self.rows),
            events=tuple(self.events),
            failures=tuple(self.failures),
            charges=self.charges,
            estimate=self.estimate,
        )


class Ready(msgspec.Struct, kw_only=True):
    """A submission as its commit needs it; `single`, in place of jobs: see `ports.Admission`.

    `charges` are what the per-user limits counted, `estimate` is known of an audience that is walked.
    """

    notification: Notification
    charges: dict[str, Charge | int]
    single: Single | None = None
    jobs: tuple[NewJob, ...] = ()
    rows: tuple[DeliveryRow, ...] = ()
    events: tuple[Event, ...] = ()
    failures: tuple[Outcome, ...] = ()
    estimate: int | None = None


def notification_of(
    terms: Terms, key: int, app: int, request_id: str, *, created: int, recipients: int, keeps_names: bool
) -> Notification:
    """Return the notification that is kept of these terms."""
    return Notification(
        key=key,
        app=app,
        content=terms.content,
        lane=terms.lane,
        due=terms.due,
        expires=terms.expires,
        created=created,
        bulk=terms.walked,
        audience=terms.audience if keeps_names else None,
        only_if_absent=terms.only_if_absent,
        recipients=recipients,
        walked=not terms.walked,
        request_id=request_id,
    )
