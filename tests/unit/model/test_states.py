from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import pytest

from wakeline.model.delivery import STATE_NUMBERS, STATES_BY_NUMBER, DeliveryState, generation_matches, pack, unpack
from wakeline.model.device import Device, Target, TargetKind, TargetState
from wakeline.model.key import ApiKey, Scope
from wakeline.model.states import DELIVERY, FINAL_DELIVERY, NOTIFICATION, TARGET, may


@pytest.mark.parametrize("table", [DELIVERY, NOTIFICATION, TARGET], ids=["delivery", "notification", "target"])
def test_every_state_can_be_left_or_reached(table: Mapping[StrEnum, frozenset[StrEnum]]) -> None:
    states = set(type(next(iter(table))))
    reached = {state for targets in table.values() for state in targets}

    assert reached <= states
    assert states == reached | set(table)


def test_a_final_delivery_is_never_sent_again() -> None:
    for state in FINAL_DELIVERY:
        assert not may(state, DeliveryState.SENDING)
        assert not may(state, DeliveryState.QUEUED)


def test_acceptance_may_be_followed_by_the_devices_own_word_only() -> None:
    assert DELIVERY[DeliveryState.ACCEPTED] == {DeliveryState.ACKNOWLEDGED, DeliveryState.OPENED}


def test_the_byte_of_a_state_never_changes() -> None:
    assert [state.value for state in STATES_BY_NUMBER] == [
        "scheduled",
        "queued",
        "sending",
        "unknown",
        "accepted",
        "acknowledged",
        "opened",
        "failed",
        "expired",
        "cancelled",
        "superseded",
        "skipped",
        "held",
    ]
    assert all(STATES_BY_NUMBER[number] is state for state, number in STATE_NUMBERS.items())


@pytest.mark.parametrize("generation", [1, 2, 65_535, 65_536, 1_000_000])
def test_a_packed_recipient_keeps_target_and_generation(generation: int) -> None:
    target, mark = unpack(pack(2**48 - 1, generation))

    assert target == 2**48 - 1
    assert generation_matches(mark, generation)
    assert not generation_matches(mark, generation + 1)


def test_a_push_for_everyone_goes_to_any_generation() -> None:
    _, mark = unpack(pack(5))

    assert generation_matches(mark, 77)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([], TargetState.RETIRED),
        ([TargetState.RETIRED, TargetState.ACTIVE], TargetState.ACTIVE),
        ([TargetState.RETIRED, TargetState.QUARANTINED], TargetState.QUARANTINED),
    ],
)
def test_a_device_is_as_good_as_its_best_target(states: list[TargetState], expected: TargetState) -> None:
    targets = tuple(Target(id=n, kind=TargetKind.FCM, value="t", state=state) for n, state in enumerate(states))

    assert Device(id=1, app=1, device_id="d", users=(), targets=targets).state is expected


@pytest.mark.parametrize(
    ("scopes", "apps", "scope", "app", "allowed"),
    [
        ((Scope.ADMIN,), (), Scope.SEND, "chat", True),
        ((Scope.SEND,), (), Scope.SEND, "chat", True),
        ((Scope.SEND,), (), Scope.READ, "chat", False),
        ((Scope.SEND,), ("chat",), Scope.SEND, "chat", True),
        ((Scope.SEND,), ("chat",), Scope.SEND, "shop", False),
        ((Scope.ADMIN,), ("chat",), Scope.READ, "shop", False),
        ((Scope.ADMIN,), ("chat",), Scope.READ, None, False),
    ],
)
def test_a_key_allows_its_scopes_in_its_apps(
    *, scopes: tuple[Scope, ...], apps: tuple[str, ...], scope: Scope, app: str | None, allowed: bool
) -> None:
    key = ApiKey(id=1, name="k", prefix="wk_", digest=b"", scopes=scopes, apps=apps)

    assert key.allows(scope, app) is allowed
