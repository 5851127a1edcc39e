from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from unit.edges.rest.gateway import Gateway, opened


@pytest.fixture
async def gateway(anyio_backend: str) -> AsyncIterator[Gateway]:
    made = await opened()
    yield made
    await made.client.aclose()
    await made.store.close()
