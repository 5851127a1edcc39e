"""When a message is tried again: soon at first, since most failures are restarts, then every ten minutes.

Source: Standard Webhooks specification 1.0, "Retry schedule", with more tries in the first minute. Seconds; `chance` in [0, 1).
"""

from __future__ import annotations

STEPS = (1.0, 2.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0)
"""Seconds after the first failure in a row, after the second, ...; the last one from then on."""
LONGEST = 3600.0
"""The longest wait: for a message that was set aside, and for a Retry-After."""
ANSWERED = 5
"""So often in a row a message is answered with a failure before it counts as the reason and is set aside."""
HORIZON = round(1000 * 1.2 * LONGEST)
"""Milliseconds: no wait is longer."""

_ASIDE = 600.0


def pause(failures: int, chance: float, retry_after: float | None) -> float:
    """Return how long to wait after so many failures in a row; a Retry-After is the least, up to `LONGEST`."""
    step = _jittered(STEPS[min(failures, len(STEPS)) - 1], chance)
    return max(step, min(retry_after or 0.0, LONGEST))


def rest(answered: int, chance: float, retry_after: float | None) -> float:
    """Return how long a message rests that was set aside, after so many answers: 10 min, 20 min, 40 min, then an hour."""
    doublings = min(max(answered - ANSWERED, 0), 3)
    return max(_jittered(min(_ASIDE * 2**doublings, LONGEST), chance), min(retry_after or 0.0, LONGEST))


def left(due: int, now: int) -> int:
    """Return the ms until a time, both in Unix ms; 0 for one that lies further ahead than any wait: the clock was set back."""
    rest = max(0, due - now)
    return rest if rest <= HORIZON else 0


def _jittered(seconds: float, chance: float) -> float:
    """Vary by a fifth, so that many gateways, or endpoints, that failed together do not come back together."""
    return seconds * (0.8 + 0.4 * chance)
