"""`wakeline credential vapid`: the key with which browsers are pushed to."""

from __future__ import annotations

from rich.console import Group
from rich.text import Text

from wakeline.cli.choosing import AppOption, chosen
from wakeline.cli.context import Ctx
from wakeline.cli.credential_views import drawn
from wakeline.edges.rest.credentials import CredentialView
from wakeline.edges.rest.vapid import NewVapidKey


async def vapid(*, app: AppOption = None, subject: str = "", replace: bool = False, context: Ctx) -> None:
    """Make a VAPID key, for browsers and UnifiedPush, and print its public half, which they subscribe with.

    Parameters
    ----------
    subject
        Whom push services may write to, such as mailto:push@example.com; [providers.webpush] contact if not given.
    replace
        Take the place of the key that is there. Every browser then has to subscribe anew.
    """
    body = NewVapidKey(subject=subject, replace=replace)
    async with context.gateway() as gateway:
        made: CredentialView = await gateway.call("credential.vapid", body=body, app=await chosen(gateway, app))
    hint = f'Browsers subscribe with it: pushManager.subscribe({{applicationServerKey: "{made.public_key}", ...}})'
    context.printer.result(made, lambda: Group(drawn(made), Text(hint)))
