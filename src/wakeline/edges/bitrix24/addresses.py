"""Under which addresses the portal and its OAuth server are known to whoever asks.

Bitrix24's OAuth server is a host of its own, and `/rest/app.info` has another shape there. Without `[bitrix24] oauth_hosts`
both are one host: `server_endpoint` is then the portal's own address, and every client follows it.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import msgspec

from wakeline.config import Bitrix24, Settings
from wakeline.model.bitrix24.access import PortalState

_HOST = re.compile(r"[A-Za-z0-9._\-]{1,253}(:[0-9]{1,5})?|\[[0-9a-fA-F:.]{2,45}\](:[0-9]{1,5})?")
_PORT = re.compile(r":[0-9]+\Z")


class Addresses(msgspec.Struct, frozen=True, kw_only=True):
    """Origins: scheme and host, with the port where it is not the scheme's own."""

    portal: str
    oauth: str

    @property
    def client_endpoint(self) -> str:
        """Return where an application calls methods."""
        return f"{self.portal}/rest/"

    @property
    def server_endpoint(self) -> str:
        """Return where an application asks about its tokens; the token endpoint is on the same host."""
        return f"{self.oauth}/rest/"

    @property
    def portal_host(self) -> str:
        """Return the portal's host, with its port."""
        return self.portal.partition("://")[2]

    @property
    def portal_name(self) -> str:
        """Return the portal's host without a port, as event handlers compare it."""
        return urlsplit(self.portal).hostname or ""

    @property
    def oauth_host(self) -> str:
        """Return the OAuth server's host, with its port."""
        return self.oauth.partition("://")[2]


def addresses(scheme: str, host: str, settings: Settings, portal: PortalState) -> Addresses:
    """Return the addresses as they are to somebody who asked `host` (a Host header) by `scheme`.

    What cannot be a host's name is not repeated.
    """
    ours = settings.bitrix24
    host = host if _HOST.fullmatch(host) else "localhost"
    of_oauth = is_oauth_host(host, ours)
    known = portal.domain or (_elsewhere(settings) if of_oauth else "") or host
    oauth = host if of_oauth else next(iter(ours.oauth_hosts), known)
    return Addresses(portal=f"{scheme}://{known}", oauth=f"{scheme}://{oauth}")


def public(settings: Settings, portal: PortalState) -> Addresses:
    """Return the addresses where nobody asks from outside: for what is printed and what is sent."""
    server = settings.server
    scheme, _, host = server.public_url.partition("://")
    if not host:
        scheme, host = "https" if server.tls_certificate else "http", server.listen
    return addresses(scheme, _elsewhere(settings) or host.partition("/")[0], settings, portal)


def is_oauth_host(host: str, settings: Bitrix24) -> bool:
    """Tell whether a Host header is a name of the OAuth server."""
    return _is_one_of(host, settings.oauth_hosts)


def is_known(host: str, settings: Bitrix24) -> bool:
    """Tell whether a Host header is a name of the portal or its OAuth server; a portal without names has any."""
    return not settings.portal_hosts or _is_one_of(host, settings.portal_hosts + settings.oauth_hosts)


def _is_one_of(host: str, names: tuple[str, ...]) -> bool:
    if not _HOST.fullmatch(host):
        return False
    name = _PORT.sub("", host).lower()
    return any(name == one.lower() for one in names)


def _elsewhere(settings: Settings) -> str:
    """Return the portal's host as the settings say it, for somebody who asked the OAuth server."""
    if settings.bitrix24.portal_hosts:
        return settings.bitrix24.portal_hosts[0]
    return urlsplit(settings.server.public_url).netloc
