"""Who may register at and call through the SIP edge."""

from __future__ import annotations

import msgspec


class SipUser(msgspec.Struct, frozen=True, kw_only=True):
    """A user of a domain. What is kept of the password is H(user:realm:password) (RFC 8760), sealed: it opens as the password does.

    `created` in Unix ms.
    """

    user: str
    domain: str
    realm: str
    md5: str
    sha256: str
    created: int = 0

    @property
    def aor(self) -> str:
        """Return the address-of-record."""
        return f"sip:{self.user}@{self.domain}"

    def __repr__(self) -> str:
        """Leave out the digests: a repr ends in logs and tracebacks."""
        return f"SipUser({self.aor})"
