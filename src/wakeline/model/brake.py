"""Brake episodes: why a route was stopped because too many of its tokens looked dead, and what became of that."""

from __future__ import annotations

import msgspec

from wakeline.model.route import Environment, ProviderKind


class ReasonCount(msgspec.Struct, frozen=True):
    """How many answers gave a reason."""

    reason: str
    count: int


class BrakeEpisode(msgspec.Struct, frozen=True, kw_only=True):
    """One closing of a route's brake, kept as evidence. Times in Unix ms; `id` is the store's, 0 until it is kept.

    `began` is the time of the oldest of the `answers` that closed it: a verdict reached since then rests on them. `doubtful`
    of them doubted a token, of `distinct` targets, for `reasons`; `usual` is the route's doubtful share of the week before.
    `repaired` targets were made active again when it closed, `restored` more by an operator's undo.
    """

    id: int = 0
    app: int
    route: int
    provider: ProviderKind
    environment: Environment
    topic: str = ""
    began: int
    closed_at: int
    answers: int
    doubtful: int
    distinct: int
    usual: float = 0.0
    reasons: tuple[ReasonCount, ...] = ()
    repaired: int = 0
    restored: int = 0
    released_at: int | None = None
    undone_at: int | None = None

    @property
    def share(self) -> float:
        """Return which share of the answers doubted their token."""
        return self.doubtful / self.answers if self.answers else 0.0
