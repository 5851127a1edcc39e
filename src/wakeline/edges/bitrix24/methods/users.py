"""`user.*`: the users of the portal, with the fields that the caller's scope opens.

    user, user_basic    all that is kept here       user_brief    without addresses and telephone numbers

Filters stand under FILTER or, as older clients have it, at the top; `sort` is a field and `order` its direction, two texts.
A key may begin with an operator (`!`, `>`, `>=`, `<`, `<=`, `%`, `=`, `@`); several values mean any of them.

Source: Bitrix24 REST, "User Scope Versions" and the pages of these methods.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any

from wakeline.edges.bitrix24 import paging, reading
from wakeline.edges.bitrix24.answers import atom
from wakeline.edges.bitrix24.call import Call, Method, Result
from wakeline.edges.bitrix24.reading import Value
from wakeline.edges.bitrix24.refusals import Refusal
from wakeline.model.bitrix24.access import PortalUser

Row = dict[str, Value]

_TITLES = {
    "ID": "ID",
    "ACTIVE": "Active",
    "NAME": "First name",
    "LAST_NAME": "Last name",
    "EMAIL": "E-Mail",
    "DATE_REGISTER": "Registered on",
    "TIME_ZONE": "Time zone",
    "PERSONAL_GENDER": "Gender",
    "PERSONAL_PHOTO": "Photo",
    "PERSONAL_MOBILE": "Mobile phone",
    "WORK_POSITION": "Position",
    "UF_PHONE_INNER": "Extension number",
    "USER_TYPE": "User type",
}
_CONTACTS = frozenset({"EMAIL", "PERSONAL_MOBILE"})
_NUMBERS = frozenset({"ID"})
_SEARCHED = ("NAME", "LAST_NAME", "WORK_POSITION")
_FIND = ("FIND", "NAME_SEARCH")
_MOST_VALUES = 500
_LONGEST_SEARCH = 255
_COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "%": operator.contains,
}
_OPERATORS = sorted((*_COMPARED, "!=", "!", "=", "@"), key=len, reverse=True)


async def current(call: Call) -> Result:
    """Return the caller."""
    user = await call.ports.access.user(call.caller.user.id) or call.caller.user
    return Result(_row(user, call.caller.scopes))


async def get(call: Call) -> Result:
    """List users that a filter names."""
    return await _list(call, _meets)


async def search(call: Call) -> Result:
    """List users whose names or positions begin as asked; the other fields of the filter count as in `user.get`."""
    return await _list(call, _begins)


async def fields(call: Call) -> Result:
    """Return what the fields are called that the caller's scope opens."""
    return Result({name: _TITLES[name] for name in _row(call.caller.user, call.caller.scopes)})


async def _list(call: Call, meets: Callable[[Row, str, Value], bool]) -> Result:
    rows = [_row(user, call.caller.scopes) for user in await call.ports.access.users()]
    terms = _bounded(_filter(call))
    found = [row for row in rows if all(meets(row, key, said) for key, said in terms.items())]
    _sort(found, call)
    page = paging.asked(call, rounded=True)
    return paging.listed(_selected(found[page.offset :][: paging.SIZE], call), page, len(found))


def _row(user: PortalUser, scopes: frozenset[str]) -> Row:
    """Return a user by Bitrix24's names of fields."""
    row: Row = {
        "ID": str(user.id),
        "ACTIVE": user.active,
        "NAME": user.name,
        "LAST_NAME": user.last_name,
        "EMAIL": user.email,
        "DATE_REGISTER": atom(user.created / 1000) if user.created else "",
        "TIME_ZONE": user.time_zone,
        "PERSONAL_GENDER": user.gender,
        "PERSONAL_PHOTO": user.photo,
        "PERSONAL_MOBILE": user.personal_mobile,
        "WORK_POSITION": user.work_position,
        "UF_PHONE_INNER": user.inner_phone,
        "USER_TYPE": "employee",
    }
    if scopes & {"user", "user_basic"}:
        return row
    return {name: said for name, said in row.items() if name not in _CONTACTS}


