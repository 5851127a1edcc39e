"""The broker as an ASGI application: one handler for `/send/`, `/pub/`, `/bitrix24/send/` and `/bitrix24/pub/`.

GET: there is a push service here, no more. POST: a form `Action=SendMessage&MessageBody=<batch>` with the licence key in the
query, or JSON with the key in each object or in the query. A portal appends `?key=<licence hash>` to whatever URL it is given,
so that a key of our own in that URL ends up beside the portal's: each of them may be the one that is bound.
"""

from __future__ import annotations

import asyncio
import hmac
import math
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import parse_qsl

import msgspec
import structlog
from starlette.types import Receive, Scope, Send

from wakeline.edges.bitrix24.broker import results
from wakeline.edges.bitrix24.broker.ports import BrokerPorts
from wakeline.edges.bitrix24.broker.results import Reply, Result
from wakeline.edges.bitrix24.broker.sources import Sources
from wakeline.edges.bitrix24.broker.taking import take
from wakeline.edges.rest import head, reading
from wakeline.model.app import App
from wakeline.model.bitrix24.broker import PortalKey, key_digest
from wakeline.model.errors import BodyTooLarge, RemoteProtocolError, WakelineError
from wakeline.pipeline.accept import RETRY_AFTER
from wakeline.wire import bitrix_broker, php_form
from wakeline.wire.bitrix_broker import Asked, Entry, Unreadable

_MOST_KEYS = 4
_MOST_FIELDS = 64
_STRANGER = "This licence key is bound to no app"
_BIND = "Bind it with `wakeline bitrix24 key add --app APP --key KEY`."
_RETRY = math.ceil(RETRY_AFTER)

_log = structlog.get_logger()


class Broker:
    """An ASGI application over these ports."""

    def __init__(self, ports: BrokerPorts) -> None:
        """Nothing is read yet."""
        self._ports = ports
        self._sources = Sources(ports)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        headers = head.headers_of(scope["headers"])
        request_id = head.request_id(headers)
        try:
            reply = await self._answer(scope, receive, headers, request_id)
        except reading.Left:
            return
        await _send(send, reply, request_id, head=scope["method"] == "HEAD")

    async def _answer(self, scope: Scope, receive: Receive, headers: Mapping[str, str], request_id: str) -> Reply:
        if scope["method"] in {"GET", "HEAD", "OPTIONS"}:
            return results.ready()
        if scope["method"] != "POST":
            return results.refused(HTTPStatus.METHOD_NOT_ALLOWED, "Pushes are posted here", as_json=False)
        if wait := self._ports.strangers.wait(_address(scope)):
            return _shut_out(headers, wait)
        as_json = "json" in headers.get("content-type", "").lower()
        try:
            data = await reading.whole(receive, headers)
            as_json = as_json or data.lstrip()[:1] in {b"{", b"["}
            return await (self._json if as_json else self._form)(scope, data, request_id)
        except (reading.Left, asyncio.CancelledError):
            raise
        except (BodyTooLarge, RemoteProtocolError) as error:
            return results.refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, error.detail, as_json=as_json)
        except WakelineError as error:
            return results.refused(error.status, error.detail, as_json=as_json)
        except Exception:  # noqa: BLE001 - a defect of ours must not become a dropped connection
            _log.exception("bitrix24.broker.defect", request_id=request_id)
            cause = f"Something failed inside the gateway; its log has it under {request_id}"
            return results.refused(HTTPStatus.INTERNAL_SERVER_ERROR, cause, as_json=as_json)

    async def _form(self, scope: Scope, data: bytes, request_id: str) -> Reply:
        fields = php_form.parse(data.decode("utf-8", "replace"))
        batch, own = (value if isinstance(value := fields.get(name), str) else "" for name in ("MessageBody", "key"))
        bound = self._bound([*_keys(scope), own])
        if bound is None:
            self._ports.strangers.failed(_address(scope))
            _log_stranger(scope, request_id)
            return results.refused(HTTPStatus.UNAUTHORIZED, f"{_STRANGER}. {_BIND}", as_json=False)
        entries = bitrix_broker.batch(batch)
        return results.in_xml(await self._take(scope, *bound, entries, request_id), _RETRY)

    async def _json(self, scope: Scope, data: bytes, request_id: str) -> Reply:
        asked, alone = bitrix_broker.asked(data)
        of_query = _keys(scope)
        found: list[Result] = []
        for key in dict.fromkeys(one.key for one in asked):
            items = [one for one in asked if one.key == key]
            found += await self._of_key(scope, [key] if key else of_query, items, request_id)
        if any(one.stranger for one in found):
            _log_stranger(scope, request_id)
        return results.in_json(sorted(found, key=lambda one: one.number), _RETRY, alone=alone)

    async def _of_key(self, scope: Scope, keys: list[str], items: list[Asked], request_id: str) -> list[Result]:
        bound = self._bound(keys)
        if bound is None:
            self._ports.strangers.failed(_address(scope))
            return [
                Result(number=one.entry.number, token=one.token, cause=_STRANGER, fix=_BIND, stranger=True)
                for one in items
            ]
        tokens = {one.entry.number: one.token for one in items}
        found = await self._take(scope, *bound, [one.entry for one in items], request_id)
        return [msgspec.structs.replace(one, token=tokens[one.number]) for one in found]

    async def _take(
        self, scope: Scope, app: App, key: PortalKey, entries: list[Entry | Unreadable], request_id: str
    ) -> list[Result]:
        found = await take(self._ports, app, key, entries, request_id)
        _log.info(
            "bitrix24.broker.taken",
            request_id=request_id,
            app=app.slug,
            portal_key=key.id,
            taken=sum(one.taken for one in found),
            refused=sum(not one.taken for one in found),
        )
        host = next((one.host for one in entries if one.host), "")
        await self._sources.note(app, key.digest, host, _address(scope))
        return found

    def _bound(self, keys: list[str]) -> tuple[App, PortalKey] | None:
        """Return the first of these keys that is bound, with its app."""
        for text in keys[:_MOST_KEYS]:
            digest = key_digest(text)
            key = self._ports.keys.by_digest(digest) if text else None
            if key is not None and hmac.compare_digest(key.digest, digest):
                app = self._ports.apps.by_id(key.app)
                return None if app is None else (app, key)
        return None


def _keys(scope: Scope) -> list[str]:
    """Return the keys of a query: a portal that was given a URL with a query appends another question mark."""
    try:
        pairs = parse_qsl(scope.get("query_string", b"").decode("latin-1"), max_num_fields=_MOST_FIELDS)
    except ValueError:
        return []
    said = [f"{name}={value}" for name, value in pairs]
    parts = [part for text in said for part in text.split("?")]
    return [part.removeprefix("key=") for part in parts if part.startswith("key=")]


def _shut_out(headers: Mapping[str, str], seconds: float) -> Reply:
    return results.refused(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Too many unknown licence keys came from this address",
        as_json="json" in headers.get("content-type", "").lower(),
        retry_after=math.ceil(seconds),
    )


def _log_stranger(scope: Scope, request_id: str) -> None:
    _log.warning("bitrix24.broker.key_unknown", request_id=request_id, address=_address(scope))


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""


async def _send(send: Send, reply: Reply, request_id: str, *, head: bool) -> None:
    headers = [
        (b"content-type", reply.media),
        (b"content-length", b"%d" % len(reply.body)),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"x-request-id", request_id.encode()),
    ]
    if reply.retry_after is not None:
        headers.append((b"retry-after", b"%d" % reply.retry_after))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else reply.body})
