"""Whatever strangers send to the door of connected portals, it answers in its own form, believes nothing and keeps nothing."""

from __future__ import annotations

import asyncio

import httpx2
from hypothesis import given
from hypothesis import strategies as st

from unit.edges.bitrix24.neighbour import NAME, installed
from wakeline.wire import php_form

_PATHS = st.one_of(
    st.just(f"/bitrix24/events/{NAME}"),
    st.just(f"/bitrix24/oauth/{NAME}"),
    st.text(st.sampled_from(f"/bitrix24eventsoauth%2e.{NAME}?\u00e4"), max_size=40).map("/bitrix24/{}".format),
)
_NAMES = st.sampled_from(
    [
        "event",
        "data",
        "auth",
        "ts",
        "AUTH_ID",
        "REFRESH_ID",
        "SERVER_ENDPOINT",
        "member_id",
        "application_token",
        "FIELDS",
    ]
)
_VALUES = st.recursive(
    st.sampled_from(
        ["", "ONAPPINSTALL", "ONAPPUNINSTALL", "ONCRMDEALADD", "https://oauth.bitrix.info/rest/", "\x00", "\u00e4"]
    )
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=4),
    max_leaves=8,
)


def _tried(method: str, path: str, body: bytes = b"", query: str = "") -> None:
    async def ask() -> tuple[httpx2.Response, int]:
        portal = await installed()
        try:
            answer = await portal.client.request(method, f"https://push.test{path}", content=body, params=query)
            assert portal.now.application_token
            return answer, len(await portal.events())
        finally:
            await portal.client.aclose()

    answer, kept = asyncio.run(ask())
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"].partition(";")[0] in {"application/json", "text/html"}
    assert answer.headers["x-request-id"]
    assert kept == 0


@given(method=st.sampled_from(["GET", "POST", "HEAD", "PUT"]), path=_PATHS, query=st.text(max_size=30))
def test_no_address_is_a_defect(method: str, path: str, query: str) -> None:
    _tried(method, path, query=query)


@given(form=st.dictionaries(_NAMES, _VALUES, max_size=6))
def test_no_form_is_a_defect(form: dict[str, object]) -> None:
    _tried("POST", f"/bitrix24/events/{NAME}", php_form.build_query(form).encode("utf-8", "replace"))


@given(
    body=st.binary(max_size=80) | st.text(st.sampled_from("event=ONXauth[]&AUTH_ID%5B0"), max_size=60).map(str.encode)
)
def test_no_bytes_are_a_defect(body: bytes) -> None:
    _tried("POST", f"/bitrix24/events/{NAME}", body)
