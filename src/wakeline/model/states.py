"""The state tables. Code asks them, tests walk them, and the diagrams in docs/reference/states.md are drawn from them.

Rule 1: a state that is not a key of its table is final.
Rule 2: whoever changes a state asks `may` first, so that a late answer never undoes a final one.
"""

from __future__ import annotations

from collections.abc import Mapping

from wakeline.model.delivery import DeliveryState
from wakeline.model.device import TargetState
from wakeline.model.notification import NotificationState

_D = DeliveryState
_N = NotificationState
_T = TargetState

_HEARD = frozenset({_D.ACKNOWLEDGED, _D.OPENED})
"""The device's own word may come whatever the push did: an app may have what it was pushed for by another way."""

DELIVERY: Mapping[DeliveryState, frozenset[DeliveryState]] = {
    _D.SCHEDULED: _HEARD | {_D.QUEUED, _D.HELD, _D.CANCELLED, _D.SUPERSEDED, _D.EXPIRED, _D.SKIPPED, _D.FAILED},
    _D.QUEUED: _HEARD
    | {_D.SENDING, _D.HELD, _D.SCHEDULED, _D.FAILED, _D.EXPIRED, _D.CANCELLED, _D.SUPERSEDED, _D.SKIPPED},
    _D.HELD: _HEARD | {_D.QUEUED, _D.SCHEDULED, _D.FAILED, _D.EXPIRED, _D.CANCELLED, _D.SUPERSEDED, _D.SKIPPED},
    _D.SENDING: frozenset({_D.ACCEPTED, _D.UNKNOWN, _D.QUEUED, _D.HELD, _D.FAILED, _D.EXPIRED}),
    _D.UNKNOWN: _HEARD | {_D.SENDING, _D.HELD, _D.FAILED, _D.EXPIRED, _D.CANCELLED, _D.ACCEPTED},
    _D.ACCEPTED: _HEARD,
    _D.FAILED: _HEARD,
    _D.EXPIRED: _HEARD,
    _D.ACKNOWLEDGED: frozenset({_D.OPENED}),
}
"""A delivery's life. `accepted` is not final: the device's own receipt may follow, and also what failed or expired may be read
in the inbox."""

NOTIFICATION: Mapping[NotificationState, frozenset[NotificationState]] = {
    _N.SCHEDULED: frozenset({_N.RUNNING, _N.CANCELLED, _N.DONE, _N.HELD}),
    _N.RUNNING: frozenset({_N.HELD, _N.DONE, _N.CANCELLED, _N.SCHEDULED}),
    _N.HELD: frozenset({_N.RUNNING, _N.DONE, _N.CANCELLED}),
}
"""A notification's life, derived from its deliveries."""

TARGET: Mapping[TargetState, frozenset[TargetState]] = {
    _T.ACTIVE: frozenset({_T.QUARANTINED, _T.RETIRED}),
    _T.QUARANTINED: frozenset({_T.ACTIVE, _T.RETIRED}),
    _T.RETIRED: frozenset({_T.ACTIVE}),
}
"""A token's life. Nothing is final: registration or `restore` brings it back."""

FINAL_DELIVERY: frozenset[DeliveryState] = frozenset(DeliveryState) - DELIVERY.keys() | {
    _D.ACCEPTED,
    _D.ACKNOWLEDGED,
    _D.FAILED,
    _D.EXPIRED,
}
"""States in which nothing remains for us to send."""


def may(state: DeliveryState, new: DeliveryState) -> bool:
    """Tell whether a delivery may go from `state` to `new`."""
    return new in DELIVERY.get(state, frozenset())
