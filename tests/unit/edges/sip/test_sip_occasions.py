"""For which requests a phone is woken (RFC 8599 section 5.6.2)."""

from __future__ import annotations

import pytest

from wakeline.edges.sip.occasions import occasion_of
from wakeline.wire.flexisip.payloads import Occasion
from wakeline.wire.sip.message import Request

SDP = ("content-type", "application/sdp")
CALL, GROUP, MESSAGE, OTHER = Occasion.CALL, Occasion.GROUP_CHAT, Occasion.MESSAGE, Occasion.OTHER


@pytest.mark.parametrize(
    ("method", "fields", "occasion"),
    [
        ("INVITE", [SDP], CALL),
        ("INVITE", [], CALL),
        ("INVITE", [("content-type", "Application/Resource-Lists+XML; text")], GROUP),
        ("INVITE", [SDP, ("replaces", "1;to-tag=a;from-tag=b")], None),
        ("INVITE", [SDP, ("priority", "Non-Urgent")], None),
        ("INVITE", [SDP, ("priority", "urgent")], CALL),
        ("MESSAGE", [("content-type", "text/plain")], MESSAGE),
        ("MESSAGE", [("content-type", "message/imdn+xml; charset=utf-8")], None),
        ("MESSAGE", [("content-type", "application/im-iscomposing+xml")], None),
        ("NOTIFY", [("event", "message-summary")], Occasion.MESSAGE_WAITING),
        ("NOTIFY", [("event", "presence")], None),
        ("REFER", [("refer-to", "<sip:carol@example.org>")], OTHER),
        ("SUBSCRIBE", [("event", "presence")], OTHER),
        ("OPTIONS", [], None),
        ("PUBLISH", [("event", "presence")], None),
    ],
)
def test_a_phone_is_woken_for_what_wants_its_user(
    method: str, fields: list[tuple[str, str]], occasion: Occasion | None
) -> None:
    assert occasion_of(Request.make(method, "sip:bob@example.org", fields)) is occasion
