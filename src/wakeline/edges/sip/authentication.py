"""Who sent a request, and whether that is believed (RFC 3261 section 22, RFC 7616, RFC 8760).

Peers are believed by their address, and everybody is with `auth = "none"`; in front of a PBX it is the PBX that asks. All others
prove the password of the user that they speak for: of To in a REGISTER, which is asked with 401; of From in all else, which is
asked with 407. The realm is the user's domain. Nobody speaks for another user, and who speaks for a foreign domain is refused:
this is no relay.

Somebody who does not exist is asked as everybody is, and a wrong password is asked for again: neither tells who has an account.
ACK and CANCEL are never asked (they cannot be repeated with an answer), nor is what belongs to a dialog: who may send within a
dialog is told by the route that the proxy gave it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
import structlog

from wakeline.config import Sip
from wakeline.edges.sip.peers import Peers
from wakeline.edges.sip.refusals import Refused
from wakeline.model.errors import StoreUnavailable
from wakeline.ports import Clock
from wakeline.ports.sip import SipCredentials
from wakeline.wire.sip.digest import (
    Credentials,
    Nonces,
    NonceVerdict,
    challenges,
    parse_credentials,
    proves,
)
from wakeline.wire.sip.message import Request
from wakeline.wire.sip.pieces import is_utf8
from wakeline.wire.sip.uri import canonical_user, parse_uri

ANONYMOUS = "anonymous.invalid"
"""The domain of a From that shows nobody (RFC 3323 section 4.1.1.3); who it is says the answer to our question."""
_RETRY_AFTER = "5"


_log = structlog.get_logger()


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who sent a request. `aor` is the user who proved to be so; empty: somebody who is believed without that."""

    aor: str = ""
    peer: bool = False


class _Place(msgspec.Struct, frozen=True):
    """Where an answer stands, where a question does, and with which status."""

    answered: str
    asked: str
    status: int


_TO_REGISTRAR = _Place("authorization", "www-authenticate", 401)
_TO_PROXY = _Place("proxy-authorization", "proxy-authenticate", 407)


class Authenticator:
    """Judges requests. What it believed once it forgets: the next request is judged anew."""

    def __init__(
        self,
        settings: Callable[[], Sip],
        peers: Callable[[], Peers],
        credentials: SipCredentials,
        nonces: Nonces,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._peers = peers
        self._credentials = credentials
        self._nonces = nonces
        self._clock = clock

    async def caller(self, request: Request, source: str) -> Caller:
        """Return who sent a request from this address. Raises Refused with the question or the refusal, and Broken.

        What answered our question is taken out of the request: it is nobody's business further on (RFC 3261 section 22.3).
        """
        if self._peers().covers(source):
            return Caller(peer=True)
        if self._settings().auth == "none" or self._settings().pbx:
            return Caller()
        place = _TO_REGISTRAR if request.method == "REGISTER" else _TO_PROXY
        user, domain = self._said(request)
        answered = _answers(request, place, domain)
        secrets = await self._secrets(canonical_user(answered[0].username) if answered else user, domain)
        stale = False
        for credentials in answered:
            match self._verdict(credentials, secrets, request.method):
                case NonceVerdict.FRESH:
                    self._nonces.use(credentials)
                    _take_out(request, place, domain)
                    return _as(user, domain, credentials)
                case NonceVerdict.STALE:
                    stale = True
                case None:
                    continue
        if answered and not stale:
            _log.info(
                "sip.password_wrong", call_id=request.call_id, user=f"{answered[0].username}@{domain}", source=source
            )
        raise self._question(place, domain, secrets, stale=stale)

    def _said(self, request: Request) -> tuple[str, str]:
        """Return user and domain that a request is said to be of; no user: it does not say. Raises Refused."""
        uri = parse_uri((request.to if request.method == "REGISTER" else request.from_).uri)
        domains = self._settings().domains
        if uri.host == ANONYMOUS and domains:
            return "", domains[0]
        if uri.host not in domains:
            raise Refused(403, f"{uri.host} is no domain of [sip] domains, and its sender is no peer")
        return canonical_user(uri.user), uri.host

    async def _secrets(self, user: str, domain: str) -> Mapping[str, str]:
        if not user or not is_utf8(user):
            return {}
        try:
            known = await self._credentials.digests(user, domain) or {}
            return {name: known[name] for name in self._settings().digest_algorithms if name in known}
        except StoreUnavailable as error:
            raise Refused(500, error.detail, fields=(("retry-after", _RETRY_AFTER),)) from None

    def _verdict(self, credentials: Credentials, secrets: Mapping[str, str], method: str) -> NonceVerdict | None:
        """Judge an answer; None: it proves nothing. STALE: it proves the password with a question that counts no more."""
        if not proves(credentials, secrets, method):
            return None
        return self._nonces.check(credentials, self._clock.now())

    def _question(self, place: _Place, realm: str, secrets: Mapping[str, str], *, stale: bool) -> Refused:
        """Ask for the password, in the algorithms in which its digest is known."""
        known = list(secrets or self._settings().digest_algorithms)
        values = challenges(realm, self._nonces.issue(self._clock.now()), stale=stale, algorithms=known)
        return Refused(place.status, "A password is asked for", fields=tuple((place.asked, each) for each in values))


def _answers(request: Request, place: _Place, realm: str) -> list[Credentials]:
    """Return what answers our question: there may be answers to others'."""
    found = map(parse_credentials, request.all(place.answered))
    return [each for each in found if each is not None and each.realm.lower() == realm]


def _take_out(request: Request, place: _Place, realm: str) -> None:
    kept = []
    for value in request.all(place.answered):
        read = parse_credentials(value)
        if read is None or read.realm.lower() != realm:
            kept.append(value)
    request.replace(place.answered, kept)


def _as(user: str, domain: str, credentials: Credentials) -> Caller:
    """Return who proved to be so. Raises Refused if that is another than it is said to be."""
    name = canonical_user(credentials.username)
    if user and name != user:
        raise Refused(403, "The password is that of another user")
    return Caller(aor=f"sip:{name}@{domain}")
