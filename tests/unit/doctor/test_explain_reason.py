"""Every line of the table of outcomes can be asked for, and where a word means several things the answer says what decides."""

from __future__ import annotations

import pytest

from unit.edges.rest.gateway import Gateway, opened
from wakeline.doctor.explain_reason import CODES, of_reason
from wakeline.doctor.explanation import Explanation
from wakeline.wire.outcomes import TABLE, Entry


def explained(question: str) -> Explanation:
    found = of_reason(question)
    assert found is not None, question
    return found


NAMED = [entry for entry in TABLE if entry.reason]


@pytest.mark.parametrize("entry", NAMED, ids=lambda entry: f"{entry.source}-{entry.status}-{entry.reason}")
def test_an_answer_in_full_has_the_words_of_its_line_and_its_word_alone_finds_it(entry: Entry) -> None:
    status = f" {entry.status}" if entry.status else ""
    said = explained(f"{entry.source}{status} {entry.reason}")
    by_word = explained(entry.reason.upper())

    assert said.cause.startswith(entry.cause)
    assert said.fix == entry.fix
    assert f"{entry.outcome_class.value}: {entry.action.value}" in said.steps[0].detail
    assert ": " in said.verdict
    assert any(step.detail.endswith(f"{entry.cause} {entry.fix}") for step in by_word.steps)


@pytest.mark.parametrize("code", sorted({entry.code for entry in TABLE if entry.code}))
def test_every_code_that_is_given_out_is_explained_with_all_its_meanings(code: int) -> None:
    said = explained(str(code))
    lines = [entry for entry in TABLE if entry.code == code]

    assert said.about == f"code {code}: {CODES[code]}"
    assert len(said.steps) == len(lines) > 1
    assert f"first of {len(lines)} meanings" in said.cause
    assert said.fix


def test_codes_are_those_that_mesibo_knows() -> None:
    assert set(CODES) == {901, 902, 903, 904, 905, 911, 912, 913, 914}
    assert set(CODES) == {entry.code for entry in TABLE if entry.code}


@pytest.mark.parametrize(
    ("question", "decides"),
    [
        ("TooManyRequests", "who says it (Apple, a Web Push service)"),
        ("errno 201", "the status (429, 503)"),
        ("INVALID_ARGUMENT", "what else the answer says (INVALID_ARGUMENT, INVALID_ARGUMENT: token)"),
        ("410", "who says it"),
        ("905", "the reason in the answer"),
    ],
)
def test_what_decides_between_several_meanings_is_said(question: str, decides: str) -> None:
    assert decides in explained(question).cause


@pytest.mark.parametrize("question", ["BadDeviceToken", "apns TooManyRequests", "503 errno 201", "fcm 413"])
def test_one_meaning_is_told_as_one(question: str) -> None:
    said = explained(question)

    assert "meanings" not in said.verdict + said.cause
    assert len(said.steps) == 1


@pytest.mark.parametrize("status", [502, 504, 418, 599])
def test_a_status_that_is_in_no_line_means_what_its_hundred_means_to_each(status: int) -> None:
    whats = {step.what.partition(":")[0] for step in explained(str(status)).steps}

    assert {"Apple", "FCM", "a Web Push service", "an external push URI", "Google's token endpoint"} <= whats


@pytest.mark.parametrize(
    "question", ["", "apns", "Sunshine", "777", "999", "apns Sunshine", "fcm BadDeviceToken", "0", "²³²"]
)
def test_what_is_in_no_table_is_nothing(question: str) -> None:
    assert of_reason(question) is None


@pytest.mark.anyio
async def test_it_is_asked_for_over_http() -> None:
    gateway: Gateway = await opened()
    answer = await gateway.call("GET", "/v1/explain", params={"q": "apns 403 BadCertificateEnvironment"})
    nothing = await gateway.call("GET", "/v1/explain", params={"q": "Sunshine"})

    assert set(answer.json()) >= {"verdict", "cause", "fix", "steps"}
    assert answer.json()["steps"][0]["what"] == "Apple: 403 BadCertificateEnvironment"
    assert nothing.status_code == 404


@pytest.mark.parametrize(
    ("question", "verdict"),
    [
        ("905", "the credential is at fault: pushes wait, and calls fail (the first of 4 meanings)"),
        ("TopicDisallowed", "token and credential do not fit each other: the push fails"),
        (
            "BadDeviceToken",
            "the token is in doubt: the other environment is tried once, then the token is quarantined",
        ),
    ],
)
def test_a_verdict_is_in_words(question: str, verdict: str) -> None:
    said = of_reason(question)

    assert said is not None
    assert said.verdict == verdict
