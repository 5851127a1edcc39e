"""When incoming webhooks were last used: written at most once a minute for each, and together if many are used at once.

What is in the store is right to the minute, so nothing waits to be written when the process stops but a write under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Protocol

import structlog

from wakeline.model.bitrix24.access import IncomingWebhook
from wakeline.model.errors import StorageError

_EVERY = 60_000

_log = structlog.get_logger()


class Touched(Protocol):
    """What is needed of the store."""

    async def touch_webhooks(self, used: Mapping[int, int]) -> None:
        """Write when webhooks were last used."""


class WebhookUse:
    """Takes down uses; one write at a time, of all that came meanwhile."""

    def __init__(self, access: Touched) -> None:
        """Nothing is due yet."""
        self._access = access
        self._noted: dict[int, int] = {}
        self._due: dict[int, int] = {}
        self._writing: asyncio.Task[None] | None = None

    def note(self, webhook: IncomingWebhook, now: int) -> None:
        """Take down a use. `now` in Unix ms. A write that failed is tried again after a minute, not at each request."""
        if now - max(webhook.used, self._noted.get(webhook.id, 0)) < _EVERY:
            return
        self._noted[webhook.id] = self._due[webhook.id] = now
        if self._writing is None:
            self._writing = asyncio.get_running_loop().create_task(self._write())

    async def close(self) -> None:
        """Wait for what is being written."""
        if self._writing is not None:
            await self._writing

    async def _write(self) -> None:
        try:
            while self._due:
                used, self._due = self._due, {}
                await self._access.touch_webhooks(used)
        except StorageError as error:
            _log.warning("bitrix24.webhook_use_not_kept", webhooks=len(used), detail=error.detail)
        finally:
            self._writing = None
