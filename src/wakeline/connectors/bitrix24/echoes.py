"""Updates that tell nothing new: a portal says when by the second, so that a repetition and a second change read the same.

Whether it was one shows in the record: it looks as it did when the update before it, of the same second, was worked off. What is
remembered for that is this process's; whoever does not remember takes an update for a change.
"""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from wakeline.connectors.bitrix24.fetching import Found
from wakeline.connectors.bitrix24.folding import Plan
from wakeline.connectors.bitrix24.kinds import Change
from wakeline.model.bitrix24.inbox import Origin
from wakeline.model.bitrix24.records import RecordKind

_MOST = 4_000
"""Records that are remembered: as many as change in some seconds."""


class _Seen(msgspec.Struct, frozen=True):
    event: int
    at: int
    looks: int


class Echoes:
    """What the records looked like that were worked off last."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self._seen: OrderedDict[tuple[int, RecordKind, int], _Seen] = OrderedDict()

    def of(self, one: Plan, found: Found) -> int:
        """Return the number of the event that this one repeats; 0: none, and it is remembered."""
        subject, event = one.subject, one.event
        if subject is None or one.is_call or subject.change is not Change.UPDATE or event.origin is Origin.RESENT:
            return 0
        place = event.installation, subject.kind.record, subject.number
        now = _Seen(event.id, event.at, _looks(found))
        before = self._seen.get(place)
        if before is not None and before.event != now.event and (before.at, before.looks) == (now.at, now.looks):
            return before.event
        self._seen[place] = now
        self._seen.move_to_end(place)
        while len(self._seen) > _MOST:
            self._seen.popitem(last=False)
        return 0


def _looks(found: Found) -> int:
    """Return what two looks of the same record have in common."""
    return 0 if found.record is None else hash(msgspec.json.encode(found.record.fields, order="sorted"))
