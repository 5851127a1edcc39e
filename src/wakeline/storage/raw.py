"""The device that stands behind a raw token: callers who keep their own registry name no device."""

from __future__ import annotations

import hashlib

from wakeline.model.device import RAW_PREFIX, Candidate, TargetClaim


def raw_device_id(claim: TargetClaim) -> str:
    """Return a stable name that does not show the token."""
    digest = hashlib.sha256(f"{claim.kind.value}:{claim.value}".encode()).hexdigest()
    return f"{RAW_PREFIX}{digest[:32]}"


def moved(there: Candidate, claim: TargetClaim) -> bool:
    """Tell whether the caller now names another topic for a token that nobody else registered: who sends to it knows best.

    Its environment stays: where the token lives was perhaps learnt from Apple since, and a claim always names one.
    """
    return bool(claim.topic) and there.topic != claim.topic and there.device_id == raw_device_id(claim)
