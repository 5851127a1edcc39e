"""Tokens without a browser: for servers and tests. They are those that a user would get by signing in."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

from wakeline.edges.bitrix24.granting import may_use, new_pair
from wakeline.edges.rest.bitrix24.applications import found
from wakeline.edges.rest.bitrix24.shapes import UserId, user_for
from wakeline.edges.rest.moments import moment
from wakeline.edges.rest.operations import Answer, Call, Idempotent, Operation, Reach
from wakeline.edges.rest.shapes import Strict, View
from wakeline.model.bitrix24.access import PortalUser
from wakeline.model.errors import InvalidRequest, NotFound
from wakeline.model.key import Scope


class NewToken(Strict, frozen=True, kw_only=True):
    """Tokens to be made. `application`: its client id or number; `user` is made if absent, as administrator if `admin`."""

    application: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    user: UserId
    admin: bool = False


class MadeToken(View, frozen=True, kw_only=True):
    """A pair of tokens, shown this once. `expires` is the access token's end, `refresh_expires` the other's."""

    access_token: str
    refresh_token: str
    user: int
    scopes: tuple[str, ...]
    expires: datetime
    refresh_expires: datetime


async def create(call: Call) -> Answer:
    """Make a pair of tokens."""
    new: NewToken = call.body
    application = found(call, new.application)
    there = await call.ports.portal.user(new.user)
    if not may_use(application, there or PortalUser(id=new.user)):
        raise InvalidRequest(
            f"the user {new.user} may not use this application",
            pointer="/user",
            fix="Open the application to the user, or make the user active.",
        )
    user = await user_for(call, new.user, admin=new.admin)
    pair = new_pair(application.id, user.id, application.scopes, call.ports.settings, call.now)
    grant = await call.ports.portal.issue(pair.grant)
    shown = MadeToken(
        access_token=pair.access,
        refresh_token=pair.refresh,
        user=user.id,
        scopes=grant.scopes,
        expires=moment(grant.access_expires),
        refresh_expires=moment(grant.refresh_expires),
    )
    return Answer(status=201, body=shown, secret=True, resource=application.client_id)


OPERATIONS = (
    Operation(
        name="bitrix24.token.create",
        method="POST",
        path="/v1/bitrix24/tokens",
        handler=create,
        summary="Make a pair of tokens of the Bitrix24 portal without a browser; they are shown once",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        request=NewToken,
        response=MadeToken,
        status=(201,),
        idempotent=Idempotent.STORED,
        problems=(NotFound,),
    ),
)
