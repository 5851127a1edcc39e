"""The registry: registration, verdicts and presence; look-ups are in `device_lookups`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import groupby
from typing import NamedTuple

import msgspec

from wakeline.model.device import Candidate, Device, DeviceClaim, Target, TargetClaim
from wakeline.model.errors import NotFound
from wakeline.ports import Moved, Registered, TargetVerdict
from wakeline.storage import registration, verdicts
from wakeline.storage.imported import Taken, Token
from wakeline.storage.raw import moved, raw_device_id
from wakeline.storage.sqlite import device_forms
from wakeline.storage.sqlite.device_batches import Fresh, Keyed, Known, keys_of
from wakeline.storage.sqlite.device_lookups import DeviceLookups, load_device, load_named
from wakeline.storage.sqlite.reader import Reader
from wakeline.storage.sqlite.statements import load
from wakeline.storage.sqlite.token_keys import token_key
from wakeline.storage.sqlite.transaction import Transaction
from wakeline.storage.sqlite.writer import Writer

_SQL = load("devices")

BATCH = 500
"""Devices or targets changed in one transaction by work that may touch all of them."""

PRUNE_BATCH = 100
"""Rows of history deleted in one transaction: less than a millisecond, so that nobody waits long."""

SLICE = 40
"""Devices of a list that are written in one step of the loop: about a millisecond."""

_ALWAYS = (1 << 62) - 1


class _Span(NamedTuple):
    """Which falls are meant: of this app, between two times; `at` is when they are undone."""

    app: int
    since: int
    until: int
    at: int


class _Which(NamedTuple):
    """Which evidence is meant, and the reason that history gives."""

    route: int | None
    proven: bool
    reason: str


class SqliteDevices(DeviceLookups):
    """The registry in a file of its own; what changes nothing writes nothing."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        super().__init__(reader)
        self._writer = writer
        self._version = 0

    @property
    def version(self) -> int:
        """Grow with every commit after which `recipients` may say something else of targets that were there."""
        return self._version

    def _changes(self, tx: Transaction) -> None:
        """Say of a transaction that it touches what was there."""
        tx.on_commit(self._grow)

    def _grow(self) -> None:
        self._version += 1

    # --- registration ---

    async def put(self, claims: Sequence[DeviceClaim]) -> list[Registered]:
        """Upsert devices."""
        return await self._writer.write(lambda tx: [self._put(tx, claim) for claim in claims])

    async def take_in(self, claims: Sequence[DeviceClaim]) -> None:
        """Upsert devices, a slice a part of larger transactions."""
        await self._in_slices(claims, patient=True)

    async def _in_slices(self, claims: Sequence[DeviceClaim], *, patient: bool = False) -> None:
        parts = [
            self._writer.write(partial(self._take_in, claims=claims[start : start + SLICE]), patient=patient)
            for start in range(0, len(claims), SLICE)
        ]
        for done in await asyncio.gather(*parts, return_exceptions=True):
            if isinstance(done, BaseException):
                raise done

    async def put_target(self, app: int, device_id: str, claim: TargetClaim, at: int) -> Registered:
        """Upsert one target alone. Raises NotFound for an unknown device."""
        return await self._writer.write(lambda tx: self._put_target(tx, app, device_id, claim, at))

    def _put_target(self, tx: Transaction, app: int, device_id: str, claim: TargetClaim, at: int) -> Registered:
        device = load_named(tx, app, device_id)
        if device is None:
            raise NotFound(f"There is no device {device_id[:64]!r}")
        owners = self._owners(tx, app, device.id, [claim])
        return self._apply(tx, registration.plan_target(claim, device, owners, at), device, at)

    def _take_in(self, tx: Transaction, claims: Sequence[DeviceClaim]) -> None:
        for _, of_app in groupby(claims, lambda claim: claim.app):
            together = [Keyed(claim, keys_of(claim)) for claim in of_app]
            known, fresh = Known(tx, together), Fresh(tx)
            for one in together:
                if known.touches(one):
                    fresh.write()
                    self._put(tx, one.claim)
                else:
                    fresh.add(one)
                known.add(one)
            fresh.write()

    def _put(self, tx: Transaction, claim: DeviceClaim) -> Registered:
        current = load_named(tx, claim.app, claim.device_id)
        owners = self._owners(tx, claim.app, current.id if current else 0, claim.targets)
        registered = self._apply(tx, registration.plan(claim, current, owners), current, claim.at)
        if claim.max_devices_per_user:
            for user in registered.device.users:
                self._bound(tx, user, registered.device, claim)
        return registered

    def _owners(self, tx: Transaction, app: int, device: int, claims: Iterable[TargetClaim]) -> dict[Token, Taken]:
        """Return which of these tokens sit on other devices."""
        owners = {}
        for token in registration.tokens(claims):
            found = tx.one(_SQL["owner"], (token_key(app, *token), app, *token))
            if found is not None and found[0] != device and (owner := load_device(tx, found[0])) is not None:
                target = next(target for target in owner.targets if target.id == found[1])
                owners[token] = Taken(target, owner)
        return owners

    def _apply(self, tx: Transaction, plan: registration.Plan, current: Device | None, at: int) -> Registered:
        device = plan.device
        if not plan.changed and current is not None:
            return Registered(device=current, created=False)
        if current is not None or plan.taken:
            self._changes(tx)
        number = self._write_device(tx, device, current)
        self._drop(tx, [(number, target, registration.REPLACED) for target in plan.gone], at)
        kept = {target.id for target in device.targets}
        moved = [taken for taken in plan.taken if taken.target.id not in kept]
        self._drop(tx, [(taken.owner.id, taken.target, "moved") for taken in moved], at)
        targets = self._write_targets(tx, device, number, current)
        device = msgspec.structs.replace(device, id=number, targets=targets)
        self._note(tx, [(taken.owner.id, taken.target, "moved") for taken in plan.taken if taken not in moved], at)
        return Registered(device=device, created=plan.created, moved=_moved(device, plan.taken))

    def _write_device(self, tx: Transaction, device: Device, current: Device | None) -> int:
        if current is None:
            number = tx.execute(_SQL["insert_device"], device_forms.new_device_row(device)).lastrowid or 0
        else:
            number = current.id
            tx.execute(_SQL["update_device"], device_forms.device_row(device))
        users, tags = (current.users, current.tags) if current else ((), ())
        _replace(tx, device.app, number, "user", users, device.users)
        _replace(tx, device.app, number, "tag", tags, device.tags)
        return number

    def _write_targets(
        self, tx: Transaction, device: Device, number: int, current: Device | None
    ) -> tuple[Target, ...]:
        """Write what is new or changed; return all by row id."""
        before = set(current.targets) if current else set()
        written = []
        for target in device.targets:
            if not target.id:
                cursor = tx.execute(_SQL["insert_target"], device_forms.new_target_row(target, number, device.app))
                written.append(msgspec.structs.replace(target, id=cursor.lastrowid or 0))
                continue
            if target not in before:
                tx.execute(_SQL["update_target"], device_forms.target_row(target, number))
            written.append(target)
        return tuple(sorted(written, key=lambda target: target.id))

    def _drop(self, tx: Transaction, gone: Sequence[tuple[int, Target, str]], at: int) -> None:
        """Delete targets of devices for a reason."""
        self._note(tx, gone, at)
        tx.many(_SQL["delete_target"], [(target.id,) for _, target, _ in gone])

    def _note(self, tx: Transaction, changes: Sequence[tuple[int, Target, str]], at: int) -> None:
        rows = [device_forms.change_row(device, target, reason, at) for device, target, reason in changes]
        tx.many(_SQL["insert_history"], rows)

    def _bound(self, tx: Transaction, user: str, device: Device, claim: DeviceClaim) -> None:
        """Let go of a user's longest unseen devices beyond the limit."""
        seen = tx.all(_SQL["seen_of_user"], (device.app, user))
        for number in registration.surplus(seen, claim.max_devices_per_user, device.id):
            other = load_device(tx, number)
            if other is not None:
                self._part(tx, other, user, claim.at)

    def _part(self, tx: Transaction, device: Device, user: str, at: int) -> None:
        """Forget a device that is only this user's, or take the user from it."""
        if device.users == (user,):
            self._forget(tx, device)
        else:
            self._changes(tx)
            self._write_device(tx, registration.without_user(device, user, at), device)

    def _forget(self, tx: Transaction, device: Device) -> None:
        self._changes(tx)
        _replace(tx, device.app, device.id, "user", device.users, ())
        _replace(tx, device.app, device.id, "tag", device.tags, ())
        self._delete_targets(tx, device)
        tx.execute(_SQL["delete_device"], (device.id,))

    def _delete_targets(self, tx: Transaction, device: Device) -> None:
        tx.many(_SQL["delete_target"], [(target.id,) for target in device.targets])

    async def ensure_raw(self, app: int, claims: Sequence[TargetClaim], at: int) -> list[Candidate]:
        """Return a candidate for each raw token; unknown ones get a device of their own."""
        found = [self.candidate_of(app, claim.kind, claim.value) for claim in claims]
        unknown = {
            (claim.kind, claim.value): claim
            for claim, there in zip(claims, found, strict=True)
            if there is None or moved(there, claim)
        }
        if unknown:
            await self._in_slices(
                [
                    DeviceClaim(app=app, device_id=raw_device_id(claim), users=(), targets=(claim,), at=at, confirmed=0)
                    for claim in unknown.values()
                ]
            )
            found = [self.candidate_of(app, claim.kind, claim.value) for claim in claims]
        return [there for there in found if there is not None]

    # --- forgetting ---

    async def delete(self, app: int, device_id: str) -> bool:
        """Forget a device and its targets."""
        return await self._writer.write(lambda tx: self._delete(tx, app, device_id))

    def _delete(self, tx: Transaction, app: int, device_id: str) -> bool:
        device = load_named(tx, app, device_id)
        if device is not None:
            self._forget(tx, device)
        return device is not None

    async def erase_user(self, app: int, user: str, at: int) -> int:
        """Forget a user and every device that is only theirs, in batches."""
        return await self._each(
            lambda tx: tx.all(_SQL["devices_of_user"], (app, user, 0, BATCH)),
            lambda tx, device: self._part(tx, device, user, at),
        )

    async def forget_app(self, app: int) -> None:
        """Forget an app's devices, in batches."""
        await self._each(lambda tx: tx.all(_SQL["devices_of_app"], (app, 0, BATCH)), self._forget)

    async def _each(
        self,
        page: Callable[[Transaction], list[tuple[int]]],
        change: Callable[[Transaction, Device], None],
    ) -> int:
        """Change devices, a page a transaction, until a page is empty; returns how many."""

        def work(tx: Transaction) -> int:
            numbers = page(tx)
            for (number,) in numbers:
                device = load_device(tx, number)
                if device is not None:
                    change(tx, device)
            return len(numbers)

        touched = 0
        while done := await self._writer.write(work):
            touched += done
        return touched

    # --- what answers, operators and phones say ---

    async def judge(self, verdicts_: Sequence[TargetVerdict]) -> list[TargetVerdict]:
        """Apply what answers said; a second transaction beside the ledger's, so it is idempotent."""
        return await self._writer.write(lambda tx: self._judge(tx, verdicts_), essential=True)

    def _judge(self, tx: Transaction, verdicts_: Sequence[TargetVerdict]) -> list[TargetVerdict]:
        changed = []
        for verdict in verdicts_:
            row = tx.one(_SQL["target"], (verdict.target,))
            target = None if row is None else verdicts.applied(device_forms.target_of(row), verdict)
            if target is not None:
                self._change(tx, row[10], target, target.reason, verdict.at)
                changed.append(msgspec.structs.replace(verdict, state=target.state))
        return changed

    def _change(self, tx: Transaction, device: int, target: Target, reason: str, at: int) -> None:
        self._changes(tx)
        tx.execute(_SQL["update_target"], device_forms.target_row(target, device))
        self._note(tx, [(device, target, reason)], at)

    async def restore(
        self,
        app: int,
        *,
        device_id: str | None = None,
        since: int = 0,
        until: int | None = None,
        route: int | None = None,
        proven: bool = True,
        reason: str = "restored",
        at: int,
    ) -> int:
        """Make targets active again, in batches by time of their fall."""
        span = _Span(app, since, _ALWAYS if until is None else until, at)
        which = _Which(route, proven, reason)
        if device_id is not None:
            return await self._writer.write(lambda tx: self._restore_device(tx, device_id, span, which))
        restored, reached = 0, (since, 0)
        while True:
            done, met, reached = await self._writer.write(
                partial(self._restore_some, span=span, which=which, after=reached)
            )
            restored += done
            if met < BATCH:
                return restored

    def _restore_device(self, tx: Transaction, device_id: str, span: _Span, which: _Which) -> int:
        device = load_named(tx, span.app, device_id)
        fallen = [
            target
            for target in (device.targets if device else ())
            if span.since <= target.since <= span.until
            and registration.to_restore(target, which.route, proven=which.proven)
        ]
        for target in fallen:
            self._change(tx, device.id if device else 0, registration.restored(target, span.at), which.reason, span.at)
        return len(fallen)

    def _restore_some(
        self, tx: Transaction, *, span: _Span, which: _Which, after: tuple[int, int]
    ) -> tuple[int, int, tuple[int, int]]:
        """Restore what of the next BATCH fallen targets is meant; returns how many, how many were met, and the last of them."""
        rows = tx.all(_SQL["fallen"], (span.app, *after, span.until, BATCH))
        restored = 0
        for row in rows:
            target = device_forms.target_of(row)
            after = target.since, target.id
            if registration.to_restore(target, which.route, proven=which.proven):
                self._change(tx, row[10], registration.restored(target, span.at), which.reason, span.at)
                restored += 1
        return restored, len(rows), after

    async def set_presence(self, app: int, device_id: str, connected_until: int) -> None:
        """Say that the device is connected until then. Raises NotFound."""
        parameters = (connected_until, app, device_id)
        changed = await self._writer.write(lambda tx: tx.execute(_SQL["set_presence"], parameters).rowcount)
        if not changed:
            raise NotFound(f"There is no device {device_id[:64]!r}")

    async def bump_badges(self, devices: Sequence[int], notification: int, *, again: bool = False) -> dict[int, int]:
        """Count badges up by one, once a notification."""
        return await self._writer.write(lambda tx: self._bump(tx, devices, notification, again=again))

    def _bump(self, tx: Transaction, devices: Sequence[int], notification: int, *, again: bool) -> dict[int, int]:
        said = notification, again, again, notification
        rows = ((device, tx.one(_SQL["bump_badge"], (*said, device))) for device in dict.fromkeys(devices))
        return {device: row[0] for device, row in rows if row is not None}

    async def prune(self, before: int) -> int:
        """Forget history older than that, in batches."""
        pruned = 0
        parameters = (before, PRUNE_BATCH)
        while batch := await self._writer.write(lambda tx: tx.execute(_SQL["prune_history"], parameters).rowcount):
            pruned += batch
        return pruned


def _moved(device: Device, taken: Sequence[Taken]) -> tuple[Moved, ...]:
    numbers = {(target.kind, target.value): target.id for target in device.targets}
    return tuple(
        Moved(
            target=numbers[item.target.kind, item.target.value],
            kind=item.target.kind,
            from_device=item.owner.device_id,
            to_device=device.device_id,
        )
        for item in taken
    )


def _replace(tx: Transaction, app: int, device: int, what: str, old: Sequence[str], new: Sequence[str]) -> None:
    """Bring the rows of a device's users or tags to the new list."""
    gone, come = set(old) - set(new), set(new) - set(old)
    if gone:
        tx.many(_SQL[f"delete_{what}"], [(app, name, device) for name in sorted(gone)])
    if come:
        tx.many(_SQL[f"insert_{what}"], [(app, name, device) for name in sorted(come)])
