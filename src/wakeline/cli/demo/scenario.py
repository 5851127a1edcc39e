"""What the demonstration sends and what has to come of it: one case a line of the table it prints.

A case names its device, what the push service is scripted to answer, the notification, and what must be seen: the state of
the delivery, what explain's verdict is about, how many requests the push service got, and texts that must have arrived
unchanged.
"""

from __future__ import annotations

from typing import Any

import msgspec

from wakeline.cli.demo import material

CHAT, VOICE = "demo-chat", "demo-voice"
PORTAL_PREFIX = "crm-"
"""What stands before the number of a user of the connected portal."""
CHAT_BUNDLE, VOICE_BUNDLE = "com.example.chat", "com.example.voice"


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One token to be registered; a browser gets its subscription from its push service."""

    kind: str
    value: str = ""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One notification to one device. `texts` must have reached the push service as they are.

    `notification` is what a caller of our own API sends, or, with a `bitrix24_user`, the parameters that a client of Bitrix24
    gives `pull.application.push.add` beside that user, or, with a `deal`, the fields that change in this deal of a connected
    portal, whose user 1 is responsible for it. With `asked_by` it is what another program asks for: `kamailio` as the body of
    `POST /v1/sip/push`, `flexisip` as the query of its external push URI, `mesibo` as an operation of its backend API.
    `acknowledged`: the phone says that it has the push. `told`: the event that a webhook gets.
    """

    name: str
    app: str
    device: str
    target: Target
    notification: dict[str, Any]
    provider: str
    script: tuple[dict[str, Any], ...] = ()
    state: str = "accepted"
    code: int = 0
    requests: int = 1
    texts: tuple[str, ...] = ()
    target_state: str = "active"
    bitrix24_user: int = 0
    deal: int = 0
    asked_by: str = ""
    acknowledged: bool = False
    told: str = ""

    @property
    def user(self) -> str:
        """Whose device it is."""
        if self.deal:
            return f"{PORTAL_PREFIX}1"
        return str(self.bitrix24_user) if self.bitrix24_user else f"user-of-{self.device}"


def _apns(number: int) -> str:
    return f"{number:064x}"


def _fcm(number: int) -> str:
    return f"demo{number:04d}-AbCdEfGhIj:APA91b{'Xy9_' * 30}{number:04d}"


EMOJI = "Lunch? \U0001f35c\U0001f468\u200d\U0001f469\u200d\U0001f467 at 12:30"
RIGHT_TO_LEFT = "\u0634\u0644\u0648\u0645 \u05e9\u05dc\u05d5\u05dd \u200fhello"
FOUR_BYTES = "\U00020bb7\U0001d11e \U00010348"
QUOTES = 'She said "it\'s \\ fine" <b>&amp;'
LINES = "first line\nsecond\tline\r\nthird"

