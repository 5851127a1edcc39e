"""What our own Bitrix24 portal needs kept: one interface a need. The conformance suites define them, as with the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from wakeline.model.bitrix24.access import (
    AuthorizationCode,
    Grant,
    IncomingWebhook,
    PortalApplication,
    PortalState,
    PortalUser,
    PushChange,
)
from wakeline.model.bitrix24.calls import ExternalCall
from wakeline.model.bitrix24.events import EventHandler, OfflineEvent
from wakeline.model.bitrix24.records import Condition, Order, Record, RecordKind, RecordPage


class PortalAccess(Protocol):
    """Users, applications, webhooks, codes and tokens. The portal, its applications and webhooks are read from memory."""

    def portal(self) -> PortalState:
        """Return the portal; its `member_id` was made with the store."""

    async def set_portal(self, state: PortalState) -> None:
        """Change it, but for the `member_id`."""

    async def put_user(self, user: PortalUser) -> None:
        """Make a user, or put this in place of the one with this id. Raises Conflict if the login is another user's.

        What one who is there wants on their phone stays: `change_push` changes that.
        """

    async def change_push(self, user: int, change: PushChange) -> None:
        """Change what a user wants on their phone and nothing else: changes side by side all count. Raises NotFound."""

    async def user(self, number: int) -> PortalUser | None:
        """Return a user."""

    async def user_by_login(self, login: str) -> PortalUser | None:
        """Return the user with this login, whatever its case; nobody has the empty one."""

    async def users(self) -> list[PortalUser]:
        """Return all, by id: a portal has some thousands at most."""

    async def create_application(self, application: PortalApplication) -> PortalApplication:
        """Keep an application; its id is given by the store. Raises Conflict (the client id exists), NotFound (a deleted app)."""

    async def change_application(self, application: PortalApplication) -> None:
        """Put this in place of the application with this id. Raises NotFound, and Conflict for another's client id."""

    async def delete_application(self, number: int) -> None:
        """Forget it with its codes, tokens, options, handlers and offline events. Raises NotFound."""

    def application(self, number: int) -> PortalApplication | None:
        """Return one by id."""

    def application_of(self, client_id: str) -> PortalApplication | None:
        """Return one by its client id."""

    def applications(self) -> list[PortalApplication]:
        """Return all, oldest first."""

    async def options(self, application: int, user: int) -> dict[str, object]:
        """Return what an application keeps for a user; 0: for itself. Values are JSON's."""

    async def change_options(self, application: int, user: int, new: Mapping[str, object], *, most: int) -> bool:
        """Add to what is kept: changes side by side all count. Raises NotFound for a deleted application.

        False, and nothing is changed: all of it would be longer than `most` bytes of JSON.
        """

    async def create_webhook(self, webhook: IncomingWebhook) -> IncomingWebhook:
        """Keep a webhook; its id is given by the store. Raises Conflict (the code exists)."""

    async def delete_webhook(self, number: int) -> None:
        """Make it useless. Raises NotFound."""

    async def touch_webhooks(self, used: Mapping[int, int]) -> None:
        """Write when webhooks were last used (Unix ms by id); those that are gone are left out."""

    def webhook_by(self, digest: bytes) -> IncomingWebhook | None:
        """Return the webhook whose code has this digest."""

    def webhooks(self) -> list[IncomingWebhook]:
        """Return all, oldest first."""

    async def keep_code(self, code: AuthorizationCode) -> None:
        """Keep a code until it is taken or expires. Raises NotFound for a deleted application."""

    async def take_code(self, digest: bytes) -> AuthorizationCode | None:
        """Return a code and forget it in the same commit: nobody gets it twice. Expired ones are returned too, once."""

    async def issue(self, grant: Grant) -> Grant:
        """Keep a pair of tokens beside those that this user granted before (two phones, an event); its id is given by the store.

        Raises NotFound for a deleted application.
        """

    async def grant_by_access(self, digest: bytes) -> Grant | None:
        """Return the grant whose access token this is, expired or not."""

    async def grant_by_refresh(self, digest: bytes) -> Grant | None:
        """Return the grant whose refresh token this is, or was before the last rotation."""

    async def rotate(self, expected: bytes, grant: Grant, *, leaving: Grant | None = None) -> bool:
        """Put a new pair in place, if the refresh token in force is still `expected`; False: somebody was faster.

        `leaving` is kept beside it in the same commit: what is left of the pair before.
        """

    async def revoke(self, grant: int) -> None:
        """Forget a grant, with what is left of its former pairs (`Grant.of`)."""

    async def prune(self, now: int) -> int:
        """Forget codes and grants that have expired; returns how many."""


