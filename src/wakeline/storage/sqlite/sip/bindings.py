"""Registrations, as rows.

Rule: all are on disk, and nothing of them stays in memory but changes on their way there. Whoever looks sees what is committed
with these laid over it, in their order: a call that comes while a REGISTER is being written finds the phone. What a commit did
not take was never more than that layer, so nothing has to be put back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from wakeline.model.sip.binding import Binding, BindingChange
from wakeline.ports import Clock
from wakeline.storage.sip import applied, in_order, is_woken_by, refuse_broken_text, without_app
from wakeline.storage.sqlite.apps import SqliteApps
from wakeline.storage.sqlite.reader import Reader
from wakeline.storage.sqlite.sip.messages import move
from wakeline.storage.sqlite.sip.rows import SQL, binding_of, forget, gruu_key, keep, leave_app, token_key
from wakeline.storage.sqlite.transaction import Transaction
from wakeline.storage.sqlite.writer import Writer
from wakeline.wire.sip.pieces import is_utf8

BATCH = 200
"""Bindings forgotten in one transaction: some milliseconds at most."""


class _OnItsWay:
    """A change that is not on disk yet. `begun`: its statements ran, and the commit will tell what became of it."""

    __slots__ = ("begun", "change")

    def __init__(self, change: BindingChange) -> None:
        self.change = change
        self.begun = False


class SqliteSipBindings:
    """Bindings by AoR."""

    def __init__(self, writer: Writer, reader: Reader, apps: SqliteApps, clock: Clock) -> None:
        self._writer = writer
        self._reader = reader
        self._apps = apps
        self._clock = clock
        self._on_their_way: dict[str, list[_OnItsWay]] = {}

    async def change(self, change: BindingChange) -> None:
        """Write what a REGISTER does; on disk when it returns. Raises StoreUnavailable, InvalidRequest, and nothing is changed."""
        refuse_broken_text(change)
        put = tuple(without_app(each) if self._apps.is_gone(each.app) else each for each in change.put)
        coming = _OnItsWay(msgspec.structs.replace(change, put=put))
        self._on_their_way.setdefault(change.aor, []).append(coming)
        try:
            await self._writer.write(lambda tx: self._change(tx, coming), unhurried=True)
        finally:
            if not coming.begun:
                self._arrived(coming)

    def _change(self, tx: Transaction, coming: _OnItsWay) -> None:
        coming.begun = True
        tx.on_commit(lambda: self._arrived(coming))
        tx.on_rollback(lambda: self._arrived(coming))
        aor, put = coming.change.aor, coming.change.put
        for uid in set(coming.change.removed).difference(binding.uid for binding in put):
            place = tx.one(SQL["place"], (aor, uid))
            if place is not None:
                forget(tx, [(place[0], place[-1])])
        for binding in put:
            keep(tx, binding)
        for old, new in coming.change.moved:
            move(tx, aor, old, new)

    def _arrived(self, coming: _OnItsWay) -> None:
        """Lay a change over the disk no more: it is there, or was not taken."""
        left = self._on_their_way[coming.change.aor]
        left.remove(coming)
        if not left:
            del self._on_their_way[coming.change.aor]

    def of(self, aor: str) -> list[Binding]:
        """Return the bindings of an AoR that are kept, highest q first, of equals the one that registered last."""
        if not is_utf8(aor):
            return []
        bindings = [binding_of(facts) for (facts,) in self._reader.all(SQL["bindings"], (aor,))]
        for coming in self._on_their_way.get(aor, ()):
            bindings = applied(bindings, coming.change)
        return in_order(bindings, self._clock.now())

    def by_gruu(self, gruu: str) -> Binding | None:
        """Return the binding that has this public GRUU; of several the one that registered last."""
        rows = self._reader.all(SQL["bindings_of_gruu"], (gruu_key(gruu),))
        found = self._found(rows, lambda each: each.gruu == gruu and each.gruu != "")
        return max(found, key=lambda each: each.updated, default=None)

    async def by_token(self, app: int, token: str) -> list[Binding]:
        """Return the bindings that are woken by this token through this app."""
        rows = self._reader.all(SQL["bindings_of_token"], (token_key(app, token),))
        return self._found(rows, lambda each: is_woken_by(each, app, token))

    async def aors(self, *, after: str = "", limit: int) -> list[str]:
        """Return AoRs that have bindings, in the order of their texts, from the one behind `after`."""
        rows = self._reader.all(SQL["addresses"], (after, self._clock.now(), limit))
        coming = {aor for aor in self._on_their_way if aor > after}
        present = {aor for (aor,) in rows if aor not in coming} | {aor for aor in coming if self.of(aor)}
        return sorted(present)[:limit]

    async def expiring(self, before: int, *, after: int = 0, limit: int) -> list[Binding]:
        """Return bindings with push parameters whose SIP registration ends before that and not before `after`, soonest first."""
        rows = self._reader.all(SQL["expiring_bindings"], (after, before, self._clock.now(), limit))
        found = self._found(rows, lambda each: each.push is not None and after <= each.expires < before)
        return sorted(found, key=lambda each: (each.expires, each.aor, each.uid))[:limit]

    def _found(self, rows: Sequence[tuple[str, bytes]], wanted: Callable[[Binding], bool]) -> list[Binding]:
        """Return those of some rows, and of what is on its way, that are wanted and kept."""
        coming = {
            aor
            for aor, changes in self._on_their_way.items()
            if any(wanted(binding) for each in changes for binding in each.change.put)
        }
        coming.update(aor for aor, _ in rows if aor in self._on_their_way)
        found = [binding_of(facts) for aor, facts in rows if aor not in coming]
        found += [binding for aor in coming for binding in self.of(aor)]
        now = self._clock.now()
        return [each for each in found if wanted(each) and each.kept > now]

    async def prune(self, now: int) -> int:
        """Forget bindings that are kept no longer, in batches; returns how many."""
        gone = 0
        while True:
            some = await self._writer.write(lambda tx: self._prune(tx, now))
            gone += some
            if some < BATCH:
                return gone

    def _prune(self, tx: Transaction, now: int) -> int:
        places = tx.all(SQL["old_bindings"], (now, BATCH))
        forget(tx, places)
        return len(places)

    async def forget_app(self, app: int) -> None:
        """Wake nobody through an app any more."""
        while await self._writer.write(lambda tx: self._leave_app(tx, app)) == BATCH:
            pass

    def _leave_app(self, tx: Transaction, app: int) -> int:
        places = tx.all(SQL["bindings_of_app"], (app, BATCH))
        for number, tokens, facts in places:
            leave_app(tx, number, tokens, facts)
        return len(places)
