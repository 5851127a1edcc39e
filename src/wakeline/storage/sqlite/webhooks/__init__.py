"""Webhook endpoints and their delivery log as rows."""

from __future__ import annotations

from wakeline.storage.sqlite.webhooks.endpoints import SqliteEndpoints

__all__ = ["SqliteEndpoints"]
