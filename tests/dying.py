"""A change of the master key that dies at every step, one after the other: run as a program, it prints what it found.

Each life works on a fresh copy of a store. A step is a system call that changes a file, or a statement of SQLite, and the
process is killed before and after each; then the store is opened as the next start would, and everything must open.
"""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import os
import shutil
import signal
import sqlite3
import sys
import threading
from pathlib import Path
from typing import Any

from fuzzing import REPEATABLE
from storing import NOW, ToldClock, some_app
from wakeline.config import Logs, Storage
from wakeline.config.tree import SecretsSection
from wakeline.model.bitrix24.installation import ApplicationAccess, Installation, Tokens
from wakeline.model.credential import Credential, CredentialKind, CredentialSecret, CredentialState
from wakeline.model.route import Environment
from wakeline.observe import logs
from wakeline.ports import NewCredential
from wakeline.service.master_key import Keys, MasterKey
from wakeline.storage.keyring import open_keyring
from wakeline.storage.sqlite import SqliteStore

CREDENTIALS = 3
SEALED = CREDENTIALS + 3
"""Sealed values: one credential keeps what it was before, and a connected portal has its access and its tokens."""

_CHANGES = {os.fsync, os.replace, os.rename, os.open, os.unlink, os.fchmod}


class Death:
    """Kills this process at the n-th event: even ones are before a step, odd ones after it."""

    def __init__(self, number: int) -> None:
        self._left = number

    def arm(self) -> None:
        threading.setprofile(self._look)
        sys.setprofile(self._look)

    def _look(self, _frame: Any, event: str, called: Any) -> None:
        if event in ("c_call", "c_return") and _is_step(called):
            self._left -= 1
            if self._left < 0:
                os.kill(os.getpid(), signal.SIGKILL)


def _is_step(called: Any) -> bool:
    owner = getattr(called, "__self__", None)
    if isinstance(owner, sqlite3.Connection):
        return bool(called.__name__ == "execute")
    return isinstance(owner, io.BufferedWriter) or called in _CHANGES


def store_in(folder: Path) -> tuple[SqliteStore, Keys]:
    """Return a store, closed, and its keys as they are in the file now."""
    path = folder / "wakeline.db"
    keys = Keys(SecretsSection(master_key_file=str(folder / "master.key")), create=not path.exists())
    return SqliteStore(path, clock=ToldClock(), secrets=keys, settings=Storage(ballast=0, low_disk=0)), keys


def secret(number: int) -> CredentialSecret:
    return CredentialSecret(kind=CredentialKind.APNS_KEY, private_key=f"key {number}".encode())


ACCESS = ApplicationAccess(
    client_id="local.acme",
    client_secret="client secret",
    tokens=Tokens(access="access", refresh="refresh", access_expires=NOW),
)


async def furnish(folder: Path) -> None:
    """Make a store with credentials, one of which keeps what it was before, and a connected portal."""
    store, _ = store_in(folder)
    await store.open()
    app = await some_app(store)
    facts = Credential(
        id=0,
        app=app.id,
        kind=CredentialKind.APNS_KEY,
        environments=(Environment.PRODUCTION,),
        state=CredentialState.WORKING,
    )
    for number in range(CREDENTIALS):
        await store.credentials.create(NewCredential(facts=facts, secret=secret(number)), NOW)
    await store.credentials.replace(1, NewCredential(facts=facts, secret=secret(100)), NOW)
    portal = Installation(id=0, name="acme", app=app.id, access=ACCESS, client_endpoint="https://acme.example/rest/")
    await store.installations.create(portal)
    await store.close()


async def rotate(folder: Path, number: int) -> None:
    """Change the master key, dying on the way."""
    store, keys = store_in(folder)
    await store.open()
    Death(number).arm()
    await MasterKey(keys, store.seals.renew, ToldClock()).rotate(revoke_old=True)


async def start(folder: Path, number: int) -> None:
    """Open the store as the next start does, dying on the way."""
    store, _ = store_in(folder)
    Death(number).arm()
    await store.open()


async def judge(folder: Path) -> str:
    """Open the store as the next start does and say what is wrong; nothing, if all is well."""
    store, keys = store_in(folder)
    await store.open()
    try:
        found = [await store.credentials.secret(one.id) for one in store.credentials.all()]
        found.append(await store.credentials.secret(1, former=True))
        wanted = [secret(100), *(secret(number) for number in range(1, CREDENTIALS)), secret(0)]
        if found != wanted:
            return f"opened {len(found)} secrets, and not those that were sealed"
        if [portal.access for portal in store.installations.all()] != [ACCESS]:
            return "the connected portal cannot be opened any more"
        return "" if keys.key_id == await store.settings.get("master_key") else "the store names another key"
    finally:
        await store.close()


def lives(origin: Path, live: Any, before: Any = None, stride: int = 1) -> dict[str, Any]:
    """Let `live` die at its steps in turn, each or some, until it survives; `before` prepares each copy."""
    former: set[int] = set()
    wrong: list[str] = []
    for number in itertools.count(step=stride):
        folder = origin.with_name(f"{live.__name__}-{number}")
        shutil.copytree(origin, folder)
        if before is not None:
            before(folder)
        status = _forked(live, folder, number)
        if os.WIFEXITED(status):
            if os.WEXITSTATUS(status):
                wrong.append(f"{number}: ended with {os.WEXITSTATUS(status)}")
            return {"deaths": number, "wrong": wrong, "former": sorted(former)}
        try:
            fault = asyncio.run(judge(folder))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
            fault = repr(error)
        if fault:
            wrong.append(f"{number}: {fault}")
        former.add(len(open_keyring(folder / "master.key", create=False).former))
        shutil.rmtree(folder)
    raise AssertionError


def _forked(live: Any, folder: Path, number: int) -> int:
    child = os.fork()
    if not child:
        try:
            asyncio.run(live(folder, number))
        except BaseException:  # noqa: BLE001 - the parent reads it from the exit code
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def half_way(folder: Path) -> None:
    """Leave the store as a crash between the new key and the commit does."""
    ring = open_keyring(folder / "master.key")
    store_keys = Keys(SecretsSection(master_key_file=str(folder / "master.key")), create=False)

    async def put_only() -> None:
        async def never() -> int:
            raise KeyboardInterrupt

        await MasterKey(store_keys, never, ToldClock()).rotate()

    try:
        asyncio.run(put_only())
    except KeyboardInterrupt:
        assert open_keyring(folder / "master.key") != ring


def main(folder: Path) -> None:
    """Print what came out as JSON."""
    logs.configure(Logs(level="error"))
    origin = folder / "store"
    origin.mkdir()
    asyncio.run(furnish(origin))
    found = {"rotate": lives(origin, rotate), "start": lives(origin, start, half_way, 5 if REPEATABLE else 1)}
    sys.stdout.write(f"{json.dumps(found)}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
