"""What a Bitrix24 portal answers to a call: a result, a refusal, or another address. Nothing it sends makes `read` fail.

Rules (Bitrix24: "Calling REST methods", "System errors", "Change of domain"): success is `{"result", "next"?, "total"?, "time"}`,
a refusal `{"error", "error_description"}` with the code's status, or with 200 from an OAuth host; a portal that was renamed
answers 302 with HTML. What is neither (a page of a proxy, a text cut short) is a refusal with the code that Bitrix24 has for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET

UNEXPECTED = "ERROR_UNEXPECTED_ANSWER"

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# Refusals of the portal as a whole, before any method began.
_BUSY = frozenset({"QUERY_LIMIT_EXCEEDED", "OVERLOAD_LIMIT", "OPERATION_TIME_LIMIT"})
_FAILED = frozenset({"INTERNAL_SERVER_ERROR", UNEXPECTED})
# Of "REST is available only on commercial plans."; the code alone is also that of a record which is not for this user.
_PLAN = "commercial plan"
_LONGEST_TEXT = 300


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """A result: JSON's values as they are. `next` is where the next page begins, None on the last; `total` None: not counted."""

    result: object
    next: int | None = None
    total: int | None = None


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """The portal's no: HTTP status, its code (may be empty) and text. `resets`: when a blocked method is free again (Unix ms)."""

    status: int
    code: str
    text: str = ""
    resets: int = 0

    @property
    def busy(self) -> bool:
        """Whether the portal takes no calls for now: nothing was done."""
        return self.code in _BUSY or self.status in (429, 503)

    @property
    def failed(self) -> bool:
        """Whether the portal broke over the call: nobody knows what was done."""
        return not self.busy and (self.status >= 500 or (self.status < 400 and self.code in _FAILED))

    @property
    def foreign(self) -> bool:
        """Whether something else than a portal said no, such as a proxy before it: nothing was done."""
        return self.code == UNEXPECTED and 400 <= self.status < 500

    @property
    def unpaid(self) -> bool:
        """Whether the portal's plan has no REST at present: what was asked has nothing to do with it, and was not done."""
        return self.code == "ACCESS_DENIED" and _PLAN in self.text

    def __str__(self) -> str:
        said = " ".join(part for part in (self.code, self.text) if part)
        return f"{self.status} {said}".strip() if self.status else said


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """The portal says that it is elsewhere; `location` is its word, and no more than that."""

    location: str


Answered = Reply | Refusal | Moved


class _Document(msgspec.Struct, frozen=True):
    result: Any = UNSET
    next: Any = None
    total: Any = None
    error: Any = UNSET
    error_description: Any = ""
    time: Any = None


def read(status: int, headers: Mapping[str, str], body: bytes) -> Answered:
    """Return what an answer says; header names in lower case."""
    location = headers.get("location", "")
    if status in _REDIRECTS and location:
        return Moved(location=location)
    try:
        document = msgspec.json.decode(body, type=_Document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Refusal(status=status, code=UNEXPECTED, text="The answer is no JSON of a portal")
    if document.error is not UNSET and document.error is not None:
        return refusal(document.error, document.error_description, status=status, time=document.time)
    if status != 200 or document.result is UNSET:
        return Refusal(status=status, code=UNEXPECTED, text="The answer has neither a result nor an error")
    return Reply(result=document.result, next=whole(document.next), total=whole(document.total))


def refusal(code: object, description: object, *, status: int, time: Any = None) -> Refusal:
    """Return a refusal from the members of its document, whatever they are."""
    if isinstance(code, dict):
        # The third version of the REST has a map here.
        members: dict[str, object] = code
        code, description = members.get("code"), members.get("message")
    reset = whole(time.get("operating_reset_at")) if isinstance(time, dict) else None
    return Refusal(status=status, code=_said(code), text=_said(description), resets=1000 * (reset or 0))


def whole(value: object) -> int | None:
    """Return a whole number that may be written as a text; None for anything else."""
    match value:
        case bool():
            return None
        case int():
            return value
        case float() if value.is_integer():
            return int(value)
        case str() if value.isascii() and value.isdecimal() and len(value) < 19:
            return int(value)
        case _:
            return None


def _said(value: object) -> str:
    return str(value)[:_LONGEST_TEXT] if isinstance(value, str | int) else ""