CASES: tuple[Case, ...] = (
    Case(
        name="alert, iPhone",
        app=CHAT,
        device="iphone-1",
        target=Target(kind="apns", value=_apns(0xA1)),
        notification={
            "alert": {"title": QUOTES, "body": EMOJI, "sound": "default", "badge": 3},
            "data": {"room": "42"},
        },
        provider="apns",
        texts=(QUOTES, EMOJI),
    ),
    Case(
        name="alert, right to left, Android",
        app=CHAT,
        device="android-1",
        target=Target(kind="fcm", value=_fcm(1)),
        notification={"alert": {"title": FOUR_BYTES, "body": RIGHT_TO_LEFT}, "data": {"room": "42", "count": 7}},
        provider="fcm",
        texts=(FOUR_BYTES, RIGHT_TO_LEFT),
    ),
    Case(
        name="background, iPhone",
        app=CHAT,
        device="iphone-2",
        target=Target(kind="apns", value=_apns(0xA2)),
        notification={"type": "background", "data": {"sync": "inbox", "note": LINES}},
        provider="apns",
        texts=(LINES,),
    ),
    Case(
        name="call, iPhone, certificate",
        app=VOICE,
        device="iphone-3",
        target=Target(kind="apns-voip", value=_apns(0xA3)),
        notification={"call": {"id": "call-1", "caller": "Zoë \U0001f4de", "video": True}},
        provider="apns",
        texts=("Zoë \U0001f4de",),
    ),
    Case(
        name="call, Android",
        app=CHAT,
        device="android-2",
        target=Target(kind="fcm", value=_fcm(2)),
        notification={"call": {"id": "call-2", "caller": "李雷"}},
        provider="fcm",
        texts=("李雷",),
    ),
    Case(
        name="call, busy once, iPhone",
        app=VOICE,
        device="iphone-4",
        target=Target(kind="apns-voip", value=_apns(0xA4)),
        notification={"call": {"id": "call-3", "caller": "Noor"}},
        provider="apns",
        script=({"status": 503, "reason": "ServiceUnavailable"},),
        requests=2,
        texts=("Noor",),
    ),
    Case(
        name="app was deleted, iPhone",
        app=CHAT,
        device="iphone-5",
        target=Target(kind="apns", value=_apns(0xA5)),
        notification={"alert": {"title": "Anybody there?"}},
        provider="apns",
        script=({"status": 410, "reason": "Unregistered"},),
        state="failed",
        told="push.failed",
        code=911,
        target_state="retired",
    ),
    Case(
        name="unknown token, iPhone",
        app=CHAT,
        device="iphone-6",
        target=Target(kind="apns", value=_apns(0xA6)),
        notification={"alert": {"title": "Whose token is this?"}},
        provider="apns",
        script=({"status": 400, "reason": "BadDeviceToken", "times": 2},),
        state="failed",
        told="push.failed",
        requests=2,
        target_state="quarantined",
    ),
    Case(
        name="alert, browser",
        app=CHAT,
        device="browser-1",
        target=Target(kind="webpush"),
        notification={"alert": {"title": QUOTES, "body": EMOJI}, "data": {"room": "42"}},
        provider="webpush",
        texts=(QUOTES, EMOJI),
    ),
    Case(
        name="call, browser",
        app=CHAT,
        device="browser-2",
        target=Target(kind="webpush"),
        notification={"call": {"id": "call-4", "caller": RIGHT_TO_LEFT}},
        provider="webpush",
        texts=(RIGHT_TO_LEFT,),
    ),
    Case(
        name="subscription has ended, browser",
        app=CHAT,
        device="browser-3",
        target=Target(kind="webpush"),
        notification={"alert": {"title": "Still there?"}},
        provider="webpush",
        script=({"status": 410},),
        state="failed",
        told="push.failed",
        code=911,
        target_state="retired",
    ),
    Case(
        name="from a Bitrix24 client, iPhone",
        app=CHAT,
        device="iphone-7",
        target=Target(kind="apns", value=_apns(0xA7)),
        notification={"TEXT": EMOJI, "AVATAR": "https://example.com/avatar.png"},
        provider="apns",
        texts=(EMOJI, "https://example.com/avatar.png"),
        bitrix24_user=7,
    ),
    Case(
        name="a deal changes on a Bitrix24 portal, iPhone",
        app=CHAT,
        device="iphone-8",
        target=Target(kind="apns", value=_apns(0xA8)),
        notification={"TITLE": QUOTES, "OPPORTUNITY": "1250.50", "CURRENCY_ID": "EUR", "ASSIGNED_BY_ID": "1"},
        provider="apns",
        texts=(QUOTES, "1\u00a0250.50\u00a0EUR"),
        deal=9,
    ),
    Case(
        name="a Kamailio has a phone woken, iPhone",
        app=VOICE,
        device="iphone-9",
        target=Target(kind="apns-voip", value=_apns(0xA9)),
        notification={
            "contact": f"<sip:bob@192.0.2.9;pn-provider=apns;pn-param=ABCD1234.{VOICE_BUNDLE}.voip;pn-prid={_apns(0xA9)}:voip>",
            "event": "INVITE",
            "call_id": "call-9",
            "from": f'"{RIGHT_TO_LEFT}" <sip:alice@example.org>',
        },
        provider="apns",
        texts=(RIGHT_TO_LEFT, "sip:alice@example.org", "call-9"),
        asked_by="kamailio",
    ),
    Case(
        name="a Flexisip hands a message over, Android",
        app=CHAT,
        device="android-9",
        target=Target(kind="fcm", value=_fcm(9)),
        notification={
            "type": "firebase",
            "token": _fcm(9),
            "app-id": material.PROJECT,
            "event": "message",
            "call-id": "message-9",
            "from-uri": "sip:alice@example.org",
            "from-name": EMOJI,
        },
        provider="fcm",
        texts=(EMOJI, "sip:alice@example.org", "message-9"),
        asked_by="flexisip",
    ),
    Case(
        name="a test by mesibo's backend API, Android",
        app=CHAT,
        device="android-10",
        target=Target(kind="fcm", value=_fcm(10)),
        notification={"op": "pushtest", "addresses": "user-of-android-10", "title": "Test", "body": QUOTES},
        provider="fcm",
        texts=(QUOTES,),
        asked_by="mesibo",
    ),
    Case(
        name="the phone says that it has it, iPhone",
        app=CHAT,
        device="iphone-10",
        target=Target(kind="apns", value=_apns(0xAA)),
        notification={"alert": {"title": "Seen?"}},
        provider="apns",
        state="acknowledged",
        acknowledged=True,
        told="push.acknowledged",
    ),
)

RULE: dict[str, Any] = {
    "name": "Deal changed",
    "event": "ONCRMDEALUPDATE",
    "recipients": ["record.ASSIGNED_BY_ID"],
    "title": "{{ record.TITLE }}",
    "body": "{{ record.OPPORTUNITY|money(record.CURRENCY_ID) }}",
    "data": {"deal": "{{ record.ID }}"},
}
"""What makes a push of a deal that changed."""
