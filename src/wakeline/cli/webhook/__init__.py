"""`wakeline webhook`: programs of yours that are told of events, and what they were told."""

from __future__ import annotations

from wakeline.cli.webhook import told
from wakeline.cli.webhook.endpoints import app

__all__ = ["app", "told"]
"""The latter adds its verbs to the former."""
