"""OAuth 2.0 as Bitrix24 speaks it (RFC 6749 code flow with its own names), for web and mobile applications.

    door       ASGI: /oauth/authorize/, /oauth/token/, and /rest/app.info of the OAuth host
    authorize  the login page; a code for who signs in
    ticket     what a login page carries until it comes back: signed, bound to a cookie
    throttle   how often a user or an address may try
    pages      HTML, without script
    token      the token endpoint: exchange of codes, refresh with rotation
    info       what a token is, for whoever holds it

Rule: a failure before the user has signed in is shown on the page and never redirected, so that nobody is sent to an address
that was not registered (RFC 6749 section 4.1.2.1).
"""

from __future__ import annotations

from wakeline.edges.bitrix24.oauth.door import OAuthDoor

__all__ = ["OAuthDoor"]
