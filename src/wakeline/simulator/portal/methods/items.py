"""crm.item.*: leads (1), deals (2) and contacts (3) under the newer names, with numbers as numbers."""

from __future__ import annotations

from wakeline.simulator.portal.call import Call, Found, Method
from wakeline.simulator.portal.methods.camel import Naming
from wakeline.simulator.portal.methods.changing import change_of
from wakeline.simulator.portal.php import amount, number, texts
from wakeline.simulator.portal.records import Kind
from wakeline.simulator.portal.refusal import Refusal
from wakeline.simulator.portal.selection import Row, page, selected

_KINDS = {1: Kind.LEAD, 2: Kind.DEAL, 3: Kind.CONTACT}
_USUAL = {"DATE_CREATE": "createdTime", "DATE_MODIFY": "updatedTime", "CREATED_BY_ID": "createdBy"}
_NAMING = Naming(**_USUAL)
# A lead's status is its stage.
_OF_LEADS = Naming(**_USUAL, STATUS_ID="stageId")


def _kind(call: Call) -> Kind:
    kind = _KINDS.get(call.number("entitytypeid"))
    if kind is None:
        raise Refusal(400, "ENTITY_TYPE_NOT_SUPPORTED", "Entity type is not supported")
    return kind


def _naming(kind: Kind) -> Naming:
    return _OF_LEADS if kind is Kind.LEAD else _NAMING


def _number(call: Call, kind: Kind) -> int:
    wanted = call.number("id")
    if wanted not in call.memory.records[kind]:
        raise Refusal(400, "NOT_FOUND", "Element not found")
    return wanted


def _item(kind: Kind, row: Row) -> Row:
    found = _naming(kind).renewed(row)
    for name, value in found.items():
        if name in ("id", "createdBy") or (name.endswith("Id") and str(value).isdigit()):
            found[name] = number(value)
        elif name == "opportunity":
            found[name] = amount(value)
    return found


def _list(call: Call) -> Found:
    kind = _kind(call)
    naming = _naming(kind)
    params = {**call.params, "filter": naming.aged(call.params.get("filter")), "order": naming.aged(call.tree("order"))}
    found = page(call.memory.records[kind].values(), params)
    select = [naming.old(name) for name in texts(call.params.get("select"))]
    items = [_item(kind, selected(row, select)) for row in found.rows]
    return Found({"items": items}, found.total, found.next)


def _get(call: Call) -> Found:
    kind = _kind(call)
    return Found({"item": _item(kind, call.memory.records[kind][_number(call, kind)])})


def _add(call: Call) -> Found:
    kind = _kind(call)
    added, _, _ = change_of(call).add(kind, _naming(kind).aged(call.params.get("fields")))
    return Found({"item": _item(kind, call.memory.records[kind][added])})


def _update(call: Call) -> Found:
    kind = _kind(call)
    wanted = _number(call, kind)
    change_of(call).update(kind, wanted, _naming(kind).aged(call.params.get("fields")))
    return Found({"item": _item(kind, call.memory.records[kind][wanted])})


METHODS = (
    Method("crm.item.list", _list, "crm"),
    Method("crm.item.get", _get, "crm"),
    Method("crm.item.add", _add, "crm"),
    Method("crm.item.update", _update, "crm"),
)
