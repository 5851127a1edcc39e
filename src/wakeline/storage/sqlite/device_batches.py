"""Registering many devices at once: what is nowhere yet is written together, whatever touches what is there goes singly.

Theory: most of a bulk registration is new. One look tells which devices, tokens and users of a batch the registry knows; the
rest needs no look-up of its own, takes row ids that were counted here (the writer is alone in its transaction, and AUTOINCREMENT
goes on after the highest), and goes in with one INSERT for many rows. `Known` may hold too much, never too little: it only decides
who takes the long way, where every question is asked again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import chain
from typing import Any, NamedTuple

from wakeline.model.device import DeviceClaim, TargetClaim
from wakeline.storage.sqlite import device_forms
from wakeline.storage.sqlite.forms import json_list
from wakeline.storage.sqlite.statements import load
from wakeline.storage.sqlite.token_keys import token_key
from wakeline.storage.sqlite.transaction import Transaction

_SQL = load("devices")

TOGETHER = 20
"""Rows of one INSERT."""


class Keyed(NamedTuple):
    """A claim, and the keys of its targets in their order."""

    claim: DeviceClaim
    keys: list[int]


def keys_of(claim: DeviceClaim) -> list[int]:
    """Return the keys of a claim's targets."""
    return [token_key(claim.app, one.kind, one.value) for one in claim.targets]


class Known:
    """What the registry knows of the devices, tokens and users that a batch names; all claims are of one app."""

    def __init__(self, tx: Transaction, batch: Sequence[Keyed]) -> None:
        app = batch[0].claim.app
        names = json_list([claim.device_id for claim, _ in batch])
        keys = json_list(chain.from_iterable(keys for _, keys in batch))
        users = json_list({user for claim, _ in batch if claim.max_devices_per_user for user in claim.users})
        self._devices = {name for (name,) in tx.all(_SQL["names_known"], (app, names))}
        self._keys = {key for (key,) in tx.all(_SQL["keys_known"], (keys,))}
        self._users: dict[str, int] = dict(tx.all(_SQL["devices_by_user"], (app, users)))

    def touches(self, one: Keyed) -> bool:
        """Tell whether a claim is about anything that is there, or leaves a user with too many devices."""
        claim, keys = one
        if claim.device_id in self._devices or not self._keys.isdisjoint(keys):
            return True
        if limit := claim.max_devices_per_user:
            for user in claim.users:
                if self._users.get(user, 0) >= limit:
                    return True
        return False

    def add(self, one: Keyed) -> None:
        """Know a claim from now on."""
        claim, keys = one
        self._devices.add(claim.device_id)
        self._keys.update(keys)
        for user in claim.users:
            self._users[user] = self._users.get(user, 0) + 1


class Fresh:
    """Devices that are nowhere yet, until `write`."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._begin()

    def _begin(self) -> None:
        self._devices: list[tuple[Any, ...]] = []
        self._users: list[tuple[Any, ...]] = []
        self._tags: list[tuple[Any, ...]] = []
        self._targets: list[tuple[Any, ...]] = []
        self._device = self._target = 0

    def add(self, one: Keyed) -> None:
        """Take in the device that a claim makes: what `registration.plan` says of one without current or owners."""
        claim, keys = one
        if not self._devices:
            self._device, self._target = self._tx.one(_SQL["last_ids"])
        app = claim.app
        self._device = number = self._device + 1
        users, tags = tuple(dict.fromkeys(claim.users)), tuple(dict.fromkeys(claim.tags))
        self._devices.append(device_forms.fresh_device_row(number, claim, users, tags))
        for user in users:
            self._users.append((app, user, number))
        for tag in tags:
            self._tags.append((app, tag, number))
        keyed: Iterable[tuple[TargetClaim, int]] = zip(claim.targets, keys, strict=True)
        if len(keys) > 1:
            keyed = {(target.kind, target.value): (target, key) for target, key in keyed}.values()
        for target, key in keyed:
            self._target += 1
            self._targets.append(device_forms.fresh_target_row(self._target, number, claim, target, key))

    def write(self) -> None:
        """Write what was added."""
        if not self._devices:
            return
        self._insert("insert_fresh_device", self._devices)
        self._insert("insert_user", self._users)
        self._insert("insert_tag", self._tags)
        self._insert("insert_fresh_target", self._targets)
        self._begin()

    def _insert(self, name: str, rows: list[tuple[Any, ...]]) -> None:
        whole = len(rows) - len(rows) % TOGETHER
        for start in range(0, whole, TOGETHER):
            self._tx.execute(_joined(name), [*chain.from_iterable(rows[start : start + TOGETHER])])
        if rest := rows[whole:]:
            self._tx.many(_SQL[name], rest)


@cache
def _joined(name: str) -> str:
    """Return a statement that inserts TOGETHER rows: triggers and counters are set up once for all of them."""
    head, values, row = _SQL[name].rpartition("VALUES")
    return f"{head}{values}{','.join([row.rstrip('; ')] * TOGETHER)}"
