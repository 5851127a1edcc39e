"""Broadcasts of several nodes to one Firebase project: each node's own ramp, the code itself, against Google's quota.

The quota is a bucket that is full again at the end of each minute (Firebase, "Best practices when sending FCM messages at
scale"). Each node ramps as if it were alone, because nodes know nothing of each other; after a 429 its route rests for a
minute and the ramp begins anew below four fifths of what was too much.
"""

from __future__ import annotations

import msgspec

from bench.scale import given
from wakeline.pipeline.ramp import Ramp

STEP = 0.2
"""Seconds; a ramp lets a quarter of a second gather."""

_MINUTE = 60.0
_REFUSALS = 3
"""429s after which a route rests (`answers`)."""


class Ramped(msgspec.Struct, frozen=True):
    """How it went: seconds until the last message was accepted or time was up, messages accepted and refused."""

    seconds: float
    accepted: int
    refused: int
    most_a_minute: int


class _Sender:
    def __init__(self, messages: int) -> None:
        self.left = messages
        self.ramp = Ramp()
        self.rests = 0.0


class _Quota:
    """Google's side: `full` messages a minute; the first message begins a minute."""

    def __init__(self, full: int) -> None:
        self._full = self._tokens = full
        self._until = _MINUTE
        self.accepted = self.refused = self.most = 0

    def take(self, count: int, now: float) -> int:
        """Return how many are accepted."""
        if now >= self._until:
            self._tokens = self._full
            self._until += _MINUTE * (1 + (now - self._until) // _MINUTE)
        granted = min(count, self._tokens)
        self._tokens -= granted
        self.accepted += granted
        self.refused += count - granted
        self.most = max(self.most, self._full - self._tokens)
        return granted


def broadcast(nodes: int, messages: int, *, rate: float, quota: int | None = None, hours: float = 24.0) -> Ramped:
    """Send `messages` divided among `nodes`, each of which can send `rate` a second."""
    google = _Quota(int(given.QUOTA.value) if quota is None else quota)
    senders = [_Sender(messages // nodes + (number < messages % nodes)) for number in range(nodes)]
    now = 0.0
    while any(sender.left for sender in senders) and now < hours * 3600:
        for sender in senders:
            _send(sender, google, now, rate)
        now += STEP
    return Ramped(now, google.accepted, google.refused, google.most)


def _send(sender: _Sender, google: _Quota, now: float, rate: float) -> None:
    if not sender.left or now < sender.rests:
        return
    count = min(sender.left, sender.ramp.room(now), int(rate * STEP))
    sender.ramp.sent(count, now)
    granted = google.take(count, now)
    sender.left -= granted
    if count - granted >= _REFUSALS:
        sender.rests = now + given.QUOTA_REST.value
        sender.ramp.refused(now, sender.rests)
