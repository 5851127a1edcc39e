"""Signing secrets of webhooks: made or brought along, and changed without a message being lost.

Source: Standard Webhooks, "Secret rotation": while a secret is changed, messages bear a signature with the former one as well.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Annotated

import msgspec

from wakeline.edges.rest.moments import moment
from wakeline.edges.rest.operations import Answer, Call, Idempotent, Operation, Reach
from wakeline.edges.rest.shapes import Strict, View
from wakeline.edges.rest.webhooks.views import found
from wakeline.model.errors import InvalidRequest
from wakeline.model.key import Scope
from wakeline.wire.standard_webhooks import read_secret, secret_text

_BYTES = 32
_OVERLAP = 86_400

SecretText = Annotated[str, msgspec.Meta(max_length=128)]


class Rotation(Strict, frozen=True, kw_only=True):
    """How to change the secret. `overlap`: seconds for which the former one signs as well; `secret`: instead of a new one."""

    overlap: Annotated[int, msgspec.Meta(ge=0, le=30 * 86_400)] = _OVERLAP
    secret: SecretText = ""


class RotatedView(View, frozen=True, kw_only=True):
    """The new secret, shown this once; the former one signs as well until `former_until`."""

    id: str
    secret: str
    former_until: datetime


def given_or_new(text: str) -> bytes:
    """Return the secret in `text`, or a new one if it is empty. Raises InvalidRequest."""
    if not text:
        return secrets.token_bytes(_BYTES)
    try:
        return read_secret(text)
    except InvalidRequest as error:
        raise InvalidRequest(error.detail, pointer="/secret", fix=error.fix) from None


async def rotate(call: Call) -> Answer:
    """Sign with another secret from now on, and with the former one as well for a while."""
    one, body = found(call), call.body
    secret, until = given_or_new(body.secret), call.now + body.overlap * 1000
    await call.ports.endpoints.rotate(one.id, secret, until=until)
    shown = RotatedView(id=one.public_id, secret=secret_text(secret), former_until=moment(until))
    return Answer(body=shown, secret=True, resource=one.public_id)


OPERATIONS = (
    Operation(
        name="webhook.rotate",
        method="POST",
        path="/v1/webhooks/{webhook}/rotate",
        handler=rotate,
        summary="Change a webhook's signing secret; the former one signs as well for a day",
        reach=Reach.FILTERED,
        scopes=(Scope.ADMIN,),
        request=Rotation,
        response=RotatedView,
        idempotent=Idempotent.STORED,
    ),
)
