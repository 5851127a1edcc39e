from __future__ import annotations

import pytest

from stories.world import World
from wakeline.config import Limits, Settings


@pytest.fixture
async def world() -> World:
    """A gateway with one app, a .p8 key, and no per-user limits."""
    return await World(Settings(limits=Limits(per_user=False))).open()
