"""The push log: one line an attempt, with code 200 for whatever was accepted."""

from __future__ import annotations

import msgspec
import pytest
from structlog.testing import capture_logs

from stories.post import BAD_TOKEN, DOWN
from stories.world import World
from wakeline.config import Logs, Settings
from wakeline.wire import fcm, webpush

pytestmark = pytest.mark.anyio

LOGGED = Settings(logs=Logs(push=True))
APPLE = "a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6"


async def lines_of(world: World, *sent_to: str) -> list[str]:
    """Send to users and return what the push log says, once all is over."""
    with capture_logs() as lines:
        for user in sent_to:
            await world.send(user, title="Psst")
        await world.later(120, step=10)
    told = [line for line in lines if line["event"].startswith("push_on_complete")]
    assert "Psst" not in str(told)
    assert APPLE not in str(told)
    return [line["event"] for line in told]


async def test_whatever_a_service_accepts_reads_code_200(world: World) -> None:
    world.pipeline.apply(LOGGED, None)
    await world.android()
    await world.vapid()
    apple = await world.device("ios", "ann", f"apns:{APPLE}")
    google = await world.device("android", "bob", "fcm:registration-of-bob/acme-1")
    browser = await world.device("web", "eve", "webpush:https://push.example/a1b2c3 key auth")
    world.google.to_all = fcm.read(200, (), b'{"name":"projects/acme-1/messages/0:1"}')
    world.web.to_all = webpush.read(201)

    assert await lines_of(world, "ann", "bob", "eve") == [
        f"push_on_complete acme {provider} target {device.targets[0].id} token ...{end} attempt 1 code 200"
        for provider, device, end in (
            ("apns", apple, "b4c5d6"),
            ("fcm", google, "of-bob"),
            ("webpush", browser, "a1b2c3"),
        )
    ]


async def test_each_attempt_has_its_line_with_what_was_answered(world: World) -> None:
    world.pipeline.apply(LOGGED, None)
    await world.device("ios", "ann", f"apns:{APPLE}")
    world.apple.to_token[APPLE].extend((DOWN, BAD_TOKEN, BAD_TOKEN))
    codes = [line.partition(" attempt ")[2] for line in await lines_of(world, "ann")]

    assert codes == ["1 code 503", "2 code 400", "3 code 400"]


async def test_what_the_gateway_would_not_send_reads_its_own_code(world: World) -> None:
    world.pipeline.apply(LOGGED, None)
    await world.device("ios", "ann", f"apns:{APPLE}")
    world.apple.to_all = msgspec.structs.replace(BAD_TOKEN, status=0, reason="bad_token")
    [first, *_] = await lines_of(world, "ann")

    assert first.endswith("attempt 1 code 911")


async def test_nothing_is_written_unless_it_is_asked_for(world: World) -> None:
    await world.device("ios", "ann", f"apns:{APPLE}")
    assert await lines_of(world, "ann") == []
