"""Which devices are connected by SIP, for notifications that are for absent ones only.

Rule: a device is connected while its phone is registered and awake (`life`): its connection is open, or a keep-alive came lately.
What is kept is where a device registered last; all else is looked up when somebody asks, so that a REGISTER pays for one entry.
A connection does not outlive its process, so nothing needs to outlive it here.
"""

from __future__ import annotations

from collections import OrderedDict

from wakeline.edges.sip.life import Life
from wakeline.edges.sip.ways import Flows, is_registered
from wakeline.model.sip.binding import BindingChange
from wakeline.ports import Clock
from wakeline.ports.sip import SipBindings

MOST = 100_000
"""Devices that are remembered; of more, those that registered longest ago count as absent."""


class Presence:
    """Devices by app (row id) and device id."""

    def __init__(self, bindings: SipBindings, clock: Clock) -> None:
        self._bindings = bindings
        self._clock = clock
        self._last: OrderedDict[tuple[int, str], tuple[str, str]] = OrderedDict()

    def registered(self, change: BindingChange) -> None:
        """Note where phones registered."""
        for each in change.put:
            if each.app and each.device:
                key = each.app, each.device
                self._last[key] = each.aor, each.uid
                self._last.move_to_end(key)
        while len(self._last) > MOST:
            self._last.popitem(last=False)

    def connected(self, app: int, device: str, life: Life, flows: Flows) -> bool:
        """Tell whether a device is connected now."""
        aor, uid = self._last.get((app, device), ("", ""))
        if not aor:
            return False
        now = self._clock.now()
        return any(
            each.uid == uid and is_registered(each, now) and life.flow_of(each, flows) is not None
            for each in self._bindings.of(aor)
        )
