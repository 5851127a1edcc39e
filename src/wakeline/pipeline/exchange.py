"""What was sent and what was answered, recorded for whoever asks why a push did not arrive.

Rule 1: a failure is recorded while a webhook is told of the failures of its app, or somebody follows events; in a debug
window successes are, too.
Where neither is so, it costs a look-up a shipment.
Rule 2: a request is written out again, as its provider says that it was written, when its event is: at most `MOST` a second,
so that a broken broadcast costs nothing to speak of. What is beyond that says so.
Rule 3: nothing secret is in it: authorization is redacted and tokens are masked, and the body, which bears the message, is
left out where the app keeps no content.
"""

from __future__ import annotations

from time import perf_counter
from typing import NamedTuple

import msgspec
import structlog

from wakeline.model.credential import Credential
from wakeline.model.device import Recipient
from wakeline.model.event import Event, EventType, ReceivedResponse, SentRequest
from wakeline.model.notification import Notification
from wakeline.model.outcome import Outcome, OutcomeClass
from wakeline.model.route import Route
from wakeline.observe.masking import masked_text, masked_token
from wakeline.pipeline.debugging import DebugWindows
from wakeline.pipeline.parts import Parts
from wakeline.wire import receipt_token

_log = structlog.get_logger()

MOST = 200
"""Exchanges a second."""

_TOO_MANY = f"The request and the answer's text are not recorded: more than {MOST} a second were to be."
_NO_CONTENT = "The request's body is left out: the app keeps no content."
_NOT_WRITTEN_OUT = "The request could not be written out again."


class Sent(NamedTuple):
    """With what a request went out, the route as its provider saw it, and what was answered."""

    route: Route
    credential: Credential
    code: int = 200
    reason: str = ""
    body: str = ""


def of_answer(sent: Sent | None, outcome: Outcome) -> Sent | None:
    """Return what to record of an answer; None if no request was written, for then there is nothing to show."""
    if sent is None or not (outcome.status or outcome.outcome_class is OutcomeClass.UNKNOWN):
        return None
    return sent._replace(code=outcome.status or outcome.code, reason=outcome.reason, body=outcome.body)


class Recorder:
    """Says what is recorded, and writes it into events."""

    def __init__(self, parts: Parts, debug: DebugWindows) -> None:
        self._parts = parts
        self._debug = debug
        self._second = -1
        self._made = 0

    def successes(self, app: int) -> bool:
        """Tell whether requests that were accepted are recorded now."""
        return self._debug.records(app)

    def failures(self, app: int) -> bool:
        """Tell whether requests that failed are recorded now."""
        return self._parts.told(EventType.PUSH_FAILED, app) or self._debug.records(app)

    def told(self, event: Event, sent: Sent, notification: Notification, recipient: Recipient) -> Event:
        """Return an event with the request that it is about, and the text of the answer."""
        if not self._may():
            return _with(event, note=_TOO_MANY)
        begun = perf_counter()
        try:
            request = self._request(sent, notification, recipient, event.at)
        except Exception:  # noqa: BLE001 - the event itself is to be told whatever is wrong with its request
            _log.exception("exchange.cannot_be_written", notification=event.data.notification)
            return _with(event, note=_NOT_WRITTEN_OUT)
        body, note = masked_text(sent.body), ""
        if not self._keeps_content(notification):
            request, body, note = _without_content(request), "", _NO_CONTENT
        response = ReceivedResponse(code=sent.code, reason=sent.reason, body=body)
        told = _with(event, request=request, response=response, note=note)
        self._debug.note(notification.app, 1, perf_counter() - begun)
        return told

    def _request(self, sent: Sent, notification: Notification, recipient: Recipient, at: int) -> SentRequest:
        provider = self._parts.providers[sent.route.provider]
        shown = provider.preview(notification, sent.route, sent.credential, recipient, at)
        body = _without_receipt(shown.body, notification)
        return SentRequest(method=shown.method, url=shown.url, headers=shown.headers, body=body)

    def _keeps_content(self, notification: Notification) -> bool:
        app = self._parts.apps.by_id(notification.app)
        return app is not None and app.settings.keep_content

    def _may(self) -> bool:
        """Count an exchange; tell whether there is room for it in this second."""
        second = int(self._parts.clock.monotonic())
        if second != self._second:
            self._second, self._made = second, 0
        self._made += 1
        return self._made <= MOST


def _without_content(request: SentRequest) -> SentRequest:
    """Leave out the message, and what of it is filled into an external push URI (`$from-name` and its like)."""
    headers = tuple(header for header in request.headers if not header[0].startswith("$"))
    return msgspec.structs.replace(request, headers=headers, body="")


def _without_receipt(body: str, notification: Notification) -> str:
    """Mask the token with which whoever has it may say that the push was seen."""
    ours = notification.content.data.get(receipt_token.FIELD)
    token = ours.get("receipt") if isinstance(ours, dict) else None
    return body.replace(token, masked_token(token)) if isinstance(token, str) and token else body


def _with(event: Event, **data: object) -> Event:
    return msgspec.structs.replace(event, data=msgspec.structs.replace(event.data, **data))
