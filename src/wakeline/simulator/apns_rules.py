"""What Apple writes down about push types, headers and reasons, as tables.

Sources: Apple, "Sending notification requests to APNs" and "Handling notification responses from APNs".
"""

from __future__ import annotations

import re

import msgspec

ANY_PRIORITY = ("1", "5", "10")
PAYLOAD_LIMIT = 4096
VOIP_PAYLOAD_LIMIT = 5120


class PushType(msgspec.Struct, frozen=True):
    """The rules of one value of `apns-push-type`."""

    suffix: str = ""
    """What its topic ends in, behind the bundle id."""
    priorities: tuple[str, ...] = ANY_PRIORITY
    limit: int = PAYLOAD_LIMIT
    """Payload bytes."""


PUSH_TYPES = {
    "alert": PushType(),
    "background": PushType(priorities=("5",)),
    "voip": PushType(".voip", limit=VOIP_PAYLOAD_LIMIT),
    "complication": PushType(".complication"),
    "fileprovider": PushType(".pushkit.fileprovider"),
    "mdm": PushType(),
    "location": PushType(".location-query", priorities=("5", "10")),
    "liveactivity": PushType(".push-type.liveactivity", priorities=("5", "10")),
    "pushtotalk": PushType(".voip-ptt"),
    "widgets": PushType(".push-type.widgets"),
    "controls": PushType(".push-type.controls"),
}
UNSAID = PushType()
"""A request without a push type, as from before iOS 13."""

STATUS = {
    "BadCollapseId": 400,
    "BadDeviceToken": 400,
    "BadExpirationDate": 400,
    "BadMessageId": 400,
    "BadPriority": 400,
    "BadRequestPayload": 400,
    "BadTopic": 400,
    "DeviceTokenNotForTopic": 400,
    "DuplicateHeaders": 400,
    "InvalidPushType": 400,
    "MissingDeviceToken": 400,
    "MissingTopic": 400,
    "PayloadEmpty": 400,
    "TopicDisallowed": 400,
    "BadCertificate": 403,
    "BadCertificateEnvironment": 403,
    "BadEnvironmentKeyInToken": 403,
    "ExpiredProviderToken": 403,
    "InvalidProviderToken": 403,
    "MissingProviderToken": 403,
    "UnrelatedKeyIdInToken": 403,
    "BadPath": 404,
    "MethodNotAllowed": 405,
    "PayloadTooLarge": 413,
    "TooManyProviderTokenUpdates": 429,
}
"""The status of each reason that a request can earn by itself."""

SCRIPTED_REASON = {
    400: "BadDeviceToken",
    403: "InvalidProviderToken",
    404: "BadPath",
    405: "MethodNotAllowed",
    410: "Unregistered",
    413: "PayloadTooLarge",
    429: "TooManyRequests",
    500: "InternalServerError",
    503: "ServiceUnavailable",
}
"""The reason of a scripted status that came without one."""

UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
TOPIC = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
HEX = re.compile(r"[0-9a-fA-F]+")
EXPIRATION = re.compile(r"[0-9]{1,19}")
IDENTIFIER = re.compile(r"[A-Za-z0-9]{10}")
"""Key ids and team ids have ten characters."""
COLLAPSE_ID_LIMIT = 64  # bytes


def bundle_id(topic: str) -> str:
    """`topic` without the suffix of a push type."""
    suffixes = (rule.suffix for rule in PUSH_TYPES.values() if rule.suffix)
    return next((topic.removesuffix(suffix) for suffix in suffixes if topic.endswith(suffix)), topic)
