"""Group commit: callers share a transaction, and its fsync, without a timer.

Each caller's statements run on the loop's thread inside a savepoint of their own, so that one that fails takes nobody with
it. The COMMIT runs in a helper thread; whoever calls meanwhile forms the next group. Memory follows the disk: `on_commit`
callbacks run after the COMMIT, `on_rollback` callbacks when the caller's part was undone.

Urgent callers (calls) go first, and their group is a short one. Of the others one goes along with every second such group:
with calls without end their results would be written never.

Patient callers, who have thousands of parts, share larger groups: the loop breathes after each part, and whoever else comes
then goes first and has the group end. Unhurried callers wait some milliseconds for company; whoever is in a hurry takes them along.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Any, TypeVar

import structlog

from wakeline.model.errors import StoreUnavailable
from wakeline.storage.sqlite.folding import Folding
from wakeline.storage.sqlite.transaction import Errand, Member, Transaction
from wakeline.storage.sqlite.unhurried import Unhurried

BUDGET = 0.005
"""Seconds that statements of one group may keep the loop; the rest joins the next group."""

BUDGET_ALONE = 0.2
"""The same for a command that has the store for itself: nobody waits for its loop."""

BUDGET_URGENT = 0.001
"""The same for a group that holds something urgent."""

PATIENCE, LONGEST_PATIENCE = 0.03, 0.5
"""Seconds that a group of patient callers may take, the loop's breaths included: as long as the last commit took, within these."""

_T = TypeVar("_T")
_log = structlog.get_logger()


