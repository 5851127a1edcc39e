"""One line of the table of outcomes: who said what, what it means, what to do.

Rule: a cause says what happened in the words of an operator; a fix says what that operator does next. Both are sentences.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import msgspec

from wakeline.model.outcome import Action, Outcome, OutcomeClass


class Source(StrEnum):
    """Who said it."""

    APNS = "apns"
    FCM = "fcm"
    WEBPUSH = "webpush"
    HTTP = "http"
    OAUTH = "oauth"
    NETWORK = "network"
    OURS = "ours"


class Entry(NamedTuple):
    """What one answer means.

    `status` is the provider's HTTP status (0: none was received), `reason` its word or ours; (source, status, reason) is
    unique. An empty reason is the fallback of its status, status 0 with an empty reason that of its source.
    `wait`, in seconds, is the least wait before a retry when the answer itself names none.
    """

    source: Source
    status: int
    reason: str
    outcome_class: OutcomeClass
    action: Action
    code: int
    cause: str
    fix: str
    wait: float | None = None

    def outcome(
        self,
        *,
        status: int | None = None,
        reason: str | None = None,
        retry_after: float | None = None,
        since: int | None = None,
        provider_id: str = "",
        detail: str = "",
        body: str = "",
    ) -> Outcome:
        """Return the outcome with what this answer said; `detail`, the provider's own sentence, is added to the cause."""
        return Outcome(
            outcome_class=self.outcome_class,
            action=self.action,
            code=self.code,
            status=self.status if status is None else status,
            reason=self.reason if reason is None else reason,
            cause=f"{self.cause} It said: {detail}" if detail else self.cause,
            fix=self.fix,
            retry_after=retry_after if retry_after is not None else self.wait,
            since=since,
            provider_id=provider_id,
            body=body,
        )


class Table(msgspec.Struct, frozen=True):
    """Entries of one source with their look-up by (status, reason)."""

    entries: tuple[Entry, ...]
    index: dict[tuple[int, str], Entry]

    @classmethod
    def of(cls, *entries: Entry) -> Table:
        """Build a table; a repeated key is a defect and raises ValueError at import."""
        index = {(entry.status, entry.reason): entry for entry in entries}
        if len(index) != len(entries):
            raise ValueError("two entries share one key")
        return cls(entries=entries, index=index)

    def find(self, status: int, reason: str) -> Entry | None:
        """Return the entry for exactly this answer, else for this reason under any status, else None."""
        exact = self.index.get((status, reason))
        if exact is not None or not reason:
            return exact
        return next((entry for entry in self.entries if entry.reason == reason), None)

    def fallback(self, status: int) -> Entry:
        """Return what a status means when its reason is unknown: the status itself, its class of hundred, the source."""
        for key in (status, status // 100 * 100, 0):
            entry = self.index.get((key, ""))
            if entry is not None:
                return entry
        raise LookupError("a table needs an entry for status 0")
