"""Authentication: Bearer API keys, device tokens, and the marked connections of the operator.

Rule: a key is looked up by its SHA-256 digest and compared in constant time; its text is neither kept nor logged.
A request that needs no key is served without looking at one.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Any

import structlog

from wakeline.edges.rest import device_token
from wakeline.edges.rest.caller import NOBODY, OPERATOR, Caller, of_key
from wakeline.edges.rest.operations import Operation, Reach
from wakeline.edges.rest.ports import RestPorts
from wakeline.model.app import App
from wakeline.model.errors import NotAllowed, NotFound, StorageError, Unauthenticated
from wakeline.model.key import ApiKey

KEY_PREFIX = "wk_"
ADMIN_MARK = "wakeline.admin"
"""Key in the ASGI scope by which the service marks connections of its own socket; no client can set it."""

_TOUCH_EVERY = 60.0
_SHOWN = len(KEY_PREFIX) + 6

log = structlog.get_logger()


def new_key() -> tuple[str, str, bytes]:
    """Return (text, prefix to recognise it by, digest to keep) of a new API key: 256 random bits."""
    text = KEY_PREFIX + secrets.token_urlsafe(32)
    return text, text[:_SHOWN], digest(text)


def digest(text: str) -> bytes:
    """Return what is kept of a key. 256 random bits need no slow hash."""
    return hashlib.sha256(text.encode()).digest()


class Gate:
    """Lets callers in: who is it, and may they do this?"""

    def __init__(self, ports: RestPorts) -> None:
        """Remember the parts; nothing is read yet."""
        self._ports = ports
        self._used: dict[int, int] = {}
        self._callers: dict[int, tuple[ApiKey, Caller]] = {}
        self._touched = ports.clock.monotonic()
        self._touching: asyncio.Task[None] | None = None

    def caller(self, scope: Mapping[str, Any], headers: Mapping[str, str], now: int) -> Caller:
        """Say who asks. Raises Unauthenticated."""
        if scope.get(ADMIN_MARK) is True:
            return OPERATOR
        scheme, _, text = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not text.strip():
            raise Unauthenticated(
                "this needs an API key",
                fix="Send it as `Authorization: Bearer wk_...`; `wakeline key create` makes one.",
            )
        text = text.strip()
        if text.startswith(device_token.PREFIX):
            grant = device_token.read(text, self._ports.secrets.accepted(device_token.PURPOSE), now)
            return Caller(name=f"device:{grant.app}:{grant.device_id}", grant=grant)
        return self._caller_of(self._valid(text, now))

    def _caller_of(self, key: ApiKey) -> Caller:
        """Return who a valid key stands for. A key that was changed is another value, so what was remembered is not used."""
        known = self._callers.get(key.id)
        if known is None or known[0] is not key:
            quota = self._ports.quotas.of(key, self._ports.clock.monotonic)
            known = self._callers[key.id] = key, of_key(key, quota)
        return known[1]

    def _valid(self, text: str, now: int) -> ApiKey:
        wanted = digest(text)
        key = self._ports.keys.by_digest(wanted)
        if key is None or not hmac.compare_digest(key.digest, wanted):
            raise Unauthenticated("this API key is not known", fix="Check that it was copied whole.")
        if key.revoked is not None:
            raise Unauthenticated(f"API key {key.prefix}... was revoked", fix="Use another key.")
        if key.expires is not None and key.expires <= now:
            raise Unauthenticated(
                f"API key {key.prefix}... has expired", fix="Make a new one with `wakeline key create`."
            )
        self._use(key.id, now)
        return key

    def admit(self, operation: Operation, scope: Mapping[str, Any], headers: Mapping[str, str], now: int) -> Caller:
        """Say who asks, if they may do this at all. Raises Unauthenticated, NotAllowed."""
        if operation.reach is Reach.ANYBODY or (operation.reach is Reach.PROVEN and _brings_nothing(scope, headers)):
            return NOBODY
        caller = self.caller(scope, headers, now)
        if caller.grant is not None:
            if not operation.device_token:
                raise NotAllowed(
                    "a device token registers its device, says what it has, and nothing else", fix="Use an API key."
                )
        elif not caller.may(operation.scopes):
            wanted = " or ".join(operation.scopes) or "admin"
            raise NotAllowed(f"this needs the scope {wanted}", fix="Use a key that has it.")
        if operation.reach is Reach.MACHINE and caller is not OPERATOR:
            raise NotAllowed("this is done at the machine itself", fix="Use `wakeline` where the gateway runs.")
        if operation.reach is Reach.INSTALLATION and caller.apps is not None:
            raise NotAllowed(
                "this concerns the whole installation, and the key is bound to apps", fix="Use a key without apps."
            )
        return caller

    def app(self, caller: Caller, path: Mapping[str, str]) -> App:
        """Return the app of the path. Raises NotFound, also where the caller may not know that it exists."""
        slug = path["app"]
        app = self._ports.apps.get(slug)
        grant = caller.grant
        if app is None or not caller.sees(slug) or (grant is not None and grant.app != app.id):
            raise NotFound(f"there is no app {slug[:64]!r}", fix="`GET /v1/apps` lists the apps of this key.")
        if grant is not None and path.get("device") != grant.device_id:
            raise NotAllowed("this device token is for another device")
        return app

    def _use(self, key: int, now: int) -> None:
        self._used[key] = now
        moment = self._ports.clock.monotonic()
        if moment - self._touched >= _TOUCH_EVERY and self._touching is None:
            self._touched = moment
            self._touching = asyncio.get_running_loop().create_task(self.flush())
            self._touching.add_done_callback(lambda _: setattr(self, "_touching", None))

    async def flush(self) -> None:
        """Write when keys were last used: at most once a minute, and when the process stops."""
        used, self._used = self._used, {}
        if not used:
            return
        try:
            await self._ports.keys.touch(used)
        except StorageError as error:
            log.warning("api.key_use_not_kept", keys=len(used), detail=error.detail)


def _brings_nothing(scope: Mapping[str, Any], headers: Mapping[str, str]) -> bool:
    """Tell whether a request neither has a key nor needs one."""
    return not headers.get("authorization") and scope.get(ADMIN_MARK) is not True