class Writer:
    """The only connection that writes a file. `failure` says why the last commit failed, `failed_at` (perf_counter) when.

    `relieve` is called when the disk is full and tells whether it made room; then what is essential is tried once more.
    `budget` is in seconds, see BUDGET.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        name: str,
        relieve: Callable[[], bool],
        *,
        budget: float = BUDGET,
        folding: Folding | None = None,
    ) -> None:
        self.last_commit_seconds = 0.0
        self.failure = ""
        self.failed_at = 0.0
        self._changes = 0
        self._passed_over = False
        """The last group was urgent, and had no time for somebody else who waited."""
        self._connection = connection
        self._relieve = relieve
        self._budget = budget
        self._folding = folding
        self._fold: asyncio.Task[None] | None = None
        self._urgent: deque[Member[Any]] = deque()
        self._waiting: deque[Member[Any]] = deque()
        self._patient: deque[Member[Any]] = deque()
        self._unhurried: Unhurried[Member[Any]] = Unhurried(self._end_pause)
        self._errands: deque[Errand] = deque()
        self._runner: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"commit-{name}")
        self._closed = False

    async def write(
        self,
        work: Callable[[Transaction], _T],
        *,
        essential: bool = False,
        patient: bool = False,
        urgent: bool = False,
        unhurried: bool = False,
    ) -> _T:
        """Run `work` in the next group and return its result once it is on disk.

        Raises what `work` raises, and StoreUnavailable if the database would not take it; then nothing of it was kept.
        `essential` work is tried again if room could be made on a full disk. `patient` work lets others go first, `urgent`
        work goes before others, `unhurried` work waits for company (never behind what was called after it by one who is
        neither); each keeps the order of its own kind.
        """
        self._check_open()
        future: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
        member = Member(work, future, essential=essential)
        if unhurried and not self._queue:
            self._unhurried.put(member, busy=self._runner is not None)
        else:
            self._take_along()
            waiting = self._urgent if urgent else self._patient if patient else self._waiting
            waiting.append(member)
            self._start()
        return await future

    def _take_along(self) -> None:
        """Have the unhurried go as well, before what is called now."""
        if self._unhurried.callers:
            self._waiting += self._unhurried.take()

    def _end_pause(self) -> None:
        self._take_along()
        self._start()

    async def errand(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """Run `work` in the helper thread between two groups. Raises StoreUnavailable."""
        self._check_open()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._errands.append(Errand(work, future))
        self._start()
        await future

    async def close(self) -> None:
        """Finish what was called, then close the connection; later calls get StoreUnavailable."""
        self._end_pause()
        self._closed = True
        if self._runner is not None:
            await self._runner
        if self._fold is not None:
            await self._fold
        if self._folding is not None:
            self._folding.close()
        self._thread.shutdown()
        self._connection.close()

    def _check_open(self) -> None:
        """Refuse what is called too late, and nothing of what was called in time and still waits."""
        if self._closed:
            raise StoreUnavailable("The store is closed")

    def _start(self) -> None:
        if self._runner is None:
            self._runner = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        try:
            while self._queue or self._errands:
                while self._errands:
                    await self._run_errand(self._errands.popleft())
                members = await self._collect()
                if members:
                    await self._commit(members)
        finally:
            self._runner = None
            self._unhurried.rest()

    @property
    def _queue(self) -> deque[Member[Any]]:
        """Who goes next."""
        return self._urgent or self._waiting or self._patient

    async def _run_errand(self, errand: Errand) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._thread, errand.work, self._connection)
        except sqlite3.Error as error:
            errand.fail(unavailable(error))
        else:
            errand.keep()

    async def _collect(self) -> list[Member[Any]]:
        """Run the statements of those who wait; return those whose part succeeded, with the transaction open."""
        members: list[Member[Any]] = []
        urgent = others = False
        if not self._queue:
            return members
        started = perf_counter()
        budget = max(self._budget, PATIENCE, min(self.last_commit_seconds, LONGEST_PATIENCE))
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._changes = self._connection.total_changes
        except sqlite3.Error as error:
            self._give_up([self._queue.popleft()], error)
            return members
        while waiting := self._queue:
            if members and perf_counter() - started >= budget:
                if others or not (self._passed_over and self._waiting):
                    break
                waiting = self._waiting
            member = waiting.popleft()
            fatal = None if member.future.cancelled() else self._run_member(member)
            if fatal is not None:
                self._give_up([*members, member], fatal)
                return []
            if member.transaction is not None and not member.future.done():
                members.append(member)
            urgent, others = urgent or waiting is self._urgent, others or waiting is not self._urgent
            if waiting is self._patient:
                await asyncio.sleep(0)
            else:
                budget = BUDGET_URGENT if urgent else self._budget
        self._passed_over = not others and bool(self._waiting)
        if not members:
            self._connection.execute("ROLLBACK")
        return members

    def _run_member(self, member: Member[Any]) -> sqlite3.Error | None:
        """Run one part in a savepoint. Returns the error that ended the whole transaction, if one did."""
        execute = self._connection.execute
        execute("SAVEPOINT member")
        try:
            member.run(self._connection)
        except Exception as error:  # noqa: BLE001 - whatever a caller's part raises is that caller's
            if isinstance(error, sqlite3.Error) and (_full(error) or not self._connection.in_transaction):
                return error
            execute("ROLLBACK TO member")
            execute("RELEASE member")
            member.fail(unavailable(error) if isinstance(error, sqlite3.Error) else error)
        else:
            execute("RELEASE member")
        return None

    async def _commit(self, members: list[Member[Any]]) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._connection.total_changes == self._changes:
            self._commit_now(members, done, lambda told, *said: told(*said))  # nothing waits for the disk
        else:
            told = asyncio.get_running_loop().call_soon_threadsafe
            self._thread.submit(self._commit_now, members, done, told)
        await done

    def _commit_now(self, members: list[Member[Any]], done: asyncio.Future[None], tell: Callable[..., object]) -> None:
        """Commit, and have the loop's next turn tell everybody: a future between thread and task would cost one more turn."""
        started = perf_counter()
        failure: BaseException | None = None
        try:
            self._connection.execute("COMMIT")
        except BaseException as error:  # noqa: BLE001 - the loop has to hear of it
            failure = error
        tell(self._committed, members, done, failure, perf_counter() - started)

    def _committed(
        self, members: list[Member[Any]], done: asyncio.Future[None], failure: BaseException | None, seconds: float
    ) -> None:
        """Tell the callers of a group what became of it."""
        if failure is None:
            self.last_commit_seconds, self.failure = seconds, ""
            for member in members:
                member.keep()
            self._count()
            done.set_result(None)
        elif isinstance(failure, sqlite3.Error):
            self._give_up(members, failure)
            done.set_result(None)
        else:
            done.set_exception(failure)

    def _count(self) -> None:
        if self._folding is not None and self._folding.count() and self._fold is None and not self._closed:
            self._fold = asyncio.get_running_loop().create_task(self._fold_log(self._folding))

    async def _fold_log(self, folding: Folding) -> None:
        """Fold the log beside the commits, and between two of them what these added meanwhile."""
        try:
            await asyncio.get_running_loop().run_in_executor(folding.thread, folding.fold)
            if not self._closed:  # whoever closes last folds what is left
                await self.errand(folding.finish)
        except sqlite3.Error as error:
            _log.warning("log_not_folded", error=str(error))
        except StoreUnavailable as error:
            _log.warning("log_not_folded", error=error.detail)
        finally:
            self._fold = None

    def _give_up(self, members: list[Member[Any]], error: sqlite3.Error) -> None:
        """Undo the group; what is essential goes back to the front if there is room again."""
        with contextlib.suppress(sqlite3.Error):  # whoever waits must hear of the first error, whatever follows from it
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        failure = unavailable(error)
        self.failure, self.failed_at = failure.detail, perf_counter()
        _log.error("commit_failed", error=str(error), callers=len(members))
        again = _full(error) and self._relieved()
        for member in reversed(members):
            if again and member.essential and not member.future.done():
                if member.transaction is not None:
                    member.transaction.undone()
                member.essential = False
                self._waiting.appendleft(member)
            else:
                member.fail(failure)

    def _relieved(self) -> bool:
        try:
            return self._relieve()
        except OSError as failed:
            _log.warning("no_room_made", error=failed.strerror)
            return False


def unavailable(error: sqlite3.Error) -> StoreUnavailable:
    """Say in our words why the database would not take it."""
    if _full(error):
        return StoreUnavailable(
            "The disk that holds the store is full; nothing of this was kept",
            fix="Free some space where data_dir lives; the gateway goes on by itself.",
            retry_after=30,
        )
    return StoreUnavailable(f"The store did not take it: {error}", retry_after=5)


def _full(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
