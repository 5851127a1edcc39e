"""Debug windows: for a while, what is sent for an app and what is answered is recorded, of successes too.

Rule: recording costs processor time, so a window is open for at most `[debug] window` of any `[debug] every`, unless the
operator allows it without end (mesibo: "it can be enabled for 3 hours out of every 8 hours"). What was open counts as the
time passes over it: nobody gains by closing late or opening often.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import msgspec
import structlog

from wakeline.model.app import App
from wakeline.model.debug import DebugWindow
from wakeline.model.errors import Conflict
from wakeline.model.moments import worded
from wakeline.pipeline.parts import Parts

_log = structlog.get_logger()

_Times = Sequence[tuple[int, int]]
"""When windows were open, the oldest first: from, until, Unix ms."""


class _Spell(msgspec.Struct, frozen=True):
    """A time in which a window was or is open, Unix ms; `until` may lie ahead, and None is without end."""

    since: int
    until: int | None


class _Kept(msgspec.Struct):
    """What is kept of an app over a restart: its spells, the newest last, and what that one recorded."""

    spells: list[_Spell] = msgspec.field(default_factory=list)
    recorded: int = 0
    spent: float = 0.0


class DebugWindows:
    """The windows of all apps, in memory; as facts in the store, so that a restart neither closes one nor forgives it."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._known: dict[int, _Kept] = {}
        self._open: dict[int, _Kept] = {}

    async def recall(self) -> None:
        """Bring back what was kept."""
        for app in self._parts.apps.all():
            text = await self._parts.facts.get(_name(app.id))
            if text is not None:
                kept = self._known[app.id] = msgspec.json.decode(text, type=_Kept)
                if self._is_open(kept, self._parts.clock.now()):
                    self._open[app.id] = kept

    def records(self, app: int) -> bool:
        """Tell whether the window of an app is open now; a single look-up where it is not."""
        kept = self._open.get(app)
        return kept is not None and self._is_open(kept, self._parts.clock.now())

    def note(self, app: int, requests: int, seconds: float) -> None:
        """Count what was recorded of an app, and the processor time that it took."""
        kept = self._open.get(app)
        if kept is not None:
            kept.recorded += requests
            kept.spent += 1000 * seconds

    def state(self, app: App) -> DebugWindow:
        """Return how the window of an app is."""
        kept = self._known.get(app.id)
        if kept is None or not kept.spells:
            return DebugWindow(open=False)
        now, last = self._parts.clock.now(), kept.spells[-1]
        end, is_open = self._end(last), self._is_open(kept, now)
        return DebugWindow(
            open=is_open,
            since=last.since,
            until=None if end == inf else int(end),
            next_at=0 if is_open else self._next(kept, now),
            recorded=kept.recorded,
            spent=round(kept.spent, 3),
        )

    async def open(self, app: App, *, seconds: int | None = None) -> DebugWindow:
        """Open the window of an app for so long, or as long as may be; one that is open is given this end instead.

        Raises Conflict with the next time at which it may be opened.
        """
        now, kept = self._parts.clock.now(), self._known.get(app.id) or _Kept()
        until = self._until(app, kept, now, seconds)
        if self._is_open(kept, now):
            kept.spells[-1] = _Spell(kept.spells[-1].since, until)
        else:
            kept.spells.append(_Spell(now, until))
            kept.recorded, kept.spent = 0, 0.0
        self._known[app.id] = self._open[app.id] = kept
        await self._keep(app.id, kept)
        _log.info("debug.opened", app=app.slug, until=until)
        return self.state(app)

    async def close(self, app: App) -> DebugWindow:
        """Close the window of an app, if it is open."""
        kept = self._open.pop(app.id, None)
        if kept is not None:
            now, last = self._parts.clock.now(), kept.spells[-1]
            kept.spells[-1] = _Spell(min(last.since, now), int(min(self._end(last), now)))
            await self._keep(app.id, kept)
            _log.info("debug.closed", app=app.slug, recorded=kept.recorded)
        return self.state(app)

    async def tend(self) -> None:
        """Close what has come to its end, keep what was counted, forget the windows of apps that are gone."""
        for app_id in list(self._known):
            app = self._parts.apps.by_id(app_id)
            if app is None:
                self._open.pop(app_id, None)
                del self._known[app_id]
                await self._parts.facts.set(_name(app_id), None)
            elif app_id in self._open and not self.records(app_id):
                await self.close(app)
        for app_id, kept in list(self._open.items()):
            await self._keep(app_id, kept)

    async def _keep(self, app: int, kept: _Kept) -> None:
        """Write what is known of an app, without what no longer counts."""
        since = self._parts.clock.now() - self._every
        kept.spells = [spell for spell in kept.spells[:-1] if self._end(spell) > since] + kept.spells[-1:]
        await self._parts.facts.set(_name(app), msgspec.json.encode(kept).decode())

    def _until(self, app: App, kept: _Kept, now: int, seconds: int | None) -> int | None:
        """Return when a window that is opened now ends."""
        if self._parts.settings.debug.unlimited:
            return None if seconds is None else now + 1000 * seconds
        latest = min(_latest(self._times(kept, now), now, self._window, self._every), now + self._window)
        if latest > now:
            return latest if seconds is None else min(latest, now + 1000 * seconds)
        at = self._next(kept, now)
        raise Conflict(
            f"the debug window of {app.slug} was open for {_span(self._window)} of the last {_span(self._every)}; "
            f"it may be opened again at {worded(at)}",
            fix="Wait until then, or have the operator set [debug] unlimited = true.",
            retry_after=(at - now) / 1000,
        )

    def _next(self, kept: _Kept, now: int) -> int:
        """Return when a window may be opened again, Unix ms; 0 if it may now."""
        if self._parts.settings.debug.unlimited:
            return 0
        total = 0
        for since, until in reversed(self._times(kept, now)):
            total += until - since
            if total >= self._window:
                at = since + total - self._window + self._every
                return at if at > now else 0
        return 0

    def _times(self, kept: _Kept, now: int) -> _Times:
        return [(spell.since, int(min(self._end(spell), now))) for spell in kept.spells if spell.since < now]

    def _is_open(self, kept: _Kept, now: int) -> bool:
        """Tell whether the last window is open; not one that begins later: the clock was ahead when it was opened."""
        last = kept.spells[-1] if kept.spells else None
        return last is not None and now < self._end(last) and last.since - now < self._window

    def _end(self, spell: _Spell) -> float:
        if spell.until is not None:
            return spell.until
        return inf if self._parts.settings.debug.unlimited else spell.since + self._window

    @property
    def _window(self) -> int:
        return 1000 * self._parts.settings.debug.window

    @property
    def _every(self) -> int:
        return 1000 * self._parts.settings.debug.every


def _latest(past: _Times, now: int, window: int, every: int) -> int:
    """Return until when a window may stay open that is opened now, so that no `every` has more than `window` of it.

    While it is open one millisecond is used up for each that passes, and one comes back for each of the past that is left
    behind.
    """
    begin = now - every
    left = window - sum(until - max(since, begin) for since, until in past if until > begin)
    at = now
    for since, until in past:
        if until <= begin:
            continue
        gap = max(0, since + every - at)
        if left < gap or left < 0:
            return at + max(0, left)
        left -= gap
        at = until + every
    return at + max(0, left)


def _span(milliseconds: int) -> str:
    hours = milliseconds / 3_600_000
    return f"{hours:g} hours" if hours >= 1 else f"{milliseconds // 60_000} minutes"


def _name(app: int) -> str:
    return f"debug/{app}"
