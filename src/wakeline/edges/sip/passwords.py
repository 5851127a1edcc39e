"""Who knows passwords: the users of `wakeline sip user`, or a program of the operator's (`[sip] auth_url`).

The program gets a POST with JSON, `{"user", "domain"}`, and answers 200 with `{"password": ...}` or with the digests that it
keeps, `{"md5": ..., "sha256": ...}` (one of them, or both; hex of H(user:realm:password), the realm being the domain); 404 says
that there is no such user. What it said is believed for a minute, so that a phone whose request is challenged costs one question;
what fails is asked again.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping

import msgspec
import structlog

from wakeline.model.errors import StoreUnavailable, TransportError
from wakeline.ports import Clock, HttpClient
from wakeline.ports.sip import SipUsers
from wakeline.wire.sip.digest import ALGORITHMS, secret_hash

TIMEOUT = 5.0
"""Seconds that the program may take: phones wait 32 s, callers less."""
BELIEVED = 60.0
"""Seconds for which an answer counts."""
AT_ONCE = 256
"""Questions that may wait for an answer: who asks for thousands of users that do not exist is not to bury the program."""
_MOST = 10_000
_HEADERS = {"content-type": "application/json", "user-agent": "Wakeline"}
_LENGTHS = {"MD5": 32, "SHA-256": 64}
_HEX = re.compile(r"[0-9a-f]+").fullmatch

Digests = Mapping[str, str]

_log = structlog.get_logger()


class OurUsers:
    """The users of our own store. Implements `ports.sip.SipCredentials`."""

    def __init__(self, users: SipUsers) -> None:
        self._users = users

    async def digests(self, user: str, realm: str) -> Digests | None:
        """Return H(user:realm:password) by algorithm; None: there is no such user."""
        found = self._users.get(user, realm)
        if found is None or found.realm != realm:
            return None
        kept = {"MD5": found.md5, "SHA-256": found.sha256}
        return {name: digest for name, digest in kept.items() if digest}


class _Answer(msgspec.Struct, frozen=True):
    password: str = ""
    md5: str = ""
    sha256: str = ""


class TheirProgram:
    """A program behind a URL. Implements `ports.sip.SipCredentials`."""

    def __init__(self, http: HttpClient, url: str, clock: Clock) -> None:
        self._http = http
        self._url = url
        self._clock = clock
        self._said: dict[tuple[str, str], tuple[float, Digests | None]] = {}
        self._asking: dict[tuple[str, str], asyncio.Task[Digests | None]] = {}

    async def digests(self, user: str, realm: str) -> Digests | None:
        """Return H(user:realm:password) by algorithm; None: there is no such user. Raises StoreUnavailable."""
        who = user, realm
        said = self._said.get(who)
        if said is not None and self._clock.monotonic() - said[0] < BELIEVED:
            return said[1]
        asking = self._asking.get(who)
        if asking is None:
            if len(self._asking) >= AT_ONCE:
                # Not logged: a line for each would bury the log as well.
                raise StoreUnavailable(f"[sip] auth_url: {AT_ONCE} questions wait for an answer")
            asking = self._asking[who] = asyncio.create_task(self._ask(user, realm))
            asking.add_done_callback(lambda _: self._asking.pop(who, None))
        return await asyncio.shield(asking)

    async def _ask(self, user: str, realm: str) -> Digests | None:
        body = msgspec.json.encode({"user": user, "domain": realm})
        try:
            answer = await self._http.post(self._url, body, _HEADERS, timeout=TIMEOUT)
        except TransportError as error:
            raise _failed(error.detail) from None
        if answer.status == 404:
            return self._keep(user, realm, None)
        if answer.status != 200:
            raise _failed(f"it answered {answer.status}")
        return self._keep(user, realm, _read(answer.body, user, realm))

    def _keep(self, user: str, realm: str, digests: Digests | None) -> Digests | None:
        self._said.pop((user, realm), None)
        self._said[user, realm] = self._clock.monotonic(), digests
        if len(self._said) > _MOST:
            del self._said[next(iter(self._said))]
        return digests


def _read(body: bytes, user: str, realm: str) -> Digests:
    try:
        said = msgspec.json.decode(body, type=_Answer)
    except msgspec.DecodeError:
        raise _failed("it did not answer with the JSON that was asked for") from None
    if said.password:
        return {name: secret_hash(user, realm, said.password, name) for name in ALGORITHMS}
    kept = {"MD5": said.md5.lower(), "SHA-256": said.sha256.lower()}
    digests = {name: digest for name, digest in kept.items() if len(digest) == _LENGTHS[name] and _HEX(digest)}
    if not digests:
        raise _failed("it answered with neither a password nor a digest")
    return digests


def _failed(cause: str) -> StoreUnavailable:
    _log.warning("sip.auth_url_failed", cause=cause)
    return StoreUnavailable(f"[sip] auth_url: {cause}", fix="Look why that program does not answer.")
