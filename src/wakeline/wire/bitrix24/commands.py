"""`batch` from the client's side: calls become commands, and its answer becomes results and refusals by key.

Rules (Bitrix24: "batch"): a command is `method?query` with PHP's nested names; a value `$result[key][0][ID]` is replaced by what
an earlier command answered. PHP prints a map whose keys are 0..n-1 as a list and an empty one as `[]`, so all five maps of the
answer come in either shape.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from wakeline.wire.bitrix24.answer import UNEXPECTED, Refusal, refusal, whole
from wakeline.wire.php_form import build_query

LONGEST = 50
"""Commands of one request."""

Params = Mapping[str, object]
"""A method's parameters: JSON's values."""
Call = tuple[str, Params]
"""A method and its parameters."""


class BatchReply(msgspec.Struct, frozen=True, kw_only=True):
    """What each command answered, by its key: a result or a refusal; after a halt neither. Lists: `totals`, and `nexts` if more."""

    results: dict[str, object] = {}
    errors: dict[str, Refusal] = {}
    totals: dict[str, int] = {}
    nexts: dict[str, int] = {}


def command(method: str, params: Params) -> str:
    """Return a command. Null and empty lists vanish, as in PHP; a truth value becomes 1 or 0."""
    return f"{method}?{build_query(dict(params))}"


def read_batch(result: object, keys: Collection[str], *, halt: bool) -> BatchReply:
    """Return what was answered to the commands with these keys; other keys are nobody's."""
    said = by_key(result)
    found = {key: value for key, value in by_key(said.get("result")).items() if key in keys}
    errors = {key: _refused(value) for key, value in by_key(said.get("result_error")).items() if key in keys}
    if not halt:
        silent = Refusal(status=0, code=UNEXPECTED, text="The portal did not answer this command")
        errors |= {key: silent for key in keys if key not in found and key not in errors}
    return BatchReply(
        results={key: value for key, value in found.items() if key not in errors},
        errors=errors,
        totals=_numbers(said.get("result_total")),
        nexts=_numbers(said.get("result_next")),
    )


def by_key(value: object) -> dict[str, object]:
    """Return what PHP printed for a map: a list has its places as keys, and anything else has none."""
    match value:
        case dict():
            return value
        case list():
            return {str(place): one for place, one in enumerate(value)}
        case _:
            return {}


def _refused(value: object) -> Refusal:
    said = by_key(value)
    return refusal(said.get("error", value), said.get("error_description"), status=0, time=said.get("time"))


def _numbers(value: object) -> dict[str, int]:
    read = {key: whole(one) for key, one in by_key(value).items()}
    return {key: number for key, number in read.items() if number is not None}
