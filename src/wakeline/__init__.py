"""Wakeline: a self-hosted push notification gateway that keeps, delivers and explains every push."""

from __future__ import annotations

__version__ = "0.1.0"
