"""What a portal is answered, entry by entry.

The form is answered in XML: a portal does not read it, but its own check of the installation looks for the XML declaration.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from http import HTTPStatus

import msgspec

from wakeline.model.outcome import Outcome
from wakeline.observe.masking import masked_token

_XML = b"text/xml; charset=utf-8"
_JSON = b"application/json; charset=utf-8"


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An answer on its way out; `retry_after` in seconds."""

    status: int
    body: bytes
    media: bytes = _XML
    retry_after: int | None = None


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one token of an entry. `notification` is its id if it was taken, `outcome` why not.

    `full`: nothing is wrong with it, there was no room; `stranger`: its key is bound to no app.
    """

    number: int
    token: str = ""
    mode: int = 0
    notification: str = ""
    outcome: Outcome | None = None
    cause: str = ""
    fix: str = ""
    full: bool = False
    stranger: bool = False

    @property
    def taken(self) -> bool:
        """Tell whether it is kept and will be sent."""
        return bool(self.notification)

    @property
    def code(self) -> int:
        """Return our code for it: 0, or one of 901 to 914."""
        return self.outcome.code if self.outcome is not None else 0


class Shown(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One token in a JSON answer."""

    token: str
    result: str
    code: int
    notification: str = ""
    cause: str = ""
    fix: str = ""


def status_of(results: Sequence[Result]) -> int:
    """Return the HTTP status: what could be said about all of them alike is said by it."""
    if not results or any(result.taken for result in results):
        return HTTPStatus.OK
    if all(result.stranger for result in results):
        return HTTPStatus.UNAUTHORIZED
    return HTTPStatus.SERVICE_UNAVAILABLE if any(result.full for result in results) else HTTPStatus.OK


def in_xml(results: Sequence[Result], retry_after: int) -> Reply:
    """Return the answer to the form."""
    taken = sum(result.taken for result in results)
    lines = [f'<response taken="{taken}" refused="{len(results) - taken}">', *map(_line, results), "</response>"]
    return _reply(results, _document("\n".join(lines)), _XML, retry_after)


def in_json(results: Sequence[Result], retry_after: int, *, alone: bool) -> Reply:
    """Return the answer to JSON: an object for an object, a list for a list."""
    shown = [_shown(result) for result in results]
    body = msgspec.json.encode(shown[0] if alone and len(shown) == 1 else shown)
    return _reply(results, body, _JSON, retry_after)


def refused(status: int, cause: str, *, as_json: bool, retry_after: int | None = None) -> Reply:
    """Return the answer to a request of which nothing is read."""
    if as_json:
        body = msgspec.json.encode({"result": "refused", "code": 0, "cause": cause})
        return Reply(status=status, body=body, media=_JSON, retry_after=retry_after)
    return Reply(status=status, body=_document(f'<error cause="{_attribute(cause)}"/>'), retry_after=retry_after)


def ready() -> Reply:
    """Return the answer to somebody who only looks whether there is a push service."""
    return Reply(status=HTTPStatus.OK, body=_document("<response/>"))


def _reply(results: Sequence[Result], body: bytes, media: bytes, retry_after: int) -> Reply:
    status = status_of(results)
    full = status == HTTPStatus.SERVICE_UNAVAILABLE
    return Reply(status=status, body=body, media=media, retry_after=retry_after if full else None)


def _document(content: str) -> bytes:
    return f'<?xml version="1.0"?>\n{content}\n'.encode(errors="replace")


def _line(result: Result) -> str:
    facts = {
        "number": str(result.number),
        "mode": str(result.mode),
        "token": masked_token(result.token) if result.token else "",
        "result": "taken" if result.taken else "refused",
        "code": str(result.code),
        "notification": result.notification,
        "cause": result.cause,
        "fix": result.fix,
    }
    attributes = [f'{name}="{_attribute(value)}"' for name, value in facts.items() if value]
    return f"<entry {' '.join(attributes)}/>"


def _attribute(text: str) -> str:
    return html.escape("".join(sign if sign.isprintable() else "?" for sign in text))


def _shown(result: Result) -> Shown:
    return Shown(
        token=result.token,
        result="taken" if result.taken else "refused",
        code=result.code,
        notification=result.notification,
        cause=result.cause,
        fix=result.fix,
    )
