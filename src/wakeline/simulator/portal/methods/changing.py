"""What every change of a record does: the row, its moment, and its event."""

from __future__ import annotations

from collections.abc import Mapping

from wakeline.simulator.portal.call import Call
from wakeline.simulator.portal.courier import Courier
from wakeline.simulator.portal.memory import Memory
from wakeline.simulator.portal.php import Tree
from wakeline.simulator.portal.raising import Cause, Events, change_event
from wakeline.simulator.portal.records import CHANGED, Kind, moment

_CREATED = {Kind.ACTIVITY: "CREATED", Kind.TASK: "CREATED_DATE", Kind.USER: "DATE_REGISTER"}


class Change:
    """Changes records at one moment, by one cause."""

    def __init__(self, memory: Memory, courier: Courier, cause: Cause, now: float, lifetime_s: int) -> None:
        self._memory = memory
        self._events = Events(memory, courier, now, lifetime_s)
        self._cause = cause
        self._now = now

    def add(self, kind: Kind, fields: Mapping[str, object]) -> tuple[int, str, int]:
        """A new row; its id, its event and how many handlers that is posted to."""
        rows = self._memory.records[kind]
        number = max(rows, default=0) + 1
        rows[number] = {"ID": str(number), _CREATED.get(kind, "DATE_CREATE"): moment(self._now)}
        return number, *self._changed(kind, number, fields, added=True)

    def update(self, kind: Kind, number: int, fields: Mapping[str, object]) -> tuple[str, int]:
        """Other fields of a row; its event and how many handlers that is posted to. Raises KeyError."""
        return self._changed(kind, number, fields, added=False)

    def _changed(self, kind: Kind, number: int, fields: Mapping[str, object], *, added: bool) -> tuple[str, int]:
        row = self._memory.records[kind][number]
        said: Tree = {name.upper(): value for name, value in fields.items() if name.upper() != "ID"}
        self._memory.records[kind][number] = {
            **row,
            CHANGED[kind]: moment(self._now),
            # Numbers are texts in rows, as in every answer of crm.*.
            **{name: str(value) if type(value) in (int, float) else value for name, value in said.items()},
        }
        event, data = change_event(kind, number, added=added)
        return event, self._events.raised(event, data, self._cause) if event else 0


def change_of(call: Call) -> Change:
    """Changes made by a call."""
    cause = Cause(call.caller.user, call.caller.client_id, call.text("auth_connector"))
    return Change(call.memory, call.courier, cause, call.now, call.lifetime_s)
