"""Incoming webhooks: an address with a code in it, by which a server calls methods without OAuth. It is shown once."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

from wakeline.edges.bitrix24 import secrets
from wakeline.edges.bitrix24.addresses import public
from wakeline.edges.rest.bitrix24.shapes import ScopeName, UserId, number_in, once, user_for
from wakeline.edges.rest.moments import moment, moment_or_none
from wakeline.edges.rest.operations import Answer, Call, Idempotent, Operation, Reach
from wakeline.edges.rest.shapes import Name, Strict, View
from wakeline.model.bitrix24.access import IncomingWebhook
from wakeline.model.key import Scope

_Scopes = Annotated[tuple[ScopeName, ...], msgspec.Meta(min_length=1, max_length=100)]


class NewIncomingWebhook(Strict, frozen=True, kw_only=True):
    """An incoming webhook to be made. `user`: in whose name it works; made if absent, as administrator if `admin`."""

    user: UserId
    scopes: _Scopes
    admin: bool = False
    name: Name = ""


class IncomingWebhookView(View, frozen=True, kw_only=True):
    """An incoming webhook without its code."""

    id: int
    user: int
    scopes: tuple[str, ...]
    name: str
    created: datetime
    last_used: datetime | None


class MadeIncomingWebhook(IncomingWebhookView, frozen=True, kw_only=True):
    """A new incoming webhook. `url` is shown this once; a method's name follows it."""

    url: str


class IncomingWebhookList(View, frozen=True, kw_only=True):
    """All incoming webhooks, oldest first."""

    webhooks: tuple[IncomingWebhookView, ...]


def view(one: IncomingWebhook) -> IncomingWebhookView:
    """Return a webhook as the world sees it."""
    return IncomingWebhookView(
        id=one.id,
        user=one.user,
        scopes=one.scopes,
        name=one.name,
        created=moment(one.created),
        last_used=moment_or_none(one.used),
    )


async def create(call: Call) -> Answer:
    """Make a webhook; its address is in this answer and nowhere else."""
    new: NewIncomingWebhook = call.body
    user = await user_for(call, new.user, admin=new.admin)
    code = secrets.new_webhook_code()
    made = await call.ports.portal.create_webhook(
        IncomingWebhook(
            id=0,
            user=user.id,
            digest=secrets.digest(code),
            scopes=once(new.scopes),
            name=new.name,
            created=call.now,
        )
    )
    where = public(call.ports.settings, call.ports.portal.portal()).client_endpoint
    shown = MadeIncomingWebhook(**msgspec.structs.asdict(view(made)), url=f"{where}{user.id}/{code}/")
    return Answer(status=201, body=shown, secret=True, resource=str(made.id))


async def list_all(call: Call) -> Answer:
    """List the webhooks."""
    return Answer(body=IncomingWebhookList(webhooks=tuple(view(one) for one in call.ports.portal.webhooks())))


async def delete(call: Call) -> Answer:
    """Make a webhook useless, at once."""
    await call.ports.portal.delete_webhook(number_in(call.path["webhook"]))
    return Answer(status=204)


OPERATIONS = (
    Operation(
        name="bitrix24.webhook.create",
        method="POST",
        path="/v1/bitrix24/webhooks",
        handler=create,
        summary="Make an incoming webhook of the Bitrix24 portal; its address is shown once",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        request=NewIncomingWebhook,
        response=MadeIncomingWebhook,
        status=(201,),
        idempotent=Idempotent.STORED,
    ),
    Operation(
        name="bitrix24.webhook.list",
        method="GET",
        path="/v1/bitrix24/webhooks",
        handler=list_all,
        summary="List the incoming webhooks of the Bitrix24 portal",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        response=IncomingWebhookList,
    ),
    Operation(
        name="bitrix24.webhook.delete",
        method="DELETE",
        path="/v1/bitrix24/webhooks/{webhook}",
        handler=delete,
        summary="Make an incoming webhook of the Bitrix24 portal useless",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        status=(204,),
    ),
)
