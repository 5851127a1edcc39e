"""Rules of webhook endpoints that every adapter follows: which secrets sign after a rotation, how a page of the log ends."""

from __future__ import annotations

from collections.abc import Sequence

from wakeline.model.errors import NotFound
from wakeline.model.webhook import EndpointSecret, Message, MessagePage

SIGNING = 5
"""Secrets of an endpoint that are kept at most: each one is a signature more in the head of every message."""


def rotated(present: Sequence[EndpointSecret], new: bytes, *, until: int, now: int) -> tuple[EndpointSecret, ...]:
    """Return the new secret and the former ones, which sign until `until` at the longest; none of them twice."""
    former = [
        EndpointSecret(value=one.value, until=until if one.until is None else min(one.until, until))
        for one in present
        if one.value != new
    ]
    in_force = [one for one in former if one.until is not None and one.until > now]
    return (EndpointSecret(value=new), *in_force[: SIGNING - 1])


def page_of(messages: Sequence[Message], limit: int) -> MessagePage:
    """Return a page of messages, of which one more than the page holds was read, so that the last page is known as such."""
    shown = tuple(messages[:limit])
    return MessagePage(messages=shown, cursor=shown[-1].seq if shown and len(messages) > limit else None)


def surplus(kept: int, most: int) -> int:
    """Return how many messages of an endpoint are to be forgotten, of so many that are kept."""
    return kept - most * 9 // 10 if kept > most else 0


def no_endpoint(number: int) -> NotFound:
    """Say that a webhook endpoint does not exist."""
    return NotFound(f"There is no webhook endpoint {number}")
