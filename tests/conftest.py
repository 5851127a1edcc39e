"""Rules for every test: one event loop back-end, and no settings of the machine leak in."""

from __future__ import annotations

import atexit
import gc
import logging
import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, is_hypothesis_test, settings

from fuzzing import REPEATABLE, examples

# As in `wakeline.cli.main`: msgspec's types do not survive the interpreter's last collection.
atexit.register(gc.freeze)

TIMEOUT_AGAIN = 5.0
"""Seconds after which a test that outlived its timeout is interrupted again."""

settings.register_profile(
    "wakeline",
    max_examples=examples(100),
    deadline=None,
    derandomize=REPEATABLE,
    suppress_health_check=[HealthCheck.too_slow],  # how fast a machine makes examples says nothing of ours
)
settings.load_profile("wakeline")


_HERE = Path(__file__).parent
_WITH_PROCESSES = {"e2e": "gateways", "faults": "gateways", "interop": "judges"}
"""The suites that start real programs, and the group in which their tests run one after the other."""
_LONGEST_NAME = 100
"""Characters of a value in the name of a test."""
_PATIENCE = 180
"""Seconds for a test that starts real programs: each takes a second or two, five of them on a busy machine, and what is waited
for has thirty (`processes.PATIENCE`). Also for a property test, of whose hundreds of examples each may wait for a disk."""


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a long value by its argument: a key that is made anew has another name in each worker, and a megabyte is none."""
    return argname if isinstance(val, str | bytes) and len(val) > _LONGEST_NAME else None


@pytest.hookimpl(tryfirst=True)  # before the plugin of workers looks at the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give tests of real programs and of many examples more time than others, and have those of programs run in two rows.

    What a row shares (installed packages, a gateway, a portal) it shares in one worker; all other tests go to whoever is free.
    """
    for item in items:
        group = _WITH_PROCESSES.get(item.path.relative_to(_HERE).parts[0])
        if group is not None:
            item.add_marker(pytest.mark.xdist_group(group))
        takes_time = group is not None or item.get_closest_marker("faults") is not None or _tries_examples(item)
        if takes_time and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(_PATIENCE))


def _tries_examples(item: pytest.Item) -> bool:
    """Tell whether it is a property test; those of a fuzz run may take as long as they like."""
    return REPEATABLE and isinstance(item, pytest.Function) and is_hypothesis_test(item.obj)


@pytest.hookimpl(wrapper=True)
def pytest_timeout_set_timer() -> Generator[None, Any, Any]:
    """Have a timeout strike until the test ends.

    Where it strikes inside a callback of an event loop, asyncio logs the failure as the callback's own and goes on, and
    whoever awaits what that callback was to bring waits for ever.
    """
    result = yield
    first, _ = signal.getitimer(signal.ITIMER_REAL)
    if first > 0:
        signal.setitimer(signal.ITIMER_REAL, first, TIMEOUT_AGAIN)
    return result


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("WAKELINE_"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """Undo what a command that ran in this process did to the logs: its stream is closed by now."""
    root, requests = logging.getLogger(), logging.getLogger("uvicorn.access")
    handlers, levels, propagates = list(root.handlers), (root.level, requests.level), requests.propagate
    yield
    root.handlers[:] = handlers
    for logger, level in zip((root, requests), levels, strict=True):
        logger.setLevel(level)
    requests.propagate = propagates
    structlog.reset_defaults()
