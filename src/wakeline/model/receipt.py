"""Receipts: what a device itself says about a push. Accepted, acknowledged and opened are three facts."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from wakeline.model.delivery import Delivery
from wakeline.model.notification import Notification


class ReceiptKind(StrEnum):
    """What a device says."""

    ACKNOWLEDGED = "acknowledged"
    """The app has it."""
    OPENED = "opened"
    """Its user opened it."""


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """One receipt. `notification` is a key, `device` the row id of a device of `app`; `at`, Unix ms, is when we heard of it.

    `users` hold the device: its event names them. `certain`: False if it is proven by no more than the token of the push, which
    all have who were sent it: such a word counts, but ends nothing that is still to be sent.
    """

    app: int
    notification: int
    device: int
    kind: ReceiptKind
    at: int
    users: tuple[str, ...] = ()
    certain: bool = True


class InboxItem(msgspec.Struct, frozen=True, kw_only=True):
    """A notification that a device has not acknowledged, with its content, and its delivery to that device."""

    notification: Notification
    delivery: Delivery


class InboxPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of an inbox, the oldest first; `cursor`, the key of a notification, continues (None: the end)."""

    items: tuple[InboxItem, ...]
    cursor: int | None
