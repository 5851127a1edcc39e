"""Web Push as values: neutral content in, encrypted bodies out, answers in, outcomes out.

    prepare(notification, now)  once per notification and batch
    vapid(key, origin, subject, now)  once per push service and hours
    prepared.body(subscription, locale, entropy)  once per device

Sources: RFC 8030 (the protocol), RFC 8188 and 8291 (encryption), RFC 8292 (VAPID), UnifiedPush, which is the same since 2024.
"""

from __future__ import annotations

from wakeline.wire.webpush.answer import read
from wakeline.wire.webpush.check import check, judge, measure, validate
from wakeline.wire.webpush.request import BODY_LIMIT, ENTROPY_BYTES, LIMIT, OF_A_BODY, Prepared, prepare
from wakeline.wire.webpush.subscription import Subscription, bare, origin_of, read_subscription, subscription, written
from wakeline.wire.webpush.vapid import expiry, vapid

__all__ = [
    "BODY_LIMIT",
    "ENTROPY_BYTES",
    "LIMIT",
    "OF_A_BODY",
    "Prepared",
    "Subscription",
    "bare",
    "check",
    "expiry",
    "judge",
    "measure",
    "origin_of",
    "prepare",
    "read",
    "read_subscription",
    "subscription",
    "validate",
    "vapid",
    "written",
]
