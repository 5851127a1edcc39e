"""Whether a self-hosted portal's own queue of pushes is emptied, from dumps of it.

Theory (Bitrix24, module pull): pushes wait in `b_pull_push_queue` until the agent `CPushManager::SendAgent()` takes them: rows
older than 15 seconds, 280 a run at most, again after 10 seconds while more are left, else after 30; it deletes them before it
sends. So a row may be as old as those before it need, and a few minutes more where agents are started by cron. What stays
longer was not taken. A row that is in two dumps says the same without any clock.

Pure: what was read in, one line out. Moments are the portal's own clock, taken as UTC, so that rows are compared with each other
first. A dump says by another clock when it was made, perhaps in another time zone: what half hours could explain is doubt.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from wakeline.doctor.checking import HOUR, MINUTE, failed, fine, span, warning
from wakeline.observe.health import Check

NAME = "portal queue"
TABLES = ("b_pull_push_queue", "b_push_queue")
"""The table, and its name in older writings."""

_RUN, _PAUSE = 280, 10_000
_SLACK = 5 * MINUTE
_HALF_HOUR = 30 * MINUTE
_ZONES = 14 * HOUR + _SLACK
"""No two time zones that a portal's clock and a dump's may follow are further apart than that, as a rule."""
_AGENT = "the agent CPushManager::SendAgent()"
_FIX = (
    f"Check cron on the portal's server, and that {_AGENT} (\\Bitrix\\Push\\QueueAgent in older writings) is active in the "
    "portal's list of agents."
)

_AGAIN = "A second dump some minutes later tells for certain."


class QueueDump(msgspec.Struct, frozen=True, kw_only=True):
    """What a dump says of the queue. `known`: the table is in it. `dumped`: when it was made (Unix ms), if it says so.

    `written` is when its file was written, which may be later: files are copied.
    `first` and `last` are the smallest and greatest id; `oldest` and `newest` when the oldest and newest row were made (Unix ms).
    """

    known: bool = True
    rows: int = 0
    unreadable: int = 0
    first: int = 0
    last: int = 0
    oldest: int | None = None
    newest: int | None = None
    dumped: int | None = None
    written: int | None = None


def judge(dumps: Sequence[QueueDump]) -> Check:
    """Say of one dump, or of several in the order in which they were made, whether the agent runs."""
    if not all(dump.known for dump in dumps):
        cause = f"There is no table {TABLES[0]} in the dump, so that nothing can be said of the portal's queue."
        return warning(
            NAME, cause, f"Dump it: mysqldump DATABASE {TABLES[0]}, or pg_dump --table={TABLES[0]} DATABASE."
        )
    last = dumps[-1]
    if last.rows == 0 and last.unreadable:
        cause = f"None of the {last.unreadable} rows of {TABLES[0]} can be read."
        return warning(NAME, cause, "Dump the table with its CREATE TABLE, or as CSV with a header: ID, DATE_CREATE.")
    if last.rows == 0:
        return fine(NAME, f"The queue is empty: the agent runs, or nothing was put into it. {_seen(last)}")
    return _moving(dumps[0], last) if len(dumps) > 1 else _waiting(last)


def _moving(before: QueueDump, after: QueueDump) -> Check:
    """Compare two dumps: ids grow, so rows that were there before and still are were not taken."""
    grown = f"it went from {before.rows} to {after.rows} rows"
    if before.rows and after.first <= before.first:
        cause = f"The oldest row ({after.first}) is in both dumps, and {grown}: {_AGENT} does not run."
        return failed(NAME, cause, _FIX)
    if before.rows and after.first <= before.last and after.rows > before.rows:
        cause = f"The queue is emptied more slowly than it is filled: {grown}."
        return warning(
            NAME, cause, "Have the portal's agents started by cron every minute, and not by visitors of its pages."
        )
    return fine(NAME, f"The agent runs: what the first dump held is taken, and {grown}.")


def _waiting(dump: QueueDump) -> Check:
    """Judge one dump by the age of its oldest row: against its newest row, and if it says so against when it was made."""
    if dump.oldest is None or dump.newest is None:
        cause = f"{dump.rows} rows wait, and the dump does not say since when."
        return warning(NAME, cause, "Dump the column DATE_CREATE too, or give a second dump made some minutes later.")
    allowed = _SLACK + dump.rows * _PAUSE // _RUN
    behind = dump.newest - dump.oldest
    if behind > allowed:
        cause = f"{_seen(dump)} The oldest has waited for {span(behind)} or more: {_AGENT} does not run."
        return failed(NAME, cause, _FIX)
    return _by_other_clocks(dump, dump.oldest, dump.newest, allowed) or fine(
        NAME, f"{_seen(dump)} None has waited longer than an agent that runs lets it."
    )


def _by_other_clocks(dump: QueueDump, oldest: int, newest: int, allowed: int) -> Check | None:
    """Judge the oldest row against when the dump was made, or else its file; None: nothing is wrong by these."""
    if dump.dumped is not None and dump.dumped - oldest > allowed:
        cause = f"{_seen(dump)} When the dump was made the oldest had waited for {span(dump.dumped - oldest)}"
        if _may_be_a_time_zone(dump.dumped - newest):
            return warning(NAME, f"{cause}, if both clocks are the same.", f"{_FIX} {_AGAIN}")
        return failed(NAME, f"{cause}: {_AGENT} does not run.", _FIX)
    if dump.dumped is None and dump.written is not None and dump.written - oldest > allowed + _ZONES:
        cause = f"{_seen(dump)} When the file was written the oldest had waited for {span(dump.written - oldest)}"
        return warning(NAME, f"{cause}: if it was not copied, {_AGENT} does not run.", f"{_FIX} {_AGAIN}")
    return None


def _may_be_a_time_zone(milliseconds: int) -> bool:
    """Tell whether two clocks could be so far apart that show one moment: by half hours, and the minutes that a row may wait."""
    return _SLACK < milliseconds <= _ZONES and (milliseconds + MINUTE) % _HALF_HOUR <= _SLACK + MINUTE


def _seen(dump: QueueDump) -> str:
    unreadable = f", and {dump.unreadable} that cannot be read" if dump.unreadable else ""
    return f"The dump holds {dump.rows} rows{unreadable}."
