"""The bucket: requests that wait for phones to register, by address-of-record (RFC 8599 section 5.6.2).

Rule: a request goes into the bucket before the registrations are looked up, with nothing in between that waits. So a phone that
registers meanwhile either is seen by the request or sees it, and no call is missed between the two.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from wakeline.edges.sip.flows import Flow
from wakeline.model.sip.binding import Binding, BindingChange


class Waiting(Protocol):
    """A request that waits."""

    def registered(self, binding: Binding) -> None:
        """A phone of its address-of-record registered, and was told so."""

    def left(self, uid: str) -> None:
        """A phone is registered no more."""

    def wakes(self, uid: str) -> bool:
        """Tell whether it waits for that phone and has a push out to it."""

    def alive(self, flow: Flow) -> None:
        """Somebody who was expected there gave a sign of life."""

    def stop(self) -> None:
        """The gateway ends."""


class Bucket:
    """Who waits for whom."""

    def __init__(self) -> None:
        self._of: dict[str, dict[Waiting, None]] = {}
        self._at: dict[str, dict[Waiting, None]] = {}

    def __len__(self) -> int:
        """Count the addresses-of-record and flows that something waits for."""
        return len(self._of) + len(self._at)

    def put(self, aor: str, waiting: Waiting) -> None:
        """Have a request wait for the phones of an address-of-record."""
        self._of.setdefault(aor, {})[waiting] = None

    def expect(self, flow: str, waiting: Waiting) -> None:
        """Have it hear of signs of life from a flow, by its name."""
        self._at.setdefault(flow, {})[waiting] = None

    def take(self, aor: str, waiting: Waiting, flows: Iterable[str]) -> None:
        """Let it wait no more, for the phones or at these flows."""
        _drop(self._of, aor, waiting)
        for flow in flows:
            _drop(self._at, flow, waiting)

    def registered(self, change: BindingChange) -> None:
        """Tell who waits of a change of registrations: first who came, so that one who came anew is not taken for gone."""
        for waiting in tuple(self._of.get(change.aor, ())):
            for binding in change.put:
                waiting.registered(binding)
            for uid in change.removed:
                waiting.left(uid)

    def is_being_woken(self, aor: str, uid: str) -> bool:
        """Tell whether anything that waits for a phone has a push out to it."""
        return any(waiting.wakes(uid) for waiting in self._of.get(aor, ()))

    def stop(self) -> None:
        """Tell everybody that the gateway ends."""
        for waiting in [each for here in self._of.values() for each in here]:
            waiting.stop()

    def alive(self, flow: Flow) -> None:
        """Tell who expected somebody there."""
        for waiting in tuple(self._at.get(flow.name, ())):
            waiting.alive(flow)


def _drop(index: dict[str, dict[Waiting, None]], key: str, waiting: Waiting) -> None:
    here = index.get(key)
    if here is not None:
        here.pop(waiting, None)
        if not here:
            del index[key]
