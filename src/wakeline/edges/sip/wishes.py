"""What a REGISTER asks for: its Contacts with their parameters, read once (RFC 3261 section 10.3, RFC 5626, RFC 5627, RFC 8599).

Times are as the phone said them, in seconds; what it said nothing about is the registrar's to choose.
"""

from __future__ import annotations

import msgspec

from wakeline.edges.sip.refusals import Refused
from wakeline.wire.sip.broken import Broken
from wakeline.wire.sip.feature_caps import PNSREG, push_services
from wakeline.wire.sip.headers import NameAddr, parse_name_addr
from wakeline.wire.sip.message import Request
from wakeline.wire.sip.pieces import is_utf8, readable
from wakeline.wire.sip.push_params import PushAsked, push_of
from wakeline.wire.sip.uri import SipUri, parse_uri

OUTBOUND = "outbound"
GRUU = "gruu"
PATH = "path"
EXTENSIONS = (PATH, OUTBOUND, GRUU)
"""Option tags that a REGISTER may require here."""

EVERY = "*"


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """One Contact. `expires` None: it does not say; `message_expires`: for how long messages are to be kept for it.

    `reg_id` 0: no outbound (RFC 5626). `wakes_itself`: it registers again without a push, if told when (`+sip.pnsreg`).
    """

    contact: NameAddr
    uri: SipUri
    expires: int | None
    message_expires: int
    instance: str
    reg_id: int
    asked: PushAsked | None
    wakes_itself: bool

    @property
    def goes(self) -> bool:
        """Tell whether it asks to be forgotten."""
        return self.expires == 0

    @property
    def by_rfc(self) -> bool:
        """Tell whether its push parameters are those of RFC 8599, not those from before."""
        return "pn-provider" in self.contact.text.lower()


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A REGISTER. `everything`: all Contacts are to be forgotten. `pushed_by`: push services of a proxy nearer the phone."""

    aor: str
    domain: str
    call_id: str
    cseq: int
    user_agent: str
    path: tuple[str, ...]
    wants_gruu: bool
    everything: bool
    pushed_by: tuple[str, ...]
    wishes: tuple[Wish, ...]


def read(request: Request) -> Asked:
    """Read a REGISTER. Raises Refused and Broken for one that asks for what cannot be."""
    required, supported = request.options("require"), request.options("supported")
    _check_extensions(required)
    to = parse_uri(request.to.uri)
    if not to.user:
        raise Refused(404, "To names no user")
    contacts = request.contacts
    everything = any(contact.uri == EVERY for contact in contacts)
    if everything and (len(contacts) > 1 or request.seconds("expires") != 0):
        raise Broken("Contact: * stands alone, with Expires: 0")
    path = tuple(request.values("path"))
    if not all(map(is_utf8, (to.aor, request.call_id, *path, *(contact.text for contact in contacts)))):
        raise Broken("An address of this REGISTER is no UTF-8")
    return Asked(
        aor=to.aor,
        domain=to.host,
        call_id=request.call_id,
        cseq=request.cseq.number,
        user_agent=readable(request.get("user-agent") or ""),
        path=path,
        wants_gruu=GRUU in supported,
        everything=everything,
        pushed_by=tuple(push_services(request)),
        wishes=() if everything else _wishes(request, contacts, path, outbound=OUTBOUND in supported | required),
    )


def _check_extensions(required: set[str]) -> None:
    unknown = sorted(required.difference(EXTENSIONS))
    if unknown:
        raise Refused(420, f"{', '.join(unknown)} is required", fields=(("unsupported", ", ".join(unknown)),))


def _wishes(request: Request, contacts: list[NameAddr], path: tuple[str, ...], *, outbound: bool) -> tuple[Wish, ...]:
    expires = request.seconds("expires")
    wishes = tuple(_wish(contact, expires, outbound=outbound) for contact in contacts)
    flows = [wish for wish in wishes if wish.reg_id and not wish.goes]
    if len(flows) > 1:
        raise Broken("A REGISTER has one Contact with reg-id")
    if flows and len(request.values("via")) > 1 and not _keeps_flows(path):
        raise Refused(439, "The first hop does not keep flows")
    return wishes


def _keeps_flows(path: tuple[str, ...]) -> bool:
    """Tell whether a proxy before us keeps the phone's flow (RFC 5626 section 6: it says `ob` in its Path)."""
    return any("ob" in parse_uri(parse_name_addr(value).uri).params for value in path)


def _wish(contact: NameAddr, expires: int | None, *, outbound: bool) -> Wish:
    own = contact.number("expires") if "expires" in contact.params else expires
    instance, uri = contact.instance, parse_uri(contact.uri)
    return Wish(
        contact=contact,
        uri=uri,
        expires=own,
        message_expires=contact.number("message-expires") or 0,
        instance=instance,
        reg_id=(contact.number("reg-id") or 0) if outbound and instance else 0,
        asked=push_of(contact, uri),
        wakes_itself=PNSREG in contact.params,
    )
