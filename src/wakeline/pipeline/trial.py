"""A change on trial: its first deliveries are a canary, and what worked before serves all others. Pure.

Theory: a wrong setting and a dead token are answered with the same words, so an answer alone proves nothing. What proves it
is the same push sent both ways: what the changed setting does not get through goes out again at once as before the change.
Accepted then, it speaks against the change; refused then as well, it speaks against the token.
"""

from __future__ import annotations

from enum import Enum

CANARY = 20
"""Deliveries that may go out under a change before it is trusted."""

PATIENCE = 3.0
"""Seconds in which a canary is answered, or sent again as before: with the second answer, inside the promised five."""

_SHARE = 3
"""A change is worse if, for every three deliveries it gets through, it loses at least one that went through before: 25 %."""

COMPARABLE = 5.0
"""Seconds between two answers of which one is a lapse: later the service may just have come back."""

LOST = 600.0
"""Seconds for which a second answer is waited for: a push may have been cancelled since, or have ended in another way."""

_LAPSES = 3
"""Silence or a broken connection may be chance; so many of them, with the old setting getting through each time, are not."""

_SLOTS = 3 * CANARY
"""Canaries in all, those included that proved nothing."""

Push = tuple[int, int]
"""A delivery: (notification key, target row id)."""


class Sign(Enum):
    """What a canary's answer may mean."""

    DOUBT = "doubt"
    """The token is dead or the setting wrong."""
    LAPSE = "lapse"
    """No answer, or none that says anything about the setting."""


class Verdict(Enum):
    """What the answers so far say of the change."""

    OPEN = "open"
    GOOD = "good"
    WORSE = "worse"


class Trial:
    """The trial of one app's changes."""

    def __init__(self) -> None:
        self.over = False
        self.handed = 0
        self.in_flight = 0
        self.accepted = 0
        self.worse = 0
        self.lapses = 0
        self.agreed = 0
        self.reason = ""
        self.cause = ""
        self._tried: set[Push] = set()
        self._again: dict[Push, tuple[Sign, float]] = {}

    @property
    def wanted(self) -> int:
        """Count the deliveries that may still go out as canaries now."""
        if self.over or self.handed >= _SLOTS:
            return 0
        return max(0, CANARY - self.in_flight - self._answered - len(self._again))

    @property
    def _answered(self) -> int:
        return self.accepted + self.agreed + self.worse

    def untried(self, push: Push) -> bool:
        """Tell whether a delivery has not been a canary yet: none is delayed twice."""
        return push not in self._tried

    def hand(self, pushes: list[Push]) -> None:
        """Note that these go out as canaries."""
        self._tried.update(pushes)
        self.handed += len(pushes)
        self.in_flight += len(pushes)

    def took(self, count: int) -> None:
        """Count canaries that were accepted."""
        self.in_flight -= count
        self.accepted += count

    def neutral(self) -> None:
        """Count a canary whose answer is about the push itself."""
        self.in_flight -= 1
        self.agreed += 1

    def doubt(self, push: Push, sign: Sign, reason: str, cause: str, at: float) -> None:
        """Note a canary that was not accepted; it goes out again as before the change. `at` is monotonic, in seconds."""
        self.in_flight -= 1
        self._again[push] = sign, at
        if sign is Sign.DOUBT or not self.reason:
            self.reason, self.cause = reason, cause

    def waits_for(self, push: Push) -> bool:
        """Tell whether this delivery went out as a canary in vain, and its second answer matters."""
        return push in self._again

    def second(self, push: Push, *, accepted: bool, at: float) -> None:
        """Count the answer that a canary got as before the change."""
        sign, first = self._again.pop(push)
        if not accepted:
            self.agreed += 1
        elif sign is Sign.DOUBT:
            self.worse += 1
        elif at - first <= COMPARABLE:
            self.lapses += 1

    def undecided(self, push: Push, *, final: bool) -> None:
        """Take a second answer that is not about the token: a lapse that both settings have in common proves nothing."""
        if final or self._again[push][0] is Sign.LAPSE:
            self.forget(push)

    def forget(self, push: Push) -> None:
        """Give up on a second answer."""
        self._again.pop(push, None)

    def give_up(self, now: float) -> None:
        """Give up on second answers that are overdue at `now` (monotonic, in seconds): nobody else tells that none comes."""
        for push in [push for push, (_, first) in self._again.items() if now - first > LOST]:
            self.forget(push)

    @property
    def verdict(self) -> Verdict:
        """Return what the answers so far say."""
        lost = self.worse + (self.lapses if self.lapses >= _LAPSES else 0)
        if lost and lost * _SHARE >= self.accepted:
            return Verdict.WORSE
        done = self._answered >= CANARY or (self.handed >= _SLOTS and not self.in_flight)
        return Verdict.GOOD if done and not self._again else Verdict.OPEN
