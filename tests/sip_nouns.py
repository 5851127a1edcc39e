"""Builders of what the SIP edge keeps, that fill in what a test does not care about."""

from __future__ import annotations

from typing import Any

from storing import DAY, HOUR, NOW
from wakeline.model.sip.binding import Binding
from wakeline.model.sip.push import PushParams, PushProvider, PushToken
from wakeline.model.sip.user import SipUser
from wakeline.model.sip.waiting import WaitingMessage

BOB = "sip:bob@example.org"
ALICE = "sip:alice@example.org"


def voip(token: str = "a1" * 32, topic: str = "org.example.phone") -> PushParams:
    """Return the push parameters of a phone of Apple."""
    return PushParams(
        provider=PushProvider.APNS,
        param=f"ABCD1234.{topic}.voip",
        prid=f"{token}:voip",
        tokens=(PushToken(service="voip", value=token, topic=f"{topic}.voip"),),
    )


def binding(uid: str = "phone", **fields: Any) -> Binding:
    """Return a registration of Bob's, for an hour, that can be woken for a week."""
    return Binding(
        **{
            "aor": BOB,
            "uid": uid,
            "contact": f"sip:bob@192.0.2.7:5060;transport=tcp;x={uid}",
            "call_id": "c1",
            "cseq": 1,
            "expires": NOW + HOUR,
            "kept": NOW + 7 * DAY,
            "registered": NOW,
            "updated": NOW,
            **fields,
        }
    )


def message(key: str = "c1 1", *uids: str, **fields: Any) -> WaitingMessage:
    """Return a message to Bob's phone, kept for an hour."""
    return WaitingMessage(
        **{
            "id": 0,
            "aor": BOB,
            "request": b"MESSAGE " + ascii(key).encode(),
            "key": key,
            "call_id": key.partition(" ")[0],
            "at": NOW,
            "expires": NOW + HOUR,
            "uids": uids or ("phone",),
            **fields,
        }
    )


def user(name: str = "bob", domain: str = "example.org", mark: str = "0") -> SipUser:
    """Return a user whose digests bear a mark."""
    return SipUser(user=name, domain=domain, realm=domain, md5=mark * 32, sha256=mark * 64, created=NOW)
