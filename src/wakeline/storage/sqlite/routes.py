"""Routes and their holds: kept in memory whole, written through."""

from __future__ import annotations

import msgspec

from wakeline.model.errors import NotFound
from wakeline.model.route import Environment, Hold, ProviderKind, Route
from wakeline.ports import HOLD_NEW_ROUTES, Clock
from wakeline.storage.holds import restored_hold
from wakeline.storage.sqlite.reader import Reader
from wakeline.storage.sqlite.settings import SqliteSettings
from wakeline.storage.sqlite.statements import load
from wakeline.storage.sqlite.transaction import Transaction
from wakeline.storage.sqlite.writer import Writer

_SQL = load("registers")
_hold = msgspec.json.Decoder(Hold)

_Name = tuple[int, str, str, str]


class SqliteRoutes:
    """Routes by id and by what they are made of."""

    def __init__(self, writer: Writer, reader: Reader, settings: SqliteSettings, clock: Clock) -> None:
        self._writer = writer
        self._reader = reader
        self._settings = settings
        self._clock = clock
        self._routes: dict[int, Route] = {}
        self._names: dict[_Name, int] = {}

    async def load(self) -> None:
        """Read all routes."""
        for row in self._reader.all(_SQL["routes"]):
            self._remember(_route_of(row))

    async def ensure(self, app: int, provider: ProviderKind, environment: Environment, topic: str) -> Route:
        """Return the route, making it at its first use."""
        known = self._names.get((app, provider.value, environment.value, topic))
        if known is not None:
            return self._routes[known]
        return await self._writer.write(lambda tx: self._ensure(tx, app, provider, environment, topic))

    def _ensure(self, tx: Transaction, app: int, provider: ProviderKind, environment: Environment, topic: str) -> Route:
        name = (app, provider.value, environment.value, topic)
        found = tx.one(_SQL["route"], name)
        if found is not None:
            return _route_of(found)
        hold = restored_hold(self._clock.now()) if self._settings.known(HOLD_NEW_ROUTES) else None
        number = tx.execute(_SQL["insert_route"], (*name, hold_form(hold))).lastrowid or 0
        route = Route(id=number, app=app, provider=provider, environment=environment, topic=topic, hold=hold)
        tx.on_commit(lambda: self._remember(route))
        return route

    def get(self, route: int) -> Route | None:
        """Return a route by id."""
        return self._routes.get(route)

    def all(self) -> list[Route]:
        """Return all routes."""
        return list(self._routes.values())

    async def hold(self, route: int, hold: Hold | None) -> Route:
        """Hold or release it. Raises NotFound."""
        return await self._writer.write(lambda tx: self._set_hold(tx, route, hold))

    def _set_hold(self, tx: Transaction, route: int, hold: Hold | None) -> Route:
        found = self._routes.get(route)
        if found is None:
            raise NotFound(f"There is no route with id {route}")
        changed = msgspec.structs.replace(found, hold=hold)
        tx.execute(_SQL["hold_route"], (hold_form(hold), route))
        tx.on_commit(lambda: self._remember(changed))
        return changed

    async def forget_app(self, app: int) -> None:
        """Forget an app's routes."""
        await self._writer.write(lambda tx: tx.execute(_SQL["delete_routes"], (app,)))
        self._routes = {number: route for number, route in self._routes.items() if route.app != app}
        self._names = {name: number for name, number in self._names.items() if name[0] != app}

    def _remember(self, route: Route) -> None:
        self._routes[route.id] = route
        self._names[route.app, route.provider.value, route.environment.value, route.topic] = route.id


def hold_form(hold: Hold | None) -> bytes | None:
    """Return a hold as it is kept."""
    return None if hold is None else msgspec.json.encode(hold)


def _route_of(row: tuple[int, int, str, str, str, bytes | None]) -> Route:
    number, app, provider, environment, topic, hold = row
    return Route(
        id=number,
        app=app,
        provider=ProviderKind(provider),
        environment=Environment(environment),
        topic=topic,
        hold=None if hold is None else _hold.decode(hold),
    )
