"""Public GRUUs (RFC 5627): a URI of one phone that shows neither its address nor its push token.

A public GRUU is the address-of-record with the instance of the phone as parameter `gr`. It is computed, not stored, so every
restart and every node gives the same. Temporary GRUUs are not made.
"""

from __future__ import annotations

import re

from wakeline.wire.sip.pieces import encode, quote, unescape
from wakeline.wire.sip.uri import SipUri

_ESCAPED = re.compile(r"[^A-Za-z0-9\-_.!~*'()\[\]/:&+$]")
"""What may not stand in the value of a URI parameter as it is (paramchar, RFC 3261 section 25.1)."""


def public_gruu(aor: str, instance: str) -> str:
    """Return the public GRUU of an instance (`urn:uuid:...`) of an address-of-record."""
    return f"{aor};gr={_ESCAPED.sub(_percent, instance)}"


def _percent(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in encode(match[0]))


def gruu_of(uri: SipUri) -> str | None:
    """Return the public GRUU that a URI is, as `public_gruu` writes it; None if it is none of that kind."""
    value = uri.params.get("gr")
    return public_gruu(uri.aor, unescape(value)) if value else None


def pub_gruu_param(gruu: str) -> tuple[str, str]:
    """Return the parameter that tells a phone its GRUU, in the Contact of a 2xx to REGISTER (RFC 5627 section 5.1)."""
    return "pub-gruu", quote(gruu)
