"""Changing the master key. Only at the machine itself: whoever holds the key's file decides, not who holds an API key."""

from __future__ import annotations

import base64
import binascii

from wakeline.edges.rest.operations import Answer, Call, Idempotent, Operation, Reach
from wakeline.edges.rest.shapes import Strict, View
from wakeline.model.errors import Conflict, InvalidRequest
from wakeline.model.key import Scope

_KEY_BYTES = 32


class RotateBody(Strict, frozen=True, kw_only=True):
    """How to change it. `new_key`: 32 bytes in base64; one is made if none is given.

    `revoke_old`: the old key may be known to others, so keep nothing of it; device tokens signed with it end now.
    """

    new_key: str = ""
    revoke_old: bool = False

    def __repr__(self) -> str:
        """Leave the key out."""
        return f"RotateBody(revoke_old={self.revoke_old})"


class RotatedView(View, frozen=True, kw_only=True):
    """Names of the new key and of the former ones that are kept, and how many values were sealed anew."""

    key: str
    former: tuple[str, ...]
    resealed: int


async def rotate(call: Call) -> Answer:
    """Seal everything with a new master key."""
    if call.ports.master_key is None:
        raise Conflict("this store has no master key that can be changed")
    body: RotateBody = call.body
    done = await call.ports.master_key.rotate(_key(body.new_key), revoke_old=body.revoke_old)
    return Answer(body=RotatedView(key=done.key, former=done.former, resealed=done.resealed))


def _key(text: str) -> bytes | None:
    if not text:
        return None
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != _KEY_BYTES:
        raise InvalidRequest(
            f"a master key is {_KEY_BYTES} bytes in base64",
            pointer="/new_key",
            fix="`openssl rand -base64 32` makes one.",
        )
    return key


OPERATIONS = (
    Operation(
        name="master_key.rotate",
        method="POST",
        path="/v1/master-key/rotate",
        handler=rotate,
        summary="Seal everything with a new master key",
        reach=Reach.MACHINE,
        scopes=(Scope.ADMIN,),
        request=RotateBody,
        response=RotatedView,
        idempotent=Idempotent.STORED,
        problems=(Conflict,),
    ),
)
