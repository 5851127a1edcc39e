"""What a walk, or accepting, has read of recipients, so that claiming them a moment later need not read them again.

What is remembered is right as long as the registry's version stands (`Devices.version`): one change there, of whomever, and
all of it is forgotten. Who finds nothing here reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wakeline.model.delivery import NewJob
from wakeline.model.device import Candidate, Crowd, Recipient
from wakeline.ports import Devices

MOST = 256
"""Jobs that are remembered: more than walks may be ahead of the senders of some routes."""


MOST_SINGLES = 4000
"""Recipients of single pushes that are remembered; those claimed later than so many others are read again."""


class Remembered:
    """Whole bulk chunks, by notification and packed recipients, and the recipients of single pushes, by target."""

    def __init__(self, devices: Devices) -> None:
        self._devices = devices
        self._version = devices.version
        self._crowds: dict[tuple[int, bytes], Crowd] = {}
        self._singles: dict[int, Recipient] = {}

    def keep(self, job: NewJob, crowd: Crowd, version: int) -> None:
        """Remember who a job's recipients are, read at a version of the registry; they are all of its chunk."""
        self._check()
        if version != self._version:
            return
        if len(self._crowds) >= MOST:
            del self._crowds[next(iter(self._crowds))]
        self._crowds[job.notification, job.recipients] = crowd

    def knows(self, job: NewJob) -> bool:
        """Tell whether the recipients of a job are known; they are the whole chunk then."""
        self._check()
        return (job.notification, job.recipients) in self._crowds

    def take(self, job: NewJob) -> Crowd | None:
        """Return who the recipients of a job are, once; None: nobody knows."""
        self._check()
        return self._crowds.pop((job.notification, job.recipients), None)

    def note(self, candidates: Sequence[Candidate], version: int) -> None:
        """Remember who single pushes are for, read at a version of the registry."""
        self._check()
        if version != self._version:
            return
        if len(self._singles) + len(candidates) > MOST_SINGLES:
            self._singles.clear()
        self._singles.update((candidate.target, candidate.recipient()) for candidate in candidates)

    def singles(self, targets: Iterable[int]) -> dict[int, Recipient]:
        """Return those of these targets that are known."""
        self._check()
        singles = self._singles
        return {target: singles[target] for target in targets if target in singles}

    def _check(self) -> None:
        """Forget everything if the registry has changed."""
        if self._version != self._devices.version:
            self._crowds.clear()
            self._singles.clear()
            self._version = self._devices.version
