"""The table as an OpenAPI 3.1 document: what machines read about the API.

Rule: nothing is written here that is not in the table or in a type; whoever changes a type has changed the document.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from http import HTTPStatus
from typing import Any

import msgspec

from wakeline import __version__
from wakeline.edges.rest.operations import Idempotent, Media, Operation, Reach
from wakeline.edges.rest.problems import Problem
from wakeline.edges.rest.webhooks.meanings import MEANINGS
from wakeline.model.errors import (
    BodyTooLarge,
    Conflict,
    IdempotencyMismatch,
    IdempotencyRunning,
    InvalidRequest,
    MalformedRequest,
    NotAllowed,
    NotFound,
    SecretNotReplayed,
    StoreUnavailable,
    Unauthenticated,
    UnsupportedMedia,
    WakelineError,
)
from wakeline.model.event import EventType
from wakeline.wire.event_json import EventView

Json = dict[str, Any]

_SECURITY: dict[Reach, list[Json]] = {Reach.ANYBODY: [], Reach.PROVEN: [{"key": []}, {}]}
"""For reaches of which not every request needs a key (OpenAPI 3.1: an empty requirement makes security optional)."""
_REF = "#/components/schemas/{name}"
_DESCRIPTION = (
    "Wakeline takes notifications, keeps them safe, delivers them to Apple APNs and Google FCM, and can always say why a push "
    "did not arrive. A provider *accepts* a push; only the device itself can acknowledge it.\n\n"
    "Errors are RFC 9457 problem details with a stable `code`. Every POST takes an `Idempotency-Key`."
)


def problems_of(operation: Operation) -> tuple[type[WakelineError], ...]:
    """Return every error that an operation may answer with, by what it is made of."""
    found: list[type[WakelineError]] = [MalformedRequest, InvalidRequest, WakelineError]
    if operation.reach is not Reach.ANYBODY:
        found += [Unauthenticated, NotAllowed, StoreUnavailable]
    if operation.parameters:
        found.append(NotFound)
    if operation.request is not None:
        found += [BodyTooLarge, UnsupportedMedia]
    if operation.idempotent is not Idempotent.NO:
        found += [IdempotencyRunning, IdempotencyMismatch]
    if operation.idempotent is Idempotent.STORED:
        found += [Conflict, SecretNotReplayed]
    return tuple(dict.fromkeys([*operation.problems, *found]))


@lru_cache(maxsize=2)
def document(operations: tuple[Operation, ...]) -> bytes:
    """Return the document as JSON."""
    return msgspec.json.format(msgspec.json.encode(build(operations)), indent=2)


def build(operations: tuple[Operation, ...]) -> Json:
    """Return the document."""
    schemas = _Schemas(operations)
    paths: Json = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schemas)
    described = {
        "openapi": "3.1.0",
        "info": {
            "title": "Wakeline",
            "version": __version__,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": noun} for noun in dict.fromkeys(operation.noun for operation in operations)],
        "paths": paths,
        "webhooks": {kind.value: {"post": _told(kind, schemas)} for kind in EventType},
        "components": {
            "schemas": schemas.components,
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key, `wk_...`; or a device token, `wkd_...`",
                }
            },
        },
    }
    # Defaults of types are tuples and enums; what is compared and served is JSON's own.
    found: Json = msgspec.json.decode(msgspec.json.encode(described))
    return found


class _Schemas:
    """JSON schemas of all types in the table; one reference a type."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._types: list[Any] = [Problem]
        for operation in operations:
            self._types += [kind for kind in (operation.request, operation.response) if kind is not None]
            self._types += operation.also
        self._types = list(dict.fromkeys(self._types))
        found, self.components = msgspec.json.schema_components(self._types, ref_template=_REF)
        self._refs = dict(zip(self._types, found, strict=True))
        for operation in operations:
            if Media.MULTIPART in operation.accepts:
                self._as_form(operation.request)

    def __getitem__(self, kind: Any) -> Json:
        found: Json = self._refs[kind]
        return found

    def _as_form(self, kind: Any) -> None:
        """A file is sent as it is in a form, not as base64 (OpenAPI 3.1, "Considerations for File Uploads")."""
        for name, schema in self.components[kind.__name__]["properties"].items():
            if schema.get("contentEncoding"):
                self.components[kind.__name__]["properties"][name] = {"type": "string", "format": "binary"}


