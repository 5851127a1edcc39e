"""What results webhooks need of the store and of the network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from wakeline.model.event import Event
from wakeline.model.webhook import (
    Disabled,
    Endpoint,
    EndpointHealth,
    EndpointSecret,
    Message,
    MessagePage,
    MessageState,
)


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """What one turn changed for one endpoint: its health with the new cursor, and the messages that were told of."""

    endpoint: int
    health: EndpointHealth
    messages: tuple[Message, ...] = ()


class Endpoints(Protocol):
    """Webhook endpoints with their secrets (sealed), cursors over the journal, and the delivery log."""

    async def create(self, endpoint: Endpoint, secret: bytes, *, cursor: int) -> Endpoint:
        """Keep a new endpoint that is told of what comes after `cursor` in the journal; its id is given by the store."""

    def get(self, endpoint: int) -> Endpoint | None:
        """Return one by id, from memory."""

    def all(self) -> list[Endpoint]:
        """Return all, oldest first, from memory."""

    async def change(self, endpoint: Endpoint) -> None:
        """Write what became of it (url, events, apps, name, shape, disabled). Raises NotFound."""

    async def delete(self, endpoint: int) -> None:
        """Forget it with its log. Raises NotFound."""

    async def secrets(self, endpoint: int) -> tuple[EndpointSecret, ...]:
        """Open its secrets, the current one first. Raises NotFound, SecretError."""

    async def rotate(self, endpoint: int, secret: bytes, *, until: int) -> None:
        """Make this the current secret; the former ones sign until `until` (Unix ms) at the longest. Raises NotFound."""

    def health(self, endpoint: int) -> EndpointHealth:
        """Return how the telling goes, from memory; a fresh one for an unknown id."""

    async def record(self, progress: Sequence[Progress]) -> None:
        """Write what a turn changed, of all endpoints, in one commit; messages are upserts by (endpoint, seq).

        What was forgotten meanwhile is left out.
        """

    async def waiting(self, endpoint: int, *, limit: int) -> list[Message]:
        """Return the messages of an endpoint that are WAITING, the earliest `due` first, ties by `seq`."""

    async def waiting_counts(self) -> dict[int, int]:
        """Return how many messages are WAITING, by endpoint; those without any are left out."""

    async def message(self, endpoint: int, seq: int) -> Message | None:
        """Return one row of the log."""

    async def log(
        self, endpoint: int, *, state: MessageState | None = None, cursor: int | None = None, limit: int = 50
    ) -> MessagePage:
        """Return the delivery log of an endpoint, the newest `seq` first."""

    async def prune(self, before: int, limit: int) -> int:
        """Forget up to `limit` messages that are TAKEN or GIVEN_UP and changed last before that time; returns how many.

        Fewer than `limit`: no more are old enough. Some may be of endpoints that were deleted. Of an endpoint that is disabled
        what was given up since then (`EndpointHealth.stopped`) stays, since it may go on from there.
        """

    async def trim(self, most: int, limit: int) -> int:
        """Forget up to `limit` of the oldest messages that are TAKEN or GIVEN_UP, where an endpoint has more than `most`.

        A tenth of `most` goes at once, so that it is counted seldom; tests stay, and the log of one that is disabled.
        Returns how many: 0, if none is too many.
        """

    def listen(self, changed: Callable[[int], None]) -> None:
        """Have `changed(id)` called after an endpoint was made, changed, rotated or deleted."""


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What an endpoint answered: `status` 0 and `detail` if nothing came; `retry_after` in seconds; `duration` in ms."""

    status: int
    detail: str = ""
    retry_after: float | None = None
    duration: int = 0

    @property
    def taken(self) -> bool:
        """Tell whether it took the message (Standard Webhooks: any 2xx)."""
        return 200 <= self.status < 300

    @property
    def gone(self) -> Disabled | None:
        """Say why it wants no more, if it said so."""
        return Disabled.GONE if self.status == 410 else None


class WebhookSender(Protocol):
    """Writes one signed message to one endpoint; what goes wrong is an answer, never an exception."""

    async def send(self, endpoint: Endpoint, secrets: Sequence[EndpointSecret], event: Event) -> Said:
        """Sign (with every secret in force now), POST behind the guard, and say what came back."""
