"""Apple Push Notification service as values: neutral content in, HTTP/2 requests out, answers in, outcomes out.

    prepare(notification, topic)  once per notification and route
    prepared.path(token), prepared.id_of(target), prepared.body(locale, badge)  once per device
    read(status, headers, body)  once per answer that is not a plain 200

Sources: Apple, "Sending notification requests to APNs", "Generating a remote notification", "Handling notification
responses from APNs".
"""

from __future__ import annotations

from wakeline.wire.apns.answer import read
from wakeline.wire.apns.check import check, judge, measure, validate
from wakeline.wire.apns.request import Prepared, normal_token, prepare
from wakeline.wire.apns.token import spelled
from wakeline.wire.apns.types import RULES, Rule, bundle_of, rule_for, topic_for, topic_with

__all__ = [
    "RULES",
    "Prepared",
    "Rule",
    "bundle_of",
    "check",
    "judge",
    "measure",
    "normal_token",
    "prepare",
    "read",
    "rule_for",
    "spelled",
    "topic_for",
    "topic_with",
    "validate",
]
