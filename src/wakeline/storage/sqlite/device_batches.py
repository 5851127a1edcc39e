"""Registering many devices at once: what is nowhere yet is written together, whatever touches what is there goes singly.

Theory: most of a bulk registration is new. One look tells which devices, tokens and users of a batch the registry knows; the
rest needs no look-up of its own, takes row ids that were counted here (the writer is alone in its transaction, and AUTOINCREMENT
goes on after the highest), and goes in with one INSERT for many rows. `Known` may hold too much, never too little: it only decides
who takes the long way, where every question is asked again.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Any

from wakeline.model.device import DeviceClaim
from wakeline.storage.imported import Token
from wakeline.storage.sqlite import device_forms
from wakeline.storage.sqlite.forms import json_list
from wakeline.storage.sqlite.statements import load
from wakeline.storage.sqlite.writer import Transaction

_SQL = load("devices")

TOGETHER = 25
"""Rows of one INSERT."""


class Known:
    """What the registry knows of the devices, tokens and users that a batch names; all claims are of one app."""

    def __init__(self, tx: Transaction, claims: Sequence[DeviceClaim]) -> None:
        app = claims[0].app
        names = json_list([claim.device_id for claim in claims])
        values: dict[str, list[str]] = {}
        for claim in claims:
            for target in claim.targets:
                values.setdefault(target.kind, []).append(target.value)
        users = json_list({user for claim in claims if claim.max_devices_per_user for user in claim.users})
        self._devices = {name for (name,) in tx.all(_SQL["names_known"], (app, names))}
        self._tokens: set[Token] = set()
        for kind, tokens in values.items():
            self._tokens.update(tx.all(_SQL["tokens_known"], (app, kind, json_list(tokens))))
        self._users: dict[str, int] = dict(tx.all(_SQL["devices_by_user"], (app, users)))

    def touches(self, claim: DeviceClaim) -> bool:
        """Tell whether a claim is about anything that is there, or leaves a user with too many devices."""
        if claim.device_id in self._devices:
            return True
        for target in claim.targets:
            if (target.kind, target.value) in self._tokens:
                return True
        if limit := claim.max_devices_per_user:
            for user in claim.users:
                if self._users.get(user, 0) >= limit:
                    return True
        return False

    def add(self, claim: DeviceClaim) -> None:
        """Know a claim from now on."""
        self._devices.add(claim.device_id)
        for target in claim.targets:
            self._tokens.add((target.kind, target.value))
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

    def add(self, claim: DeviceClaim) -> None:
        """Take in the device that a claim makes: what `registration.plan` says of one without current or owners."""
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
        wanted = claim.targets
        if len(wanted) > 1:
            wanted = tuple({(one.kind, one.value): one for one in wanted}.values())
        for one in wanted:
            self._target += 1
            self._targets.append(device_forms.fresh_target_row(self._target, number, claim, one))

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
