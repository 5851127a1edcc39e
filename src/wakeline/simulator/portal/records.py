"""What is in the portal: users, deals, leads, contacts, activities and tasks, the same ones at every start.

Rows are flat maps as crm.*.list gives them: ids and amounts are texts, flags Y and N, moments ISO 8601 with an offset.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum

from wakeline.simulator.portal.selection import Row

DEALS, LEADS, CONTACTS, ACTIVITIES, TASKS = 323, 60, 120, 75, 75
_NAMES = ("Anna", "Boris", "Clara", "David", "Elena", "Farid", "Greta", "Henri")
_LAST_NAMES = ("Adler", "Berg", "Conti", "Duarte", "Ek", "Fischer", "Gomez")
_GOODS = ("Pumps", "Gears", "Cables", "Valves", "Lamps", "Bearings")
_DEAL_STAGES = ("NEW", "PREPARATION", "EXECUTING", "WON", "LOSE")
_LEAD_STATUSES = ("NEW", "IN_PROCESS", "CONVERTED", "JUNK")
_BEGIN = datetime(2026, 1, 5, 9, tzinfo=UTC)


class Kind(StrEnum):
    """What a record is."""

    USER = "user"
    DEAL = "deal"
    LEAD = "lead"
    CONTACT = "contact"
    ACTIVITY = "activity"
    TASK = "task"


# The field that says when a row was last changed.
CHANGED = {
    Kind.USER: "TIMESTAMP_X",
    Kind.DEAL: "DATE_MODIFY",
    Kind.LEAD: "DATE_MODIFY",
    Kind.CONTACT: "DATE_MODIFY",
    Kind.ACTIVITY: "LAST_UPDATED",
    Kind.TASK: "CHANGED_DATE",
}

Records = dict[Kind, dict[int, Row]]


def fresh_records() -> Records:
    """Everything as at the start."""
    makers = (
        (Kind.USER, _user, len(_NAMES)),
        (Kind.DEAL, _deal, DEALS),
        (Kind.LEAD, _lead, LEADS),
        (Kind.CONTACT, _contact, CONTACTS),
        (Kind.ACTIVITY, _activity, ACTIVITIES),
        (Kind.TASK, _task, TASKS),
    )
    return {kind: {n: {"ID": str(n), **make(n)} for n in range(1, count + 1)} for kind, make, count in makers}


def moment(at: float) -> str:
    """Seconds since 1970 as Bitrix24 writes a moment."""
    return datetime.fromtimestamp(int(at), UTC).isoformat()


def _at(number: int) -> str:
    return (_BEGIN + timedelta(minutes=37 * number)).isoformat()


def _user(number: int) -> Row:
    name, last = _NAMES[number - 1], _LAST_NAMES[number % len(_LAST_NAMES)]
    return {
        "ACTIVE": True,
        "NAME": name,
        "LAST_NAME": last,
        "EMAIL": f"{name.lower()}@portal.test",
        "WORK_POSITION": "Head of sales" if number == 1 else "Sales",
        "PERSONAL_GENDER": "",
        "PERSONAL_MOBILE": f"+4930555{number:04}",
        "UF_PHONE_INNER": str(100 + number),
        "UF_DEPARTMENT": [1],
        "TIME_ZONE": "Europe/Berlin",
        "TIMESTAMP_X": _at(0),
    }


def _owner(number: int) -> str:
    return str(number % len(_NAMES) + 1)


def _deal(number: int) -> Row:
    stage = _DEAL_STAGES[number % len(_DEAL_STAGES)]
    return {
        "TITLE": f"{_GOODS[number % len(_GOODS)]} for customer {number}",
        "TYPE_ID": "SALE",
        "STAGE_ID": stage,
        "STAGE_SEMANTIC_ID": {"WON": "S", "LOSE": "F"}.get(stage, "P"),
        "CATEGORY_ID": "0",
        "OPPORTUNITY": f"{number * 125}.00",
        "CURRENCY_ID": "EUR",
        "CONTACT_ID": str(number % CONTACTS + 1),
        "COMPANY_ID": "0",
        "LEAD_ID": None,
        "ASSIGNED_BY_ID": _owner(number),
        "CREATED_BY_ID": "1",
        "OPENED": "Y",
        "CLOSED": "Y" if stage in ("WON", "LOSE") else "N",
        "COMMENTS": "",
        "DATE_CREATE": _at(number),
        "DATE_MODIFY": _at(number + 1),
    }


def _lead(number: int) -> Row:
    return {
        "TITLE": f"Asks about {_GOODS[number % len(_GOODS)].lower()}, {number}",
        "STATUS_ID": _LEAD_STATUSES[number % len(_LEAD_STATUSES)],
        **_person(number),
        "SOURCE_ID": "CALL" if number % 2 else "WEB",
        "OPPORTUNITY": f"{number * 40}.00",
        "CURRENCY_ID": "EUR",
        "DATE_CREATE": _at(number),
        "DATE_MODIFY": _at(number + 1),
    }


def _contact(number: int) -> Row:
    return {**_person(number), "TYPE_ID": "CLIENT", "DATE_CREATE": _at(number), "DATE_MODIFY": _at(number + 1)}


def _person(number: int) -> Row:
    phone = {"ID": str(number), "VALUE_TYPE": "WORK", "VALUE": f"+49301234{number:04}", "TYPE_ID": "PHONE"}
    return {
        "NAME": _NAMES[number % len(_NAMES)],
        "LAST_NAME": _LAST_NAMES[number % len(_LAST_NAMES)],
        "HAS_PHONE": "Y",
        "PHONE": [phone],
        "ASSIGNED_BY_ID": _owner(number),
    }


def _activity(number: int) -> Row:
    return {
        "OWNER_ID": str(number),
        "OWNER_TYPE_ID": "2",
        "TYPE_ID": "2" if number % 2 else "1",
        "PROVIDER_ID": "VOXIMPLANT_CALL" if number % 2 else "CRM_MEETING",
        "SUBJECT": f"{'Call' if number % 2 else 'Meeting'} about deal {number}",
        "RESPONSIBLE_ID": _owner(number),
        "START_TIME": _at(number),
        "DEADLINE": _at(number + 40),
        "COMPLETED": "Y" if number % 3 == 0 else "N",
        "DIRECTION": "1",
        "DESCRIPTION": "",
        "CREATED": _at(number),
        "LAST_UPDATED": _at(number + 1),
    }


def _task(number: int) -> Row:
    return {
        "TITLE": f"Prepare the offer of deal {number}",
        "DESCRIPTION": "",
        "STATUS": "5" if number % 4 == 0 else "2",
        "PRIORITY": "1",
        "RESPONSIBLE_ID": _owner(number),
        "CREATED_BY": "1",
        "GROUP_ID": "0",
        "DEADLINE": _at(number + 80),
        "CREATED_DATE": _at(number),
        "CHANGED_DATE": _at(number + 1),
    }
