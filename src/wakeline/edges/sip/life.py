"""Who gave a sign of life lately: a phone that is awake is asked at once, beside its push (RFC 8599 section 5.6.2 allows it).

Over TCP and TLS an open connection is the sign. Over UDP it is a keep-alive within the time in which the next one was to come: a
phone that is asleep sends none. A REGISTER is none: an app may be ended right behind it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from wakeline.edges.sip.flows import Flow
from wakeline.edges.sip.ways import Flows
from wakeline.model.sip.binding import Binding

LATELY = 35.0
"""Seconds: phones send keep-alives every 30 s or sooner (RFC 5626 section 4.4.2; liblinphone's are 30 s apart)."""
MOST = 100_000


class Life:
    """Signs of life by flow. `now` is a clock of seconds that never jumps."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._seen: OrderedDict[str, float] = OrderedDict()

    def seen(self, flow: Flow) -> None:
        """Note a keep-alive."""
        if flow.transport.reliable:
            return
        self._seen[flow.name] = self._now()
        self._seen.move_to_end(flow.name)
        if len(self._seen) > MOST:
            self._seen.popitem(last=False)

    def flow_of(self, binding: Binding, flows: Flows) -> Flow | None:
        """Return where a phone is that is awake, as far as that is known; None: nowhere."""
        flow = flows.flow(binding.flow)
        if flow is None or not flow.open:
            return None
        if flow.transport.reliable or self._now() - self._seen.get(flow.name, -LATELY) < LATELY:
            return flow
        return None
