from __future__ import annotations

import pytest

from wakeline.doctor.meaning import meaning


@pytest.mark.parametrize(
    ("kind", "status", "reason", "words"),
    [
        ("webpush", 410, "", "The subscription is gone"),
        ("webpush", 410, "errno 106", "has ended the subscription"),
        ("webpush", 403, "VAPID key mismatch", "another VAPID key"),
        ("webpush", 418, "", "does not take the request"),
        ("apns", 410, "", "token"),
        ("fcm", 404, "", "FCM knows no such project"),
    ],
)
def test_the_same_answer_means_what_its_push_service_means_by_it(
    kind: str, status: int, reason: str, words: str
) -> None:
    outcome = meaning(kind, status, reason)
    assert outcome is not None
    assert words in outcome.cause
    assert (outcome.status, outcome.reason) == (status, reason)
