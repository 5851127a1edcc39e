"""Settings: the tree (`tree`), how it is read (`loading`), how it is described (`reference`), and what a reload may swap.

A value comes from its default, then the file, then `WAKELINE_SECTION__KEY` in the environment; the last one wins.
"""

from __future__ import annotations

from wakeline.config.loading import Loaded, load
from wakeline.config.tree import (
    Apns,
    Bitrix24,
    Devices,
    Fcm,
    Http,
    Limits,
    Logs,
    Providers,
    QueueSection,
    Retention,
    SecretsSection,
    Server,
    Settings,
    Sip,
    Storage,
    Webhooks,
    WebPush,
)

__all__ = [
    "Apns",
    "Bitrix24",
    "Devices",
    "Fcm",
    "Http",
    "Limits",
    "Loaded",
    "Logs",
    "Providers",
    "QueueSection",
    "Retention",
    "SecretsSection",
    "Server",
    "Settings",
    "Sip",
    "Storage",
    "WebPush",
    "Webhooks",
    "load",
]
