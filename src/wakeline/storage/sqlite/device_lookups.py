"""Reading the registry: whom a push reaches, and what a device is."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from itertools import islice
from typing import Any, Protocol

import msgspec

from wakeline.model.device import Candidate, Crowd, Device, Recipient, TargetChange, TargetKind, TargetState
from wakeline.model.route import Environment
from wakeline.ports import DevicePage, StalePage, StaleTarget, Sweep, VoipPlace
from wakeline.storage.registration import FORMER, REPLACED
from wakeline.storage.rows import Whose
from wakeline.storage.silence import Phone
from wakeline.storage.sqlite import device_forms
from wakeline.storage.sqlite.forms import json_list
from wakeline.storage.sqlite.reader import Reader
from wakeline.storage.sqlite.statements import load
from wakeline.storage.sqlite.token_keys import token_key

_SQL = load("devices")

_SPARSE = 4
"""A range read is cheaper than single look-ups while it meets at most this many rows for each one wanted."""

_BREAK = "\n"
"""Stands between the values of a column that SQLite joins."""

_numbers = msgspec.json.Decoder(list[int]).decode

_SCAN = 200
"""Devices read at once while a list is filtered."""


class _Reads(Protocol):
    """What reads rows: a reader, or a transaction that must see its own changes."""

    def one(self, sql: str, parameters: Sequence[Any] = ()) -> Any: ...

    def all(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]: ...


def load_device(reads: _Reads, device: int) -> Device | None:
    """Return a device by its row id."""
    return _with_targets(reads, reads.one(_SQL["device_by_id"], (device,)))


def load_named(reads: _Reads, app: int, device_id: str) -> Device | None:
    """Return a device by its name."""
    return _with_targets(reads, reads.one(_SQL["device"], (app, device_id)))


def _with_targets(reads: _Reads, row: Any) -> Device | None:
    return None if row is None else device_forms.device_of(row, reads.all(_SQL["targets_of_device"], (row[0],)))


class DeviceLookups:
    """Look-ups of the registry; each is bounded by what it returns."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def get(self, app: int, device_id: str) -> Device | None:
        """Return a device with all its targets."""
        return load_named(self._reader, app, device_id)

    async def by_id(self, device: int) -> Device | None:
        """Return a device by its row id."""
        return load_device(self._reader, device)

    async def by_target(self, app: int, kind: TargetKind, value: str) -> Device | None:
        """Return the device that owns this token."""
        owner = self._reader.one(_SQL["owner"], (token_key(app, kind, value), app, kind.value, value))
        return None if owner is None else load_device(self._reader, owner[0])

    async def by_endpoint(self, app: int, endpoint: str) -> Device | None:
        """Return the device that owns the subscription at this endpoint: its keys follow, after a space."""
        key = token_key(app, TargetKind.WEBPUSH, endpoint)
        owner = self._reader.one(_SQL["owner_of_endpoint"], (key, app, f"{endpoint} ", f"{endpoint}!"))
        return None if owner is None else load_device(self._reader, owner[0])

    async def by_target_id(self, target: int) -> Device | None:
        """Return the device that owns this target."""
        owner = self._reader.one(_SQL["owner_of_target"], (target,))
        return None if owner is None else load_device(self._reader, owner[0])

    async def by_target_ids(self, targets: Sequence[int]) -> dict[int, Device]:
        """Return the devices that own these targets: two queries, however many they are."""
        owners = {row[0]: row[1:] for row in self._reader.all(_SQL["owners"], (json_list(targets),))}
        numbers = json_list({row[0] for row in owners.values()})
        theirs: dict[int, list[Any]] = {}
        for row in self._reader.all(_SQL["targets_of_devices"], (numbers,)):
            theirs.setdefault(row[-1], []).append(row)
        return {target: device_forms.device_of(row, theirs.get(row[0], ())) for target, row in owners.items()}

    def whose(self, targets: Sequence[int]) -> Mapping[int, Whose]:
        """Return the devices behind targets, for the ledger; also of those that their device has given up."""
        rows = self._reader.all(_SQL["whose"], (json_list(targets),))
        if left := set(targets).difference(row[0] for row in rows):
            rows += self._reader.all(_SQL["whose_once"], (json_list(sorted(left)),))
        return {row[0]: Whose(row[1], row[2], row[3]) for row in rows}

    def phones(self, targets: Sequence[int]) -> Mapping[int, Phone]:
        """Return the devices behind targets with what they say of themselves."""
        rows = self._reader.all(_SQL["phones"], (json_list(targets),))
        return {row[0]: Phone(row[1], row[2], device_forms.facts_of(row[3])) for row in rows}

    def targets_of_device(self, device: int) -> list[int]:
        """Return a device's targets, for the ledger."""
        return [row[0] for row in self._reader.all(_SQL["targets_of_device"], (device,))]

    def present_and_former(self, device: int) -> list[int]:
        """Return a device's targets, and the last ones that it has given up."""
        former = self._reader.all(_SQL["former_targets"], (device, REPLACED, FORMER))
        return [*self.targets_of_device(device), *(row[0] for row in former)]

    async def find(
        self,
        app: int,
        *,
        user: str | None = None,
        state: TargetState | None = None,
        cursor: int = 0,
        limit: int = 50,
    ) -> DevicePage:
        """List devices by row id."""
        devices = (
            device
            for number in self._numbers(app, user, state, cursor)
            if (device := load_device(self._reader, number)) is not None
            and (state is None or (device.targets and device.state is state))
        )
        found = list(islice(devices, limit + 1))
        more = len(found) > limit
        return DevicePage(devices=tuple(found[:limit]), cursor=found[limit - 1].id if more else None)

    def _numbers(self, app: int, user: str | None, state: TargetState | None, after: int) -> Generator[int, None, None]:
        """Yield the row ids worth looking at, by the narrowest index."""
        while True:
            if user is not None:
                page = self._reader.all(_SQL["devices_of_user"], (app, user, after, _SCAN))
            elif state in (TargetState.QUARANTINED, TargetState.RETIRED):
                page = self._reader.all(_SQL["devices_fallen"], (app, state.value, after, _SCAN))
            else:
                page = self._reader.all(_SQL["devices_of_app"], (app, after, _SCAN))
            yield from (number for (number,) in page)
            if len(page) < _SCAN:
                return
            after = page[-1][0]

    async def candidates_of_users(self, app: int, users: Sequence[str]) -> list[Candidate]:
        """Return the active targets of all devices of these users."""
        return self._candidates("candidates_of_users", (json_list(dict.fromkeys(users)), app))

    async def candidates_of_devices(self, app: int, device_ids: Sequence[str]) -> list[Candidate]:
        """Return the active targets of these devices."""
        return self._candidates("candidates_of_devices", (json_list(dict.fromkeys(device_ids)), app))

    async def walk(self, app: int, *, tags: Sequence[str], after: int, limit: int) -> list[Candidate]:
        """Return the active targets of the next devices that have any."""
        if not tags:
            return self._candidates("walk", (app, after, limit))
        tagged = [self._reader.all(_SQL["walk_tag"], (app, tag, after, limit)) for tag in dict.fromkeys(tags)]
        merged = dict.fromkeys(number for (number,) in heapq.merge(*tagged))
        return self._candidates("candidates_of_rows", (json_list(list(merged)[:limit]),))

    async def sweep(self, app: int, *, kinds: Collection[TargetKind], after: int, limit: int, locales: bool) -> Sweep:
        """Return the active targets of these kinds of the next devices: a row for each address, however many they are."""
        rows = self._reader.all(_SQL["sweep_locales" if locales else "sweep"], (app, after, limit))
        crowds = [((row[1], row[2], row[3]), self._crowd(row)) for row in rows if row[1] in kinds]
        return Sweep(crowds, max((row[0] for row in rows), default=0))

    def _crowd(self, row: tuple[int, str, str, str, str, str, str, str | None]) -> Crowd:
        """Unfold the columns of an address, which SQLite has joined: a row for each device costs more than all else here."""
        _, kind, _, _, targets, devices, values, locales = row
        numbers, owners, words = _numbers(f"[{targets}]"), _numbers(f"[{devices}]"), values.split(_BREAK)
        places = locales.split(_BREAK) if locales is not None else []
        if len(words) == len(numbers) and len(places) in {0, len(numbers)}:
            return Crowd(kind, numbers, words, owners, places)
        found = {recipient.target: recipient for recipient in self._recipients(numbers)}  # a value with a break in it
        words, places = [found[number].value for number in numbers], [found[number].locale for number in numbers]
        return Crowd(kind, numbers, words, owners, places if locales is not None else [])

    def candidate_of(self, app: int, kind: TargetKind, value: str) -> Candidate | None:
        """Return the target with this token as a candidate, whatever its state."""
        row = self._reader.one(_SQL["candidate_of_token"], (token_key(app, kind, value), app, kind.value, value))
        return None if row is None else Candidate(*row)

    def _candidates(self, statement: str, parameters: tuple[Any, ...]) -> list[Candidate]:
        make: Callable[[Any], Candidate] = Candidate._make
        return [make(row) for row in self._reader.all(_SQL[statement], parameters)]

    async def count(self, app: int, *, tags: Sequence[str]) -> int:
        """Estimate how many devices a walk will meet; one with two of the tags counts twice."""
        if not tags:
            return self._tally(app).get("device", 0)
        return sum(self._reader.one(_SQL["tagged"], (app, tag))[0] for tag in dict.fromkeys(tags))

    async def recipients(self, targets: Sequence[int]) -> list[Recipient]:
        """Return what sending needs, in the order asked for."""
        return self._recipients(targets)

    def _recipients(self, targets: Sequence[int]) -> list[Recipient]:
        """Read recipients. A walk's targets lie close together: one range read."""
        if not targets:
            return []
        low, high = min(targets), max(targets)
        make: Callable[[Any], Recipient] = Recipient._make
        if high - low >= _SPARSE * len(targets):
            return [make(row) for row in self._reader.all(_SQL["recipients"], (json_list(targets),))]
        rows = {row[0]: row for row in self._reader.all(_SQL["recipients_between"], (low, high))}
        return [make(rows[target]) for target in targets if target in rows]

    async def app_counts(self, app: int) -> dict[TargetState, int]:
        """Count targets by state."""
        tally = self._tally(app)
        return {state: tally.get(state.value, 0) for state in TargetState}

    def _tally(self, app: int) -> dict[str, int]:
        return dict(self._reader.all(_SQL["tally"], (app,)))

    async def voip_places(self, app: int, *, limit: int = 20) -> list[VoipPlace]:
        """Return where the active VoIP targets of an app are."""
        rows = self._reader.all(_SQL["voip_places"], {"app": app, "limit": limit})
        return [VoipPlace(Environment(environment), topic) for environment, topic in rows]

    async def stale(self, app: int, *, before: int, cursor: int = 0, limit: int = 500) -> StalePage:
        """Return what of the next devices is stale: two queries, whatever they find."""
        count, last = self._reader.one(_SQL["page_of_devices"], (app, cursor, limit))
        if not count:
            return StalePage(targets=(), cursor=None)
        rows = self._reader.all(_SQL["stale"], (app, cursor, last, before, before))
        targets = tuple(StaleTarget(target=row[0], device=row[1], seen=row[2]) for row in rows)
        return StalePage(targets=targets, cursor=last if count == limit else None)

    async def history(self, device: int, *, limit: int = 50) -> list[TargetChange]:
        """Return what became of a device's targets, newest first."""
        return [device_forms.change_of(row) for row in self._reader.all(_SQL["history"], (device, limit))]
