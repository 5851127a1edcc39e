"""pushdebug: `enable` opens or closes an app's debug window; without it, the answer says how it is."""

from __future__ import annotations

from wakeline.edges.mesibo.answers import Debugged
from wakeline.edges.rest import debugging
from wakeline.model.app import App
from wakeline.model.debug import DebugWindow
from wakeline.pipeline import Pipeline
from wakeline.wire.mesibo.backend import Asked, Op


async def debug(pipeline: Pipeline, app: App, asked: Asked, *, enable: bool | None) -> Debugged:
    """Do what was asked. Raises Conflict with the next time at which the window may be opened."""
    window = await _window(pipeline, app, enable=enable)
    return Debugged(
        op=Op.DEBUG, result=True, code=200, id=asked.id, enable=int(window.open), debug=debugging.view(window)
    )


async def _window(pipeline: Pipeline, app: App, *, enable: bool | None) -> DebugWindow:
    if enable is None:
        return pipeline.debug.state(app)
    return await (pipeline.debug.open(app) if enable else pipeline.debug.close(app))
