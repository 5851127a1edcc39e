"""A VAPID key made here: nobody has to handle its private half, and its public half is what browsers subscribe with."""

from __future__ import annotations

import os
from typing import Annotated

import msgspec

from wakeline.edges.rest.credentials import CredentialView, keep, usable, view
from wakeline.edges.rest.operations import Answer, Call, Idempotent, Operation
from wakeline.edges.rest.shapes import Strict
from wakeline.model.errors import Conflict, CredentialRefused, InvalidRequest
from wakeline.model.key import Scope
from wakeline.wire.credential_file import Expectation, new_vapid_key

_SEED = 32


class NewVapidKey(Strict, frozen=True, kw_only=True):
    """A key to be made. `subject`: `mailto:` or `https:`, how push services reach its owner.

    Without it, that is [providers.webpush] `contact`. `replace`: take the place of the key that is there; every browser then
    has to subscribe anew.
    """

    subject: Annotated[str, msgspec.Meta(max_length=255)] = ""
    replace: bool = False


async def make(call: Call) -> Answer:
    """Make a VAPID key and keep it."""
    body: NewVapidKey = call.body
    contact = body.subject.strip() or call.ports.settings.providers.webpush.contact
    if not contact:
        raise InvalidRequest(
            "a VAPID key says whom push services may write to, and nobody is named",
            pointer="/subject",
            fix="Give `subject`, such as mailto:push@example.com, or set `contact` in [providers.webpush].",
        )
    made = new_vapid_key(os.urandom(_SEED), Expectation(now=call.now, app=call.app.id, contact=contact))
    _, kept = await keep(call, usable(made, "/subject"), replace=body.replace)
    return Answer(status=201, body=view(kept, call.now))


OPERATIONS = (
    Operation(
        name="credential.vapid",
        method="POST",
        path="/v1/apps/{app}/credentials/vapid",
        handler=make,
        summary="Make a VAPID key, with which browsers are pushed to",
        scopes=(Scope.CREDENTIALS,),
        request=NewVapidKey,
        response=CredentialView,
        status=(201,),
        idempotent=Idempotent.STORED,
        problems=(CredentialRefused, Conflict),
    ),
)
