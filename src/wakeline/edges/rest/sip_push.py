"""`POST /v1/sip/push`: a SIP proxy that is not ours (Kamailio, OpenSIPS) has a phone woken.

The phone is given by its push parameters (`pn_provider`, `pn_param`, `pn_prid`; RFC 8599), or by the whole Contact that it
registered with. The app follows from them. 202: kept and on its way; 410: the token is gone; 422: nobody can be woken so.
"""

from __future__ import annotations

from typing import Annotated, assert_never

import msgspec

from wakeline.edges.delegated import Wake, WokenView, delegate_of, lifetime
from wakeline.edges.rest.operations import Answer, Call, Idempotent, Operation, Reach
from wakeline.edges.rest.sending import check_open
from wakeline.edges.rest.shapes import PRINTABLE, Strict
from wakeline.model.errors import InvalidRequest, NoCredential, Overloaded, PayloadTooLarge, TokenGone
from wakeline.model.key import Scope
from wakeline.model.sip.push import PushParams
from wakeline.pipeline.terms import MAX_TTL
from wakeline.wire.flexisip.payloads import Occasion, Push, instance_text
from wakeline.wire.sip.broken import Broken
from wakeline.wire.sip.headers import NameAddr, parse_name_addr
from wakeline.wire.sip.push_params import PushAsked, PushQuery, PushRefused, push_asked, push_of

_Text = Annotated[str, msgspec.Meta(max_length=4096, pattern=PRINTABLE)]
_Uri = Annotated[str, msgspec.Meta(max_length=16_384, pattern=PRINTABLE)]

_OCCASIONS = {
    "call": Occasion.CALL,
    "invite": Occasion.CALL,
    "message": Occasion.MESSAGE,
    "background": Occasion.REGISTER,
    "register": Occasion.REGISTER,
    "refresh": Occasion.REGISTER,
    "notify": Occasion.MESSAGE_WAITING,
    "refer": Occasion.OTHER,
    "subscribe": Occasion.OTHER,
}


class SipPush(Strict, frozen=True, kw_only=True, rename={"from_": "from"}):
    """Which phone, and why. `contact`: the value of a Contact, in place of the three `pn_` fields.

    `type` is call, message or background; `event`, in its place, is what OpenSIPS and Kamailio have at hand: the method of the
    request (INVITE, MESSAGE, NOTIFY, REFER, REGISTER), or OpenSIPS' reason (ini-INVITE, mid-INVITE, reg-refresh). `call_id` makes
    repeats one push. `from` is the caller's address (`"Alice" <sip:alice@example.org>`), if the phone may learn it from the push;
    `uid` is the phone's `+sip.instance`; `ttl` in seconds.
    """

    pn_provider: _Text = ""
    pn_param: _Text = ""
    pn_prid: _Text = ""
    contact: _Uri = ""
    type: _Text = ""
    event: _Text = ""
    call_id: _Text = ""
    from_: _Uri = ""
    uid: _Text = ""
    ttl: Annotated[int, msgspec.Meta(ge=0, le=MAX_TTL)] | None = None


async def push(call: Call) -> Answer:
    """Have a phone woken."""
    check_open(call.ports.health.phase)
    asked: SipPush = call.body
    ports = call.ports
    occasion = _occasion(asked)
    params, uid = _phone(asked)
    caller = _address(asked.from_, "/from") if asked.from_ else None
    wake = Wake(
        params=params,
        push=Push(
            occasion=occasion,
            ttl=lifetime(occasion, ports.settings) if asked.ttl is None else asked.ttl,
            at=call.now,
            call_id=asked.call_id,
            uuid=instance_text(asked.uid or uid),
            from_uri=caller.uri.partition(";")[0] if caller else "",
            from_name=caller.display if caller else "",
        ),
        scope=f"{call.caller.name} {call.url_path}",
        idempotency=call.idempotency,
        request_id=call.request_id,
    )
    _, reply = await delegate_of(ports).take(wake, call.caller)
    return Answer(status=reply.status, body=reply.body)


def _occasion(asked: SipPush) -> Occasion:
    """Return why the phone is woken. Raises InvalidRequest."""
    field, said = ("type", asked.type) if asked.type or not asked.event else ("event", asked.event)
    when, _, what = said.lower().rpartition("-")
    # What comes within a call, such as another INVITE, rings nobody.
    found = Occasion.OTHER if (field, when) == ("event", "mid") else _OCCASIONS.get(what)
    if found is None:
        raise InvalidRequest(
            f"{said[:40]!r} is no reason to wake a phone" if said else "It is not said why the phone is woken",
            pointer=f"/{field}",
            fix="`type` is call, message or background; `event` the method of the request, such as INVITE.",
        )
    if found is Occasion.CALL and not asked.call_id:
        raise InvalidRequest("A call has a Call-ID", pointer="/call_id", fix="Give that of the INVITE.")
    return found


def _phone(asked: SipPush) -> tuple[PushParams, str]:
    """Return the push parameters, and the phone's instance if its Contact says it. Raises InvalidRequest."""
    if not asked.contact:
        given = {"pn-provider": asked.pn_provider, "pn-prid": asked.pn_prid, "pn-param": asked.pn_param}
        return _usable(
            push_asked({name: value.replace("%", "%25") for name, value in given.items() if value}), asked
        ), ""
    contact = _address(asked.contact, "/contact")
    try:
        return _usable(push_of(contact), asked), contact.instance
    except Broken as broken:
        raise InvalidRequest(f"The Contact cannot be read: {broken}", pointer="/contact") from None


def _usable(found: PushAsked | None, asked: SipPush) -> PushParams:
    where = "/contact" if asked.contact else "/pn_provider"
    match found:
        case PushParams():
            return found
        case PushRefused(why=why):
            raise InvalidRequest(why, pointer=where, fix="Served are apns, apns.dev and fcm.")
        case PushQuery() | None:
            raise InvalidRequest(
                "It is not said how the phone is woken",
                pointer=where,
                fix="Give `pn_provider`, `pn_param` and `pn_prid`, or the `contact` that has them.",
            )
        case other:
            assert_never(other)


def _address(text: str, pointer: str) -> NameAddr:
    try:
        return parse_name_addr(text)
    except Broken as broken:
        raise InvalidRequest(f"It is no address: {broken}", pointer=pointer) from None


OPERATIONS = (
    Operation(
        name="sip.push",
        method="POST",
        path="/v1/sip/push",
        handler=push,
        summary="Wake a phone for a SIP proxy, by its push parameters",
        reach=Reach.FILTERED,
        scopes=(Scope.SEND,),
        request=SipPush,
        response=WokenView,
        status=(202,),
        idempotent=Idempotent.COMMITTED,
        problems=(NoCredential, PayloadTooLarge, Overloaded, TokenGone),
    ),
)