def _filter(call: Call) -> Row:
    """Return the filter with its names in upper case; without FILTER, the fields that stand at the top."""
    given = reading.tree(call.params, "FILTER")
    named = {key.upper(): said for key, said in (given or call.params).items()}
    if given:
        return named
    known = {*_row(call.caller.user, frozenset({"user"})), *_FIND}
    return {key: said for key, said in named.items() if key.lstrip("!=<>%@") in known}


def _bounded(terms: Row) -> Row:
    """Return a filter whose every value can be compared with every user. Raises MethodError for one that is too long."""
    if sum(max(1, len(list(_values(said)))) for said in terms.values()) > _MOST_VALUES:
        raise Refusal.ARGUMENT.error(f"Parameter 'filter' has more than {_MOST_VALUES} items.", argument="filter")
    return terms


def _meets(row: Row, key: str, said: Value) -> bool:
    """Tell whether a user meets one term; a field that is not known here, or not to this scope, is met by nobody."""
    if key in _FIND:
        return _finds(row, said)
    prefix = next((one for one in _OPERATORS if key.startswith(one)), "")
    name = key[len(prefix) :]
    if name not in row:
        return False
    own = _comparable(name, row[name])
    values = [_comparable(name, value) for value in _values(said)]
    if prefix in _COMPARED:
        return any(_compares(_COMPARED[prefix], own, value) for value in values)
    return (own in values) is not prefix.startswith("!")


def _begins(row: Row, key: str, said: Value) -> bool:
    if key in _SEARCHED:
        words = [str(value).lower() for value in _values(said)]
        return any(str(row[key]).lower().startswith(word) for word in words)
    return _meets(row, key, said)


def _finds(row: Row, said: Value) -> bool:
    """Tell whether each word that is looked for begins a word of the user's name or position."""
    words = " ".join(str(row[name]) for name in _SEARCHED).lower().split()
    wanted = (reading.text_of(said) or "")[:_LONGEST_SEARCH].lower().split()
    return all(any(word.startswith(beginning) for word in words) for beginning in wanted)


def _values(said: Value) -> Iterable[Value]:
    return reading.mapped(said).values() if isinstance(said, dict | list) else (said,)


def _comparable(name: str, said: Value) -> Any:
    """Return a value as it is compared: ids as numbers, flags as flags, all else as text without regard to case."""
    if name in _NUMBERS:
        return reading.number_of(said)
    if name == "ACTIVE":
        return reading.flag({name: said}, name)
    return (reading.text_of(said) or "").lower()


def _compares(compare: Callable[[Any, Any], bool], own: Any, value: Any) -> bool:
    if own is None or value is None:
        return False
    return compare(str(own), str(value)) if compare is operator.contains else compare(own, value)


def _sort(rows: list[Row], call: Call) -> None:
    """Sort in place; a field that is not known leaves the order by id."""
    name = reading.text(call.params, "SORT", "ID").upper()
    descends = reading.text(call.params, "ORDER").upper() == "DESC"
    if rows and name in rows[0]:
        rows.sort(key=lambda row: _comparable(name, row[name]), reverse=descends)


def _selected(rows: list[Row], call: Call) -> list[Row]:
    """Leave the fields that were asked for; none, or `*`, are all, and `UF_*` are those of that beginning."""
    wanted = {name.upper() for name in reading.texts(call.params, "SELECT")}
    if not wanted or "*" in wanted:
        return rows
    takes_custom = "UF_*" in wanted
    return [
        {name: said for name, said in row.items() if name in wanted or (takes_custom and name.startswith("UF_"))}
        for row in rows
    ]


_NARROWER = frozenset({"user_basic", "user_brief"})

METHODS: tuple[Method, ...] = (
    Method(name="user.current", scope="user", handler=current, narrower=_NARROWER),
    Method(name="user.fields", scope="user", handler=fields, narrower=_NARROWER),
    Method(name="user.get", scope="user", handler=get, narrower=_NARROWER),
    Method(name="user.search", scope="user", handler=search, narrower=_NARROWER),
)
