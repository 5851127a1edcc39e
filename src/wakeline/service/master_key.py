"""The master key: where it comes from, and changing it while the gateway runs.

    new key beside the old one in the file -> new seals use it -> everything sealed anew, one commit -> the old key may go

A crash between two steps leaves a file that opens the whole store; the next start finishes the work (`storage.keyring`,
`storage.sqlite.seals`). A key given in the environment is changed there: we cannot write it, but a value `NEW,OLD` is the same
first step, and starting with it does the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from wakeline.config.tree import SecretsSection
from wakeline.edges.rest.device_token import LONGEST_TTL
from wakeline.model.errors import Conflict
from wakeline.observe.names import LogEvent
from wakeline.ports import Clock, Rotated
from wakeline.storage import keyring
from wakeline.storage.keyring import Keyring
from wakeline.storage.sealing import Sealer, id_of

_WHERE = "[secrets] master_key"
_log = structlog.get_logger()


class Keys(Sealer):
    """What seals with the keys of these settings. An absent file is made if `create`. Raises ConfigError.

    Made only with its store, since a new key beside an old store would hide that the old one is lost.
    """

    def __init__(self, settings: SecretsSection, *, create: bool) -> None:
        self._settings = settings
        self._ring = self._read(create=create)
        super().__init__(*_keys(self._ring))

    @property
    def path(self) -> Path:
        """Return the file that holds the keys."""
        return Path(self._settings.master_key_file)

    @property
    def given(self) -> bool:
        """Tell whether the key is a setting and in no file of ours."""
        return bool(self._settings.master_key)

    def present(self) -> Keyring:
        """Return the keys as they are written now. Raises ConfigError."""
        return self._read(create=False)

    def read_again(self) -> bool:
        """Use the keys as they are written now; tell whether they are others. Raises ConfigError."""
        before, now = self._ring, self.present()
        self.use(now)
        return now != before

    def use(self, ring: Keyring) -> None:
        """Seal and open with these keys from now on."""
        self._ring = ring
        self.adopt(*_keys(ring))

    def sweep(self) -> None:
        """Take away what a crash left beside the file; only for who owns the store."""
        if not self.given:
            keyring.sweep(self.path)

    def _read(self, *, create: bool) -> Keyring:
        if self.given:
            return keyring.parse(self._settings.master_key, f"The master key in {_WHERE}")
        return keyring.open_keyring(self.path, create=create)


class MasterKey:
    """Implements `ports.MasterKey` for an open store; `reseal` seals all of it with the current key in one commit."""

    def __init__(self, keys: Keys, reseal: Callable[[], Awaitable[int]], clock: Clock) -> None:
        self._keys = keys
        self._reseal = reseal
        self._clock = clock
        self._turn = asyncio.Lock()

    async def rotate(self, new_key: bytes | None = None, *, revoke_old: bool = False) -> Rotated:
        """Seal everything with a new key. Raises Conflict, ConfigError, StoreUnavailable."""
        async with self._turn:
            old = self._present()
            new = keyring.new_key() if new_key is None else new_key
            if new == old.current:
                raise Conflict(
                    f"{id_of(new)} is the master key already", pointer="/new_key", fix="Give another, or none."
                )
            now = self._clock.now()
            ring = old.succeeded_by(new, now=now, until=now + LONGEST_TTL * 1000)
            if not {one.key for one in old.former} <= {one.key for one in ring.former} | {new}:
                await self._reseal()  # what an earlier change could not finish may need a key that is dropped now
            await self._put(ring)
            count = await self._reseal()
            if revoke_old:
                ring = Keyring(new)
                await self._put(ring)
            former = tuple(id_of(one.key) for one in ring.former)
            _log.info(LogEvent.KEY_ROTATED.value, key=id_of(new), former=former, resealed=count)
            return Rotated(key=id_of(new), former=former, resealed=count)

    def _present(self) -> Keyring:
        """Return the keys in the file, which must be those in use."""
        if self._keys.given:
            raise Conflict(
                f"The master key comes from {_WHERE} or its variable, which only you can change",
                fix="Set it to NEW,OLD (both in base64) and restart: everything is sealed with NEW then, and OLD may go.",
            )
        ring = self._keys.present()
        if id_of(ring.current) != self._keys.key_id:
            raise Conflict(
                f"{self._keys.path} holds the master key {id_of(ring.current)}, and {self._keys.key_id} is in use: "
                "somebody changed the file",
                fix="Restart the gateway: it moves to the key on the first line if the present one is on a line below.",
            )
        return ring

    async def _put(self, ring: Keyring) -> None:
        """Write the file, then use what is in it: a seal must never be made with a key that is on no disk."""
        try:
            await asyncio.to_thread(keyring.write, self._keys.path, ring)
        except OSError as error:
            raise Conflict(
                f"The master key file {self._keys.path} cannot be written: {error.strerror}",
                fix="Put the new key on its first line yourself, with the old one below, and restart the gateway.",
            ) from None
        self._keys.use(ring)


def _keys(ring: Keyring) -> tuple[bytes, list[bytes]]:
    return ring.current, [one.key for one in ring.former]
