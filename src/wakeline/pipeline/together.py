"""Single requests that come in one turn of the loop are taken as one batch: one look-up, one statement a table.

Rule 1: nobody waits for company: a batch is what has come when the loop gets to it, at 64 busy connections some dozens.
Rule 2: what is wrong with one is a value beside the others (`Accept`); what breaks a whole batch before its commit breaks
only those that break alone as well, since each is then taken apart.
Rule 3: a batch has a task, a request has none: who asked is told by a call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, Protocol, TypeVar

import structlog

from wakeline.model.app import App
from wakeline.model.errors import WakelineError

log = structlog.get_logger()

_Asked = TypeVar("_Asked")
_Drafted = TypeVar("_Drafted")
_Answer = TypeVar("_Answer")
_Told_contra = TypeVar("_Told_contra", contravariant=True)


class Waiting(Protocol[_Told_contra]):
    """Who waits for an answer: one of the two is called, once."""

    def answered(self, answer: _Told_contra, /) -> None:
        """Hear what became of it."""

    def failed(self, error: BaseException, /) -> None:
        """Hear what its batch raised."""


class Together(Generic[_Asked, _Drafted, _Answer]):
    """`draft` prepares a batch and changes nothing that lasts, `commit` keeps what was drafted; both answer in order."""

    def __init__(
        self,
        draft: Callable[[App, Sequence[_Asked]], Awaitable[list[_Drafted]]],
        commit: Callable[[Sequence[_Asked], list[_Drafted]], Awaitable[list[_Answer]]],
    ) -> None:
        self._draft = draft
        self._commit = commit
        self._coming: dict[int, list[tuple[_Asked, Waiting[_Answer]]]] = {}
        self._running: set[asyncio.Task[None]] = set()

    def submit(self, app: App, asked: _Asked, waiting: Waiting[_Answer]) -> None:
        """Take one with whatever else comes in this turn; `waiting` is told in a later one."""
        coming = self._coming.get(app.id)
        if coming is None:
            coming = self._coming[app.id] = []
            task = asyncio.get_running_loop().create_task(self._take(app))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        coming.append((asked, waiting))

    async def take(self, app: App, asked: _Asked) -> _Answer:
        """Take one with whatever else comes in this turn. Raises what its batch raised."""
        future: asyncio.Future[_Answer] = asyncio.get_running_loop().create_future()
        self.submit(app, asked, _Awaited(future))
        return await future

    async def _take(self, app: App) -> None:
        await self._run(app, self._coming.pop(app.id))

    async def _run(self, app: App, batch: list[tuple[_Asked, Waiting[_Answer]]]) -> None:
        asked = [one for one, _ in batch]
        try:
            drafted = await self._draft(app, asked)
        except Exception as error:  # noqa: BLE001 - told to those who asked, or tried apart
            if len(batch) == 1 or isinstance(error, WakelineError):
                _fail(batch, error)
            else:
                for pair in batch:
                    await self._run(app, [pair])
            return
        try:
            answers = await self._commit(asked, drafted)
        except BaseException as error:
            _fail(batch, error)
            if not isinstance(error, Exception):
                raise
            return
        for (_, waiting), answer in zip(batch, answers, strict=True):
            _tell(waiting.answered, answer)


class _Awaited(Generic[_Answer]):
    """One who awaits a future, and may have given up."""

    def __init__(self, future: asyncio.Future[_Answer]) -> None:
        self._future = future

    def answered(self, answer: _Answer) -> None:
        if not self._future.done():
            self._future.set_result(answer)

    def failed(self, error: BaseException) -> None:
        if not self._future.done():
            self._future.set_exception(error)


def _fail(batch: list[tuple[_Asked, Waiting[_Answer]]], error: BaseException) -> None:
    for _, waiting in batch:
        _tell(waiting.failed, error)


def _tell(told: Callable[[_Told_contra], None], what: _Told_contra) -> None:
    """Tell one, whose defect must not keep the others waiting."""
    try:
        told(what)
    except Exception:
        log.exception("accept.answer_not_told")
