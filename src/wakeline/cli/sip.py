"""`wakeline sip`: users of the SIP edge, and the registrations of their phones."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter
from rich.console import RenderableType

from wakeline.cli.context import Ctx
from wakeline.cli.noun import noun
from wakeline.cli.printing import facts, table
from wakeline.edges.rest.sip_bindings import SipBindingList, SipBindingView
from wakeline.edges.rest.sip_users import SipUserList, SipUserMade, SipUserPut

app = noun("sip", "The SIP edge: who may register there, and who is registered.")
user = noun("user", "Users, who register and call with a password.")
app.command(user)

_STDIN = "-"
_USER_COLUMNS = ("user", "domain", "address", "created")
_BINDING_COLUMNS = ("address", "contact", "phone", "registration ends", "woken until", "woken by", "app", "why not")


@user.command
async def add(
    user: str,
    /,
    *,
    password: Annotated[
        str | None, Parameter(env_var="WAKELINE_SIP_PASSWORD", show_env_var=False, allow_leading_hyphen=True)
    ] = None,
    context: Ctx,
) -> None:
    """Make a user, or give one another password.

    Parameters
    ----------
    user
        As bob@example.org; bob, if [sip] domains has only one.
    password
        Of at least 8 characters; - reads it from standard input. Others can read a command line; better set
        WAKELINE_SIP_PASSWORD. Without it one is made and shown this once.
    """
    said = sys.stdin.readline().rstrip("\r\n") if password == _STDIN else password
    async with context.gateway() as gateway:
        made: SipUserMade = await gateway.call("sip.user.put", body=SipUserPut(password=said), user=user)
    shown = [("address", made.address), ("created", made.created)]
    if made.password is not None:
        shown += [("password", made.password), ("", "Keep it now: it is not shown again.")]
    context.printer.result(made, lambda: facts(shown))


@user.command(name="list")
async def list_(*, context: Ctx) -> None:
    """List the users."""
    async with context.gateway() as gateway:
        page: SipUserList = await gateway.call("sip.user.list", query={"limit": "500"})
        users = list(page.users)
        while page.next_cursor:
            page = await gateway.call("sip.user.list", query={"limit": "500", "cursor": page.next_cursor})
            users += page.users
    rows = [(one.user, one.domain, one.address, one.created) for one in users]
    context.printer.result({"users": users}, lambda: table(_USER_COLUMNS, rows))


@user.command
async def remove(user: str, /, *, context: Ctx) -> None:
    """Forget a user, and end the registrations of his phones.

    Parameters
    ----------
    user
        As bob@example.org.
    """
    async with context.gateway() as gateway:
        await gateway.call("sip.user.remove", user=user)
    context.printer.result({"removed": user}, lambda: f"The SIP user {user} is removed.")


@app.command
async def bindings(address: str | None = None, /, *, context: Ctx) -> None:
    """List who is registered, and how each phone is woken.

    Parameters
    ----------
    address
        Only the phones of this address, as sip:bob@example.org.
    """
    asked = {"limit": "500", "address": address}
    async with context.gateway() as gateway:
        page: SipBindingList = await gateway.call("sip.binding.list", query=asked)
        found = list(page.bindings)
        while page.next_cursor:
            page = await gateway.call("sip.binding.list", query={**asked, "cursor": page.next_cursor})
            found += page.bindings
    context.printer.result({"bindings": found}, lambda: _drawn(found))


def _drawn(found: list[SipBindingView]) -> RenderableType:
    return table(
        _BINDING_COLUMNS,
        [
            (one.address, one.contact, one.user_agent, one.expires, one.kept, _woken_by(one), one.app, one.why_not)
            for one in found
        ],
    )


def _woken_by(one: SipBindingView) -> str:
    """Return the push service and what it is asked for, or nothing."""
    if one.push is None:
        return ""
    services = " and ".join(filter(None, (token.service for token in one.push.tokens)))
    return f"{one.push.provider} {services}".strip()
