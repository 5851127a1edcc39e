"""Whatever a client sends as parameters: the answer is one of the protocol's, and never a defect of ours."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzzing import REPEATABLE, examples
from unit.edges.bitrix24.phones import phone, settled
from unit.edges.bitrix24.portal import MEMBER, opened
from wakeline.config import Settings
from wakeline.config.tree import Bitrix24
from wakeline.edges.bitrix24.call import Auth
from wakeline.edges.bitrix24.methods import im, mobile, pull, users

METHODS = (*im.METHODS, *mobile.METHODS, *pull.METHODS, *users.METHODS)
NAMES = [
    "USER_ID",
    "to",
    "TEXT",
    "AVATAR",
    "MESSAGE",
    "TAG",
    "SUB_TAG",
    "ATTACH",
    "CLIENT_ID",
    "TYPE",
    "COMMAND",
    "PARAMS",
    "MODULE_ID",
    "CONFIG",
    "ACTIVE",
    "FILTER",
    "sort",
    "ORDER",
    "select",
    "start",
    "ID",
    ">ID",
    "!NAME",
    "FIND",
    "TAGS",
    "USER_VALUES",
]

_scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.sampled_from(
        ["7", "[1,7]", '{"a":1}', "Y", "0", "https://a.example/i.png", "[b]x[/b]", "rest", "rest_notify", "-1"]
    )
)
_values = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*NAMES, "0", "module_id"]), inner, max_size=4)
    ),
    max_leaves=8,
)
_calls = st.tuples(st.sampled_from(METHODS), st.dictionaries(st.sampled_from(NAMES), _values, max_size=6))


@settings(
    max_examples=examples(40), deadline=None, derandomize=REPEATABLE, suppress_health_check=[HealthCheck.too_slow]
)
@given(calls=st.lists(_calls, min_size=1, max_size=12))
def test_no_parameters_are_a_defect_of_ours(calls: list[tuple[Any, dict[str, Any]]]) -> None:
    async def asked() -> None:
        portal = await opened(Settings(bitrix24=Bitrix24(rate_limit=False)))
        await phone(portal, MEMBER)
        for method, params in calls:
            way = portal.hook if method.auth is Auth.WEBHOOK else portal.call
            answer = await way(method.name, params)
            assert answer.status_code in {200, 400}, (method.name, params, answer.text)
            assert ("result" in answer.json()) is (answer.status_code == 200)
        await settled(portal)

    asyncio.run(asked())


@pytest.mark.anyio
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
async def test_without_parameters_a_method_answers_or_names_what_is_missing(method: Any) -> None:
    portal = await opened()
    way = portal.hook if method.auth is Auth.WEBHOOK else portal.call
    answer = await way(method.name)
    if answer.status_code != 200:
        status, code, text = portal.refusal(answer)
        assert status == 400
        assert code.endswith(("_ERROR", "_EMPTY", "_ARGUMENT", "_FORMAT"))
        assert text
