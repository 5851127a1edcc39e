"""tasks.task.list and tasks.task.get: asked under the old names, answered under the new ones."""

from __future__ import annotations

from wakeline.simulator.portal.call import Call, Found, Method
from wakeline.simulator.portal.methods.camel import Naming
from wakeline.simulator.portal.php import texts
from wakeline.simulator.portal.records import Kind
from wakeline.simulator.portal.refusal import Refusal
from wakeline.simulator.portal.selection import page, selected

_NAMING = Naming()


def _select(call: Call) -> list[str]:
    return [_NAMING.old(name) for name in texts(call.params.get("select"))]


def _list(call: Call) -> Found:
    found = page(call.memory.records[Kind.TASK].values(), call.params)
    rows = [_NAMING.renewed(selected(row, _select(call))) for row in found.rows]
    return Found({"tasks": rows}, found.total, found.next)


def _get(call: Call) -> Found:
    row = call.memory.records[Kind.TASK].get(call.number("taskid"))
    if row is None:
        raise Refusal(400, "0", "wrong task id")
    return Found({"task": _NAMING.renewed(selected(row, _select(call)))})


METHODS = (Method("tasks.task.list", _list, "task"), Method("tasks.task.get", _get, "task"))
