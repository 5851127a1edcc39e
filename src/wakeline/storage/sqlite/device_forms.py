"""Rows of the registry as values and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from wakeline.model.device import (
    Device,
    DeviceClaim,
    DeviceFacts,
    Evidence,
    Target,
    TargetChange,
    TargetClaim,
    TargetKind,
    TargetState,
)
from wakeline.model.route import Environment
from wakeline.storage.sqlite.token_keys import token_key

_json = msgspec.json.Encoder()
_names = msgspec.json.Decoder(tuple[str, ...])
_facts = msgspec.json.Decoder(DeviceFacts)
_KINDS = {kind: kind.value for kind in TargetKind}
_ENVIRONMENTS = {environment: environment.value for environment in Environment}
"""What sqlite3 binds without asking for an adapter; `.value` takes a call."""

_evidence = msgspec.json.Decoder(Evidence)


def device_of(row: Any, targets: Iterable[Any]) -> Device:
    """Return the device of a row of `device` with its rows of `targets_of_device`."""
    return Device(
        id=row[0],
        app=row[1],
        device_id=row[2],
        generation=row[3],
        connected_until=row[4],
        created=row[5],
        seen=row[6],
        users=_names.decode(row[7]),
        tags=_names.decode(row[8]),
        facts=_facts.decode(row[9]),
        held_since=row[10],
        targets=tuple(target_of(target) for target in targets),
    )


def facts_of(column: bytes) -> DeviceFacts:
    """Return what a device says of itself, as its row keeps it."""
    return _facts.decode(column)


def new_device_row(device: Device) -> tuple[Any, ...]:
    """Return the columns of `insert_device`."""
    return (
        device.app,
        device.device_id,
        device.generation,
        device.connected_until,
        device.created,
        device.seen,
        device.held_since,
        *_described(device),
    )


def fresh_device_row(number: int, claim: DeviceClaim, users: Sequence[str], tags: Sequence[str]) -> tuple[Any, ...]:
    """Return the columns of `insert_fresh_device`."""
    facts = claim.facts
    return (
        number,
        claim.app,
        claim.device_id,
        claim.at,
        claim.at,
        facts.locale,
        _json.encode(users),
        _json.encode(tags) if tags else b"[]",
        _json.encode(facts),
    )


def fresh_target_row(number: int, device: int, claim: DeviceClaim, wanted: TargetClaim, key: int) -> tuple[Any, ...]:
    """Return the columns of `insert_fresh_target`."""
    return (
        number,
        device,
        claim.app,
        key,
        _KINDS[wanted.kind],
        wanted.value,
        _ENVIRONMENTS[wanted.environment],
        wanted.topic,
        claim.at,
        claim.at if claim.confirmed is None else claim.confirmed,
    )


def device_row(device: Device) -> tuple[Any, ...]:
    """Return the columns of `update_device`."""
    return (
        device.generation,
        device.connected_until,
        device.seen,
        device.held_since,
        *_described(device),
        device.id,
    )


def _described(device: Device) -> tuple[Any, ...]:
    return (
        device.facts.locale,
        _json.encode(device.users),
        _json.encode(device.tags),
        _json.encode(device.facts),
    )


def target_of(row: Any) -> Target:
    """Return the target of a row of `targets_of_device` or `target`."""
    return Target(
        id=row[0],
        kind=TargetKind(row[1]),
        value=row[2],
        environment=Environment(row[3]),
        topic=row[4],
        state=TargetState(row[5]),
        reason=row[6],
        since=row[7],
        evidence=None if row[8] is None else _evidence.decode(row[8]),
        confirmed=row[9],
    )


def new_target_row(target: Target, device: int, app: int) -> tuple[Any, ...]:
    """Return the columns of `insert_target`."""
    return (
        device,
        app,
        target.kind.value,
        target.value,
        target.environment.value,
        target.topic,
        target.state.value,
        target.reason,
        target.since,
        evidence_form(target.evidence),
        target.confirmed,
        token_key(app, target.kind, target.value),
    )


def target_row(target: Target, device: int) -> tuple[Any, ...]:
    """Return the columns of `update_target`."""
    return (
        device,
        target.environment.value,
        target.topic,
        target.state.value,
        target.reason,
        target.since,
        evidence_form(target.evidence),
        target.confirmed,
        target.id,
    )


def change_row(device: int, target: Target, reason: str, at: int) -> tuple[Any, ...]:
    """Return the columns of `insert_history`."""
    evidence = evidence_form(target.evidence)
    return (device, target.id, target.kind.value, target.state.value, reason, at, evidence)


def change_of(row: Any) -> TargetChange:
    """Return the step of a row of `history`."""
    return TargetChange(
        target=row[0],
        kind=TargetKind(row[1]),
        state=TargetState(row[2]),
        reason=row[3],
        at=row[4],
        evidence=None if row[5] is None else _evidence.decode(row[5]),
    )


def evidence_form(evidence: Evidence | None) -> bytes | None:
    """Return evidence as it is kept."""
    return None if evidence is None else _json.encode(evidence)
