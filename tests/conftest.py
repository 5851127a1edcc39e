"""Rules for every test: one event loop back-end, and no settings of the machine leak in."""

from __future__ import annotations

import atexit
import gc
import os

import pytest
from hypothesis import settings

from fuzzing import examples

# As in `wakeline.cli.main`: msgspec's types do not survive the interpreter's last collection.
atexit.register(gc.freeze)

settings.register_profile("wakeline", max_examples=examples(100), deadline=None)
settings.load_profile("wakeline")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("WAKELINE_"):
            monkeypatch.delenv(name)
