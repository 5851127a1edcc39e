"""Webhooks: one signed message to one endpoint of somebody's, over HTTP/1.1, behind the guard.

Whatever goes wrong is an answer in words. Nothing is followed: a redirect is a failure, since the address that it names was
neither given by the endpoint's owner nor judged. Source: Standard Webhooks specification 1.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from email.utils import formatdate
from http import HTTPStatus

import structlog

from wakeline import __version__, config
from wakeline.model.errors import AddressRefused, TransportError
from wakeline.model.event import Event
from wakeline.model.ids import uuid_at
from wakeline.model.webhook import Endpoint, EndpointSecret, Shape
from wakeline.ports import Apps, Clock, Credentials, HttpAnswer, HttpClient
from wakeline.ports.webhooks import Said
from wakeline.wire import event_json, standard_webhooks
from wakeline.wire.mesibo import push_event
from wakeline.wire.outcomes.body import seconds

_HEADERS = {"content-type": "application/json", "user-agent": f"wakeline/{__version__}"}

_log = structlog.get_logger()


class WebhookPost:
    """Implements `ports.webhooks.WebhookSender`; `http` is the client whose guard is that of [webhooks]."""

    def __init__(
        self, settings: config.Webhooks, clock: Clock, http: HttpClient, *, apps: Apps, credentials: Credentials
    ) -> None:
        self._timeout = settings.timeout
        self._clock = clock
        self._http = http
        self._apps = apps
        self._credentials = credentials

    async def send(self, endpoint: Endpoint, secrets: Sequence[EndpointSecret], event: Event) -> Said:
        """Sign with every secret in force now, POST, and say what came back."""
        body = self._written(endpoint.shape, event)
        began, now = self._clock.monotonic(), self._clock.now()
        keys = [secret.value for secret in secrets if secret.until is None or secret.until > now]
        signed = standard_webhooks.headers(keys, endpoint.message_id(event.seq), now // 1000, body)
        try:
            answer = await self._http.post(endpoint.url, body, _HEADERS | signed, timeout=self._timeout)
        except AddressRefused as error:
            detail = f"{error.detail}; [webhooks] allow_private and allow_http say where webhooks may go"
            return Said(status=0, detail=detail, duration=self._since(began))
        except TransportError as error:
            return Said(status=0, detail=error.detail, duration=self._since(began))
        except Exception as error:  # noqa: BLE001 - what no library expected must not end the telling of all others
            _log.exception("webhook.defect", endpoint=endpoint.public_id)
            return Said(
                status=0, detail=f"a defect of the gateway: {type(error).__name__}", duration=self._since(began)
            )
        return _said(answer, self._since(began), self._clock.now())

    def _written(self, shape: Shape, event: Event) -> bytes:
        known = self._credentials.get(event.data.credential) if event.data.credential else None
        credential = uuid_at(known.created, known.id) if known is not None else str(event.data.credential or "")
        if shape is Shape.STANDARD:
            return event_json.write(event, credential)
        app = self._apps.get(event.app)
        return push_event.write(event, aid=0 if app is None else app.id, credential=credential)

    def _since(self, began: float) -> int:
        return round(1000 * (self._clock.monotonic() - began))


def _said(answer: HttpAnswer, duration: int, now: int) -> Said:
    status = answer.status
    if 200 <= status < 300:
        return Said(status=status, duration=duration)
    detail = (
        "it redirects, which is not followed: give the URL that it leads to" if 300 <= status < 400 else _phrase(status)
    )
    # Small programs send no Date; our clock is better than not to wait at all.
    wait, date = (
        answer.headers.get("retry-after", ""),
        answer.headers.get("date") or formatdate(now / 1000, usegmt=True),
    )
    return Said(
        status=status,
        detail=detail,
        retry_after=seconds(wait.encode("latin-1"), date.encode("latin-1")),
        duration=duration,
    )


def _phrase(status: int) -> str:
    """Return the standard's words for a status: those of the answer itself may hold anything."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
