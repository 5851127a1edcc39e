"""What something may cost: seconds that this process computes, not those that a busy machine lets pass."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def computing_at_most(seconds: float) -> Iterator[None]:
    """Fail if what is done meanwhile takes so many seconds of processors, all threads together."""
    began = time.process_time()
    yield
    took = time.process_time() - began
    assert took < seconds, f"{took:.2f} s of processors"
