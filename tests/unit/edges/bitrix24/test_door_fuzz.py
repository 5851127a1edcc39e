"""Whatever strangers send, the door answers in its protocol's form and without a defect of ours."""

from __future__ import annotations

import asyncio

import httpx2
from hypothesis import given
from hypothesis import strategies as st

from unit.edges.bitrix24.portal import ADMIN_TOKEN, CODE, opened
from wakeline.config import Settings
from wakeline.config.tree import Bitrix24
from wakeline.edges.bitrix24.table import BY_NAME

_NAMES = st.sampled_from([*sorted(BY_NAME), "batch", "BATCH.json", "no.such", "", "profile.xml"])
_PATHS = st.one_of(
    _NAMES.map("/rest/{}".format),
    _NAMES.map(f"/rest/1/{CODE}/{{}}".format),
    st.text(st.sampled_from("rest/api1.%20profile\u00e4?"), max_size=30).map("/rest/{}".format),
)
_WORDS = st.sampled_from(
    ["cmd", "halt", "start", "filter", "FILTER", "order", "select", "USER_ID", "ID", "TEXT", "CODE", "event", "limit"]
)
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "1", "-1", "Y", "$result[a][0]", "profile?ID=$result[a]", "[1,2]", "{", "\x00", "\u00e4"])
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(_WORDS | st.sampled_from([">ID", "a", "0"]), inner, max_size=3)
    ),
    max_leaves=6,
)
_FORMS = st.text(st.sampled_from("abID[]=&%5B>1+$;"), max_size=40)


def _answer(method: str, path: str, **more: object) -> httpx2.Response:
    async def ask() -> httpx2.Response:
        portal = await opened(Settings(bitrix24=Bitrix24(rate_limit=False)))
        try:
            headers = {"authorization": f"Bearer {ADMIN_TOKEN}"}
            return await portal.client.request(method, f"https://portal.test{path}", headers=headers, **more)  # type: ignore[arg-type] # as the strategies make them
        finally:
            await portal.client.aclose()
            await portal.gateway.client.aclose()
            await portal.ports.deliveries.close()

    return asyncio.run(ask())


def _check(answer: httpx2.Response) -> None:
    assert answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    body = answer.json()
    assert ("error" in body) != ("result" in body)
    if "result" in body:
        assert body["time"].keys() >= {"start", "finish", "duration", "processing", "date_start", "date_finish"}


@given(method=st.sampled_from(["GET", "POST", "PUT", "DELETE"]), path=_PATHS, query=_FORMS)
def test_no_address_is_a_defect(method: str, path: str, query: str) -> None:
    _check(_answer(method, path, params=query))


@given(path=_NAMES.map("/rest/{}".format), body=st.dictionaries(_WORDS, _VALUES, max_size=4))
def test_no_json_is_a_defect(path: str, body: dict[str, object]) -> None:
    _check(_answer("POST", path, json=body))


@given(
    commands=st.dictionaries(st.sampled_from(["a", "b", "0", "1"]), _VALUES | st.builds("{}?{}".format, _NAMES, _FORMS))
)
def test_no_batch_is_a_defect(commands: dict[str, object]) -> None:
    answer = _answer("POST", "/rest/batch", json={"cmd": commands})
    _check(answer)
    result = answer.json()["result"]
    errors = result["result_error"].values() if isinstance(result["result_error"], dict) else result["result_error"]
    assert all(error["error"] != "INTERNAL_SERVER_ERROR" for error in errors)


@given(
    body=st.binary(max_size=60),
    kind=st.sampled_from(["application/json", "multipart/form-data; boundary=x", "x/y", ""]),
)
def test_no_bytes_are_a_defect(body: bytes, kind: str) -> None:
    headers = {"content-type": kind}

    async def ask() -> httpx2.Response:
        portal = await opened()
        return await portal.client.post(f"/rest/profile?auth={ADMIN_TOKEN}", content=body, headers=headers)

    _check(asyncio.run(ask()))
