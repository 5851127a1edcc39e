"""What a dump of a portal's queue says of its agent."""

from __future__ import annotations

import pytest

from wakeline.doctor.checking import DAY, HOUR, MINUTE
from wakeline.doctor.portal_queue import QueueDump, judge
from wakeline.observe.health import Status

MADE = 1_795_000_000_000


def dump(
    rows: int, *, oldest: int, newest: int = 0, made: bool = True, first: int = 1, written: bool = False
) -> QueueDump:
    """Return a dump whose rows were made so many milliseconds before it; `written`: only its file says when."""
    return QueueDump(
        rows=rows,
        first=first,
        last=first + rows - 1,
        oldest=MADE - oldest,
        newest=MADE - newest,
        dumped=MADE if made and not written else None,
        written=MADE if written else None,
    )


@pytest.mark.parametrize(
    ("seen", "status", "said"),
    [
        (QueueDump(), Status.OK, "is empty"),
        (QueueDump(known=False), Status.WARNING, "no table b_pull_push_queue"),
        (QueueDump(unreadable=3), Status.WARNING, "None of the 3 rows"),
        (QueueDump(rows=3, first=1, last=3), Status.WARNING, "does not say since when"),
        (dump(20, oldest=40_000), Status.OK, "20 rows"),
        (dump(20, oldest=4 * MINUTE), Status.OK, "longer than an agent that runs lets it"),
        (dump(20, oldest=6 * MINUTE), Status.FAILED, "SendAgent() does not run"),
        (dump(20, oldest=3 * DAY, newest=DAY), Status.FAILED, "2 days or more"),
        (dump(2, oldest=2 * HOUR, newest=2 * HOUR - 1), Status.WARNING, "for 2 hours, if both clocks are the same"),
        (dump(2, oldest=2 * HOUR, newest=2 * HOUR - 1, made=False), Status.OK, "2 rows"),
        (dump(2, oldest=100 * MINUTE, newest=100 * MINUTE), Status.FAILED, "for 1 hour: the agent"),
        (dump(2, oldest=15 * HOUR, newest=15 * HOUR), Status.FAILED, "for 15 hours: the agent"),
        (dump(2, oldest=-3 * HOUR, newest=-3 * HOUR), Status.OK, "2 rows"),
        (dump(2, oldest=12 * HOUR, newest=12 * HOUR, written=True), Status.OK, "2 rows"),
        (dump(2, oldest=3 * DAY, newest=3 * DAY, written=True), Status.WARNING, "if it was not copied"),
        (dump(28_000, oldest=20 * MINUTE), Status.OK, "28000 rows"),
        (dump(28_000, oldest=23 * MINUTE), Status.FAILED, "28000 rows"),
    ],
)
def test_rows_that_stay_longer_than_the_agent_needs_say_that_it_does_not_run(
    seen: QueueDump, status: Status, said: str
) -> None:
    line = judge([seen])

    assert (line.name, line.status) == ("portal queue", status)
    assert said in line.cause
    assert bool(line.fix) is (status is not Status.OK)


@pytest.mark.parametrize(
    ("before", "after", "status", "said"),
    [
        (dump(20, oldest=0), dump(20, oldest=0), Status.FAILED, "is in both dumps"),
        (dump(20, oldest=0), dump(50, oldest=0), Status.FAILED, "from 20 to 50 rows"),
        (dump(20, oldest=0), dump(30, oldest=0, first=10), Status.WARNING, "more slowly than it is filled"),
        (dump(20, oldest=0), dump(15, oldest=0, first=10), Status.OK, "The agent runs"),
        (dump(20, oldest=0), dump(90, oldest=DAY, first=21), Status.OK, "from 20 to 90 rows"),
        (dump(20, oldest=DAY), QueueDump(), Status.OK, "is empty"),
        (QueueDump(), dump(20, oldest=0), Status.OK, "from 0 to 20 rows"),
        (dump(20, oldest=0), QueueDump(known=False), Status.WARNING, "no table"),
    ],
)
def test_two_dumps_are_compared_without_any_clock(
    before: QueueDump, after: QueueDump, status: Status, said: str
) -> None:
    line = judge([before, after])

    assert line.status is status
    assert said in line.cause
