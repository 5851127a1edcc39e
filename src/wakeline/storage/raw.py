"""The device that stands behind a raw token: callers who keep their own registry name no device."""

from __future__ import annotations

import hashlib

from wakeline.model.device import RAW_PREFIX, TargetClaim


def raw_device_id(claim: TargetClaim) -> str:
    """Return a stable name that does not show the token."""
    digest = hashlib.sha256(f"{claim.kind.value}:{claim.value}".encode()).hexdigest()
    return f"{RAW_PREFIX}{digest[:32]}"