def _operation(operation: Operation, schemas: _Schemas) -> Json:
    described: Json = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [operation.noun],
        "parameters": [*_path(operation), *_query(operation), *_headers(operation)],
        "responses": {**_successes(operation, schemas), **_problems(operation, schemas)},
        "security": _SECURITY.get(operation.reach, [{"key": []}]),
    }
    if operation.scopes:
        described["description"] = f"Scope: {' or '.join(operation.scopes)}."
    if operation.request is not None:
        content = {media: {"schema": _body(operation, media, schemas)} for media in operation.accepts}
        described["requestBody"] = {"required": operation.body_required, "content": content}
    return described


def _told(kind: EventType, schemas: _Schemas) -> Json:
    """Return what a webhook is told of events of a type (OpenAPI 3.1, "webhooks")."""
    text = {"type": "string"}
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    return {
        "operationId": f"told.{kind.value}",
        "summary": MEANINGS[kind].words,
        "tags": ["webhook"],
        "parameters": [{"name": name, "in": "header", "required": True, "schema": text} for name in names],
        "requestBody": {"required": True, "content": {Media.JSON.value: {"schema": schemas[EventView]}}},
        "responses": {
            "2XX": {"description": "It is taken."},
            "410": {"description": "The receiver wants no more: the webhook is disabled."},
            "default": {"description": "It is tried again."},
        },
        "security": [],
    }


def _body(operation: Operation, media: str, schemas: _Schemas) -> Json:
    if media == Media.NDJSON:
        return {"type": "string", "description": f"One JSON object a line: {schemas[operation.request]['$ref']}"}
    return schemas[operation.request]


def _path(operation: Operation) -> list[Json]:
    schema = {"type": "string", "minLength": 1}
    return [{"name": name, "in": "path", "required": True, "schema": schema} for name in operation.parameters]


def _query(operation: Operation) -> list[Json]:
    if operation.query is None:
        return []
    (_,), components = msgspec.json.schema_components([operation.query], ref_template="{name}")
    described = components[operation.query.__name__]
    properties, required = described["properties"], described["required"]
    return [
        {"name": name, "in": "query", "required": name in required, "schema": _inlined(schema, components)}
        for name, schema in properties.items()
    ]


def _inlined(schema: Json, components: Json) -> Json:
    """Return a query parameter's schema without references; an empty default means that it may be left out."""
    found = dict(components[schema["$ref"]]) if "$ref" in schema else dict(schema)
    return {name: value for name, value in found.items() if (name, value) != ("default", "")}


def _headers(operation: Operation) -> list[Json]:
    if operation.idempotent is Idempotent.NO:
        return []
    schema = {"type": "string", "pattern": "^[ -~]{1,255}$"}
    return [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "schema": schema,
            "description": "The same key with the same body gets the same answer for 24 hours.",
        }
    ]


def _successes(operation: Operation, schemas: _Schemas) -> Json:
    return {str(status): _success(operation, status, schemas) for status in operation.status}


def _success(operation: Operation, status: int, schemas: _Schemas) -> Json:
    answer: Json = {"description": HTTPStatus(status).phrase}
    kinds = [kind for kind in (operation.response, *operation.also) if kind is not None]
    if operation.media != Media.JSON:
        answer["content"] = {operation.media.partition(";")[0]: {"schema": {"type": "string"}}}
    elif kinds:
        schema = schemas[kinds[0]] if len(kinds) == 1 else {"anyOf": [schemas[kind] for kind in kinds]}
        answer["content"] = {Media.JSON.value: {"schema": schema}}
    return answer


def _problems(operation: Operation, schemas: _Schemas) -> Json:
    grouped: dict[int, list[type[WakelineError]]] = {}
    for kind in problems_of(operation):
        grouped.setdefault(kind.status, []).append(kind)
    return {
        str(status): {
            "description": "; ".join(f"`{kind.code}`: {kind.title}" for kind in kinds),
            "content": {Media.PROBLEM.value: {"schema": schemas[Problem]}},
        }
        for status, kinds in sorted(grouped.items())
        if status not in operation.status
    }
