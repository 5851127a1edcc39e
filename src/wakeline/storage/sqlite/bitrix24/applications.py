"""Applications of the portal: kept in memory whole, written through; the token that we send is sealed on disk.

One that is being forgotten is marked first, so that a crash only delays it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
import structlog

from wakeline.model.bitrix24.access import PortalApplication
from wakeline.model.errors import Conflict, NotFound, SecretError
from wakeline.ports import Secrets
from wakeline.storage.portal import application_gone, no_application
from wakeline.storage.sealed import token_context
from wakeline.storage.sqlite.apps import SqliteApps
from wakeline.storage.sqlite.reader import Reader
from wakeline.storage.sqlite.statements import load
from wakeline.storage.sqlite.transaction import Transaction
from wakeline.storage.sqlite.writer import Writer

_SQL = load("bitrix24_access")
_application = msgspec.json.Decoder(PortalApplication)
_log = structlog.get_logger()


class PortalApplications:
    """Applications by id and client id."""

    def __init__(self, writer: Writer, reader: Reader, secrets: Secrets, apps: SqliteApps) -> None:
        self._writer = writer
        self._reader = reader
        self._secrets = secrets
        self._apps = apps
        self._applications: dict[int, PortalApplication] = {}
        self._by_client_id: dict[str, int] = {}
        self._gone: set[int] = set()
        self._forget: list[Callable[[int], Awaitable[None]]] = []

    def on_delete(self, forget: Callable[[int], Awaitable[None]]) -> None:
        """Have what belongs to an application forgotten before its row is."""
        self._forget.append(forget)

    def is_gone(self, application: int) -> bool:
        """Tell whether an application was deleted while this process runs: what still comes in for it would stay for ever."""
        return application in self._gone

    async def load(self) -> None:
        """Read all applications."""
        for facts, sealed in self._reader.all(_SQL["applications"]):
            application = _application.decode(facts)
            self._remember(msgspec.structs.replace(application, application_token=self._opened(application.id, sealed)))

    def _opened(self, application: int, sealed: bytes) -> str:
        """Open a token. One that does not open is none: events lack it, and everything else goes on."""
        try:
            return self._secrets.open(sealed, token_context(application)).decode() if sealed else ""
        except SecretError as error:
            _log.error("application_token_lost", application=application, error=error.detail)
            return ""

    async def resume(self) -> None:
        """Go on forgetting the applications that a crash or a stop left marked."""
        for (number,) in self._reader.all(_SQL["marked_applications"]):
            self._gone.add(number)
            await self._purge(number)

    async def create_application(self, application: PortalApplication) -> PortalApplication:
        """Keep an application; its id is given by the store. Raises Conflict (the client id exists), NotFound (a deleted app)."""
        return await self._writer.write(lambda tx: self._create(tx, application))

    def _create(self, tx: Transaction, application: PortalApplication) -> PortalApplication:
        self._check(tx, application, 0)
        number = tx.execute(_SQL["insert_application"], (application.client_id,)).lastrowid or 0
        kept = msgspec.structs.replace(application, id=number)
        self._keep(tx, kept)
        return kept

    async def change_application(self, application: PortalApplication) -> None:
        """Put this in place of the application with this id. Raises NotFound, and Conflict for another's client id."""
        await self._writer.write(lambda tx: self._change(tx, application))

    def _change(self, tx: Transaction, application: PortalApplication) -> None:
        self._check(tx, application, application.id)
        if not self._keep(tx, application):
            raise no_application(application.id)

    def _check(self, tx: Transaction, application: PortalApplication, own: int) -> None:
        if self._apps.is_gone(application.app):
            raise NotFound("The app was deleted")
        if tx.one(_SQL["client_id_taken"], (application.client_id, own)) is not None:
            raise Conflict(f"An application with the client id {application.client_id!r} exists already")

    def _keep(self, tx: Transaction, application: PortalApplication) -> bool:
        token = application.application_token
        sealed = self._secrets.seal(token.encode(), token_context(application.id)) if token else b""
        facts = msgspec.json.encode(msgspec.structs.replace(application, application_token=""))
        row = (application.client_id, application.app, facts, sealed, application.id)
        tx.on_commit(lambda: self._remember(application))
        return tx.execute(_SQL["update_application"], row).rowcount > 0

    async def delete_application(self, number: int) -> None:
        """Forget it with its codes, tokens, handlers and offline events. Raises NotFound."""
        await self._writer.write(lambda tx: self._mark(tx, number))
        await self._purge(number)

    def _mark(self, tx: Transaction, number: int) -> None:
        if not tx.execute(_SQL["mark_application"], (number,)).rowcount:
            raise no_application(number)
        tx.on_commit(lambda: self._hide(number))

    def _hide(self, number: int) -> None:
        self._gone.add(number)
        application = self._applications.pop(number, None)
        if application is not None:
            self._by_client_id.pop(application.client_id, None)

    async def _purge(self, number: int) -> None:
        for forget in self._forget:
            await forget(number)
        await self._writer.write(lambda tx: tx.execute(_SQL["delete_application"], (number,)))

    async def forget_app(self, app: int) -> None:
        """Forget an app's applications."""
        for application in [each for each in self._applications.values() if each.app == app]:
            await self.delete_application(application.id)

    def application(self, number: int) -> PortalApplication | None:
        """Return one by id."""
        return self._applications.get(number)

    def application_of(self, client_id: str) -> PortalApplication | None:
        """Return one by its client id."""
        number = self._by_client_id.get(client_id)
        return None if number is None else self._applications[number]

    def applications(self) -> list[PortalApplication]:
        """Return all, oldest first."""
        return list(self._applications.values())

    def _remember(self, application: PortalApplication) -> None:
        former = self._applications.get(application.id)
        if former is not None:
            self._by_client_id.pop(former.client_id, None)
        self._applications[application.id] = application
        self._by_client_id[application.client_id] = application.id

    def _refuse_gone(self, application: int) -> None:
        if application in self._gone:
            raise application_gone()
