"""What a mirrored portal's events change in our own portal: its records and users, and its own handlers hear of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from wakeline.connectors.bitrix24 import answers, kinds
from wakeline.connectors.bitrix24.fetching import Findings
from wakeline.connectors.bitrix24.folding import Plan
from wakeline.connectors.bitrix24.kinds import Change
from wakeline.model.bitrix24.records import Fields, Record, RecordKind
from wakeline.ports import Clock
from wakeline.ports.bitrix24 import PortalAccess, PortalRecords

USER_ADDED = "ONUSERADD"

Raise = Callable[[str, Mapping[str, object], int], Awaitable[None]]
"""Tells an event of our own portal: its name, its data, and the number of the user who caused it (0: nobody)."""


class Mirror:
    """Our own portal, as far as it shows another one."""

    def __init__(self, records: PortalRecords, access: PortalAccess, raised: Raise, clock: Clock) -> None:
        self._records = records
        self._access = access
        self._raised = raised
        self._clock = clock

    async def known(self, plans: Sequence[Plan]) -> dict[tuple[RecordKind, int], Fields]:
        """Return the records of events as they were before."""
        found: dict[tuple[RecordKind, int], Fields] = {}
        for one in plans:
            if one.subject is not None and not one.is_call:
                kind, number = one.subject.kind.record, one.subject.number
                record = await self._records.get(kind, number)
                found |= {} if record is None else {(kind, number): record.fields}
        return found

    async def keep(self, plans: Sequence[Plan], findings: Findings, users: Sequence[Fields]) -> None:
        """Keep what the portal said, and forget what it has no more."""
        records: list[Record] = [found.record for found in findings.values() if found.record is not None]
        if records:
            await self._records.put(records)
        for kind, numbers in _gone(plans, findings).items():
            await self._records.delete(kind, sorted(numbers))
        told = [found.responsible for found in findings.values() if found.responsible is not None]
        await self.keep_users([*told, *users])

    async def keep_users(self, users: Sequence[Fields]) -> None:
        """Keep users by Bitrix24's names; how they log in here stays."""
        for number, fields in {kinds.number_of(fields.get("ID")): fields for fields in users}.items():
            known = await self._access.user(number)
            user = answers.portal_user(fields, known, self._clock.now())
            if user != known:
                await self._access.put_user(user)

    async def tell(self, plans: Sequence[Plan]) -> None:
        """Have our own portal raise these events."""
        for one in plans:
            await self._raised(one.event.event, one.data, one.event.user)


def new_users(plans: Sequence[Plan]) -> list[int]:
    """Return the numbers of users whom these events tell of."""
    added = (kinds.number_of(one.data.get("ID")) for one in plans if one.event.event == USER_ADDED)
    return [number for number in dict.fromkeys(added) if number]


def _gone(plans: Sequence[Plan], findings: Findings) -> dict[RecordKind, set[int]]:
    gone: dict[RecordKind, set[int]] = {}
    for (kind, number), found in findings.items():
        if found.gone:
            gone.setdefault(kind, set()).add(number)
    for one in plans:
        if one.subject is not None and one.subject.change is Change.DELETE:
            gone.setdefault(one.subject.kind.record, set()).add(one.subject.number)
    return gone
