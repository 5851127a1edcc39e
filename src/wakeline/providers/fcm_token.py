"""The OAuth access token of one service account, asked for in process.

One request at a time, however many senders wait. A token that is soon to expire is replaced while it still serves, so
nobody waits for it. A failure is an outcome for whoever waits: nothing is burned, the queue tries again.

Source: Google, "Using OAuth 2.0 for server to server applications"; google-auth for the time of refreshing and for which
errors are worth another try.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import msgspec
import structlog

from wakeline.model.credential import CredentialSecret
from wakeline.model.errors import AddressRefused, TransportError
from wakeline.model.outcome import Action, Outcome
from wakeline.ports import Clock, HttpClient
from wakeline.transport.guard import check_token_uri
from wakeline.wire import jwt, outcomes

log = structlog.get_logger()

_EARLY = 225.0
"""Seconds before its end at which a token is replaced."""
_TIMEOUT = 10.0
_TRIES = (0.5, 1.0)
"""Seconds to wait before a second and a third try."""
_PAUSE = 2.0
"""Seconds for which a failure is told to everybody, before the endpoint is asked again."""
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_HEADERS = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}

Waiter = Callable[[Outcome | None], None]
"""Called with None when there is a token, else with why there is none."""


class AccessTokens:
    """Keeps the access token of one service account. Raises CredentialRefused if its key cannot be read.

    `token_hosts`: hosts besides Google's to which `token_uri` may point.
    """

    def __init__(self, secret: CredentialSecret, clock: Clock, http: HttpClient, token_hosts: tuple[str, ...]) -> None:
        self._key = jwt.load_rsa_key(secret.private_key)
        self._secret = secret
        self._clock = clock
        self._http = http
        self._token_hosts = token_hosts
        self._token = ""
        self._expires = 0.0
        self._failure: Outcome | None = None
        self._failed_at = 0.0
        self._task: asyncio.Task[None] | None = None
        self._waiters: list[Waiter] = []

    def current(self) -> str:
        """Return the token to use now, or an empty string; begins to replace it if its end is near."""
        left = self._expires - self._clock.monotonic()
        if self._token and left < _EARLY:
            self._start()
        return self._token if left > 0 else ""

    def when_ready(self, waiter: Waiter) -> None:
        """Have `waiter` called, later, once it is known whether there is a token."""
        if self._failure is not None and self._clock.monotonic() - self._failed_at < _PAUSE:
            asyncio.get_running_loop().call_soon(waiter, self._failure)
            return
        self._waiters.append(waiter)
        self._start()

    def invalidate(self, token: str) -> None:
        """Forget a token that was refused; does nothing if another one is in use by now."""
        if token == self._token:
            self._token, self._expires = "", 0.0

    async def close(self) -> None:
        """Stop asking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _start(self) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._fetch())

    async def _fetch(self) -> None:
        outcome: Outcome | None = outcomes.oauth(0)
        try:
            outcome = await self._ask_until_known()
        finally:
            self._task = None
            self._failure, self._failed_at = outcome, self._clock.monotonic()
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                _tell(waiter, outcome)
        if outcome is not None:
            log.warning("oauth_failed", account=self._secret.client_email, reason=outcome.reason, cause=outcome.cause)

    async def _ask_until_known(self) -> Outcome | None:
        """Ask up to three times; return None if there is a token now."""
        outcome = await self._ask()
        for wait in _TRIES:
            if outcome is None or outcome.action is not Action.RETRY:
                break
            await self._clock.sleep(max(wait, min(outcome.retry_after or 0.0, _PAUSE)))
            outcome = await self._ask()
        return outcome

    async def _ask(self) -> Outcome | None:
        now = self._clock.now() // 1000
        assertion = jwt.assertion(self._key, self._secret.key_id, self._secret.client_email, now)
        form = urlencode({"grant_type": _GRANT, "assertion": assertion}).encode()
        began = self._clock.monotonic()
        try:
            check_token_uri(self._secret.token_uri, self._token_hosts)
            answer = await self._http.post(self._secret.token_uri, form, _HEADERS, timeout=_TIMEOUT)
        except AddressRefused as error:
            return outcomes.token_uri_refused(error.detail)
        except TransportError as error:
            return outcomes.oauth(0, detail=error.detail)
        granted = _granted(answer.body) if answer.status == 200 else None
        if granted is None:
            wait = answer.headers.get("retry-after", "")
            return outcomes.oauth(answer.status, answer.body, float(wait) if wait.isdecimal() else None)
        self._token, life = granted
        self._expires = began + life
        return None


def _tell(waiter: Waiter, outcome: Outcome | None) -> None:
    try:
        waiter(outcome)
    except Exception:  # a defect behind one waiter must not leave the others waiting for ever
        log.exception("oauth_waiter_failed")


def _granted(body: bytes) -> tuple[str, float] | None:
    """Return token and life in seconds of a token endpoint's answer; None if it grants nothing."""
    try:
        document: Any = msgspec.json.decode(body)
        token, life = document["access_token"], float(document.get("expires_in", 3600))  # it may be a string
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError, AttributeError):
        return None
    usable = isinstance(token, str) and token.isascii() and token.isprintable() and token and math.isfinite(life)
    return (token, life) if usable else None
