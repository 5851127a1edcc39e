"""Calls as somebody's journal wants them (a portal's call card): begun at the INVITE, ended at BYE, CANCEL or refusal.

Only calls of numbers to users whose journal is kept are remembered, and only while they last. What a restart cuts off is not
ended here: whoever keeps the journal has its own patience.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Coroutine, Iterable

import msgspec
import structlog

from wakeline.model.errors import WakelineError
from wakeline.model.sip.binding import Binding
from wakeline.ports import Clock
from wakeline.ports.bitrix24_connector import CallBegan, CallEnded, CallJournal
from wakeline.wire.sip.broken import Broken
from wakeline.wire.sip.headers import NameAddr
from wakeline.wire.sip.message import Request
from wakeline.wire.sip.pieces import unescape
from wakeline.wire.sip.uri import parse_uri

MOST = 10_000
"""Calls that are remembered: a call whose BYE never comes stays until as many others began."""

_PHONE = re.compile(r"\+?[0-9][0-9 ()./-]{1,38}[0-9]")

_log = structlog.get_logger()


class _Record(msgspec.Struct, kw_only=True):
    """A call; `talking` since, Unix ms, 0: nobody answered yet. `told` is what was told of it last."""

    aor: str
    apps: tuple[int, ...]
    talking: int = 0
    told: asyncio.Task[None] | None = None


class CallRecords:
    """Tells a journal of calls."""

    def __init__(self, journal: CallJournal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._calls: OrderedDict[str, _Record] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    def began(self, request: Request, aor: str, bindings: Iterable[Binding]) -> None:
        """Note an INVITE to an address-of-record."""
        apps = {each.app for each in bindings if each.app}
        kept = tuple(app for app in sorted(apps) if self._journal.keeps(app, aor))
        call_id, phone = request.call_id, _phone(request.from_)
        if not kept or not phone or call_id in self._calls:
            return
        record = self._calls[call_id] = _Record(aor=aor, apps=kept)
        if len(self._calls) > MOST:
            self._calls.popitem(last=False)
        called = _number(_user(request.uri))
        calls = [
            CallBegan(
                app=app,
                call_id=call_id,
                users=(aor,),
                phone=phone,
                at=self._clock.now(),
                line=called,
            )
            for app in kept
        ]
        record.told = self._spawn(self._tell_began(calls))

    def answered(self, call_id: str, aor: str, status: int) -> None:
        """Note the final status of an INVITE; with a 2xx the call goes on until its BYE.

        A proxy before us may call several users at once by one Call-ID: the journal has the first, and hears of no other.
        """
        record = self._calls.get(call_id)
        if record is None or record.aor != aor:
            return
        if status < 300:
            record.talking = self._clock.now()
        else:
            self._end(call_id, record, status, 0)

    def hung_up(self, call_id: str) -> None:
        """Note a BYE."""
        record = self._calls.get(call_id)
        if record is not None and record.talking:
            self._end(call_id, record, 200, (self._clock.now() - record.talking) // 1000)

    async def close(self) -> None:
        """Wait for what is being told."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _end(self, call_id: str, record: _Record, status: int, duration: int) -> None:
        del self._calls[call_id]
        now = self._clock.now()
        ended = [
            CallEnded(
                app=app,
                call_id=call_id,
                duration=duration,
                status=status,
                at=now,
                user=record.aor if record.talking else "",
            )
            for app in record.apps
        ]
        self._spawn(self._tell_ended(ended, record.told))

    async def _tell_began(self, calls: list[CallBegan]) -> None:
        try:
            await self._journal.began(calls)
        except WakelineError as error:
            _log.warning("sip.call_not_noted", call_id=calls[0].call_id, reason=error.detail)

    async def _tell_ended(self, calls: list[CallEnded], after: asyncio.Task[None] | None) -> None:
        if after is not None:
            await asyncio.wait({after})
        try:
            for call in calls:
                await self._journal.ended(call)
        except WakelineError as error:
            _log.warning("sip.call_end_not_noted", call_id=calls[0].call_id, reason=error.detail)

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _phone(caller: NameAddr) -> str:
    """Return the number of who calls: the user of the address, else the name beside it; empty: neither is a number."""
    return _number(_user(caller.uri)) or _number(caller.display)


def _user(uri: str) -> str:
    try:
        return unescape(parse_uri(uri).user)
    except Broken:
        return ""


def _number(text: str) -> str:
    return text if _PHONE.fullmatch(text) else ""
