"""A request to mesibo's backend API: an operation, a token, and what the operation wants beside them, in one flat object.

    {"op": "pushtest", "token": "...", "id": 15, "addresses": ["alice", "bob"]}

Rule: its clients are small programs in PHP as often as not. A form has texts only, JSON numbers and texts alike, and helpers send
parameters along that are meant for themselves: what means nothing here is left alone.
Source: mesibo, "Backend APIs", request structure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

import msgspec

from wakeline.model.errors import InvalidRequest

Params = Mapping[str, object]

MOST_ADDRESSES = 20
"""Addresses that one request may test."""

_LONGEST_NAME = 64
_LONGEST_ADDRESS = 255
_LONGEST_ID = 128
_YES = frozenset({"1", "true", "yes", "on"})
_NO = frozenset({"0", "false", "no", "off"})


class Op(StrEnum):
    """What may be asked for."""

    UPLOAD = "pushupload"
    TEST = "pushtest"
    DEBUG = "pushdebug"


OP_POINTER = "/op"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One request. `id` comes back in the answer; `app` names the app where the token does not."""

    op: str
    token: str
    id: int | str | None
    app: str
    params: Params

    def __repr__(self) -> str:
        """Leave out the token, and the password of a file: a repr ends in logs and tracebacks."""
        return f"Asked(op={self.op!r})"


def asked(params: Params) -> Asked:
    """Return the request that these parameters are."""
    given = params.get("id")
    return Asked(
        op=text(params, "op")[:_LONGEST_NAME],
        token=text(params, "token"),
        id=given[:_LONGEST_ID] if isinstance(given, str) else given if type(given) is int else None,
        app=text(params, "app") or text(params, "aid"),
        params=params,
    )


def op_of(name: str) -> Op:
    """Return an operation by its name. Raises InvalidRequest, which lists them."""
    try:
        return Op(name.lower())
    except ValueError:
        what = f"there is no operation {name!r} here" if name else "the request names no operation (`op`)"
        raise InvalidRequest(
            what,
            pointer=OP_POINTER,
            fix=f"The operations are {', '.join(Op)}. Users, groups and messages are the business of your chat server.",
        ) from None


def text(params: Params, name: str) -> str:
    """Return a parameter as text without spaces around it; empty if it is none."""
    return _text(params.get(name)) or ""


def switch(params: Params, name: str) -> bool | None:
    """Return a parameter as on or off; None if it is not given. Raises InvalidRequest for anything else."""
    said = params.get(name)
    word = str(said).lower() if isinstance(said, bool) else (_text(said) or "").lower()
    if said is None or said == "":
        return None
    if word in _YES or word in _NO:
        return word in _YES
    raise InvalidRequest(f"`{name}` is 1 or 0", pointer=f"/{name}", fix="Leave it out to be told how it is.")


def addresses(params: Params) -> tuple[str, ...]:
    """Return the addresses of users, each once: a list, or a text with one or more separated by commas.

    Raises InvalidRequest where there are none, or too many.
    """
    found = tuple(dict.fromkeys(_listed(params.get("addresses"))))
    if not found:
        raise _wrong("there is nobody to test: `addresses` names users", "Give one as text, or several as a list.")
    if len(found) > MOST_ADDRESSES:
        raise _wrong(f"{len(found)} addresses are more than the {MOST_ADDRESSES} of one test", "Test them by and by.")
    return found


def _listed(said: object) -> Iterable[str]:
    match said:
        case str():
            items: Iterable[object] = said.split(",")
        case list():
            items = said
        case dict():
            items = said.values()
        case _:
            items = () if said is None else (said,)
    for item in items:
        address = _text(item)
        if address is None or len(address) > _LONGEST_ADDRESS:
            raise _wrong(f"an address is a text of at most {_LONGEST_ADDRESS} characters", "")
        if address:
            yield address


def _text(said: object) -> str | None:
    """Return a value as text; None for what is no text and no whole number."""
    match said:
        case str():
            return said.strip()
        case int() if not isinstance(said, bool):
            return str(said)
        case _:
            return None


def _wrong(cause: str, fix: str) -> InvalidRequest:
    return InvalidRequest(cause, pointer="/addresses", fix=fix)
