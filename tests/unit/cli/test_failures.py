"""From what went wrong to words and an exit code."""

from __future__ import annotations

import json

import pytest

from wakeline.cli import failures
from wakeline.model.errors import ConfigError, NotFound, StoreBusy, WakelineError


@pytest.mark.parametrize(
    ("error", "code"), [(ConfigError("x"), 2), (NotFound("x"), 3), (StoreBusy("x"), 5), (WakelineError("x"), 1)]
)
def test_our_errors_bring_their_exit_code(error: WakelineError, code: int) -> None:
    assert failures.of_error(error).exit_code == code


@pytest.mark.parametrize(
    ("status", "problem_code", "exit_code"),
    [
        (404, "not_found", 3),
        (422, "credential_refused", 4),
        (409, "conflict", 4),
        (401, "unauthenticated", 4),
        (503, "overloaded", 5),
        (429, "rate_limited", 5),
        (500, "internal", 1),
        (404, "a_code_of_a_newer_release", 3),
        (418, "a_code_of_a_newer_release", 4),
        (503, "a_code_of_a_newer_release", 5),
        (500, "a_code_of_a_newer_release", 1),
    ],
)
def test_an_answer_finds_its_exit_code(status: int, problem_code: str, exit_code: int) -> None:
    body = json.dumps({"code": problem_code, "title": "T", "detail": "D", "status": status}).encode()
    assert failures.of_answer(status, body).exit_code == exit_code


def test_a_problem_is_cause_fix_and_fields() -> None:
    problem = {
        "code": "invalid",
        "title": "T",
        "detail": "two fields are wrong",
        "fix": "Repair them.",
        "errors": [{"pointer": "/ttl", "detail": "is negative"}],
    }
    failure = failures.of_answer(422, json.dumps(problem).encode())
    assert (failure.cause, failure.fix, failure.errors) == (
        "two fields are wrong",
        "Repair them.",
        ("/ttl: is negative",),
    )


@pytest.mark.parametrize(
    ("detail", "errors"),
    [("expected `int` >= 1", ("/user: expected `int` >= 1",)), ("there is no field 'user' here", ())],
)
def test_a_cause_that_does_not_name_its_field_is_followed_by_it(detail: str, errors: tuple[str, ...]) -> None:
    problem = {"code": "invalid", "detail": detail, "errors": [{"pointer": "/user", "detail": detail}]}
    failure = failures.of_answer(422, json.dumps(problem).encode())
    assert (failure.cause, failure.errors) == (detail, errors)


def test_an_answer_that_is_no_problem_document_says_its_status() -> None:
    failure = failures.of_answer(502, b"<html>")
    assert "502" in failure.cause
    assert failure.exit_code == 5
