"""Names of header fields: a message is asked for `call-id`, however the peer spelt it.

The key of a header field is its long name in lower case (RFC 3261 section 7.3.1: names are compared without case; 7.3.3: compact
forms are the same field). What a peer sent keeps its spelling; what we write is spelt as the RFCs do.
"""

from __future__ import annotations

import re

from wakeline.wire.sip.broken import Broken

_COMPACT = {
    "a": "accept-contact",
    "b": "referred-by",
    "c": "content-type",
    "d": "request-disposition",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "n": "identity-info",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
    "x": "session-expires",
    "y": "identity",
}
"""IANA's list of compact forms (RFC 3261, 3265, 3515, 3841, 3892, 4028, 4474)."""

_KNOWN = """
Accept Accept-Contact Accept-Encoding Accept-Language Alert-Info Allow Allow-Events Authentication-Info Authorization Call-ID
Call-Info Contact Content-Disposition Content-Encoding Content-Language Content-Length Content-Type CSeq Date Error-Info Event
Expires Feature-Caps Flow-Timer From History-Info Identity Identity-Info In-Reply-To Max-Forwards MIME-Version Min-Expires Min-SE
Organization P-Access-Network-Info P-Asserted-Identity P-Preferred-Identity Path Priority Privacy Proxy-Authenticate
Proxy-Authorization Proxy-Require RAck Reason Record-Route Refer-To Referred-By Reject-Contact Replaces Reply-To
Request-Disposition Require Retry-After Route RSeq Server Service-Route Session-Expires SIP-ETag SIP-If-Match Subject
Subscription-State Supported Target-Dialog Timestamp To Unsupported User-Agent Via Warning WWW-Authenticate
""".split()  # noqa: SIM905 - seventy names read best as text

_SPELT = {name.lower(): name for name in _KNOWN}
_NAME = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")
"""A token (RFC 3261 section 25.1)."""


class _Keys(dict[str, str]):
    """Keys by usual spellings. Any other is worked out each time it is seen: peers cannot make this grow."""

    def __missing__(self, name: str) -> str:
        """Work out the key of a name that is not spelt as usual. Raises Broken."""
        stripped = name.rstrip(" \t")
        if _NAME.fullmatch(stripped) is None:
            raise Broken("The name of a header field is no token")
        lower = stripped.lower()
        return _COMPACT.get(lower, lower)


KEYS = _Keys()
"""The key of a name as it came, without its colon. Raises Broken where the name is no token."""
for _name in _KNOWN:
    KEYS[_name] = KEYS[_name.lower()] = KEYS[_name.title()] = _name.lower()
for _letter, _key in _COMPACT.items():
    KEYS[_letter] = KEYS[_letter.upper()] = _key


def spelt(key: str) -> str:
    """Return the name to write for a key."""
    return _SPELT.get(key) or key.title()
