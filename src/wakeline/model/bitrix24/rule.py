"""Rules: which event of a connected portal becomes which notification.

Texts are Jinja templates, `condition` and `recipients` Jinja expressions, both sandboxed. What they may use is said in
`connectors/bitrix24/rules`.
"""

from __future__ import annotations

import msgspec

from wakeline.model.bitrix24.records import Fields
from wakeline.model.notification import NotificationRequest, Priority, PushType


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule. `installation` 0: of every installation. `event` in upper case, `*`: any.

    It applies if `condition` is empty or true. Each of `recipients` yields a number of a user of the portal, or a list of them
    (`record.ASSIGNED_BY_ID`, `7`); who comes twice gets one push. `collapse` is a template: pushes with the same text replace
    each other on a phone. `caller` is a template as well, and makes the push of type `call` what rings; `ttl` in seconds.
    """

    id: int
    name: str
    event: str
    recipients: tuple[str, ...]
    installation: int = 0
    condition: str = ""
    type: PushType = PushType.ALERT
    title: str = ""
    body: str = ""
    image: str = ""
    data: dict[str, str] = {}
    collapse: str = ""
    caller: str = ""
    priority: Priority | None = None
    ttl: int | None = None
    enabled: bool = True
    created: int = 0


class RuleTrial(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule makes of an event, without sending: `request` None: nothing, for the reason in `cause`."""

    applies: bool
    cause: str = ""
    users: tuple[str, ...] = ()
    request: NotificationRequest | None = None
    record: Fields | None = None
