"""How waiting jobs stand: leases, holds and pauses are in memory, so this costs no statement."""

from __future__ import annotations

from wakeline.model.delivery import Job
from wakeline.storage.sqlite.apps import SqliteApps
from wakeline.storage.sqlite.lanes import Lanes
from wakeline.storage.sqlite.routes import SqliteRoutes
from wakeline.storage.waiting import Waiting, waiting


class Standing:
    """Derives the state of what waits."""

    def __init__(self, lanes: Lanes, apps: SqliteApps, routes: SqliteRoutes) -> None:
        self._lanes = lanes
        self._apps = apps
        self._routes = routes

    def of(self, job: Job, now: int) -> Waiting:
        """Return the state of a job's deliveries."""
        route = self._routes.get(job.route)
        app = self._apps.by_id(job.app)
        return waiting(
            job,
            leased=job.id in self._lanes.leases,
            hold=route.hold if route else None,
            paused=app is not None and app.paused,
            now=now,
        )
