"""event.offline.*: the queue of what happened while nobody listened.

Bitrix24: "Offline events". `get` with clear=1 takes rows away; with clear=0 it reserves them under a process id until they
are cleared or marked as failed.
"""

from __future__ import annotations

import secrets

from wakeline.simulator.portal.call import Call, Found, Method
from wakeline.simulator.portal.memory import Queued
from wakeline.simulator.portal.php import flag, number, texts
from wakeline.simulator.portal.records import moment
from wakeline.simulator.portal.refusal import Refusal, missing
from wakeline.simulator.portal.selection import PAGE, Row, matching, ordered, page


def _mine(call: Call) -> list[Queued]:
    connector = call.text("auth_connector")
    return [one for one in call.memory.queue if (one.client_id, one.connector) == (call.caller.client_id, connector)]


def _row(one: Queued) -> Row:
    return {
        "ID": str(one.id),
        "TIMESTAMP_X": moment(one.at),
        "EVENT_NAME": one.event,
        "EVENT_DATA": one.data or False,
        "EVENT_ADDITIONAL": {"user_id": str(one.user)} if one.user else False,
        "MESSAGE_ID": one.message_id,
    }


def get(call: Call) -> Found:
    """Takes or reserves the oldest rows; a process id reads its own again."""
    limit = number(call.params.get("limit"), PAGE)
    if limit <= 0:
        raise Refusal(400, "ERROR_ARGUMENT", "Value must be positive integer", argument="LIMIT")
    process, failed = call.text("process_id"), flag(call.params.get("error"))
    free = {str(one.id): one for one in _mine(call) if one.process_id == process and (process or one.error == failed)}
    rows = matching([_row(one) for one in free.values()], call.tree("filter"))
    rows = ordered(rows, call.tree("order") or {"TIMESTAMP_X": "ASC", "ID": "ASC"})[:limit]
    taken = [free[str(row["ID"])] for row in rows]
    if process or not taken:
        return Found({"process_id": process or None, "events": rows})
    if flag(call.params.get("clear"), default=True):
        call.memory.queue = [one for one in call.memory.queue if one not in taken]
        return Found({"process_id": None, "events": rows})
    process = secrets.token_hex(16)
    for one in taken:
        one.process_id, one.error = process, False
    return Found({"process_id": process, "events": rows})


def _reserved(call: Call) -> list[Queued]:
    process = call.text("process_id")
    if not process:
        raise missing("PROCESS_ID")
    ids, messages = texts(call.params.get("id")), texts(call.params.get("message_id"))
    found = [one for one in _mine(call) if one.process_id == process]
    if messages:
        return [one for one in found if one.message_id in messages]
    return [one for one in found if str(one.id) in ids] if ids else found


def clear(call: Call) -> Found:
    """Forgets what a process has done, all of it or some."""
    done = _reserved(call)
    call.memory.queue = [one for one in call.memory.queue if one not in done]
    return Found(value=True)


def error(call: Call) -> Found:
    """Gives back what a process could not do; it is read again with error=1."""
    if not texts(call.params.get("message_id")):
        raise missing("MESSAGE_ID")
    for one in _reserved(call):
        one.error, one.process_id = True, ""
    return Found(value=True)


def listed(call: Call) -> Found:
    """Shows the queue and changes nothing."""
    rows = [
        {**_row(one), "PROCESS_ID": one.process_id or None, "ERROR": "1" if one.error else "0"} for one in _mine(call)
    ]
    found = page(rows, call.params)
    return Found(found.rows, found.total, found.next)


METHODS = tuple(
    Method(f"event.offline.{name}", answer, application_only=True)
    for name, answer in {"get": get, "list": listed, "clear": clear, "error": error}.items()
)
