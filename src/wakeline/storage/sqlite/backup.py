"""A backup of both databases in one file, taken while the server runs, and its way back.

The file is a plain tar: `manifest.json` first (schema versions, time, counts, SHA-256), then `wakeline.db` and `devices.db`.
Both are copied from snapshots taken together, in a thread, in steps: nobody waits, and what is written meanwhile is simply
not in it. Sealed secrets stay sealed: keep the master key as well, but not beside the backup.

A restored store starts HELD: what waits in it may have been sent since the backup was taken, and only the operator knows.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import sqlite3
import tarfile
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import IO

import msgspec

from wakeline.model.errors import Conflict, InvalidRequest
from wakeline.ports import HOLD_NEW_ROUTES, RESTORED_AT
from wakeline.storage.holds import restored_hold
from wakeline.storage.sqlite.lock import OwnerLock
from wakeline.storage.sqlite.migrate import Kind, status
from wakeline.storage.sqlite.routes import hold_form
from wakeline.storage.sqlite.seals import KEY_ID
from wakeline.storage.sqlite.statements import load

FORMAT = 1
MANIFEST = "manifest.json"
FILES: dict[Kind, str] = {"main": "wakeline.db", "devices": "devices.db"}
"""Names inside a backup, whatever the files are called in use."""

COUNTED: dict[Kind, tuple[str, ...]] = {
    "main": ("app", "credential", "route", "api_key", "notification", "job"),
    "devices": ("device", "target"),
}

_PAGES = 512
_EVENTS_LOST, _EVENTS_LOST_PER_MS = 1_000_000, 10
"""How many events may have happened since a backup: more than a gateway can make, also if clocks were set back."""
_BLOCK = 1 << 20
_SQL = load("registers")
_OUTBOX = load("bitrix24_outbox")
_EVENTS = load("events")
_HAS_OUTBOX = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'portal_write'"
_DOUBT = "It waited when the backup was taken that was restored: it may have been sent since."


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One database of a backup: schema version, size and digest of its file, rows of its main tables."""

    name: str
    schema: int
    size: int
    sha256: str
    counts: dict[str, int]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds; `taken_at` in Unix ms."""

    taken_at: int
    parts: dict[str, Part]
    format: int = FORMAT


async def backup(main: Path, devices: Path, destination: Path, *, now: int) -> Manifest:
    """Copy a store, running or not, into one file of mode 0600 that replaces `destination` when it is complete.

    Raises sqlite3.Error, OSError.
    """
    return await asyncio.to_thread(_backup, {"main": main, "devices": devices}, destination, now)


def _backup(sources: dict[Kind, Path], destination: Path, now: int) -> Manifest:
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix=f".{destination.name}.") as folder:
        copies: dict[Kind, Path] = {kind: Path(folder) / FILES[kind] for kind in sources}
        _copy(sources, copies)
        manifest = Manifest(taken_at=now, parts={kind: _part(kind, copy) for kind, copy in copies.items()})
        packed = Path(folder) / "backup.tar"
        _pack(packed, manifest, copies)
        packed.replace(destination)
    return manifest


def _copy(sources: dict[Kind, Path], copies: dict[Kind, Path]) -> None:
    """Copy page by page from read transactions that began together; without one, each commit would start it anew."""
    with ExitStack() as stack:
        connections = {
            kind: stack.enter_context(closing(sqlite3.connect(path, isolation_level=None)))
            for kind, path in sources.items()
        }
        for connection in connections.values():
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        for kind, connection in connections.items():
            with closing(sqlite3.connect(copies[kind])) as copy:
                connection.backup(copy, pages=_PAGES, sleep=0)


def _part(kind: Kind, path: Path) -> Part:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        schema = status(connection, kind).version
        tables = {table: f"SELECT count(*) FROM {table}" for table in COUNTED[kind]}  # noqa: S608 - our own names
        counts = {table: connection.execute(sql).fetchone()[0] for table, sql in tables.items()}
    return Part(name=FILES[kind], schema=schema, size=path.stat().st_size, sha256=_digest(path), counts=counts)


def _pack(packed: Path, manifest: Manifest, copies: dict[Kind, Path]) -> None:
    text = msgspec.json.format(msgspec.json.encode(manifest)) + b"\n"
    with _private(packed) as file, tarfile.open(fileobj=file, mode="w") as archive:
        head = tarfile.TarInfo(MANIFEST)
        head.size, head.mode, head.mtime = len(text), 0o600, manifest.taken_at // 1000
        archive.addfile(head, io.BytesIO(text))
        for kind, copy in copies.items():
            archive.add(copy, FILES[kind], filter=_anonymous)
        archive.close()
        file.flush()
        os.fsync(file.fileno())


def _anonymous(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mode = 0o600
    return info


def restore(
    source: Path,
    main: Path,
    devices: Path,
    *,
    now: int,
    force: bool = False,
    admit: Callable[[str], None] = lambda _key_id: None,
) -> Manifest:
    """Put a backup in the place of a store that no server owns, verified and held.

    `admit` is told the name of the master key that the backup is sealed with, and raises if it is not at hand.

    Raises Conflict for a store that is not empty unless `force`, StoreBusy, SchemaTooNew, and InvalidRequest for a file
    that is no backup or was changed.
    """
    main.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = OwnerLock(main.parent)
    lock.take()
    try:
        places: dict[Kind, Path] = {"main": main, "devices": devices}
        if not force and any(place.exists() for place in places.values()):
            raise Conflict(
                f"There is a store at {main} already",
                fix="Restore into an empty data_dir, or force it: what is there is lost then.",
            )
        with tempfile.TemporaryDirectory(dir=main.parent, prefix=".restore.") as folder:
            manifest = _unpack(source, Path(folder))
            for kind, name in FILES.items():
                _verify(kind, Path(folder) / name, manifest.parts[kind])
            _ask_for_key(Path(folder) / FILES["main"], admit)
            _hold(Path(folder) / FILES["main"], now)
            _leap(Path(folder) / FILES["main"], now - manifest.taken_at)
            for kind, place in places.items():
                _replace(Path(folder) / FILES[kind], place)
    finally:
        lock.release()
    return manifest


def read_manifest(source: Path) -> Manifest:
    """Say what a backup holds. Raises InvalidRequest."""
    try:
        with tarfile.open(source) as archive:
            return _manifest(archive)
    except (tarfile.TarError, OSError) as error:
        raise _no_backup(source) from error


def _unpack(source: Path, folder: Path) -> Manifest:
    try:
        with tarfile.open(source) as archive:
            manifest = _manifest(archive)
            for name in FILES.values():
                _extract(archive, name, folder / name)
    except (tarfile.TarError, KeyError, OSError) as error:
        raise _no_backup(source) from error
    return manifest


def _manifest(archive: tarfile.TarFile) -> Manifest:
    try:
        file = archive.extractfile(MANIFEST)
        manifest = msgspec.json.decode(file.read() if file else b"", type=Manifest)
    except (KeyError, msgspec.MsgspecError) as error:
        raise _no_backup(Path(str(archive.name))) from error
    if manifest.format > FORMAT or not FILES.keys() <= manifest.parts.keys():
        raise InvalidRequest("This backup was made by a newer release", fix="Restore it with that release.")
    return manifest


def _extract(archive: tarfile.TarFile, name: str, path: Path) -> None:
    """Copy one member by its name; a path inside the archive decides nothing."""
    member = archive.extractfile(name)
    if member is None:
        raise KeyError(name)
    with member, _private(path) as file:
        while block := member.read(_BLOCK):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())


def _verify(kind: Kind, path: Path, part: Part) -> None:
    """Compare the digest, ask SQLite whether the file is sound, and refuse what a newer release wrote."""
    if _digest(path) != part.sha256:
        raise InvalidRequest(f"{part.name} of this backup was changed or cut short: its SHA-256 differs")
    with closing(sqlite3.connect(path)) as connection:
        verdict = connection.execute("PRAGMA quick_check").fetchone()[0]
        status(connection, kind)
    if verdict != "ok":
        raise InvalidRequest(f"{part.name} of this backup is damaged: {verdict}")


def _ask_for_key(path: Path, admit: Callable[[str], None]) -> None:
    """Name the key that the backup needs; one of an early release does not say."""
    with closing(sqlite3.connect(path)) as connection:
        settings = dict(connection.execute(_SQL["settings"]).fetchall())
    if KEY_ID in settings:
        admit(settings[KEY_ID])


def _hold(path: Path, now: int) -> None:
    """Hold every route there is, and every one that will be made, until the operator releases them.

    What waited to be written on connected portals is doubtful: an operator sends it once more, or drops it.
    """
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(_SQL["hold_routes"], (hold_form(restored_hold(now)),))
        connection.execute(_SQL["set_setting"], (RESTORED_AT, str(now)))
        connection.execute(_SQL["set_setting"], (HOLD_NEW_ROUTES, "1"))
        if connection.execute(_HAS_OUTBOX).fetchone() is not None:
            connection.execute(_OUTBOX["doubt_writes"], (_DOUBT,))


def _leap(path: Path, lost: int) -> None:
    """Number the events to come far above those of the `lost` milliseconds since the backup, which this store knows nothing of.

    Who was told of those remembers their numbers: an event with one of them is taken for a repetition by webhooks, whose ids are
    made of it, and was read already for who follows the journal.
    """
    with closing(sqlite3.connect(path)) as connection, connection:
        (last,) = connection.execute(_EVENTS["last"]).fetchone()
        connection.execute(_EVENTS["forget_last"])
        connection.execute(_EVENTS["set_last"], (last + _EVENTS_LOST + _EVENTS_LOST_PER_MS * max(0, lost),))


def _replace(new: Path, place: Path) -> None:
    """Put a file in the place of another; a log of the old one must not be replayed into it."""
    for suffix in ("-wal", "-shm"):
        place.with_name(place.name + suffix).unlink(missing_ok=True)
    new.replace(place)


def _private(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _no_backup(source: Path) -> InvalidRequest:
    return InvalidRequest(f"{source} is no backup of this gateway, or it was cut short")
