"""The one request that every program sends: a realistic alert of 255 bytes with eight headers besides the pseudo ones."""

from __future__ import annotations

IN_FLIGHT = 500
PATHS = 25_000
"""Distinct requests that a program walks through."""
BODY = (
    b'{"aps":{"alert":{"title":"Nadia Petrova","body":"The offer for the Riverside project is ready, '
    b'please look at page 3 before noon."},"sound":"default","badge":4,"thread-id":"chat-118","category":"MESSAGE"},'
    b'"chat":118,"message":"0193f4e2-7c1d-7d10-9000-00"}'
)
PATH = "/3/device/" + "ab" * 32
HEADERS = {
    "user-agent": "bench",
    "content-type": "application/json",
    "apns-topic": "com.example.chat",
    "apns-push-type": "alert",
    "apns-priority": "10",
    "apns-expiration": "1795000000",
}
AUTHORIZATION = "bearer " + "e" * 180
"""As long as an ES256 token of Apple's kind."""
APNS_ID = "019a8f4e-2b3c-7d10-9000-000000000001"
DESCRIPTION = (
    f"POST {PATH[:14]}..., {len(HEADERS) + 2} headers besides the pseudo ones, "
    f"{len(BODY)}-byte body; one connection, {IN_FLIGHT} in flight, TLS 1.3"
)


def body_of(size: int) -> bytes:
    """The same alert with a longer text: `size` bytes, at least as many as BODY has."""
    text = b"please look at page 3 before noon."
    return BODY.replace(text, text + b"." * (size - len(BODY)))
