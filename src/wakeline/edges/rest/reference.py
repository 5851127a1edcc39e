"""The table in words: what the served pages and docs/reference/rest.md say about each operation."""

from __future__ import annotations

import msgspec

from wakeline.edges.rest.openapi import problems_of
from wakeline.edges.rest.operations import Idempotent, Operation, Reach

_INTRO = """# REST API

Made from the table of operations; a test compares this page with it. A running gateway serves the same as `/docs`, and
for machines as `/openapi.json`.

Send `Authorization: Bearer wk_...`. Bodies are JSON of at most 1 MiB; an unknown field is an error. Ids are UUIDv7, times
are RFC 3339. Every POST takes an `Idempotency-Key`: the same key with the same body gets the same answer for 24 hours.
Errors are problem details (RFC 9457); each `code` has a page under `docs/problems`.
"""

_REACH = {
    Reach.ANYBODY: "none",
    Reach.APP: "any that sees the app",
    Reach.FILTERED: "any; shows the apps of the key",
    Reach.PROVEN: "any that sees the app; none where the body proves who asks",
    Reach.INSTALLATION: "one that is bound to no app",
    Reach.MACHINE: "none will do: only the command line at the machine itself",
}


def facts_of(operation: Operation) -> list[tuple[str, str]]:
    """Return what there is to say about an operation, as (name, text); code stands between backticks."""
    facts = [("Name", f"`{operation.name}`"), ("Key", _REACH[operation.reach])]
    if operation.scopes:
        facts.append(("Scope", " or ".join(f"`{scope}`" for scope in operation.scopes)))
    if operation.device_token:
        facts.append(("Device token", "a phone may do this for itself"))
    if operation.query is not None:
        facts.append(("Query", _fields(operation.query)))
    if operation.request is not None:
        facts.append(("Body", f"{_fields(operation.request)} as {' or '.join(operation.accepts)}"))
    if operation.idempotent is not Idempotent.NO:
        facts.append(("Idempotency-Key", "yes"))
    facts.append(("Answer", _answer(operation)))
    problems = dict.fromkeys(f"{kind.status} `{kind.code}`" for kind in problems_of(operation))
    facts.append(("Problems", ", ".join(sorted(problems))))
    return facts


def markdown(operations: tuple[Operation, ...]) -> str:
    """Return the reference page."""
    nouns = dict.fromkeys(operation.noun for operation in operations)
    return _INTRO + "".join(
        f"\n## {noun}\n{''.join(_section(one) for one in operations if one.noun == noun)}" for noun in nouns
    )


def _section(operation: Operation) -> str:
    facts = "".join(f"- {name}: {text}\n" for name, text in facts_of(operation))
    return f"\n### {operation.method} {operation.path}\n\n{operation.summary}.\n\n{facts}"


def _answer(operation: Operation) -> str:
    statuses = ", ".join(map(str, operation.status))
    shown = [kind for kind in (operation.response, *operation.also) if kind is not None]
    return f"{statuses}: {' or '.join(_fields(kind) for kind in shown)}" if shown else f"{statuses}: {operation.media}"


def _fields(kind: type[msgspec.Struct]) -> str:
    """Return the fields of a type; one that may be left out bears a question mark."""
    names = [f"{field.encode_name}{'' if field.required else '?'}" for field in msgspec.structs.fields(kind)]
    return f"`{{{', '.join(names)}}}`"
