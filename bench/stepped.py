"""`wakeline` in a process that times every step of its event loop.

Usage: python -m bench.stepped FILE ARGUMENT...   (the arguments are those of `wakeline`)
SIGUSR2 writes what was seen since the last to FILE, as `Steps`, and begins anew.

A step is one callback: what a socket received, one piece of a task until its next wait. A turn is all steps between two
looks at the sockets: what came meanwhile waits for its end. A step that is longer than `LONG` is named by the first and the
last function of ours that it was in at that moment (an alarm rings then).
"""

from __future__ import annotations

import asyncio
import selectors
import signal
import sys
import time
from array import array
from pathlib import Path
from types import CodeType, FrameType
from typing import NamedTuple

import msgspec

from wakeline.cli import main

LONG = 0.002
"""Seconds."""
_STEP = 10e-6
_BUCKETS = 100_000
_PACKAGE = "/wakeline/"


class Times(msgspec.Struct, frozen=True):
    """How long something took: `counts` by 10 microseconds, up to a second; the longest in seconds."""

    counts: dict[int, int]
    longest: float

    @property
    def number(self) -> int:
        """How many there were."""
        return sum(self.counts.values())

    def quantile(self, part: float) -> float:
        """Seconds that so large a part of them took at most; 0 if there was none."""
        left = part * self.number
        for bucket in sorted(self.counts):
            left -= self.counts[bucket]
            if left <= 0:
                return min((bucket + 1) * _STEP, self.longest)
        return 0.0


class Long(NamedTuple):
    """A step longer than `LONG`: where it was, how long, and how much of that it computed."""

    where: str
    seconds: float
    cpu: float


class Steps(msgspec.Struct, frozen=True):
    """What was seen of a loop."""

    steps: Times
    turns: Times
    long: list[Long]


class _Record:
    """Counts of one kind."""

    def __init__(self) -> None:
        self._counts = array("L", bytes(8 * _BUCKETS))
        self._longest = 0.0

    def add(self, seconds: float) -> None:
        self._counts[min(int(seconds / _STEP), _BUCKETS - 1)] += 1
        self._longest = max(self._longest, seconds)

    def taken(self) -> Times:
        """What was counted; the next count begins at nought."""
        found = Times({bucket: count for bucket, count in enumerate(self._counts) if count}, self._longest)
        self.__init__()  # type: ignore[misc] # nobody derives from it
        return found


class Stopwatch:
    """The wrapped loop. One loop, one thread: there is one step at a time."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._steps = _Record()
        self._turns = _Record()
        self._long: list[Long] = []
        self._began = 0.0
        self._turn_began = 0.0
        self._where = ""
        self._wanted = False

    def install(self) -> None:
        """Wrap every callback and every look at the sockets of this process."""
        run, select = asyncio.Handle._run, selectors.EpollSelector.select  # noqa: SLF001 - there is no public way in

        def timed_run(handle: asyncio.Handle) -> None:
            self._where, began, cpu = "", time.perf_counter(), time.thread_time()
            self._began = began
            signal.setitimer(signal.ITIMER_REAL, LONG)
            run(handle)
            took = time.perf_counter() - began
            self._steps.add(took)
            if took >= LONG:
                self._long.append(Long(self._where or str(handle), took, time.thread_time() - cpu))

        def timed_select(
            selector: selectors.EpollSelector, timeout: float | None = None
        ) -> list[tuple[selectors.SelectorKey, int]]:
            signal.setitimer(signal.ITIMER_REAL, 0)
            if self._turn_began:
                self._turns.add(time.perf_counter() - self._turn_began)
            if self._wanted:
                self._tell()
            found = select(selector, timeout)
            self._turn_began = time.perf_counter()
            return found

        asyncio.Handle._run = timed_run  # type: ignore[assignment,method-assign] # noqa: SLF001 - as above
        selectors.EpollSelector.select = timed_select  # type: ignore[assignment,method-assign] # as above
        signal.signal(signal.SIGALRM, self._ring)
        signal.signal(signal.SIGUSR2, self._want)

    def _ring(self, _number: int, frame: FrameType | None) -> None:
        """The step is long: say where it is. An alarm of a step that has ended meanwhile is nobody's."""
        if time.perf_counter() - self._began >= LONG:
            self._where = _place(frame)

    def _want(self, _number: int, _frame: FrameType | None) -> None:
        self._wanted = True

    def _tell(self) -> None:
        """Write what was seen. The file appears whole: whoever waits for it may read it."""
        self._wanted = False
        seen, self._long = Steps(self._steps.taken(), self._turns.taken(), self._long), []
        half = self._file.with_suffix(".half")
        half.write_bytes(msgspec.json.encode(seen))
        half.replace(self._file)


def _place(frame: FrameType | None) -> str:
    """The first and the innermost function of ours in a step, or of whom else it is."""
    calls: list[CodeType] = []
    while frame is not None and frame.f_code.co_filename != __file__:
        calls.append(frame.f_code)
        frame = frame.f_back
    ours = [code for code in calls if _PACKAGE in code.co_filename] or calls
    return " > ".join(dict.fromkeys(_name(code) for code in (*ours[-1:], *ours[:1])))


def _name(code: CodeType) -> str:
    return f"{Path(code.co_filename).stem}.{code.co_qualname}"


if __name__ == "__main__":
    Stopwatch(Path(sys.argv.pop(1))).install()
    main()
