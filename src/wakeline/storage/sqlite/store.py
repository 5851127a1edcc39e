"""All ports of the SQLite adapter, joined, and the order in which they start and stop."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path

import structlog

from wakeline.config import Storage
from wakeline.model.errors import StoreUnavailable
from wakeline.ports import Clock, Secrets
from wakeline.storage.sqlite.acceptance import SqliteAcceptance
from wakeline.storage.sqlite.api_keys import SqliteApiKeys
from wakeline.storage.sqlite.apps import SqliteApps
from wakeline.storage.sqlite.bitrix24 import (
    SqliteEventInbox,
    SqliteInstallations,
    SqliteOutbox,
    SqlitePortalAccess,
    SqlitePortalCalls,
    SqlitePortalEvents,
    SqlitePortalRecords,
    SqliteRules,
)
from wakeline.storage.sqlite.bookkeeping import Bookkeeping
from wakeline.storage.sqlite.brakes import SqliteBrakes
from wakeline.storage.sqlite.connection import WAL_PAGES_ALONE, WAL_PAGES_AT_MOST, open_reader, open_writer
from wakeline.storage.sqlite.credentials import SqliteCredentials
from wakeline.storage.sqlite.devices import SqliteDevices
from wakeline.storage.sqlite.disk import Ballast, Disk, disk_free
from wakeline.storage.sqlite.events import SqliteEvents
from wakeline.storage.sqlite.folding import Folding
from wakeline.storage.sqlite.idempotency import SqliteIdempotency
from wakeline.storage.sqlite.keeper import SqliteKeeper
from wakeline.storage.sqlite.ledger import SqliteLedger
from wakeline.storage.sqlite.lock import OwnerLock
from wakeline.storage.sqlite.migrate import Kind, migrate
from wakeline.storage.sqlite.portal_keys import SqlitePortalKeys
from wakeline.storage.sqlite.queue import SqliteQueue
from wakeline.storage.sqlite.reader import Reader
from wakeline.storage.sqlite.receipts import SqliteReceipts
from wakeline.storage.sqlite.routes import SqliteRoutes
from wakeline.storage.sqlite.seals import Seals
from wakeline.storage.sqlite.settings import SqliteSettings
from wakeline.storage.sqlite.silence import SqliteSilence
from wakeline.storage.sqlite.sip import SqliteSipBindings, SqliteSipMessages, SqliteSipUsers
from wakeline.storage.sqlite.standing import Standing
from wakeline.storage.sqlite.webhooks import SqliteEndpoints
from wakeline.storage.sqlite.writer import BUDGET, BUDGET_ALONE, Writer

DEVICES_FILE = "devices.db"
"""The registry's file, beside the main one."""

FORGET_BATCH = 200
"""Notifications of a deleted app that are forgotten in one transaction."""

_WRITER_KIB = 16 * 1024
_MAIN_KIB = 8 * 1024
_DEVICES_KIB = 32 * 1024
"""It holds the whole of a small registry; twice as much was slower with 1M devices: it outgrows the processor's own cache."""
_FOLDING_KIB = 256

_log = structlog.get_logger()


