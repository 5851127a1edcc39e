"""Connected Bitrix24 portals inside a gateway: how they are reached."""

from __future__ import annotations

from wakeline.config import Bitrix24
from wakeline.transport.guard import Guard, system_resolver
from wakeline.transport.http import GuardedClient

LONGEST_ANSWER = 8 * 1024 * 1024
"""Bytes of an answer: a batch of pages is some megabytes."""

_MOST_CONNECTIONS = 128
"""The connector takes four at a portal, so that dozens that hang keep nobody else waiting."""


def portal_client(settings: Bitrix24) -> GuardedClient:
    """Return a client for portals and their OAuth hosts. Raises ConfigError for an unusable `connected_ca_file`.

    Plain http is for `connected_hosts` alone: the connector refuses it for other hosts before it asks.
    """
    guard = Guard(
        resolve=system_resolver,
        configured=frozenset(settings.connected_hosts),
        allow_http=bool(settings.connected_hosts),
    )
    return GuardedClient(
        guard, ca_file=settings.connected_ca_file, max_connections=_MOST_CONNECTIONS, max_answer=LONGEST_ANSWER
    )
