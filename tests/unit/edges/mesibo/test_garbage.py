"""Whatever is posted, the answer is in the protocol's form, and nothing of ours breaks."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlencode

import httpx2
import msgspec
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from fuzzing import examples
from unit.edges.rest.gateway import opened
from wakeline.edges.mesibo import MesiboDoor
from wakeline.model.key import Scope

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=6,
)
_OP = st.sampled_from(["pushupload", "pushtest", "pushdebug", "PUSHTEST "]) | _VALUE
_PARAMS = st.fixed_dictionaries(
    {"op": _OP},
    optional=dict.fromkeys(("id", "app", "aid", "addresses", "enable", "type", "title", "body", "file"), _VALUE),
)


async def _posted(**how: Any) -> httpx2.Response:
    gateway = await opened()
    await gateway.store.apps.create("acme", "acme", gateway.clock.now())
    key = await gateway.key(Scope.ADMIN, apps=("acme",))
    door = MesiboDoor(gateway.ports, patience=0.01)
    gateway.serve(door)
    headers = {"authorization": f"Bearer {key}", **how.pop("headers", {})}
    try:
        return await gateway.client.post("/mesibo/backend", headers=headers, **how)
    finally:
        await door.close()
        await gateway.client.aclose()
        await gateway.store.close()


def _check(answer: httpx2.Response) -> None:
    said = answer.json()
    assert answer.status_code < 500, said
    assert isinstance(said["result"], bool)
    assert isinstance(said["op"], str)
    assert said["result"] or said["error"]


@profile(max_examples=examples(60))
@given(_PARAMS)
def test_any_parameters_are_answered(params: dict[str, Any]) -> None:
    as_json = {"content": msgspec.json.encode(params), "headers": {"content-type": "application/json"}}
    _check(asyncio.run(_posted(**as_json)))
    _check(asyncio.run(_posted(params=urlencode(params))))


@profile(max_examples=examples(60))
@given(
    st.binary(max_size=200), st.sampled_from(["", "application/json", "multipart/form-data; boundary=x", "text/plain"])
)
def test_any_bytes_are_answered(body: bytes, media: str) -> None:
    _check(asyncio.run(_posted(content=body, headers={"content-type": media})))
