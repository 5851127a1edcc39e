"""What events do not say, asked of the portal: records with who is responsible for them, in one request for up to fifty commands.

The responsible user is asked for in the same request by a reference to the record's answer. Where the portal has no `crm.deal.get`
any more, the record is asked for by `crm.item.get`, from then on at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from wakeline.connectors.bitrix24 import kinds
from wakeline.connectors.bitrix24.client import PortalClient
from wakeline.connectors.bitrix24.connections import Connections
from wakeline.connectors.bitrix24.kinds import BY_RECORD
from wakeline.model.bitrix24.records import Fields, Record, RecordKind
from wakeline.model.errors import PortalError, PortalUnreachable
from wakeline.ports import Clock
from wakeline.wire.bitrix24.commands import LONGEST, BatchReply, Call


class Wish(msgspec.Struct, frozen=True):
    """A record that is wanted, and whether the user who is responsible for it is wanted too."""

    record: RecordKind
    number: int
    responsible: bool = False

    @property
    def cost(self) -> int:
        """Return how many commands it takes."""
        return 2 if self.responsible else 1


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What the portal said of one: the record; or it is `gone`; or the portal does not tell, for the reason in `refused`.

    `trouble`: it did not tell this time, of this record.
    """

    record: Record | None = None
    responsible: Fields | None = None
    gone: bool = False
    refused: str = ""
    trouble: PortalError | None = None


Findings = dict[tuple[RecordKind, int], Found]


def fits(wishes: Iterable[Wish]) -> bool:
    """Tell whether these go into one request."""
    return sum(wish.cost for wish in wishes) <= LONGEST


class Fetching:
    """Asks connected portals for records."""

    def __init__(self, connections: Connections, clock: Clock) -> None:
        self._connections = connections
        self._clock = clock
        self._renamed: set[tuple[int, RecordKind]] = set()

    async def fetch(self, installation: int, wishes: Iterable[Wish]) -> Findings:
        """Return what the portal has, for each wish. Raises PortalError if it cannot be asked at all."""
        waiting = {f"r{place}": wish for place, wish in enumerate(_distinct(wishes))}
        findings = await self._asked(installation, waiting)
        renamed = {key: wish for key, wish in waiting.items() if (wish.record, wish.number) not in findings}
        return findings if not renamed else findings | await self._asked(installation, renamed)

    async def users(self, installation: int, numbers: Iterable[int]) -> list[Fields]:
        """Return users by Bitrix24's names; one whom the portal does not show is left out. Raises PortalError."""
        commands: dict[str, Call] = {f"u{number}": kinds.get_user(number) for number in numbers}
        if not commands:
            return []
        answered = await self._connections.of(installation).batch(commands)
        found = [user for result in answered.results.values() for user in kinds.users(result)]
        return [user for user in found if f"u{user['ID']}" in commands]

    async def _asked(self, installation: int, waiting: Mapping[str, Wish]) -> Findings:
        """Return what one request finds; what is to be asked by another method is left out."""
        if not waiting:
            return {}
        commands: dict[str, Call] = {}
        by_item = {key for key, wish in waiting.items() if (installation, wish.record) in self._renamed}
        for key, wish in waiting.items():
            commands |= _commands(key, wish, by_item=key in by_item)
        client = self._connections.of(installation)
        answered = await client.batch(commands)
        findings: Findings = {}
        for key, wish in waiting.items():
            found = self._found(client, key, wish, answered, by_item=key in by_item)
            if found is None:
                self._renamed.add((installation, wish.record))
            else:
                findings[wish.record, wish.number] = found
        return findings

    def _found(
        self, client: PortalClient, key: str, wish: Wish, answered: BatchReply, *, by_item: bool
    ) -> Found | None:
        kind = BY_RECORD[wish.record]
        refusal = answered.errors.get(key)
        if refusal is not None:
            if kinds.is_no_method(refusal.code) and kind.entity_type and not by_item:
                return None
            if kinds.is_missing(refusal.code, refusal.text):
                return Found(gone=True)
            error = client.error(refusal, kind.get_method)
            return Found(trouble=error) if isinstance(error, PortalUnreachable) else Found(refused=error.detail)
        read = kinds.record_of_item if by_item else kinds.record
        record = read(kind, answered.results.get(key), self._clock.now())
        if record is None or record.id != wish.number:
            return Found(gone=True)
        return Found(record=record, responsible=_responsible(record, answered.results.get(_user_key(key))))


def _distinct(wishes: Iterable[Wish]) -> list[Wish]:
    """Return each record once."""
    found: dict[tuple[RecordKind, int], Wish] = {}
    for wish in wishes:
        known = found.get((wish.record, wish.number))
        if known is None or (wish.responsible and not known.responsible):
            found[wish.record, wish.number] = wish
    return list(found.values())


def _commands(key: str, wish: Wish, *, by_item: bool) -> dict[str, Call]:
    kind = BY_RECORD[wish.record]
    item = kind.get_item(wish.number) if by_item else None
    commands: dict[str, Call] = {key: item or kind.get(wish.number)}
    if wish.responsible:
        reference = kind.responsible_in(key, of_item=item is not None)
        commands[_user_key(key)] = kinds.USERS_METHOD, {"ID": reference}
    return commands


def _user_key(key: str) -> str:
    return f"{key}u"


def _responsible(record: Record, answer: object) -> Fields | None:
    """Return the user who is responsible; a reference that led nowhere is answered with other users."""
    wanted = kinds.number_of(record.fields.get(BY_RECORD[record.kind].responsible))
    return next((user for user in kinds.users(answer) if kinds.number_of(user["ID"]) == wanted), None)
