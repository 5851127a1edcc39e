"""What events do not say, asked of the portal: records with who is responsible for them, in one request for up to fifty commands.

The responsible user is asked for in the same request by a reference to the record's answer, as long as all of it is one request;
of more records the users, whom many records share, are asked for afterwards, and remembered for a while.
Where the portal has no `crm.deal.get` any more, the record is asked for by `crm.item.get`, from then on at once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping

import msgspec

from wakeline.connectors.bitrix24 import answers, kinds
from wakeline.connectors.bitrix24.client import PortalClient
from wakeline.connectors.bitrix24.connections import Connections
from wakeline.connectors.bitrix24.kinds import BY_RECORD
from wakeline.model.bitrix24.records import Fields, Record, RecordKind
from wakeline.model.errors import PortalError, PortalUnreachable
from wakeline.ports import Clock
from wakeline.wire.bitrix24.answer import Refusal
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

    `unnamed`: why it is not known who is responsible. `trouble`: it did not tell this time, of this record.
    """

    record: Record | None = None
    responsible: Fields | None = None
    gone: bool = False
    refused: str = ""
    unnamed: str = ""
    trouble: PortalError | None = None


Findings = dict[tuple[RecordKind, int], Found]


USERS_KEPT_FOR = 300_000
"""Milliseconds for which a user is remembered."""
_MOST_USERS = 2_000


class Fetching:
    """Asks connected portals for records."""

    def __init__(self, connections: Connections, clock: Clock) -> None:
        self._connections = connections
        self._clock = clock
        self._renamed: set[tuple[int, RecordKind]] = set()
        self._users: OrderedDict[tuple[int, int], tuple[int, Fields]] = OrderedDict()

    async def fetch(self, installation: int, wishes: Iterable[Wish]) -> Findings:
        """Return what the portal has, for each wish. Raises PortalError if it cannot be asked at all."""
        wanted = _distinct(wishes)
        together = sum(wish.cost for wish in wanted) <= LONGEST
        alone = wanted if together else [msgspec.structs.replace(wish, responsible=False) for wish in wanted]
        waiting = {f"r{place}": wish for place, wish in enumerate(alone)}
        findings = await self._asked(installation, waiting)
        renamed = {key: wish for key, wish in waiting.items() if (wish.record, wish.number) not in findings}
        findings |= await self._asked(installation, renamed)
        return findings if together else await self._named(installation, findings, wanted)

    async def users(self, installation: int, numbers: Iterable[int]) -> list[Fields]:
        """Return users by Bitrix24's names; one whom the portal does not show is left out. Raises PortalError."""
        found, _ = await self._people(installation, numbers)
        return list(found.values())

    async def _people(self, installation: int, numbers: Iterable[int]) -> tuple[dict[int, Fields], dict[int, Refusal]]:
        """Return users by number, and what the portal said of others."""
        commands: dict[str, Call] = {f"u{number}": answers.get_user(number) for number in numbers}
        if not commands:
            return {}, {}
        answered = await self._connections.of(installation).batch(commands)
        users = [user for result in answered.results.values() for user in answers.users(result)]
        found = {kinds.number_of(user["ID"]): user for user in users if f"u{user['ID']}" in commands}
        return found, {int(key[1:]): refusal for key, refusal in answered.errors.items()}

    async def _named(self, installation: int, findings: Findings, wishes: Iterable[Wish]) -> Findings:
        """Return findings with the users who are responsible, where they are wanted."""
        asked = {(wish.record, wish.number) for wish in wishes if wish.responsible}
        whose = {key: _number(found.record) for key, found in findings.items() if key in asked and found.record}
        since = self._clock.now() - USERS_KEPT_FOR
        remembered = {number: self._users.get((installation, number), (0, {})) for number in whose.values() if number}
        known = {number: user for number, (at, user) in remembered.items() if at > since}
        fresh, refusals = await self._people(installation, remembered.keys() - known.keys())
        self._remember(installation, fresh)
        known |= fresh
        client = self._connections.of(installation)
        named = {
            key: msgspec.structs.replace(findings[key], responsible=known.get(number))
            if number not in refusals
            else _unnamed(client, findings[key], refusals[number])
            for key, number in whose.items()
        }
        return findings | named

    def _remember(self, installation: int, users: Mapping[int, Fields]) -> None:
        now = self._clock.now()
        for number, user in users.items():
            self._users[installation, number] = now, user
            self._users.move_to_end((installation, number))
        while len(self._users) > _MOST_USERS:
            self._users.popitem(last=False)

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
            if answers.is_no_method(refusal.code) and kind.entity_type and not by_item:
                return None
            if answers.is_missing(refusal.code, refusal.text):
                return Found(gone=True)
            error = client.error(refusal, kind.get_method)
            return Found(trouble=error) if isinstance(error, PortalUnreachable) else Found(refused=error.detail)
        read = answers.record_of_item if by_item else answers.record
        record = read(kind, answered.results.get(key), self._clock.now())
        if record is None or record.id != wish.number:
            return Found(gone=True)
        user = _responsible(record, answered.results.get(_user_key(key)))
        found = Found(record=record, responsible=user)
        silent = answered.errors.get(_user_key(key))
        return found if silent is None or not _number(record) else _unnamed(client, found, silent)


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
        commands[_user_key(key)] = answers.USERS_METHOD, {"ID": reference}
    return commands


def _user_key(key: str) -> str:
    return f"{key}u"


def _number(record: Record | None) -> int:
    """Return the number of the user who is responsible for a record; 0: nobody."""
    return 0 if record is None else kinds.number_of(record.fields.get(BY_RECORD[record.kind].responsible))


def _responsible(record: Record, answer: object) -> Fields | None:
    """Return the user who is responsible; a reference that led nowhere is answered with other users."""
    return next((user for user in answers.users(answer) if kinds.number_of(user["ID"]) == _number(record)), None)


def _unnamed(client: PortalClient, found: Found, refusal: Refusal) -> Found:
    """Return a record of which the portal does not say whose it is."""
    error = client.error(refusal, answers.USERS_METHOD)
    if isinstance(error, PortalUnreachable):
        return msgspec.structs.replace(found, trouble=error)
    return msgspec.structs.replace(found, unnamed=error.detail)
