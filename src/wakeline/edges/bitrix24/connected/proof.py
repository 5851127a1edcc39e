"""Whether a portal says so: the application token, which it shares with us alone, and its own id.

Rule: an installation without a token believes nothing; one without an id (an outgoing webhook, before its first event) takes
the id from the first event that its token proves. Tokens are compared in constant time.
Source: Bitrix24 REST, "Security in handlers".
"""

from __future__ import annotations

import hmac

from wakeline.model.bitrix24.installation import Installation
from wakeline.wire.bitrix24.posted import Auth


def is_proven(installation: Installation, auth: Auth) -> bool:
    """Tell whether the portal of this installation posted this."""
    return has_token(installation, auth) and bool(auth.member_id) and is_same_portal(installation, auth)


def has_token(installation: Installation, auth: Auth) -> bool:
    """Tell whether the application token is the one of this installation."""
    known = installation.application_token.encode()
    return hmac.compare_digest(known, auth.application_token.encode()) and bool(known)


def is_same_portal(installation: Installation, auth: Auth) -> bool:
    """Tell whether the portal's id is the one that is known, if one is."""
    return installation.member_id in ("", auth.member_id)
