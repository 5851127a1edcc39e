"""What the gate counts."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from bench.counted import Counter


def test_calls_of_python_and_c_are_counted_until_asked(tmp_path: Path) -> None:
    file = tmp_path / "calls"
    counter = Counter(file)

    def ours() -> int:
        return len(())

    former = sys.getprofile()
    sys.setprofile(counter.count)
    try:
        for _ in range(100):
            ours()
    finally:
        sys.setprofile(former)
    before = time.monotonic()
    counter.tell(0, None)
    calls, at = file.read_text(encoding="ascii").split()

    # One call of ours and one of C each, and the one that ends the counting.
    assert 200 <= int(calls) <= 203
    assert before <= float(at) <= time.monotonic()
