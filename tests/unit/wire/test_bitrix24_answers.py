"""Whatever a portal or an OAuth host answers is read as one of few things, and reading never fails."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wakeline.wire.bitrix24.answer import UNEXPECTED, Moved, Refusal, Reply, read, whole
from wakeline.wire.bitrix24.commands import BatchReply, command, read_batch
from wakeline.wire.bitrix24.oauth_answers import Grant, TokenFacts, read_grant, token_facts

_NAMES = ("result", "result_error", "result_next", "error", "error_description", "next", "total", "time", "a")
_OTHER_NAMES = ("operating_reset_at", "install", "client_id", "member_id", "scope", "access_token", "refresh_token")
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_NAMES + _OTHER_NAMES), inner, max_size=4)
    ),
    max_leaves=12,
)
_BODIES = st.binary(max_size=60) | _JSON.map(msgspec.json.encode)
GRANT = {"access_token": "A", "refresh_token": "R", "expires_in": 3600, "member_id": "m", "scope": "crm,user"}


def answer(document: object, status: int = 200) -> Reply | Refusal | Moved:
    return read(status, {}, msgspec.json.encode(document))


def test_a_page_of_a_list() -> None:
    assert answer({"result": [1], "next": 50, "total": "323", "time": {}}) == Reply(result=[1], next=50, total=323)


@pytest.mark.parametrize("result", [None, False, 0, "", [], {}])
def test_an_empty_result_is_a_result(result: object) -> None:
    assert answer({"result": result}) == Reply(result=result)


def test_a_refusal_has_its_status_code_and_text() -> None:
    said = answer({"error": "ERROR_CORE", "error_description": "Not today"}, 400)

    assert said == Refusal(status=400, code="ERROR_CORE", text="Not today")
    assert str(said) == "400 ERROR_CORE Not today"


def test_an_error_beside_status_200_is_a_refusal_and_a_null_one_is_none() -> None:
    assert isinstance(answer({"error": "wrong_client"}), Refusal)
    assert answer({"result": 1, "error": None}) == Reply(result=1)


def test_the_third_versions_errors_are_maps() -> None:
    said = answer({"error": {"code": "BITRIX_REST_V3_X", "message": "No"}}, 404)

    assert said == Refusal(status=404, code="BITRIX_REST_V3_X", text="No")


def test_a_blocked_method_says_when_it_is_free() -> None:
    said = answer({"error": "OPERATION_TIME_LIMIT", "time": {"operating_reset_at": 1_795_000_100}}, 429)

    assert isinstance(said, Refusal)
    assert (said.resets, said.busy, said.failed) == (1_795_000_100_000, True, False)


@pytest.mark.parametrize(
    ("status", "code", "grade"),
    [
        (503, "QUERY_LIMIT_EXCEEDED", "busy"),
        (401, "OVERLOAD_LIMIT", "busy"),
        (503, UNEXPECTED, "busy"),
        (0, "OPERATION_TIME_LIMIT", "busy"),
        (500, "INTERNAL_SERVER_ERROR", "failed"),
        (502, UNEXPECTED, "failed"),
        (200, UNEXPECTED, "failed"),
        (0, "INTERNAL_SERVER_ERROR", "failed"),
        (404, UNEXPECTED, "foreign"),
        (404, "ERROR_METHOD_NOT_FOUND", ""),
        (400, "", ""),
        (403, "ACCESS_DENIED", ""),
        (0, "ERROR_CORE", ""),
    ],
)
def test_what_a_refusal_means_for_the_call(status: int, code: str, grade: str) -> None:
    said = Refusal(status=status, code=code)

    assert [name for name in ("busy", "failed", "foreign") if getattr(said, name)] == ([grade] if grade else [])


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_a_move_whatever_its_body_says(status: int) -> None:
    assert read(status, {"location": "https://b.test/"}, b'{"result":1}') == Moved(location="https://b.test/")


def test_a_redirect_to_nowhere_is_no_move() -> None:
    assert isinstance(read(302, {}, b"<html>"), Refusal)


@given(status=st.sampled_from([200, 302, 400, 401, 404, 500, 503]), body=_BODIES)
def test_reading_never_fails(status: int, body: bytes) -> None:
    said = read(status, {"location": ""}, body)
    grant = read_grant(status, body)

    assert isinstance(said, Reply | Refusal)
    assert isinstance(grant, Grant | Refusal)
    if isinstance(said, Reply):
        assert isinstance(read_batch(said.result, {"a", "0"}, halt=False), BatchReply)
        assert isinstance(token_facts(said), TokenFacts | None)


@given(result=_JSON)
def test_every_command_is_answered_or_refused_and_nobody_elses(result: object) -> None:
    reply = read_batch(result, {"a", "0"}, halt=False)

    assert reply.results.keys() | reply.errors.keys() == {"a", "0"}
    assert not reply.results.keys() & reply.errors.keys()


@pytest.mark.parametrize("value", [True, None, 1.5, "-3", "x", "9" * 30, "\u0667", [], {}])
def test_what_is_no_whole_number_is_none(value: object) -> None:
    assert whole(value) is None


def test_php_may_print_maps_as_lists() -> None:
    result = {"result": ["x"], "result_error": {"1": {"error": "E"}}, "result_total": [7], "result_next": []}

    reply = read_batch(result, ["0", "1"], halt=False)

    assert (reply.results, reply.totals, reply.nexts) == ({"0": "x"}, {"0": 7}, {})
    assert reply.errors == {"1": Refusal(status=0, code="E")}


def test_after_a_halt_the_rest_is_neither_answered_nor_refused() -> None:
    reply = read_batch({"result": [], "result_error": {"a": {"error": "E"}}}, ["a", "b"], halt=True)

    assert (reply.results, list(reply.errors)) == ({}, ["a"])


def test_a_command_is_written_as_php_writes_it() -> None:
    params = {
        "filter": {">ID": "$result[a][49][ID]"},
        "select": ["ID", "UF_*"],
        "start": -1,
        "none": None,
        "flag": True,
    }

    assert command("crm.deal.list", params) == (
        "crm.deal.list?filter%5B%3EID%5D=%24result%5Ba%5D%5B49%5D%5BID%5D&select%5B0%5D=ID&select%5B1%5D=UF_%2A"
        "&start=-1&flag=1"
    )


def test_a_grant_says_whose_it_is_and_its_repr_does_not_say_the_tokens() -> None:
    grant = read_grant(200, msgspec.json.encode({**GRANT, "user_id": "7", "access_token": "secret-access"}))

    assert isinstance(grant, Grant)
    assert (grant.member_id, grant.user, grant.lifetime, grant.scopes) == ("m", 7, 3600, ("crm", "user"))
    assert "secret" not in repr(grant)


@pytest.mark.parametrize(
    ("said", "lifetime"), [(None, 3600), (-5, 60), ("7200", 7200), (10**15, 366 * 86_400), ("soon", 3600)]
)
def test_a_lifetime_that_is_none_or_endless_is_not_believed(said: object, lifetime: int) -> None:
    grant = read_grant(200, msgspec.json.encode({**GRANT, "expires_in": said}))

    assert isinstance(grant, Grant)
    assert grant.lifetime == lifetime


@pytest.mark.parametrize("missing", ["access_token", "refresh_token"])
def test_half_a_pair_is_no_grant(missing: str) -> None:
    body = msgspec.json.encode({name: value for name, value in GRANT.items() if name != missing})

    assert isinstance(read_grant(200, body), Refusal)


def test_scopes_come_with_commas_or_spaces() -> None:
    reply = Reply(result={"client_id": "c", "scope": "crm user,  im", "install": {"member_id": "m"}})

    facts = token_facts(reply)

    assert facts is not None
    assert facts.scopes == ("crm", "user", "im")


def test_the_portals_own_app_info_says_nothing_of_a_token() -> None:
    assert token_facts(Reply(result={"ID": "1", "CODE": "local.x", "INSTALLED": True})) is None
