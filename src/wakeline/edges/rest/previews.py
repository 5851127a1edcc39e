"""What a notification would become: for each recipient the request as it would be written, authorization redacted."""

from __future__ import annotations

from datetime import datetime

from wakeline.edges.rest.credentials import id_of
from wakeline.edges.rest.moments import moment, moment_or_none
from wakeline.edges.rest.notification_views import OutcomeView, outcome
from wakeline.edges.rest.operations import Call
from wakeline.edges.rest.shapes import View
from wakeline.model.notification import PushType
from wakeline.pipeline import PreviewItem, PreviewResult
from wakeline.ports import Preview


class RequestView(View, frozen=True, kw_only=True):
    """A request to a provider; the token is masked, the authorization redacted."""

    method: str
    url: str
    headers: dict[str, str]
    body: str


class PreviewItemView(View, frozen=True, kw_only=True):
    """One recipient: what it would get, or why it would get nothing (`outcome`). Sizes in bytes."""

    device: str
    target: str
    due: datetime | None
    host: str
    credential: str | None
    request: RequestView | None
    size: int
    limit: int
    warnings: tuple[str, ...]
    outcome: OutcomeView | None


class PreviewView(View, frozen=True, kw_only=True, omit_defaults=True):
    """A notification as it would be sent. Of an audience that is walked only the first recipients are shown."""

    type: PushType
    lane: str
    due: datetime
    expires: datetime
    requests: tuple[PreviewItemView, ...]
    recipients: int | None = None
    estimate: int | None = None


def view(call: Call, shown: PreviewResult) -> PreviewView:
    """Return a preview as the world sees it."""
    return PreviewView(
        type=shown.type,
        lane=shown.lane.name.lower(),
        due=moment(shown.due),
        expires=moment(shown.expires),
        requests=tuple(_item(call, item) for item in shown.items),
        recipients=shown.recipients,
        estimate=shown.estimate,
    )


def _item(call: Call, item: PreviewItem) -> PreviewItemView:
    credential = None if item.credential is None else call.ports.credentials.get(item.credential)
    return PreviewItemView(
        device=item.device,
        target=item.kind,
        due=moment_or_none(item.due),
        host=item.host,
        credential=None if credential is None else id_of(credential),
        request=None if item.request is None else _request(item.request),
        size=0 if item.request is None else item.request.size,
        limit=0 if item.request is None else item.request.limit,
        warnings=item.warnings,
        outcome=outcome(item.outcome),
    )


def _request(shown: Preview) -> RequestView:
    return RequestView(method=shown.method, url=shown.url, headers=dict(shown.headers), body=shown.body)
