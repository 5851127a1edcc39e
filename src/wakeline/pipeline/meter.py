"""What the story tells whoever counts: few methods, told once a batch."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol


class Stage(StrEnum):
    """What a delivery goes through before a sender has it; what comes then is told by `Meter.sent`."""

    COMMIT = "commit"
    """From acceptance until it is kept and the caller may hear so."""
    CLAIM = "claim"
    """From when it is due (accepted, its time has come, or to be tried again) until it is claimed."""
    HAND_OVER = "hand_over"
    """From being claimed until a sender gets it: the wait for room."""


class Meter(Protocol):
    """Counters of the story; `lane`, `provider` and `outcome` are the names in the model's enums, in lower case."""

    def accepted(self, lane: str, deliveries: int) -> None:
        """Count deliveries taken from callers."""

    def answered(self, provider: str, outcome: str, deliveries: int = 1) -> None:
        """Count answers of one outcome class."""

    def retried(self, provider: str, deliveries: int = 1) -> None:
        """Count deliveries that will be tried again."""

    def told(self, endpoint: str, result: str, messages: int = 1) -> None:
        """Count messages to a webhook endpoint (public id): `taken`, `failed` (a try) or `given_up`."""

    def sent(self, provider: str, seconds: float) -> None:
        """Note how long a batch took from hand-over to answers."""

    def passed(self, stage: Stage, lane: str, seconds: float) -> None:
        """Note how long the oldest of a batch took for a stage."""

    def received(self, provider: str, kind: str, seconds: float | None) -> None:
        """Count a receipt of a device; `seconds` after its push service took the push, if this was the device's first word."""


class Silent:
    """Counts nothing: for previews, tools and tests."""

    def accepted(self, lane: str, deliveries: int) -> None:
        """Say nothing."""

    def answered(self, provider: str, outcome: str, deliveries: int = 1) -> None:
        """Say nothing."""

    def retried(self, provider: str, deliveries: int = 1) -> None:
        """Say nothing."""

    def told(self, endpoint: str, result: str, messages: int = 1) -> None:
        """Say nothing."""

    def sent(self, provider: str, seconds: float) -> None:
        """Say nothing."""

    def passed(self, stage: Stage, lane: str, seconds: float) -> None:
        """Say nothing."""

    def received(self, provider: str, kind: str, seconds: float | None) -> None:
        """Say nothing."""
