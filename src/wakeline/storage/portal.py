"""Rules of the portal's access, events and calls that every adapter follows."""

from __future__ import annotations

from datetime import UTC, datetime

from wakeline.model.bitrix24.access import Grant
from wakeline.model.bitrix24.events import EventHandler, OfflineEvent
from wakeline.model.bitrix24.records import Fields
from wakeline.model.errors import Conflict, NotFound

MEMBER_ID_BYTES = 16
"""A portal's `member_id` is 32 hex digits."""


def login_key(login: str) -> str:
    """Return what two logins that differ in case only have in common."""
    return login.casefold()


def over(grant: Grant) -> int:
    """Return when neither token of a grant is of use any more."""
    return max(grant.access_expires, grant.refresh_expires)


def no_application(number: int) -> NotFound:
    """Say that an application does not exist."""
    return NotFound(f"There is no application {number} on the portal")


def no_user(number: int) -> NotFound:
    """Say that a user does not exist."""
    return NotFound(f"There is no user {number} on the portal")


def no_webhook(number: int) -> NotFound:
    """Say that a webhook does not exist."""
    return NotFound(f"There is no incoming webhook {number}")


def handler_key(handler: EventHandler) -> tuple[int, str, str, int, bool, str]:
    """Return what two handlers may not have in common."""
    return (
        handler.application,
        handler.event,
        handler.handler,
        handler.user,
        handler.offline,
        handler.connector,
    )


def event_fields(event: OfflineEvent) -> Fields:
    """Return an offline event by the names that filters use (Bitrix24: event.offline.list); its time in whole seconds."""
    return {
        "TIMESTAMP_X": datetime.fromtimestamp(event.at // 1000, UTC).isoformat(),
        "EVENT_NAME": event.event,
        "MESSAGE_ID": event.message,
        "PROCESS_ID": event.process,
        "ERROR": "1" if event.failed else "0",
        "CONNECTOR_ID": event.connector,
    }


def handler_exists() -> Conflict:
    """Say that a handler is bound already."""
    return Conflict("This handler is bound already")


def call_exists(call_id: str) -> Conflict:
    """Say that a call has another's id."""
    return Conflict(f"There is another call {call_id}")


def no_call(number: int) -> NotFound:
    """Say that a call does not exist."""
    return NotFound(f"There is no external call {number}")


def application_gone() -> NotFound:
    """Say that an application does not exist any more."""
    return NotFound("The application was deleted")
