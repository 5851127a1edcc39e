"""How much one source may ask of us: half of the room for transactions, and few repetitions of answers without ACK.

An address in a datagram is easily forged, and a failed INVITE is answered eleven times if no ACK comes (RFC 3261 section 17.2.1):
we would send a victim eleven times what somebody sends us. Whoever leaves more than `UNACKNOWLEDGED` answers without ACK gets
one answer for one request from then on, until it acknowledges again; what it loses by that is a repetition of a lost answer.
"""

from __future__ import annotations

from collections import Counter

UNACKNOWLEDGED = 100


class Sources:
    """Counts by host, and in all."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._in_all = 0
        self._open: Counter[str] = Counter()
        self._unacknowledged: Counter[str] = Counter()

    def admits(self, host: str) -> bool:
        """Return whether there is room for one more request from there."""
        return self._in_all < self._room and self._open[host] < self._room // 2

    def began(self, host: str) -> None:
        """Count a transaction."""
        self._in_all += 1
        self._open[host] += 1

    def ended(self, host: str) -> None:
        """Count one less."""
        self._in_all -= 1
        _less(self._open, host)

    def awaits_ack(self, host: str) -> bool:
        """Count an answer that is to be acknowledged; return whether to repeat it."""
        self._unacknowledged[host] += 1
        return self._unacknowledged[host] <= UNACKNOWLEDGED

    def awaits_no_ack(self, host: str) -> None:
        """Count one less: its ACK came, or was waited for long enough."""
        _less(self._unacknowledged, host)


def _less(counts: Counter[str], host: str) -> None:
    """Hosts of which nothing is left are forgotten."""
    counts[host] -= 1
    if not counts[host]:
        del counts[host]
