"""When a webhook was last used is kept to the minute, for the price of a write a minute."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from unit.edges.bitrix24.portal import Portal, opened
from wakeline.edges.bitrix24.webhook_use import WebhookUse
from wakeline.model.bitrix24.access import IncomingWebhook
from wakeline.model.errors import StorageError

pytestmark = pytest.mark.anyio

MINUTE = 60_000


def hook(number: int, used: int = 0) -> IncomingWebhook:
    return IncomingWebhook(id=number, user=1, digest=b"", scopes=(), used=used)


class Written:
    """What was written; `broken` is how often the disk still fails."""

    def __init__(self, broken: int = 0) -> None:
        self.writes: list[dict[int, int]] = []
        self.broken = broken

    async def touch_webhooks(self, used: Mapping[int, int]) -> None:
        self.writes.append(dict(used))
        if self.broken:
            self.broken -= 1
            raise StorageError("disk full")


def use_of(written: Written) -> WebhookUse:
    return WebhookUse(written)


async def test_uses_of_many_are_one_write_and_of_one_in_a_minute_are_none() -> None:
    written = Written()
    use = use_of(written)
    now = 10 * MINUTE
    for number in (1, 2, 1):
        use.note(hook(number), now + number)
    use.note(hook(3, used=now), now + MINUTE - 1)
    await use.close()
    use.note(hook(1), now + MINUTE)
    use.note(hook(2), now + 2 + MINUTE)
    await use.close()

    assert written.writes == [{1: now + 1, 2: now + 2}, {2: now + 2 + MINUTE}]


async def test_a_disk_that_fails_is_tried_again_after_a_minute() -> None:
    written = Written(broken=1)
    use = use_of(written)
    for at in (MINUTE, MINUTE + 1, 2 * MINUTE):
        use.note(hook(1), at)
        await use.close()

    assert written.writes == [{1: MINUTE}, {1: 2 * MINUTE}]


async def test_a_call_through_a_webhook_marks_it_and_one_by_a_token_does_not() -> None:
    portal: Portal = await opened()
    await portal.call("profile")
    await portal.door.close()
    assert portal.store.portal_access.webhooks()[0].used == 0

    portal.result(await portal.hook("profile"))
    await portal.door.close()

    assert portal.store.portal_access.webhooks()[0].used == portal.clock.now()
