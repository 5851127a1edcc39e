from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from unit.edges.bitrix24.portal import Portal, opened


@pytest.fixture
async def portal(anyio_backend: str) -> AsyncIterator[Portal]:
    made = await opened()
    yield made
    await made.client.aclose()
    await made.gateway.client.aclose()
    await made.store.close()
