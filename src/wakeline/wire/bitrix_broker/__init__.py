"""What a self-hosted Bitrix24 portal posts to its push service, read into entries. Sans-I/O.

    form       the batch of the portal itself: `;2;tkey=Bitrix24;h=portal.example;<base64>;<base64>`
    frames     what stands behind one base64: Apple's binary frame, or a small HTTP message for Google and Huawei
    gcm        messages of the former GCM as messages of FCM v1
    asked      the JSON form: `{key, token, platform, environment, payload}`, or a list of these
    entry      what all of them become

Rule: an entry that cannot be read costs itself and no other: it is a value that names its place and the cause. Only a batch
beyond the bounds is refused whole.
"""

from __future__ import annotations

from wakeline.wire.bitrix_broker.asked import Asked, asked
from wakeline.wire.bitrix_broker.entry import MOST_ENTRIES, MOST_TOKENS, Entry, Service, Unreadable, service_called
from wakeline.wire.bitrix_broker.form import batch

__all__ = [
    "MOST_ENTRIES",
    "MOST_TOKENS",
    "Asked",
    "Entry",
    "Service",
    "Unreadable",
    "asked",
    "batch",
    "service_called",
]
