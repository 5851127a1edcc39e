"""The flags of `flexisip_pusher`."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from cyclopts import Parameter

from wakeline.cli.context import Ctx
from wakeline.cli.pusher.course import run
from wakeline.cli.pusher.phones import Named, Unusable, phones_of
from wakeline.cli.pusher.plans import Wishes
from wakeline.cli.pusher.report import Report
from wakeline.cli.pusher.ways import Sources
from wakeline.wire.flexisip.payloads import Form
from wakeline.wire.flexisip.pusher import Wording

Many = Annotated[list[str] | None, Parameter(consume_multiple=True)]


async def push(
    *,
    pn_provider: str = "",
    pn_param: str = "",
    pn_prid: Many = None,
    pn_type: Annotated[str, Parameter(name="--pntype")] = "",
    app_id: Annotated[str, Parameter(name="--appid")] = "",
    pn_tok: Annotated[list[str] | None, Parameter(name="--pntok", consume_multiple=True)] = None,
    raw: str = "",
    key: str = "",
    sid: str = "",
    prefix: Path | None = None,
    apple_push_type: Literal["PushKit", "Background", "RemoteWithMutableContent", "RemoteBasic"] | None = None,
    custom_payload: Annotated[str, Parameter(name="--customPayload")] = "",
    call_id: str = "",
    debug: bool = False,
    silent: bool = False,
    wording: Annotated[Literal["flexisip-2.1", "flexisip-2.4"], Parameter(name="--format")] = "flexisip-2.1",
    context: Ctx,
) -> int:
    """Push to a phone by its SIP push parameters (RFC 8599), and say what the push service answered.

    Flags, last lines and exit codes are those of Flexisip's `flexisip_pusher`: it ends with the number of pushes that failed, and
    with 255 if it could not begin. The credential is the one that --key or --prefix names; else one of the gateway (through its
    socket if it runs, else out of its store); else what lies in /etc/flexisip/apn.

    Parameters
    ----------
    pn_provider
        apns, apns.dev (builds that Xcode installs) or fcm.
    pn_param
        apns: TEAM.BUNDLE, with .voip behind it for PushKit; fcm: the Firebase project.
    pn_prid
        The phone's token; several are pushed to one after the other.
    pn_type
        The form before RFC 8599: apple, or firebase.
    app_id
        The form before RFC 8599: BUNDLE.prod, BUNDLE.voip.prod, or .dev; or the Firebase sender.
    pn_tok
        The form before RFC 8599: the token, or several.
    raw
        All parameters as they stand in a Contact: "pn-provider=...;pn-param=...;pn-prid=...".
    key
        The credential's file: a Firebase service account (.json), or a certificate or key of Apple's.
    sid
        Of Windows phones, which nobody serves any more: without effect.
    prefix
        Flexisip's directory: credentials are in it and in its apn.
    apple_push_type
        Follows from the token if it is not given.
    custom_payload
        A JSON object, as customPayload for the app.
    call_id
        The Call-ID that the app is told.
    debug
        Show each request and its answer.
    silent
        Without effect.
    wording
        Whose last lines to print.
    """
    report = Report(context, Wording(wording), debug=debug)
    report.unused({"--sid": bool(sid), "--silent": silent})
    named = Named(
        pn_provider=pn_provider,
        pn_param=pn_param,
        pn_prid=tuple(pn_prid or ()),
        pn_type=pn_type,
        app_id=app_id,
        pn_tok=tuple(pn_tok or ()),
        raw=raw,
    )
    try:
        phones = phones_of(named)
        custom = _object(custom_payload)
    except Unusable as why:
        return report.wrong(str(why))
    wishes = Wishes(
        form=Form(apple_push_type) if apple_push_type else None, call_id=call_id or str(uuid.uuid4()), custom=custom
    )
    return await run(phones, wishes, Sources(key=key, prefix=prefix), report, context.quiet())


def _object(text: str) -> dict[str, Any]:
    if not text:
        return {}
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise Unusable(f"--customPayload is no JSON object: {error}") from None
