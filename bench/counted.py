"""`wakeline` in a process that counts the function calls of its loop thread, Python's and C's.

Usage: python -m bench.counted FILE ARGUMENT...   (the arguments are those of `wakeline`)
SIGUSR2 writes the count so far to FILE, and when it was so many (time.monotonic). The threads that commit do nothing but
commit and are left out.
"""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from types import FrameType

from wakeline.cli import main

_BEGINS = frozenset({"call", "c_call"})


class Counter:
    """The profile function and what it counted."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._calls = 0

    def count(self, _frame: FrameType, event: str, _argument: object) -> None:
        """Count one event (sys.setprofile)."""
        if event in _BEGINS:
            self._calls += 1

    def tell(self, _number: int, _frame: FrameType | None) -> None:
        """Write the count. The file appears whole: whoever waits for it may read it."""
        half = self._file.with_suffix(".half")
        half.write_text(f"{self._calls} {time.monotonic()}", encoding="ascii")
        half.replace(self._file)


if __name__ == "__main__":
    counter = Counter(Path(sys.argv.pop(1)))
    signal.signal(signal.SIGUSR2, counter.tell)
    sys.setprofile(counter.count)
    main()
