"""Registrations at the SIP edge: who is reached where, and how each phone is woken.

Push parameters are shown as they were understood, their tokens shortened; what else stood in a Contact, as it came.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

from wakeline.edges.rest.moments import moment
from wakeline.edges.rest.operations import Answer, Call, Operation, Reach
from wakeline.edges.rest.shapes import PageQuery, View
from wakeline.model.errors import InvalidRequest
from wakeline.model.key import Scope
from wakeline.model.sip.binding import Binding
from wakeline.model.sip.push import PushParams
from wakeline.observe.masking import masked_token
from wakeline.wire.sip.broken import Broken
from wakeline.wire.sip.push_params import hidden
from wakeline.wire.sip.uri import parse_uri

_SCHEMES = ("sip:", "sips:")


class BindingsQuery(PageQuery, frozen=True, kw_only=True):
    """Whose: of this address only, or of all. `limit` counts addresses."""

    address: Annotated[str, msgspec.Meta(max_length=255, description="such as sip:bob@example.org")] = ""


class SipTokenView(View, frozen=True, kw_only=True):
    """A token: `service` is `voip` or `remote` with Apple, empty elsewhere; `topic`: bundle id, or Firebase project."""

    service: str
    topic: str
    value: str


class SipPushView(View, frozen=True, kw_only=True):
    """Push parameters. `legacy`: in the form from before RFC 8599. `warnings`: what was understood against its letter."""

    provider: str
    param: str
    tokens: tuple[SipTokenView, ...]
    legacy: bool
    warnings: tuple[str, ...]


class SipBindingView(View, frozen=True, kw_only=True):
    """A phone of an address.

    `instance` and `reg_id` tell phones and their connections apart (RFC 5626), if they say any. `expires` ends its registration,
    `kept` is until when it can be woken all the same. `push` is null if its Contact asked for no pushes, `app` is null if none
    has a credential for them; `why_not` says why it cannot be woken.
    """

    address: str
    instance: str
    reg_id: int
    contact: str
    flow: str
    path: tuple[str, ...]
    gruu: str
    user_agent: str
    q: float
    registered: datetime
    updated: datetime
    expires: datetime
    kept: datetime
    push: SipPushView | None
    app: str | None
    device: str
    why_not: str


class SipBindingList(View, frozen=True, kw_only=True):
    """Registrations, by address."""

    bindings: tuple[SipBindingView, ...]
    next_cursor: str | None


def view(call: Call, binding: Binding) -> SipBindingView:
    """Return a registration as the world sees it."""
    app = call.ports.apps.by_id(binding.app) if binding.app else None
    return SipBindingView(
        address=binding.aor,
        instance=binding.instance,
        reg_id=binding.reg_id,
        contact=hidden(binding.contact),
        flow=binding.flow,
        path=binding.path,
        gruu=binding.gruu,
        user_agent=binding.user_agent,
        q=binding.q,
        registered=moment(binding.registered),
        updated=moment(binding.updated),
        expires=moment(binding.expires),
        kept=moment(binding.kept),
        push=_push_view(binding.push) if binding.push is not None else None,
        app=app.slug if app is not None else None,
        device=binding.device,
        why_not=binding.why_not,
    )


def _push_view(push: PushParams) -> SipPushView:
    return SipPushView(
        provider=push.provider.value,
        param=push.param,
        tokens=tuple(
            SipTokenView(service=each.service, topic=each.topic, value=masked_token(each.value)) for each in push.tokens
        ),
        legacy=push.legacy,
        warnings=push.warnings,
    )


async def list_some(call: Call) -> Answer:
    """List registrations of an address, or of all, some addresses at a time."""
    query: BindingsQuery = call.query
    bindings = call.ports.sip.bindings
    if query.address:
        addresses, more = [_address(query.address)], None
    else:
        addresses = await bindings.aors(after=query.cursor, limit=query.limit)
        more = addresses[-1] if len(addresses) == query.limit else None
    shown = tuple(view(call, each) for address in addresses for each in bindings.of(address))
    return Answer(body=SipBindingList(bindings=shown, next_cursor=more))


def _address(text: str) -> str:
    """Return an address as registrations are kept under it. Raises InvalidRequest."""
    try:
        return parse_uri(text if text.lower().startswith(_SCHEMES) else f"sip:{text}").aor
    except Broken as error:
        raise InvalidRequest(
            f"{text[:64]!r} is no SIP address: {error.detail}",
            pointer="/query/address",
            fix="Name one as sip:bob@example.org.",
        ) from None


OPERATIONS = (
    Operation(
        name="sip.binding.list",
        method="GET",
        path="/v1/sip/bindings",
        handler=list_some,
        summary="List registrations at the SIP edge",
        reach=Reach.INSTALLATION,
        scopes=(Scope.READ,),
        query=BindingsQuery,
        response=SipBindingList,
    ),
)
