"""What an operator does to a store as a whole: look at its schema, bring it up to date, copy it, bring a copy back.

None of it goes through the API: a schema is looked at before the gateway would touch it, a copy is taken beside it, and a
restore needs a store that nobody serves.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from functools import partial
from pathlib import Path

import msgspec

from wakeline.config import Settings
from wakeline.config.rules import sqlite_path
from wakeline.model.errors import ConfigError, NotFound, StoreUnavailable
from wakeline.service import wiring
from wakeline.service.master_key import Keys
from wakeline.storage.sqlite import backup as copies
from wakeline.storage.sqlite.backup import Manifest
from wakeline.storage.sqlite.connection import open_reader
from wakeline.storage.sqlite.migrate import Kind, SchemaStatus, status
from wakeline.storage.sqlite.seals import forget_sealed
from wakeline.storage.sqlite.store import DEVICES_FILE

__all__ = ["Forgotten", "Manifest", "SchemaStatus", "backup", "forget_secrets", "migrate", "restore", "schema"]

_CACHE_KIB = 256


class Forgotten(msgspec.Struct, frozen=True, kw_only=True):
    """How many credentials were forgotten, and the name of the master key from now on."""

    credentials: int
    key: str


async def schema(settings: Settings) -> list[SchemaStatus]:
    """Say which migrations are applied and which are missing; an absent store is made first, another is not changed.

    Raises SchemaTooNew, MigrationChanged, StoreUnavailable.
    """
    if not _exists(settings):
        async with wiring.opened(settings):
            pass
    try:
        return [_status(kind, path) for kind, path in _files(settings).items()]
    except sqlite3.Error as error:
        raise StoreUnavailable(f"The store cannot be read: {error}") from None


def _status(kind: Kind, path: Path) -> SchemaStatus:
    with contextlib.closing(open_reader(path, cache_kib=_CACHE_KIB)) as connection:
        return status(connection, kind)


async def migrate(settings: Settings) -> list[SchemaStatus]:
    """Bring the store to this release's schema, as `serve` does at its start. Raises StoreBusy while a gateway runs."""
    async with wiring.opened(settings):
        return await schema(settings)


async def backup(settings: Settings, destination: Path) -> Manifest:
    """Copy the store, served or not, into one file. Raises ConfigError for a destination that cannot be written."""
    if not _exists(settings):
        async with wiring.opened(settings):
            pass
    files = _files(settings)
    try:
        return await copies.backup(files["main"], files["devices"], destination, now=_now())
    except OSError as error:
        raise ConfigError(f"{destination} cannot be written: {error.strerror}") from None
    except sqlite3.Error as error:
        raise StoreUnavailable(f"The store cannot be read: {error}") from None


def restore(settings: Settings, source: Path, *, force: bool) -> Manifest:
    """Put a copy in the place of the store; it starts held.

    Raises as `storage.sqlite.backup.restore` does, and ConfigError if the copy is sealed with a master key that is not here.
    """
    files = _files(settings)
    return copies.restore(
        source, files["main"], files["devices"], now=_now(), force=force, admit=partial(_admit, settings)
    )


def forget_secrets(settings: Settings) -> Forgotten:
    """Forget what is sealed with a master key that is lost, and begin anew with the one that is there, or a new one.

    Raises Conflict if the store's key is not lost, NotFound without a store, StoreBusy, ConfigError.
    """
    path = _files(settings)["main"]
    if not path.exists():
        raise NotFound(f"There is no store at {path}.")
    try:
        keys = Keys(settings.secrets, create=False)
    except ConfigError:
        if settings.secrets.master_key or Path(settings.secrets.master_key_file).exists():
            raise
        count = forget_sealed(path, None)
        keys = Keys(settings.secrets, create=True)
    else:
        count = forget_sealed(path, keys.knows)
    return Forgotten(credentials=count, key=keys.key_id)


def _admit(settings: Settings, key_id: str) -> None:
    path = settings.secrets.master_key_file
    try:
        keys = Keys(settings.secrets, create=False)
    except ConfigError as error:
        raise ConfigError(
            f"This backup is sealed with the master key {key_id}. {error.detail}.",
            fix=f"Put the master key {key_id} into {path} first.",
        ) from None
    if not keys.knows(key_id):
        raise ConfigError(
            f"This backup is sealed with the master key {key_id}, and what we have is {keys.key_id}.",
            fix=f"Put the master key {key_id} into {path}, alone or on a line below the present one.",
        )


def _files(settings: Settings) -> dict[Kind, Path]:
    main = Path(sqlite_path(settings.storage.url))
    return {"main": main, "devices": main.with_name(DEVICES_FILE)}


def _exists(settings: Settings) -> bool:
    return all(path.exists() for path in _files(settings).values())


def _now() -> int:
    return time.time_ns() // 1_000_000
