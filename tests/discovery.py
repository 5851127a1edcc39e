"""Google's discovery document of FCM v1, as google-api-python-client carries it, and whether a JSON value is of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import googleapiclient

DISCOVERY = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents" / "fcm.v1.json"
SCHEMAS: dict[str, Any] = json.loads(DISCOVERY.read_text())["schemas"]

_TYPES: dict[str, Any] = {
    "object": dict,
    "string": str,
    "array": list,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
}
_FORMATS = {
    "google-duration": re.compile(r"-?\d+(\.\d{1,9})?s"),
    "google-datetime": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)"),
}


def violations(schema: dict[str, Any], value: Any, where: str = "") -> list[str]:
    """Say where `value` is not of the schema; the part of JSON Schema that discovery documents use."""
    if "$ref" in schema:
        return violations(SCHEMAS[schema["$ref"]], value, where)
    kind = schema.get("type", "any")
    if kind == "any":
        return []
    if not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "boolean"):
        return [f"{where}: no {kind}"]
    if kind == "array":
        return [found for item in value for found in violations(schema["items"], item, f"{where}[]")]
    if kind == "object":
        return [found for key, inner in value.items() for found in _field(schema, key, inner, f"{where}.{key}")]
    return list(_of_scalar(schema, value, where))


def _of_scalar(schema: dict[str, Any], value: Any, where: str) -> Iterator[str]:
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where}: {value!r} is not one of {schema['enum']}"
    form = schema.get("format")
    if form in _FORMATS and not _FORMATS[form].fullmatch(value):
        yield f"{where}: {value!r} is no {form}"
    if form == "int32" and not -(2**31) <= value < 2**31:
        yield f"{where}: {value} has more than 32 bits"


def _field(schema: dict[str, Any], key: str, value: Any, where: str) -> list[str]:
    if key in schema.get("properties", {}):
        return violations(schema["properties"][key], value, where)
    if "additionalProperties" in schema:
        return violations(schema["additionalProperties"], value, where)
    return [f"{where}: no such field"]
