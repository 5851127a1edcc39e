"""A gateway on a disk is the push service of a portal, under every path that a portal may be given."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from wakeline.config import SecretsSection, Server, Settings, Storage
from wakeline.service import wiring

pytestmark = pytest.mark.anyio


@pytest.fixture
async def client(tmp_path: Path, anyio_backend: str) -> AsyncIterator[httpx2.AsyncClient]:
    settings = Settings(
        server=Server(data_dir=str(tmp_path)),
        storage=Storage(url=f"sqlite:///{tmp_path}/wakeline.db", ballast=0, low_disk=0),
        secrets=SecretsSection(master_key_file=f"{tmp_path}/master.key"),
    )
    async with wiring.opened(settings) as gateway:
        transport = httpx2.ASGITransport(app=gateway.app)
        async with httpx2.AsyncClient(transport=transport, base_url="https://push.test") as opened:
            yield opened


@pytest.mark.parametrize("path", ["/send", "/pub", "/bitrix24/send", "/bitrix24/pub"])
async def test_each_of_its_paths_is_the_broker(client: httpx2.AsyncClient, path: str) -> None:
    for written in (path, f"{path}/", f"/{path}/"):
        answer = await client.post(f"https://push.test{written}?key=unknown", content=b"Action=SendMessage")
        assert answer.status_code == 401
        assert answer.text.startswith('<?xml version="1.0"?>')
