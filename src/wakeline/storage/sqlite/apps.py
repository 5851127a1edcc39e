"""Apps: kept in memory whole, written through."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from wakeline.model.app import App, AppSettings
from wakeline.model.errors import Conflict, NotFound
from wakeline.storage.sqlite.reader import Reader
from wakeline.storage.sqlite.statements import load
from wakeline.storage.sqlite.transaction import Transaction
from wakeline.storage.sqlite.writer import Writer

_SQL = load("registers")
_settings = msgspec.json.Decoder(AppSettings)


class SqliteApps:
    """Apps by slug and id. One that is being forgotten is marked first, so that a crash only delays it."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader
        self._by_id: dict[int, App] = {}
        self._by_slug: dict[str, App] = {}
        self._forget: list[Callable[[int], Awaitable[None]]] = []
        self._listeners: list[Callable[[int], None]] = []
        self._gone: set[int] = set()

    def is_gone(self, app: int) -> bool:
        """Tell whether an app was deleted while this process runs: what still comes in for it would stay for ever."""
        return app in self._gone

    def listen(self, changed: Callable[[int], None]) -> None:
        """Have `changed(app id)` called after a change."""
        self._listeners.append(changed)

    def on_delete(self, forget: Callable[[int], Awaitable[None]]) -> None:
        """Have what belongs to an app forgotten before the app's row is."""
        self._forget.append(forget)

    async def load(self) -> None:
        """Read all apps."""
        for number, slug, name, settings, paused, created in self._reader.all(_SQL["apps"]):
            self._remember(
                App(
                    id=number,
                    slug=slug,
                    name=name,
                    settings=_settings.decode(settings),
                    paused=bool(paused),
                    created=created,
                )
            )

    async def resume(self) -> None:
        """Go on forgetting the apps that a crash or a stop left marked."""
        for (app,) in self._reader.all(_SQL["marked_apps"]):
            await self._purge(app)

    async def create(self, slug: str, name: str, at: int) -> App:
        """Raises Conflict if the slug exists."""
        return await self._writer.write(lambda tx: self._create(tx, slug, name, at))

    def _create(self, tx: Transaction, slug: str, name: str, at: int) -> App:
        if tx.one(_SQL["app_of_slug"], (slug,)) is not None:
            raise Conflict(f"An app {slug!r} exists already")
        settings = AppSettings()
        cursor = tx.execute(_SQL["insert_app"], (slug, name, msgspec.json.encode(settings), False, at))
        app = App(id=cursor.lastrowid or 0, slug=slug, name=name, settings=settings, created=at)
        tx.on_commit(lambda: self._remember(app))
        return app

    def get(self, slug: str) -> App | None:
        """Return an app by its slug."""
        return self._by_slug.get(slug)

    def by_id(self, app: int) -> App | None:
        """Return an app by its row id."""
        return self._by_id.get(app)

    def all(self) -> list[App]:
        """Return all apps by slug."""
        return [app for _, app in sorted(self._by_slug.items())]

    async def update(
        self,
        app: int,
        *,
        name: str | None = None,
        settings: AppSettings | None = None,
        paused: bool | None = None,
    ) -> App:
        """Change what is given. Raises NotFound."""
        return await self._writer.write(lambda tx: self._update(tx, app, name, settings, paused))

    def _update(
        self, tx: Transaction, app: int, name: str | None, settings: AppSettings | None, paused: bool | None
    ) -> App:
        found = self._by_id.get(app)
        if found is None:
            raise NotFound(f"There is no app with id {app}")
        changed = msgspec.structs.replace(
            found,
            name=found.name if name is None else name,
            settings=found.settings if settings is None else settings,
            paused=found.paused if paused is None else paused,
        )
        row = (changed.name, msgspec.json.encode(changed.settings), changed.paused, app)
        tx.execute(_SQL["update_app"], row)
        tx.on_commit(lambda: self._changed(changed))
        return changed

    def _changed(self, app: App) -> None:
        self._remember(app)
        for listener in self._listeners:
            listener(app.id)

    async def delete(self, app: int) -> None:
        """Forget the app with all that is its own; what is much goes in batches."""
        found = self._by_id.get(app)
        if found is not None:
            await self._writer.write(lambda tx: self._mark(tx, found))
            await self._purge(app)

    def _mark(self, tx: Transaction, app: App) -> None:
        tx.execute(_SQL["mark_app"], (app.id,))
        tx.on_commit(lambda: self._hide(app))

    def _hide(self, app: App) -> None:
        self._gone.add(app.id)
        self._by_id.pop(app.id, None)
        self._by_slug.pop(app.slug, None)

    async def _purge(self, app: int) -> None:
        for forget in self._forget:
            await forget(app)
        await self._writer.write(lambda tx: tx.execute(_SQL["delete_app"], (app,)))

    def _remember(self, app: App) -> None:
        self._by_id[app.id] = app
        self._by_slug[app.slug] = app
