"""The door of mesibo's backend API as an ASGI application.

body -> what is asked -> whose token is it -> which app -> the operation -> JSON

Rules: the token is an API key with the scope that the REST API wants for the same; it stands in the body, where mesibo has it, or
in the Authorization header. Wrong tokens are counted by address: after too many the next are refused without a judgement, right
ones never.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec
import structlog
from starlette.types import Receive, Scope, Send

from wakeline.edges.bitrix24.strangers import Strangers
from wakeline.edges.mesibo import answers, request
from wakeline.edges.mesibo.answers import Said
from wakeline.edges.mesibo.debugging import debug
from wakeline.edges.mesibo.testing import PATIENCE, PushTests
from wakeline.edges.mesibo.uploading import upload
from wakeline.edges.rest import credentials, head, problems, reading, writing
from wakeline.edges.rest.auth import Gate
from wakeline.edges.rest.caller import Caller
from wakeline.edges.rest.operations import Answer, Call, Media
from wakeline.edges.rest.ports import RestPorts
from wakeline.edges.rest.sending import check_open
from wakeline.model.app import App
from wakeline.model.errors import (
    InvalidRequest,
    NotAllowed,
    NotFound,
    RateLimited,
    Unauthenticated,
    WakelineError,
)
from wakeline.model.key import Scope as KeyScope
from wakeline.wire.mesibo.backend import Asked, Op, asked, op_of, switch

WRONG_TOKENS = 50
"""Wrong tokens a minute that one address may come with."""

_log = structlog.get_logger()
_NOTHING = Asked(op="", token="", id=None, app="", params={})


class MesiboDoor:
    """An ASGI application over the parts of the REST edge; `patience`: seconds that a test waits for push services."""

    def __init__(self, ports: RestPorts, patience: float = PATIENCE) -> None:
        """Nothing is read yet."""
        self._ports = ports
        self._gate = Gate(ports)
        self._strangers = Strangers(ports.clock, lambda: WRONG_TOKENS, "mesibo")
        self._tests = PushTests(ports, patience)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        headers = head.headers_of(scope["headers"])
        request_id = head.request_id(headers)
        try:
            answer = await self._answer(scope, receive, headers, request_id)
        except reading.Left:
            return
        await writing.answer(answer, request_id, send, head=scope["method"] == "HEAD")

    async def close(self) -> None:
        """Keep when keys were last used."""
        await self._gate.flush()

    async def _answer(self, scope: Scope, receive: Receive, headers: Mapping[str, str], request_id: str) -> Answer:
        found = _NOTHING
        try:
            found = asked(await request.read(scope, receive, headers))
            return Answer(body=await self._serve(scope, headers, found, request_id))
        except (reading.Left, asyncio.CancelledError):
            raise
        except WakelineError as error:
            _log.warning("mesibo.refused", request_id=request_id, op=found.op, code=error.code, detail=error.detail)
            refusal = problems.answer(error, request_id)
        except Exception as error:  # noqa: BLE001 - a defect of ours must not become a dropped connection
            refusal = problems.unexpected(error, request_id)
        said = answers.refused(refusal.body, found.op, found.id)
        return msgspec.structs.replace(refusal, body=said, media=Media.JSON)

    async def _serve(self, scope: Scope, headers: Mapping[str, str], found: Asked, request_id: str) -> Said:
        now = self._ports.clock.now()
        caller = self._caller(scope, headers, found.token, now)
        op = op_of(found.op)
        enable = switch(found.params, "enable") if op is Op.DEBUG else None
        _check_scope(caller, _scope_of(op, enable=enable))
        app = self._app(caller, found.app)
        match op:
            case Op.UPLOAD:
                check_open(self._ports.health.phase)
                call = self._call(app, caller, headers, request_id, now)
                return await upload(call, found)
            case Op.TEST:
                check_open(self._ports.health.phase)
                if caller.quota is not None:
                    caller.quota.take()
                return await self._tests.run(app, found, request_id)
            case Op.DEBUG:
                return await debug(self._ports.pipeline, app, found, enable=enable)

    def _caller(self, scope: Scope, headers: Mapping[str, str], token: str, now: int) -> Caller:
        """Say who asks. Raises Unauthenticated, or RateLimited where too many tokens were wrong before."""
        given = {"authorization": f"Bearer {token}"} if token else headers
        try:
            return self._gate.caller(scope, given, now)
        except Unauthenticated:
            client = scope.get("client")
            address = client[0] if client else ""
            if wait := self._strangers.wait(address):
                raise RateLimited(
                    "too many wrong tokens came from this address", fix="Use a valid token.", retry_after=wait
                ) from None
            self._strangers.failed(address)
            if "authorization" not in given:
                raise Unauthenticated(
                    "the request has no token",
                    fix="Send an API key as `token`; `wakeline key create --app APP` makes one.",
                ) from None
            raise

    def _app(self, caller: Caller, named: str) -> App:
        """Return the app: the one that is named, by id or by number, or the only one of the token.

        Raises InvalidRequest where none is named, NotFound, also where the caller may not know that it exists.
        """
        if not named and (caller.apps is None or len(caller.apps) != 1):
            raise InvalidRequest(
                "the token is not bound to one app, and the request names none",
                pointer="/app",
                fix="Say which with `app`, or use a key of `wakeline key create --app APP`.",
            )
        slug = named or next(iter(caller.apps or ()))
        app = self._ports.apps.get(slug)
        if app is None and slug.isascii() and slug.isdigit():
            app = next((one for one in self._ports.apps.all() if str(one.id) == slug), None)
        if app is None or not caller.sees(app.slug):
            raise NotFound(f"there is no app {slug[:64]!r}", fix="`wakeline app list` shows the apps.")
        return app

    def _call(self, app: App, caller: Caller, headers: Mapping[str, str], request_id: str, now: int) -> Call:
        """Return what the REST API would have of this request: an upload is its upload."""
        return Call(
            ports=self._ports,
            operation=credentials.OPERATIONS[0],
            operations=credentials.OPERATIONS,
            caller=caller,
            path={"app": app.slug},
            url_path="",
            headers=headers,
            request_id=request_id,
            now=now,
            resolved=app,
        )


def _scope_of(op: Op, *, enable: bool | None) -> KeyScope:
    match op:
        case Op.UPLOAD:
            return KeyScope.CREDENTIALS
        case Op.TEST:
            return KeyScope.SEND
        case Op.DEBUG:
            return KeyScope.READ if enable is None else KeyScope.ADMIN


def _check_scope(caller: Caller, scope: KeyScope) -> None:
    if not caller.may((scope,)):
        raise NotAllowed(f"this needs the scope {scope}", fix="Use a key that has it.")
