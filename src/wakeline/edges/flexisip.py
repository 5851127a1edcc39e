"""A Flexisip that delegates its pushes to us: what its `external-push-uri` calls (GET or POST, whatever the URI's parameters).

    external-push-uri=https://push.example.org/flexisip?key=wk_...&type=$type&token=$token&app-id=$app-id&event=$event&...

Rules: the API key stands in the URI, for Flexisip sends no header of its own; a key with the scope `send` alone is enough. 200
means that the push is on disk, since for Flexisip nothing else is a success. A repeat (Call-ID, token, event) is one push. What a
POST bears is the text of a message: pushes of liblinphone's apps have no place for it, and it goes no further.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import parse_qsl

import structlog
from starlette.types import Receive, Scope, Send

from wakeline.config import Settings
from wakeline.edges.delegated import Wake, delegate_of, lifetime
from wakeline.edges.rest import head, problems, reading, writing
from wakeline.edges.rest.auth import Gate
from wakeline.edges.rest.caller import Caller
from wakeline.edges.rest.operations import Answer
from wakeline.edges.rest.ports import RestPorts
from wakeline.edges.rest.sending import check_open
from wakeline.model.errors import InvalidRequest, MethodNotAllowed, NotAllowed, WakelineError
from wakeline.model.key import Scope as KeyScope
from wakeline.observe.masking import masked_token
from wakeline.wire.flexisip.payloads import Occasion, Push, instance_text
from wakeline.wire.flexisip.placeholders import Asked, asked

CALL_LASTS = 90
"""Seconds that Flexisip holds a call by default (`call-fork-timeout`)."""

_MOST_PARAMETERS = 64

_log = structlog.get_logger()


class FlexisipDoor:
    """An ASGI application over the parts of the REST edge."""

    def __init__(self, ports: RestPorts) -> None:
        """Nothing is read yet."""
        self._ports = ports
        self._gate = Gate(ports)
        self._delegate = delegate_of(ports)

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
        try:
            await reading.whole(receive, headers)
            return await self._push(scope, headers, request_id)
        except WakelineError as error:
            _log.warning("flexisip.refused", request_id=request_id, code=error.code, detail=error.detail)
            return problems.answer(error, request_id)
        except (reading.Left, asyncio.CancelledError):
            raise
        except Exception as error:  # noqa: BLE001 - a defect of ours must not become a dropped connection
            return problems.unexpected(error, request_id)

    async def _push(self, scope: Scope, headers: Mapping[str, str], request_id: str) -> Answer:
        if scope["method"] not in {"GET", "POST"}:
            raise _other_method()
        query = _query(scope)
        now = self._ports.clock.now()
        caller = self._caller(scope, headers, query, now)
        check_open(self._ports.health.phase)
        found = asked(query)
        push = _push_of(found, self._ports.settings, now)
        wake = Wake(params=found.params, push=push, scope=f"{caller.name} /flexisip", request_id=request_id)
        app, reply = await self._delegate.take(wake, caller)
        _log.info(
            "flexisip.taken",
            request_id=request_id,
            call_id=found.call_id,
            occasion=found.occasion.value,
            app=app.slug,
            token=masked_token(found.token),
        )
        return Answer(status=200, body=reply.body)

    def _caller(self, scope: Scope, headers: Mapping[str, str], query: Mapping[str, str], now: int) -> Caller:
        """Say who asks: by the key in the URI, else as at the API. Raises Unauthenticated, NotAllowed."""
        key = query.get("key")
        caller = self._gate.caller(scope, {"authorization": f"Bearer {key}"} if key else headers, now)
        if not caller.may((KeyScope.SEND,)):
            raise NotAllowed("this needs the scope send", fix="Use a key that has it.")
        return caller


def _push_of(found: Asked, settings: Settings, now: int) -> Push:
    is_call = found.occasion is Occasion.CALL
    return Push(
        occasion=found.occasion,
        ttl=CALL_LASTS if is_call else lifetime(found.occasion, settings),
        at=now,
        call_id=found.call_id,
        uuid=instance_text(found.uid),
        from_uri=found.from_uri,
        from_name=found.from_name,
        to_uri=found.to_uri,
    )


def _query(scope: Scope) -> dict[str, str]:
    """Return the parameters: of one given twice the first. Raises InvalidRequest."""
    try:
        pairs = parse_qsl(
            scope.get("query_string", b"").decode("latin-1"),
            keep_blank_values=True,
            errors="replace",
            max_num_fields=_MOST_PARAMETERS,
        )
    except ValueError:
        raise InvalidRequest(f"the query has more than {_MOST_PARAMETERS} parameters", pointer="/query") from None
    return dict(reversed(pairs))


def _other_method() -> MethodNotAllowed:
    error = MethodNotAllowed("a Flexisip asks with GET or POST")
    error.allowed = ("GET", "POST")
    return error
