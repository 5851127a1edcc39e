"""Tasks as our portal keeps them. Source: Bitrix24 REST, `tasks.task.list` and `tasks.task.get`.

A task is kept by the names that filter, order and selection use (RESPONSIBLE_ID) and answered by those of the answer
(responsibleId); both are taken as input. Lists and single tasks are wrapped in a map of one key. The error codes are numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

from wakeline.edges.bitrix24 import listing, paging, reading
from wakeline.edges.bitrix24.call import Call, Method, MethodError, Result, Value
from wakeline.model.bitrix24.records import Record, RecordKind


async def list_tasks(call: Call) -> Result:
    """Answer a page of tasks."""
    page = paging.asked(call, rounded=True)
    filters = listing.conditions(call)
    if filters is None:
        return paging.listed((), page, 0, under="tasks")
    found = await call.ports.records.find(
        RecordKind.TASK,
        filters=filters,
        order=listing.orders(call),
        start=page.offset,
        limit=paging.SIZE,
        count=page.counted,
    )
    wanted = listing.selection(call)
    return paging.listed([_shown(record, wanted) for record in found.records], page, found.total, under="tasks")


async def get_task(call: Call) -> Result:
    """Answer one task."""
    if not reading.text(call.params, "TASKID"):
        raise MethodError(400, "100", "Could not find value for parameter {taskId}")
    number = reading.number(call.params, "TASKID") or 0
    task = await call.ports.records.get(RecordKind.TASK, number) if number > 0 else None
    if task is None:
        raise MethodError(400, "0", "wrong task id")
    return Result({"task": _shown(task, listing.selection(call))})


def _shown(task: Record, wanted: Sequence[str]) -> dict[str, Value]:
    row = listing.shown(task.id, task.fields, wanted, apart=frozenset())
    return {_camel(name): value for name, value in row.items()}


def _camel(name: str) -> str:
    """Return `responsibleId` for RESPONSIBLE_ID; a name with small letters is answered as it is kept."""
    if not name.isupper():
        return name
    first, *others = name.lower().split("_")
    return first + "".join(part.capitalize() for part in others)


METHODS: tuple[Method, ...] = (
    Method(name="tasks.task.list", scope="task", narrower=frozenset({"tasks"}), handler=list_tasks),
    Method(name="tasks.task.get", scope="task", narrower=frozenset({"tasks"}), handler=get_task),
)
