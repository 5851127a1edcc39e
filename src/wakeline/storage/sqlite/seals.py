"""Which columns are sealed, and sealing all of them anew when the master key has changed.

Theory: the store remembers the name of the master key it is sealed with. On opening, that key must be held, else the store
is not touched; and if another one is the current key now, everything is sealed anew in one transaction, and the name with
it. So a rotation that a crash interrupted is finished by the next start, and a wrong key file is found before it does harm.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import msgspec

from wakeline.model.bitrix24.access import PortalApplication
from wakeline.model.bitrix24.installation import Installation
from wakeline.model.credential import Credential
from wakeline.model.errors import ConfigError, Conflict, SecretError
from wakeline.model.sip.user import SipUser
from wakeline.model.webhook import Endpoint
from wakeline.ports import Secrets
from wakeline.storage.sealed import (
    access_context,
    pair_context,
    seal_context,
    signing_context,
    token_context,
    user_context,
)
from wakeline.storage.sqlite.lock import OwnerLock
from wakeline.storage.sqlite.reader import Reader
from wakeline.storage.sqlite.settings import SqliteSettings
from wakeline.storage.sqlite.statements import load
from wakeline.storage.sqlite.transaction import Transaction
from wakeline.storage.sqlite.writer import Writer

KEY_ID = "master_key"
"""The setting that holds the name of the master key."""

_SQL = load("registers")
_PORTAL = load("bitrix24_access")
_CONNECTED = load("bitrix24_installations")
_SIP = load("sip_users")
_WEBHOOKS = load("webhooks")
_credential = msgspec.json.Decoder(Credential)
_application = msgspec.json.Decoder(PortalApplication)
_installation = msgspec.json.Decoder(Installation)
_user = msgspec.json.Decoder(SipUser)
_endpoint = msgspec.json.Decoder(Endpoint)

_FORGET = {
    "portal_application": _PORTAL["forget_tokens"],
    "installation": _CONNECTED["forget_access"],
    "sip_user": _SIP["forget_users"],
    "webhook_endpoint": _WEBHOOKS["forget_secrets"],
}
"""What forgets the sealed values of later tables: a store whose key is lost was perhaps not opened since an early release."""

_TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table'"


class SealedColumn(NamedTuple):
    """A sealed column: the statements that read (row, facts, sealed) and write it, and its context by the facts."""

    read: str
    write: str
    context: Callable[[bytes], str]


SEALED = (
    SealedColumn(_SQL["sealed_values"], _SQL["reseal"], lambda facts: seal_context(_credential.decode(facts))),
    SealedColumn(
        _SQL["former_sealed_values"], _SQL["reseal_former"], lambda facts: seal_context(_credential.decode(facts))
    ),
    SealedColumn(
        _PORTAL["sealed_tokens"], _PORTAL["reseal_token"], lambda facts: token_context(_application.decode(facts).id)
    ),
    SealedColumn(
        _CONNECTED["sealed_access"],
        _CONNECTED["reseal_access"],
        lambda facts: access_context(_installation.decode(facts).id),
    ),
    SealedColumn(
        _CONNECTED["sealed_tokens"],
        _CONNECTED["reseal_tokens"],
        lambda facts: pair_context(_installation.decode(facts).id),
    ),
    SealedColumn(_SIP["sealed_users"], _SIP["reseal_user"], lambda facts: user_context(_user.decode(facts))),
    SealedColumn(
        _WEBHOOKS["sealed_secrets"],
        _WEBHOOKS["reseal_secrets"],
        lambda facts: signing_context(_endpoint.decode(facts).id),
    ),
)
"""Every sealed column of the store; whoever adds one adds it here, or a rotation loses what it holds, and to `_FORGET`."""


class Seals:
    """The seals of one store."""

    def __init__(self, writer: Writer, reader: Reader, secrets: Secrets, settings: SqliteSettings, name: str) -> None:
        self._writer = writer
        self._reader = reader
        self._secrets = secrets
        self._settings = settings
        self._name = name

    async def adopt(self) -> None:
        """See that our master key belongs to this store, and finish an interrupted rotation. Raises ConfigError."""
        known = self._settings.known(KEY_ID)  # None: the store is new, or of an early release
        if known is not None and not self._secrets.knows(known):
            raise ConfigError(
                f"The store at {self._name} is sealed with the master key {known}; what we have is "
                f"{self._secrets.key_id}. It is the key of another store, or of another time.",
                fix=f"Bring back the master key {known}: alone, or on a line below the present one to move to that. "
                "Only if it is lost for good: `wakeline db forget-secrets`.",
            )
        if known != self._secrets.key_id or self.stale():
            try:
                await self.renew()
            except SecretError as error:
                raise ConfigError(f"The store at {self._name}: {error.detail}", fix=error.fix) from None

    def stale(self) -> int:
        """Return how many values are not sealed with the current key."""
        return sum(not self._secrets.is_current(sealed) for _, _, _, sealed in _rows(self._reader.all))

    async def renew(self) -> int:
        """Seal everything with the current key, in one transaction; return how many values. Raises SecretError."""
        return await self._writer.write(self._renew)

    def _renew(self, tx: Transaction) -> int:
        count = 0
        for column, row, facts, sealed in list(_rows(tx.all)):
            if self._secrets.is_current(sealed):
                continue
            context = column.context(facts)
            tx.execute(column.write, (self._secrets.seal(self._secrets.open(sealed, context), context), row))
            count += 1
        self._settings.put(tx, KEY_ID, self._secrets.key_id)
        return count


def _rows(
    read: Callable[[str], list[tuple[int, bytes, bytes]]],
) -> Iterator[tuple[SealedColumn, int, bytes, bytes]]:
    return ((column, *found) for column in SEALED for found in read(column.read))


def forget_sealed(path: Path, held: Callable[[str], bool] | None) -> int:
    """Forget all that is sealed in a store whose master key is lost; return how many credentials that were.

    `held` tells whether a key is at hand (None: none is). Raises StoreBusy, and Conflict if the store's own key is there.
    """
    lock = OwnerLock(path.parent)
    lock.take()
    try:
        with closing(sqlite3.connect(path)) as connection, connection:
            known = dict(connection.execute(_SQL["settings"]).fetchall()).get(KEY_ID)
            if held is not None and (known is None or held(known)):
                raise Conflict(
                    "The master key of this store is there: nothing is lost",
                    fix="`wakeline db rotate-key` changes the key; `wakeline credential remove` forgets a credential.",
                )
            connection.execute(_SQL["delete_setting"], (KEY_ID,))
            for table in _FORGET.keys() & {name for (name,) in connection.execute(_TABLES).fetchall()}:
                connection.execute(_FORGET[table])
            return connection.execute(_SQL["delete_all_credentials"]).rowcount
    finally:
        lock.release()
