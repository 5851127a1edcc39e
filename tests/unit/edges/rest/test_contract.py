"""Schemathesis reads our OpenAPI document and tries to make the API contradict it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from fuzzing import examples
from unit.edges.rest.gateway import Gateway
from wakeline.edges.rest import OPERATIONS, openapi
from wakeline.edges.rest.operations import Media
from wakeline.model.key import Scope

_GATEWAY = Gateway()
_SCHEMA_IS_NOT_ALL = positive_data_acceptance
"""A schema cannot say that an audience must not be empty, or that a time lies in the future."""
_LINES_ARE_REJECTED_ONE_BY_ONE = negative_data_rejection
"""A stream of which every line is wrong is 202 all the same, and says so for each line."""

schema = schemathesis.openapi.from_dict(openapi.build(OPERATIONS)).exclude(operation_id="event.follow")
schema.app = _GATEWAY.app


@schemathesis.serializer("application/x-ndjson")
def _lines(_context: object, value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


@pytest.fixture(scope="module", autouse=True)
def _with_key() -> Iterator[None]:
    async def prepare() -> None:
        _GATEWAY.admin = await _GATEWAY.key(Scope.ADMIN)
        await _GATEWAY.with_app()

    asyncio.run(prepare())
    yield
    asyncio.run(_GATEWAY.client.aclose())


@schema.parametrize()
@settings(max_examples=examples(12), deadline=None, suppress_health_check=list(HealthCheck), database=None)
def test_the_api_does_what_its_document_says(case: schemathesis.Case[Any]) -> None:
    """An app that exists takes the place of a made-up one, so that requests come further than its 404."""
    if case.method != "DELETE" and "app" in case.path_parameters:
        case.path_parameters["app"] = "acme-chat"
    excluded: list[Any] = [
        _SCHEMA_IS_NOT_ALL,
        *([_LINES_ARE_REJECTED_ONE_BY_ONE] if case.media_type == Media.NDJSON else []),
    ]
    case.call_and_validate(headers={"Authorization": f"Bearer {_GATEWAY.admin}"}, excluded_checks=excluded)
