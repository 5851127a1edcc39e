"""Firebase Cloud Messaging, HTTP v1, as values: neutral content in, request bodies out, answers in, outcomes out.

    prepare(notification, now)  once per notification and batch
    prepared.body(value, locale, badge)  once per device; the path is the same for all of a project
    read(status, headers, body)  once per answer

Source: Firebase, REST reference of projects.messages (discovery document fcm.v1).
"""

from __future__ import annotations

from wakeline.wire.fcm.answer import read
from wakeline.wire.fcm.check import check, check_topic_size, judge, measure, validate
from wakeline.wire.fcm.request import LIMIT, Prepared, path_of, prepare, validate_only
from wakeline.wire.fcm.target import TOPIC_LIMIT, address, check_installation_id, check_target, is_broadcast, topic

__all__ = [
    "LIMIT",
    "TOPIC_LIMIT",
    "Prepared",
    "address",
    "check",
    "check_installation_id",
    "check_target",
    "check_topic_size",
    "is_broadcast",
    "judge",
    "measure",
    "path_of",
    "prepare",
    "read",
    "topic",
    "validate",
    "validate_only",
]
