"""`wakeline bitrix24`: our own Bitrix24 portal, and others that we are connected to. Each noun has a file of its own."""

from __future__ import annotations

from wakeline.cli.bitrix24 import connected, rule_trials, syncing, writes
from wakeline.cli.bitrix24.applications import application
from wakeline.cli.bitrix24.keys import key
from wakeline.cli.bitrix24.portal import audit, portal
from wakeline.cli.bitrix24.rules import rule
from wakeline.cli.bitrix24.tokens import token
from wakeline.cli.bitrix24.users import user
from wakeline.cli.bitrix24.webhooks import webhook
from wakeline.cli.noun import noun

__all__ = ["app", "connected", "rule_trials", "syncing", "writes"]
"""The latter four add their verbs to `portal` and `rule`."""

app = noun(
    "bitrix24",
    "Our own Bitrix24 portal with its users, applications and webhooks, and portals that we are connected to.",
)
app.command(user)
app.command(application)
app.command(webhook)
app.command(token)
app.command(key)
app.command(portal)
app.command(rule)
app.command(audit)
