"""Feature-Caps (RFC 6809) as RFC 8599 uses it: who sends pushes for a phone, and of which service.

A 2xx to REGISTER names each push service in a field of its own (RFC 8599 section 5.4); what belongs to the service (its VAPID key,
that we wait for the phone to register by itself) stands in the same field. We write `*;+sip.pns="..."`; some leave out `*;` and are
understood as well.
"""

from __future__ import annotations

from wakeline.wire.sip.fields import Message
from wakeline.wire.sip.pieces import Params, parse_params, unquote

PNS = "+sip.pns"
PNSREG = "+sip.pnsreg"
VAPID = "+sip.vapid"


def feature_caps(provider: str, *, pnsreg: int | None = None, vapid: str = "") -> str:
    """Return the value that says that we push through this service.

    `pnsreg`: seconds before expiry at which a phone that asked registers without being woken, more than 120 (RFC 8599 section
    4.1.4). `vapid`: our public key, base64url (section 12).
    """
    parts = ["*", f'{PNS}="{provider}"']
    if pnsreg is not None:
        parts.append(f'{PNSREG}="{pnsreg}"')
    if vapid:
        parts.append(f'{VAPID}="{vapid}"')
    return ";".join(parts)


def push_services(message: Message) -> list[str]:
    """Return the push services that a message's Feature-Caps name: a proxy nearer the phone pushes (RFC 8599 section 5.6.1.1).

    Raises Broken.
    """
    found = [unquote(caps.get(PNS) or "") for caps in map(_caps, message.values("feature-caps"))]
    return [service for service in found if service]


def _caps(value: str) -> Params:
    return parse_params(value.removeprefix("*"))
