"""Single requests that come in one turn of the loop are taken as one batch: one look-up, one statement a table.

Rule 1: nobody waits for company: a batch is what has come when the loop gets to it, at 64 busy connections some dozens.
Rule 2: what is wrong with one is a value beside the others (`Accept`); what breaks a whole batch before its commit breaks
only those that break alone as well, since each is then taken apart.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from wakeline.model.app import App
from wakeline.model.errors import WakelineError

_Asked = TypeVar("_Asked")
_Drafted = TypeVar("_Drafted")
_Answer = TypeVar("_Answer")


class Together(Generic[_Asked, _Drafted, _Answer]):
    """`draft` prepares a batch and changes nothing that lasts, `commit` keeps what was drafted; both answer in order."""

    def __init__(
        self,
        draft: Callable[[App, Sequence[_Asked]], Awaitable[list[_Drafted]]],
        commit: Callable[[Sequence[_Asked], list[_Drafted]], Awaitable[list[_Answer]]],
    ) -> None:
        self._draft = draft
        self._commit = commit
        self._waiting: dict[int, list[tuple[_Asked, asyncio.Future[_Answer]]]] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def take(self, app: App, asked: _Asked) -> _Answer:
        """Take one with whatever else comes in this turn. Raises what its batch raised."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[_Answer] = loop.create_future()
        waiting = self._waiting.setdefault(app.id, [])
        waiting.append((asked, answer))
        if len(waiting) == 1:
            loop.call_soon(self._begin, app)
        return await answer

    def _begin(self, app: App) -> None:
        task = asyncio.get_running_loop().create_task(self._run(app, self._waiting.pop(app.id)))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _run(self, app: App, batch: list[tuple[_Asked, asyncio.Future[_Answer]]]) -> None:
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
        for (_, future), answer in zip(batch, answers, strict=True):
            if not future.done():
                future.set_result(answer)


def _fail(batch: list[tuple[_Asked, asyncio.Future[_Answer]]], error: BaseException) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)
