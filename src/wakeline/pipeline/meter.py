"""What the story tells whoever counts: few methods, told once a batch."""

from __future__ import annotations

from typing import Protocol


class Meter(Protocol):
    """Counters of the story; `lane`, `provider` and `outcome` are the names in the model's enums, in lower case."""

    def accepted(self, lane: str, deliveries: int) -> None:
        """Count deliveries taken from callers."""

    def answered(self, provider: str, outcome: str, deliveries: int = 1) -> None:
        """Count answers of one outcome class."""

    def retried(self, provider: str, deliveries: int = 1) -> None:
        """Count deliveries that will be tried again."""

    def sent(self, provider: str, seconds: float) -> None:
        """Note how long a batch took from hand-over to answers."""


class Silent:
    """Counts nothing: for previews, tools and tests."""

    def accepted(self, lane: str, deliveries: int) -> None:
        """Say nothing."""

    def answered(self, provider: str, outcome: str, deliveries: int = 1) -> None:
        """Say nothing."""

    def retried(self, provider: str, deliveries: int = 1) -> None:
        """Say nothing."""

    def sent(self, provider: str, seconds: float) -> None:
        """Say nothing."""
