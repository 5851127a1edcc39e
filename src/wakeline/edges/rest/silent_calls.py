"""Which calls would be lost for want of a credential, as the list of credentials and the state of health say it."""

from __future__ import annotations

from wakeline.edges.rest.operations import Call
from wakeline.model.app import App
from wakeline.pipeline import coverage


async def silent_calls(call: Call, app: App) -> tuple[str, ...]:
    """Say for which VoIP tokens of an app no credential can send a call."""
    places = await call.ports.devices.voip_places(app.id)
    return coverage.silent_calls(app, call.ports.credentials.of_app(app.id), places, call.now)
