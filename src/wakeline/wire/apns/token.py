"""Device tokens in their one spelling: hex, in lower case.

A token is compared byte by byte when it turns up again, so its spelling must be one. Apple: "don't make assumptions about the
length" of a token.
"""

from __future__ import annotations

from wakeline.model.errors import InvalidRequest

_HEX = "0123456789abcdef"
_FORMS = "APNs tokens are sent as hex: two digits a byte, nothing between."


def spelled(value: str, pointer: str) -> str:
    """Return an APNs token in lower case. Raises InvalidRequest that points to the field."""
    token = value.lower()
    if token.strip(_HEX):
        raise InvalidRequest(
            "this is no APNs token: it has characters that are no hex digits", pointer=pointer, fix=_FORMS
        )
    if len(token) % 2:
        raise InvalidRequest("this is no APNs token: it has an odd number of hex digits", pointer=pointer, fix=_FORMS)
    return token
