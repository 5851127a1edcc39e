from __future__ import annotations

import ssl
from typing import get_args

import pytest

from wakeline.model.outcome import Action, OutcomeClass
from wakeline.providers.losses import certificate_outcome, goaway_outcome, outcome_of_loss
from wakeline.transport.tls import TlsCause, TlsFailure, classify
from wakeline.wire.http2 import Answer, ConnectFailure, FailureKind, GoAway, Lost


@pytest.mark.parametrize("kind", get_args(FailureKind))
def test_each_way_not_to_connect_has_a_name_of_its_own_and_is_transient(kind: FailureKind) -> None:
    answer = Answer(status=0, lost=Lost.CONNECT, detail="why", failure=ConnectFailure(kind, "why"))
    outcome = outcome_of_loss(answer)
    assert (outcome.outcome_class, outcome.action) == (OutcomeClass.TRANSIENT, Action.RETRY)
    assert "why" in outcome.cause


def test_the_names_differ() -> None:
    reasons = {
        outcome_of_loss(Answer(status=0, lost=Lost.CONNECT, failure=ConnectFailure(kind, ""))).reason
        for kind in get_args(FailureKind)
    }
    assert len(reasons) == len(get_args(FailureKind))


@pytest.mark.parametrize(
    ("lost", "kind", "action"),
    [
        (Lost.NOT_WRITTEN, OutcomeClass.TRANSIENT, Action.REPLAY),
        (Lost.REFUSED, OutcomeClass.TRANSIENT, Action.REPLAY),
        (Lost.TIMEOUT, OutcomeClass.UNKNOWN, Action.RETRY),
        (Lost.UNKNOWN, OutcomeClass.UNKNOWN, Action.RETRY),
        (Lost.CONNECT, OutcomeClass.TRANSIENT, Action.RETRY),
    ],
)
def test_what_may_have_been_shown_is_unknown(lost: Lost, kind: OutcomeClass, action: Action) -> None:
    outcome = outcome_of_loss(Answer(status=0, lost=lost))
    assert (outcome.outcome_class, outcome.action) == (kind, action)


def test_an_alert_blames_the_certificate_at_once_and_a_mere_end_only_when_it_repeats() -> None:
    alert = ConnectFailure("tls_alert", "the server ended the TLS session: certificate_expired")
    found = certificate_outcome(alert, repeated=False)
    assert found is not None
    assert found.code == 903
    other = certificate_outcome(
        ConnectFailure("tls_alert", "the server ended the TLS session: unknown_ca"), repeated=False
    )
    assert other is not None
    assert other.code == 904
    mere_end = ConnectFailure("tls_alert", "the server closed the connection before its first answer")
    assert certificate_outcome(mere_end, repeated=False) is None
    assert certificate_outcome(mere_end, repeated=True) is not None
    assert certificate_outcome(ConnectFailure("dns", "no address"), repeated=True) is None
    assert certificate_outcome(None, repeated=True) is None


def test_the_words_for_an_alert_are_those_of_the_tls_module() -> None:
    error = ssl.SSLError(1, "[SSL: TLSV1_ALERT_UNKNOWN_CA] tlsv1 alert unknown ca (_ssl.c:2580)")
    error.reason = "TLSV1_ALERT_UNKNOWN_CA"
    failure = classify(error)
    assert failure == TlsFailure(
        cause=TlsCause.ALERT, detail="the server ended the TLS session: unknown_ca", alert="unknown_ca"
    )
    assert failure is not None
    assert certificate_outcome(ConnectFailure("tls_alert", failure.detail), repeated=False) is not None


@pytest.mark.parametrize(
    ("debug", "reason"),
    [
        (b'{"reason":"BadCertificate"}', "BadCertificate"),
        (b'{"reason":"Shutdown"}', None),
        (b'{"reason":7}', None),
        (b'{"timestamp":1}', None),
        (b"[]", None),
        (b"", None),
        (b"going away", None),
    ],
)
def test_a_goaway_may_say_that_the_credential_is_bad(debug: bytes, reason: str | None) -> None:
    outcome = goaway_outcome(GoAway(last_stream=0, code=0, debug=debug))
    assert (outcome.reason if outcome is not None else None) == reason
    assert goaway_outcome(None) is None
