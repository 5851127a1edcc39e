from __future__ import annotations

from itertools import pairwise

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from wakeline.model.credential import CredentialKind, CredentialSecret
from wakeline.model.errors import CredentialRefused
from wakeline.providers.apns_token import ProviderTokens

MINUTE = 60


class ManualClock:
    def __init__(self) -> None:
        self.wall = 1_800_000_000.0
        self.ticks = 1000.0

    def forward(self, seconds: float) -> None:
        self.wall += seconds
        self.ticks += seconds

    def now(self) -> int:
        return round(self.wall * 1000)

    def monotonic(self) -> float:
        return self.ticks

    async def sleep(self, seconds: float) -> None:
        self.forward(seconds)


def _secret(key_id: str = "ABC123DEFG") -> CredentialSecret:
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return CredentialSecret(kind=CredentialKind.APNS_KEY, private_key=pem, key_id=key_id, team_id="DEF123GHIJ")


def _iat(authorization: bytes) -> int:
    claims = jwt.decode(authorization.removeprefix(b"bearer "), options={"verify_signature": False})
    return int(claims["iat"])


def test_replicas_with_the_same_key_present_the_same_token() -> None:
    secret, clock = _secret(), ManualClock()
    assert ProviderTokens(secret, clock).authorization() == ProviderTokens(secret, clock).authorization()


def test_the_token_is_never_older_than_55_minutes_and_changes_every_35() -> None:
    clock = ManualClock()
    tokens = ProviderTokens(_secret(), clock)
    seen: list[tuple[int, float]] = []
    for _ in range(24 * 60):
        iat = _iat(tokens.authorization())
        assert 20 * MINUTE <= clock.wall - iat < 55 * MINUTE
        if not seen or seen[-1][0] != iat:
            seen.append((iat, clock.wall))
        clock.forward(MINUTE)
    gaps = [later[1] - earlier[1] for earlier, later in pairwise(seen[1:])]
    assert set(gaps) == {35.0 * MINUTE}


def test_an_expired_token_is_renewed_once_and_then_not_for_20_minutes() -> None:
    clock = ManualClock()
    tokens = ProviderTokens(_secret(), clock)
    first = tokens.authorization()
    assert tokens.renew(first)
    second = tokens.authorization()
    assert second != first
    assert _iat(second) == int(clock.wall)
    assert not tokens.renew(second)
    clock.forward(20 * MINUTE - 1)
    assert not tokens.renew(second)
    clock.forward(1)
    assert tokens.renew(second)


def test_whoever_was_refused_with_an_older_token_just_uses_the_present_one() -> None:
    clock = ManualClock()
    tokens = ProviderTokens(_secret(), clock)
    first = tokens.authorization()
    assert tokens.renew(first)
    second = tokens.authorization()
    assert tokens.renew(first)
    assert tokens.authorization() == second


def test_once_the_clock_proved_slow_tokens_are_made_fresh_and_kept_35_minutes() -> None:
    clock = ManualClock()
    tokens = ProviderTokens(_secret(), clock)
    tokens.renew(tokens.authorization())
    changes = [tokens.authorization()]
    for _ in range(4 * 60):
        clock.forward(MINUTE)
        token = tokens.authorization()
        assert clock.wall - _iat(token) < 35 * MINUTE + 1
        if token != changes[-1]:
            changes.append(token)
    assert len(changes) == 1 + 4 * 60 // 35


def test_a_wall_clock_that_jumps_does_not_change_the_token_within_20_minutes() -> None:
    clock = ManualClock()
    tokens = ProviderTokens(_secret(), clock)
    tokens.authorization()
    clock.wall += 36 * MINUTE
    second = tokens.authorization()
    clock.wall += 36 * MINUTE
    assert tokens.authorization() == second
    clock.forward(20 * MINUTE)
    assert tokens.authorization() != second


def test_a_key_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(CredentialRefused):
        ProviderTokens(CredentialSecret(kind=CredentialKind.APNS_KEY, private_key=b"-"), ManualClock())


def test_a_token_that_apple_saw_change_too_often_is_kept_for_20_minutes() -> None:
    clock = ManualClock()
    tokens = ProviderTokens(_secret(), clock)
    before = tokens.authorization()
    clock.forward(54 * MINUTE)
    tokens.freeze()
    assert not tokens.renew(before)
    clock.forward(19 * MINUTE)
    assert tokens.authorization() == before
    clock.forward(2 * MINUTE)
    assert tokens.authorization() != before
