"""crm.deal, crm.lead, crm.contact and crm.activity: list, get, add, update.

What is not found, and what is no id, has an empty code, as in Bitrix24's own answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from wakeline.simulator.portal.call import Call, Found, Method
from wakeline.simulator.portal.methods.changing import change_of
from wakeline.simulator.portal.records import Kind
from wakeline.simulator.portal.refusal import Refusal
from wakeline.simulator.portal.selection import page, selected

_KINDS = (Kind.DEAL, Kind.LEAD, Kind.CONTACT, Kind.ACTIVITY)


def _number(call: Call, kind: Kind) -> int:
    number = call.number("id")
    if number <= 0:
        raise Refusal(400, "", "ID is not defined or invalid.")
    if number not in call.memory.records[kind]:
        raise Refusal(400, "", "Not found")
    return number


def _list(call: Call, kind: Kind) -> Found:
    if isinstance(call.params.get("filter"), str):
        raise Refusal(400, "", "Parameter 'filter' must be array.")
    found = page(call.memory.records[kind].values(), call.params)
    return Found([selected(row, call.params.get("select")) for row in found.rows], found.total, found.next)


def _get(call: Call, kind: Kind) -> Found:
    return Found(call.memory.records[kind][_number(call, kind)])


def _add(call: Call, kind: Kind) -> Found:
    return Found(change_of(call).add(kind, call.tree("fields"))[0])


def _update(call: Call, kind: Kind) -> Found:
    change_of(call).update(kind, _number(call, kind), call.tree("fields"))
    return Found(value=True)


def _methods() -> Iterator[Method]:
    verbs: dict[str, Callable[[Call, Kind], Found]] = {"list": _list, "get": _get, "add": _add, "update": _update}
    for kind in _KINDS:
        for verb, answer in verbs.items():
            yield Method(f"crm.{kind}.{verb}", _of(kind, answer), "crm")


def _of(kind: Kind, answer: Callable[[Call, Kind], Found]) -> Callable[[Call], Found]:
    return lambda call: answer(call, kind)


METHODS = tuple(_methods())
