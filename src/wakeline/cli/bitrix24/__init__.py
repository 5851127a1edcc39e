"""`wakeline bitrix24`: our own Bitrix24 portal. Each noun of it has a file of its own."""

from __future__ import annotations

from wakeline.cli.bitrix24.applications import application
from wakeline.cli.bitrix24.keys import key
from wakeline.cli.bitrix24.portal import audit, portal
from wakeline.cli.bitrix24.tokens import token
from wakeline.cli.bitrix24.users import user
from wakeline.cli.bitrix24.webhooks import webhook
from wakeline.cli.noun import noun

app = noun("bitrix24", "Our own Bitrix24 portal: its users, applications and webhooks.")
app.command(user)
app.command(application)
app.command(webhook)
app.command(token)
app.command(key)
app.command(portal)
app.command(audit)
