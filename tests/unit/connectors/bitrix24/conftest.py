"""A connected portal for each test: the simulator, a memory store, our client."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from connected_portal import Connected, connected


@pytest.fixture
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Connected]:
    # One authority for all of them: making one takes longer than most tests.
    state = tmp_path_factory.getbasetemp() / "portal-simulator"
    state.mkdir(exist_ok=True)
    async with connected(state) as running:
        yield running
