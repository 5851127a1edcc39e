"""`wakeline key`: API keys, shown once when they are made."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter

from wakeline.cli.context import Ctx
from wakeline.cli.noun import noun
from wakeline.cli.printing import facts, table
from wakeline.edges.rest.keys import KeyList, KeyView, MadeKey, NewKey
from wakeline.model.key import Scope

app = noun("key", "API keys.")


@app.command
async def create(
    *,
    scope: Annotated[list[Scope], Parameter(consume_multiple=True)],
    app: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    expires: datetime | None = None,
    name: str = "",
    per_hour: int | None = None,
    context: Ctx,
) -> None:
    """Make an API key; its text is shown this once.

    Parameters
    ----------
    scope
        What it may do; admin includes all. May be given several times.
    app
        The apps it is bound to; none means every app.
    expires
        When it ends, such as 2027-01-31; UTC unless it says otherwise.
    name
        To recognise it by.
    per_hour
        Notifications it may send in an hour; any number without.
    """
    new = NewKey(scopes=tuple(scope), name=name, apps=tuple(app or ()), expires=_utc(expires), per_hour=per_hour)
    async with context.gateway() as gateway:
        made: MadeKey = await gateway.call("key.create", body=new)
    context.printer.result(
        {"key": made.key},
        lambda: facts(
            [
                ("key", made.key),
                ("id", made.id),
                ("scopes", made.scopes),
                ("apps", made.apps or "all"),
                ("expires", made.expires),
                ("per hour", made.per_hour or "any number"),
                ("", "Keep it now: it is not shown again."),
            ]
        ),
    )


def _utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def _row(one: KeyView) -> tuple[object, ...]:
    what = (one.id, one.prefix, one.name, one.scopes, one.apps or "all")
    return (*what, one.per_hour, one.created, one.expires, one.revoked, one.last_used)


@app.command(name="list")
async def list_(*, context: Ctx) -> None:
    """List API keys; their texts are not kept."""
    async with context.gateway() as gateway:
        found: KeyList = await gateway.call("key.list")
    context.printer.result(
        found,
        lambda: table(
            ("id", "begins with", "name", "scopes", "apps", "per hour", "created", "expires", "revoked", "last used"),
            [_row(one) for one in found.keys],
        ),
    )


@app.command
async def revoke(key: str, /, *, context: Ctx) -> None:
    """Make a key useless, at once.

    Parameters
    ----------
    key
        Its id, from `wakeline key list`.
    """
    async with context.gateway() as gateway:
        await gateway.call("key.revoke", key=key)
    context.printer.result({"revoked": key}, lambda: f"The key {key} is revoked.")