class PortalEvents(Protocol):
    """Bound handlers, and the queue of offline events."""

    async def bind(self, handler: EventHandler) -> EventHandler:
        """Keep a handler; its id is given by the store. Raises Conflict (the same is bound), NotFound (a deleted application)."""

    async def unbind(
        self,
        application: int,
        event: str,
        *,
        handler: str | None,
        user: int | None,
        offline: bool,
        connector: str | None = None,
    ) -> int:
        """Forget handlers; None: whatever it is. Returns how many."""

    def handlers(self, *, application: int | None = None, event: str | None = None) -> list[EventHandler]:
        """Return handlers, oldest first, from memory."""

    async def queue(self, events: Sequence[OfflineEvent]) -> None:
        """Queue offline events; one that waits already (application, connector, message, not reserved) gets the new time.

        If it had failed it counts as new again. Those of a deleted application are dropped.
        """

    async def reserve(
        self,
        application: int,
        connector: str,
        process: str,
        *,
        limit: int,
        failed: bool,
        filters: Sequence[Condition] = (),
    ) -> list[OfflineEvent]:
        """Reserve what nobody has reserved, oldest first, in one commit: two readers never get the same event."""

    async def reserved(self, application: int, process: str) -> list[OfflineEvent]:
        """Return what a process has reserved, oldest first."""

    async def clear(
        self, application: int, process: str, *, messages: Sequence[str] | None = None, ids: Sequence[int] | None = None
    ) -> int:
        """Forget what a process has reserved: all, or those with these messages or ids. Returns how many."""

    async def fail(self, application: int, process: str, messages: Sequence[str]) -> int:
        """Give back what a process has reserved as failed; one that waits anew already just goes. Returns how many."""

    async def waiting(
        self,
        application: int,
        connector: str,
        *,
        filters: Sequence[Condition],
        order: Sequence[Order],
        start: int,
        limit: int,
    ) -> tuple[list[OfflineEvent], int]:
        """Return a page of the queue, reserved ones too, and how many there are in all; without an order oldest first.

        Filters and orders here and in `reserve` know ID, TIMESTAMP_X (whole seconds), EVENT_NAME, MESSAGE_ID, PROCESS_ID,
        ERROR (0 or 1) and CONNECTOR_ID.
        """

    async def prune_events(self, before: int) -> int:
        """Forget offline events older than that; returns how many."""


class PortalRecords(Protocol):
    """Deals, leads, contacts, activities and tasks."""

    async def put(self, records: Sequence[Record]) -> None:
        """Make records, or put these in place of those with the same kind and id."""

    async def get(self, kind: RecordKind, number: int) -> Record | None:
        """Return one."""

    async def find(
        self,
        kind: RecordKind,
        *,
        filters: Sequence[Condition],
        order: Sequence[Order],
        start: int,
        limit: int,
        count: bool,
    ) -> RecordPage:
        """Return a page of those that meet all filters. Without an order they come by id."""

    async def by_phone(self, kind: RecordKind, phone: str) -> Record | None:
        """Return the first record of a kind that has this number in PHONE, by an index: a call waits for the name.

        Only digits count, and `00` is `+`.
        """

    async def delete(self, kind: RecordKind, numbers: Sequence[int]) -> int:
        """Forget records; returns how many."""


class PortalCalls(Protocol):
    """External calls."""

    async def register(self, call: ExternalCall, *, since: int) -> ExternalCall:
        """Keep a call, or return the latest with the same fingerprint that began at `since` or later.

        Its id is given by the store. Raises Conflict if another call has the same call id.
        """

    async def call(self, call_id: str) -> ExternalCall | None:
        """Return a call."""

    async def finish(self, call: ExternalCall) -> None:
        """Write how a call ended. Raises NotFound."""

    async def prune_calls(self, before: int) -> int:
        """Forget calls that began before that, whether they were finished or not; returns how many."""
