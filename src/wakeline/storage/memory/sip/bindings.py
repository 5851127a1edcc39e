"""Registrations, in a dictionary."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from wakeline.model.sip.binding import Binding, BindingChange
from wakeline.ports import Clock
from wakeline.storage.memory.registers import MemoryApps
from wakeline.storage.memory.sip.messages import MemorySipMessages
from wakeline.storage.sip import applied, in_order, is_woken_by, refuse_broken_text, without_app


class MemorySipBindings:
    """Bindings by AoR."""

    def __init__(self, apps: MemoryApps, messages: MemorySipMessages, clock: Clock) -> None:
        self._apps = apps
        self._messages = messages
        self._clock = clock
        self._of: dict[str, list[Binding]] = {}

    async def change(self, change: BindingChange) -> None:
        """Write what a REGISTER does."""
        refuse_broken_text(change)
        put = tuple(without_app(each) if self._apps.is_gone(each.app) else each for each in change.put)
        change = msgspec.structs.replace(change, put=put)
        for old, new in change.moved:
            self._messages.move(change.aor, old, new)
        self._put(change.aor, applied(self._of.get(change.aor, ()), change))

    def of(self, aor: str) -> list[Binding]:
        """Return the bindings of an AoR that are kept, highest q first, of equals the one that registered last."""
        return in_order(self._of.get(aor, ()), self._clock.now())

    def by_gruu(self, gruu: str) -> Binding | None:
        """Return the binding that has this public GRUU; of several the one that registered last."""
        return max((each for each in self._kept() if gruu and each.gruu == gruu), key=_updated, default=None)

    async def by_token(self, app: int, token: str) -> list[Binding]:
        """Return the bindings that are woken by this token through this app."""
        return [each for each in self._kept() if is_woken_by(each, app, token)]

    async def aors(self, *, after: str = "", limit: int) -> list[str]:
        """Return AoRs that have bindings, in the order of their texts, from the one behind `after`."""
        return sorted({each.aor for each in self._kept() if each.aor > after})[:limit]

    async def expiring(self, before: int, *, after: int = 0, limit: int) -> list[Binding]:
        """Return bindings with push parameters whose SIP registration ends before that and not before `after`, soonest first."""
        found = (each for each in self._kept() if each.push is not None and after <= each.expires < before)
        return sorted(found, key=lambda each: (each.expires, each.aor, each.uid))[:limit]

    async def prune(self, now: int) -> int:
        """Forget bindings that are kept no longer; returns how many."""
        before = sum(map(len, self._of.values()))
        for aor, bindings in list(self._of.items()):
            self._put(aor, [each for each in bindings if each.kept > now])
        return before - sum(map(len, self._of.values()))

    def forget_app(self, app: int) -> None:
        """Wake nobody through an app any more."""
        for aor, bindings in self._of.items():
            self._of[aor] = [without_app(each) if each.app == app else each for each in bindings]

    def _put(self, aor: str, bindings: list[Binding]) -> None:
        if bindings:
            self._of[aor] = bindings
        else:
            self._of.pop(aor, None)

    def _kept(self) -> Iterator[Binding]:
        now = self._clock.now()
        return (each for bindings in self._of.values() for each in bindings if each.kept > now)


def _updated(binding: Binding) -> int:
    return binding.updated
