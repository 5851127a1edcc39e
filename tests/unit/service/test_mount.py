"""Which application serves which path."""

from __future__ import annotations

import httpx2
import pytest
from starlette.responses import PlainTextResponse

from wakeline.service.mount import Door, Mount

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("path", "door"),
    [
        ("/rest/profile", Door.PORTAL),
        ("/rest//1/code/profile.json/", Door.PORTAL),
        ("//rest/app.info", Door.PORTAL),
        ("/REST/app.info", Door.PORTAL),
        ("/rest", Door.PORTAL),
        ("/oauth/authorize/", Door.OAUTH),
        ("//oauth/token/", Door.OAUTH),
        ("/send/", Door.BROKER),
        ("/pub", Door.BROKER),
        ("/bitrix24/send/", Door.BROKER),
        ("/bitrix24/pub/", Door.BROKER),
        ("/bitrix24/events/5", Door.CONNECTED),
        ("//bitrix24/oauth/5/", Door.CONNECTED),
        ("/flexisip", Door.FLEXISIP),
        ("//Flexisip/", Door.FLEXISIP),
        ("/mesibo/backend", Door.MESIBO),
        ("/mesibo/backend/", Door.MESIBO),
        ("/mesibo", Door.REST),
        ("/flexisip/more", Door.REST),
        ("/bitrix24/events", Door.REST),
        ("/bitrix24/events/5/6", Door.REST),
        ("/send/more", Door.REST),
        ("/v1/apps", Door.REST),
        ("/healthz", Door.REST),
        ("/", Door.REST),
        ("/restore", Door.REST),
    ],
)
async def test_a_path_has_one_door(path: str, door: Door) -> None:
    assert await _asked(f"https://portal.test{path}") is door


async def test_one_path_is_told_by_its_host() -> None:
    for path in ("/rest/app.info", "//rest/app.info.json", "/rest/app.info/"):
        assert await _asked(f"https://oauth.test{path}?auth=x") is Door.OAUTH
    assert await _asked("https://oauth.test/rest/profile") is Door.PORTAL


async def _asked(url: str) -> Door:
    doors = {door: PlainTextResponse(door.name) for door in Door}
    mount = Mount(doors, lambda host: host == "oauth.test")
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=mount)) as client:
        return Door[(await client.get(url)).text]
