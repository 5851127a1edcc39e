"""Users of the SIP edge: who may register there, and call through it.

A password is not kept: what is, opens as it does in this user's domain alone (RFC 7616 section 3.4.2, RFC 8760). One that is made
here is in the answer that makes it and nowhere else.
"""

from __future__ import annotations

import bisect
import secrets
from datetime import datetime
from typing import Annotated

import msgspec

from wakeline.edges.rest.moments import moment
from wakeline.edges.rest.operations import Answer, Call, Operation, Reach
from wakeline.edges.rest.shapes import PRINTABLE, PageQuery, Strict, View
from wakeline.edges.rest.sip_forgetting import forget_phones
from wakeline.model.errors import InvalidRequest, NotFound
from wakeline.model.key import Scope
from wakeline.model.sip.user import SipUser
from wakeline.wire.sip.broken import Broken
from wakeline.wire.sip.digest import secret_hash
from wakeline.wire.sip.uri import canonical_user, parse_uri

_SCHEME = "sip:"
_PASSWORD_BYTES = 16

Password = Annotated[
    str,
    msgspec.Meta(
        min_length=8, max_length=255, pattern=PRINTABLE, description="8 to 255 characters without control characters"
    ),
]


class SipUserPut(Strict, frozen=True, kw_only=True):
    """The password of a user; without one it is made."""

    password: Password | None = None


class SipUserView(View, frozen=True, kw_only=True):
    """A user. `address` is the address-of-record, and the user of the app that the phones belong to."""

    user: str
    domain: str
    address: str
    created: datetime


class SipUserMade(SipUserView, frozen=True, kw_only=True):
    """A user who was given a password now. `password` is null unless it was made here."""

    password: str | None


class SipUserList(View, frozen=True, kw_only=True):
    """Users by domain and name."""

    users: tuple[SipUserView, ...]
    next_cursor: str | None


def view(user: SipUser) -> SipUserView:
    """Return a user as the world sees it."""
    return SipUserView(user=user.user, domain=user.domain, address=user.aor, created=moment(user.created))


async def put(call: Call) -> Answer:
    """Make a user, or give one another password."""
    named = _named(call)
    if named is None:
        raise InvalidRequest(
            f"{call.path['user'][:64]!r} is no SIP user",
            fix="Name one as bob@example.org: letters, digits, -_.!~*'()&=+$,",
        )
    name, domain = named
    served = call.ports.settings.sip.domains
    if served and domain not in served:
        raise InvalidRequest(
            f"{domain} is none of [sip] domains: nobody of it could register",
            fix="Add it to [sip] domains, or name a domain that is served.",
        )
    body: SipUserPut = call.body
    password = body.password or secrets.token_urlsafe(_PASSWORD_BYTES)
    present = call.ports.sip.users.get(name, domain)
    user = SipUser(
        user=name,
        domain=domain,
        realm=domain,
        md5=secret_hash(name, domain, password, "MD5"),
        sha256=secret_hash(name, domain, password, "SHA-256"),
        created=call.now if present is None else present.created,
    )
    await call.ports.sip.users.put(user)
    made = SipUserMade(**msgspec.structs.asdict(view(user)), password=None if body.password else password)
    return Answer(status=201 if present is None else 200, body=made)


async def list_some(call: Call) -> Answer:
    """List users."""
    query: PageQuery = call.query
    users = call.ports.sip.users.all()
    name, _, domain = query.cursor.rpartition("@")
    start = bisect.bisect_right(users, (domain, name), key=lambda each: (each.domain, each.user))
    page = users[start : start + query.limit]
    more = f"{page[-1].user}@{page[-1].domain}" if start + query.limit < len(users) else None
    return Answer(body=SipUserList(users=tuple(map(view, page)), next_cursor=more))


async def remove(call: Call) -> Answer:
    """Forget a user, and end the registrations of his phones: they are called and woken no more."""
    named = _named(call)
    if named is None:
        raise NotFound(f"there is no SIP user {call.path['user'][:64]!r}", fix="`wakeline sip user list` lists them.")
    name, domain = named
    await call.ports.sip.users.delete(name, domain)
    aor = f"{_SCHEME}{name}@{domain}"
    await forget_phones(call.ports.sip, aor, [each.uid for each in call.ports.sip.bindings.of(aor)])
    return Answer(status=204)


def _named(call: Call) -> tuple[str, str] | None:
    """Return name and domain of the user in the path; the domain may be left out where one is served. None: it names nobody."""
    bare, domains = call.path["user"].removeprefix(_SCHEME), call.ports.settings.sip.domains
    if "@" not in bare and len(domains) == 1:
        bare = f"{bare}@{domains[0]}"
    try:
        uri = parse_uri(f"{_SCHEME}{bare}")
    except Broken:
        return None
    plain = uri.user and uri.password is None and uri.port is None and not uri.param_text and not uri.headers
    return (canonical_user(uri.user), uri.host) if plain else None


OPERATIONS = (
    Operation(
        name="sip.user.put",
        method="PUT",
        path="/v1/sip/users/{user}",
        handler=put,
        summary="Make a SIP user, or give one another password",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        request=SipUserPut,
        response=SipUserMade,
        status=(200, 201),
    ),
    Operation(
        name="sip.user.list",
        method="GET",
        path="/v1/sip/users",
        handler=list_some,
        summary="List SIP users",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        query=PageQuery,
        response=SipUserList,
    ),
    Operation(
        name="sip.user.remove",
        method="DELETE",
        path="/v1/sip/users/{user}",
        handler=remove,
        summary="Forget a SIP user and end the registrations of his phones",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        status=(204,),
        problems=(NotFound,),
    ),
)
