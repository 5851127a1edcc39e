from __future__ import annotations

from typing import Any

import pytest

from wakeline.edges.rest.credential_upload import Step, decide, differences
from wakeline.model.credential import Credential, CredentialKind
from wakeline.model.errors import Conflict
from wakeline.model.route import Environment

PRODUCTION, SANDBOX = (Environment.PRODUCTION,), (Environment.SANDBOX,)


def credential(number: int = 0, **facts: Any) -> Credential:
    values: dict[str, Any] = {
        "kind": CredentialKind.APNS_KEY,
        "environments": (*PRODUCTION, *SANDBOX),
        "team_id": "TEAM",
        "fingerprint": str(number),
    }
    return Credential(id=number, app=1, **(values | facts))


def certificate(number: int = 0, **facts: Any) -> Credential:
    return credential(number, kind=CredentialKind.APNS_CERTIFICATE, **({"environments": PRODUCTION} | facts))


def test_the_first_one_is_made() -> None:
    assert decide(credential(), [], replace=False, add=False).step is Step.CREATE


def test_the_same_file_for_other_topics_is_no_repeat() -> None:
    old = credential(1, topics=("a",))

    assert decide(credential(1, topics=("a",)), [old], replace=False, add=False).step is Step.KEEP
    assert decide(credential(1, topics=("a", "b")), [old], replace=False, add=False).step is Step.REPLACE


@pytest.mark.parametrize(
    ("new", "old", "word"),
    [
        (credential(2, topics=("b",)), credential(1, topics=("a",)), "topics"),
        (credential(2, topics=("a",)), credential(1), "all of the team"),
        (credential(2, team_id="OTHER"), credential(1), "team"),
        (credential(2, environments=PRODUCTION), credential(1), "production and sandbox"),
        (credential(2), certificate(1, topics=("a",)), "kind"),
    ],
)
def test_what_covers_less_or_else_is_asked_about(new: Credential, old: Credential, word: str) -> None:
    with pytest.raises(Conflict, match=word):
        decide(new, [old], replace=False, add=False)

    assert decide(new, [old], replace=True, add=False).credential == old
    assert decide(new, [old], replace=False, add=True).step is Step.CREATE


@pytest.mark.parametrize(
    ("new", "old"),
    [
        (credential(2), credential(1, topics=("a",))),
        (credential(2, topics=("a", "b")), credential(1, topics=("a",))),
        (credential(2), credential(1, environments=SANDBOX)),
        (certificate(2, topics=("a", "a.voip")), certificate(1, topics=("a",))),
    ],
)
def test_what_covers_as_much_is_a_renewal(new: Credential, old: Credential) -> None:
    assert differences(new, old) == []
    assert decide(new, [old], replace=False, add=False).credential == old


def test_of_several_the_nearest_is_replaced() -> None:
    there = [credential(1, topics=("a",)), credential(2, topics=("b",))]

    assert decide(credential(3, topics=("b",)), there, replace=False, add=False).credential == there[1]
    assert decide(credential(3, topics=("b", "c"), team_id="X"), there, replace=True, add=False).credential == there[1]


def test_one_environment_does_not_meet_the_other() -> None:
    step = decide(certificate(2, environments=SANDBOX), [certificate(1)], replace=False, add=False).step

    assert step is Step.CREATE