class SqliteStore:
    """The embedded store: `path` is the main file; the registry, the lock and the ballast lie beside it.

    The ports exist once `open` has returned.
    """

    acceptance: SqliteAcceptance
    idempotency: SqliteIdempotency
    queue: SqliteQueue
    ledger: SqliteLedger
    receipts: SqliteReceipts
    events: SqliteEvents
    devices: SqliteDevices
    apps: SqliteApps
    credentials: SqliteCredentials
    routes: SqliteRoutes
    brakes: SqliteBrakes
    portal_keys: SqlitePortalKeys
    api_keys: SqliteApiKeys
    settings: SqliteSettings
    keeper: SqliteKeeper
    portal_access: SqlitePortalAccess
    portal_events: SqlitePortalEvents
    portal_records: SqlitePortalRecords
    portal_calls: SqlitePortalCalls
    installations: SqliteInstallations
    portal_rules: SqliteRules
    event_inbox: SqliteEventInbox
    outbox: SqliteOutbox
    sip_bindings: SqliteSipBindings
    sip_messages: SqliteSipMessages
    sip_users: SqliteSipUsers
    endpoints: SqliteEndpoints
    silence: SqliteSilence
    seals: Seals

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock,
        secrets: Secrets,
        settings: Storage | None = None,
        look_at_disk: Callable[[Path], int] = disk_free,
        alone: bool = False,
    ) -> None:
        """`alone`: opened for one command, so that nobody waits for its loop, and larger groups and logs pay."""
        self.path = path
        self.devices_path = path.with_name(DEVICES_FILE)
        self._clock = clock
        self._secrets = secrets
        self._limits = settings or Storage()
        self._look_at_disk = look_at_disk
        self._alone = alone
        self._lock = OwnerLock(path.parent)
        self._writers: list[Writer] = []
        self._readers: list[Reader] = []

    async def open(self) -> None:
        """Own the directory, bring the schema up to date, load what is kept in memory, free what was leased.

        Raises StoreBusy, SchemaTooNew, MigrationChanged, StoreUnavailable, and ConfigError for the master key of another store.
        """
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock.take()
        try:
            self._join()
            await self._load()
        except sqlite3.Error as error:
            await self._shut()
            raise StoreUnavailable(f"The store at {self.path} cannot be opened: {error}") from error
        except BaseException:
            await self._shut()
            raise

    def _join(self) -> None:
        disk = Disk(self.path.parent, self._clock, self._look_at_disk)
        ballast = Ballast(self.path.parent, self._limits.ballast, self._limits.low_disk, disk)
        main, reader = self._open_file("main", self.path, _MAIN_KIB, ballast)
        registry, lookups = self._open_file("devices", self.devices_path, _DEVICES_KIB, ballast)
        self.keeper = SqliteKeeper([self.path, self.devices_path], self._writers, disk, ballast, self._limits.low_disk)
        self.events = SqliteEvents(main, reader)
        self.devices = SqliteDevices(registry, lookups)
        self.settings = SqliteSettings(main, reader)
        self.apps = SqliteApps(main, reader)
        self.credentials = SqliteCredentials(main, reader, self._secrets)
        self.seals = Seals(main, reader, self._secrets, self.settings, str(self.path))
        self.routes = SqliteRoutes(main, reader, self.settings, self._clock)
        self.brakes = SqliteBrakes(main, reader, self.apps)
        self.portal_keys = SqlitePortalKeys(main, reader, self.apps)
        self.api_keys = SqliteApiKeys(main, reader)
        self.portal_access = SqlitePortalAccess(main, reader, self._secrets, self.apps, self.settings)
        self.portal_events = SqlitePortalEvents(main, reader, self.portal_access)
        self.portal_records = SqlitePortalRecords(main, reader)
        self.portal_calls = SqlitePortalCalls(main, reader)
        self.installations = SqliteInstallations(main, reader, self._secrets, self.apps)
        self.portal_rules = SqliteRules(main, reader, self.installations)
        self.event_inbox = SqliteEventInbox(main, reader, self.installations)
        self.outbox = SqliteOutbox(main, reader, self.installations)
        self.sip_bindings = SqliteSipBindings(main, reader, self.apps, self._clock)
        self.sip_messages = SqliteSipMessages(main, reader)
        self.sip_users = SqliteSipUsers(main, reader, self._secrets)
        self.endpoints = SqliteEndpoints(main, reader, self._secrets, self._clock)
        self.idempotency = SqliteIdempotency(main)
        books = Bookkeeping(self._clock, self.apps, self.events, self.devices.whose)
        books.load(reader)
        self.acceptance = SqliteAcceptance(main, books)
        self.queue = SqliteQueue(main, reader, books)
        standing = Standing(books.lanes, self.apps, self.routes)
        self.ledger = SqliteLedger(main, reader, books, standing, self.devices.whose, self.devices.present_and_former)
        self.receipts = SqliteReceipts(main, reader, books, self.devices, self.routes, self.ledger)
        self.silence = SqliteSilence(main, reader, self.apps, self.events, self.devices.phones)
        ballast.reserve()

    def _open_file(self, kind: Kind, path: Path, cache_kib: int, ballast: Ballast) -> tuple[Writer, Reader]:
        wal_pages = WAL_PAGES_ALONE if self._alone else WAL_PAGES_AT_MOST
        connection = open_writer(path, cache_kib=_WRITER_KIB, wal_pages=wal_pages)
        folding = (
            None if self._alone else Folding(partial(open_writer, path, cache_kib=_FOLDING_KIB, wal_pages=0), kind)
        )
        budget = BUDGET_ALONE if self._alone else BUDGET
        writer = Writer(connection, kind, ballast.give_up, budget=budget, folding=folding)
        self._writers.append(writer)
        path.chmod(0o600)
        applied = migrate(connection, kind)
        if applied:
            _log.info("schema_migrated", database=kind, migrations=applied)
        reader = Reader(open_reader(path, cache_kib=cache_kib))
        self._readers.append(reader)
        return writer, reader

    async def _load(self) -> None:
        await self.settings.load()
        await self.seals.adopt()
        for register in (self.apps, self.credentials, self.routes, self.api_keys, self.idempotency):
            await register.load()
        await self.portal_access.load()
        await self.portal_events.load()
        await self.brakes.load()
        await self.portal_keys.load()
        await self.installations.load()
        await self.portal_rules.load()
        await self.sip_users.load()
        await self.endpoints.load()
        await self.silence.load()
        self.apps.on_delete(self.credentials.forget_app)
        self.apps.on_delete(self.routes.forget_app)
        self.apps.on_delete(self.brakes.forget_app)
        self.apps.on_delete(self.portal_keys.forget_app)
        self.apps.on_delete(lambda app: self.queue.forget_app(app, FORGET_BATCH))
        self.apps.on_delete(self.devices.forget_app)
        self.apps.on_delete(self.silence.forget)
        self.apps.on_delete(self.portal_access.forget_app)
        self.portal_access.on_delete(self.portal_events.forget_application)
        self.apps.on_delete(self.installations.forget_app)
        self.apps.on_delete(self.sip_bindings.forget_app)
        self.installations.on_delete(self.portal_rules.forget_installation)
        self.installations.on_delete(self.event_inbox.forget_installation)
        self.installations.on_delete(self.outbox.forget_installation)
        await self.portal_access.resume()
        await self.installations.resume()
        await self.apps.resume()
        await self.queue.rescue()

    async def close(self) -> None:
        """Finish what was called, end the live feed, close the files and let the directory go."""
        self.events.close()
        await self._shut()

    async def _shut(self) -> None:
        for reader in self._readers:
            reader.close()
        for writer in self._writers:
            await writer.close()
        self._readers.clear()
        self._writers.clear()
        self._lock.release()
