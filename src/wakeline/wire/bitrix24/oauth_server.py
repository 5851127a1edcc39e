"""Which addresses are those of an OAuth server of Bitrix24: client secret and tokens are sent there, and its word proves a portal.

Rule: whoever posts an installation names the server that is to vouch for it, so that only names which Bitrix24 itself uses count,
over TLS at its usual port, and hosts that the operator wrote into the configuration.
Source: Bitrix24 REST, "OAuth 2.0": oauth.bitrix.info, and oauth.bitrix24.tech in the documentation of some countries.
"""

from __future__ import annotations

import re
from collections.abc import Collection

OAUTH_HOSTS = frozenset({"oauth.bitrix.info", "oauth.bitrix24.tech"})
DEFAULT_SERVER_ENDPOINT = "https://oauth.bitrix.info/rest/"

_STRICT = re.compile(r"(https?)://([A-Za-z0-9.\-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?/rest/?", re.IGNORECASE)


def server_endpoint(said: str, configured: Collection[str]) -> str:
    """Return the address of an OAuth server in its usual form, ending in `/rest/`; empty: it is none that is believed.

    `configured`: hosts of the settings (names or addresses without a port), which may use any port, and plain http.
    """
    found = _STRICT.fullmatch(said)
    if found is None:
        return ""
    scheme, host, port = found[1].lower(), found[2].lower(), found[3] or ""
    if host.strip("[]") in {one.lower().strip("[]") for one in configured}:
        return f"{scheme}://{host}{port}/rest/"
    is_known = host in OAUTH_HOSTS and scheme == "https" and port in {"", ":443"}
    return f"https://{host}/rest/" if is_known else ""
