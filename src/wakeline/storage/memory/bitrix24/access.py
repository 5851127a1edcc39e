"""Who may speak to the portal, in dictionaries."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping

import msgspec

from wakeline.model.bitrix24.access import (
    AuthorizationCode,
    Grant,
    IncomingWebhook,
    PortalApplication,
    PortalState,
    PortalUser,
    PushChange,
)
from wakeline.model.errors import Conflict, NotFound
from wakeline.storage.memory.registers import MemoryApps
from wakeline.storage.portal import (
    MEMBER_ID_BYTES,
    application_gone,
    login_key,
    no_application,
    no_user,
    no_webhook,
    over,
)


class MemoryPortalAccess:
    """Users, applications, webhooks, codes and grants."""

    def __init__(self, apps: MemoryApps) -> None:
        self._apps = apps
        self._state = PortalState(member_id=secrets.token_hex(MEMBER_ID_BYTES))
        self._users: dict[int, PortalUser] = {}
        self._applications: dict[int, PortalApplication] = {}
        self._gone: set[int] = set()
        self._webhooks: dict[int, IncomingWebhook] = {}
        self._codes: dict[bytes, AuthorizationCode] = {}
        self._grants: dict[int, Grant] = {}
        self._options: dict[tuple[int, int], dict[str, object]] = {}
        self._last_application = self._last_webhook = self._last_grant = 0
        self._forget: list[Callable[[int], None]] = []

    def on_delete(self, forget: Callable[[int], None]) -> None:
        """Have what belongs to an application forgotten with it."""
        self._forget.append(forget)

    def is_gone(self, application: int) -> bool:
        """Tell whether an application was deleted."""
        return application in self._gone

    def portal(self) -> PortalState:
        """Return the portal; its `member_id` was made with the store."""
        return self._state

    async def set_portal(self, state: PortalState) -> None:
        """Change it, but for the `member_id`."""
        self._state = msgspec.structs.replace(state, member_id=self._state.member_id)

    async def put_user(self, user: PortalUser) -> None:
        """Make a user, or put this in place of the one with this id. Raises Conflict if the login is another user's.

        What one who is there wants on their phone stays: `change_push` changes that.
        """
        other = await self.user_by_login(user.login)
        if other is not None and other.id != user.id:
            raise Conflict(f"The login {user.login!r} is that of user {other.id}")
        there = self._users.get(user.id)
        self._users[user.id] = user if there is None else msgspec.structs.replace(user, push=there.push)

    async def change_push(self, user: int, change: PushChange) -> None:
        """Change what a user wants on their phone and nothing else: changes side by side all count. Raises NotFound."""
        there = self._users.get(user)
        if there is None:
            raise no_user(user)
        self._users[user] = msgspec.structs.replace(there, push=change.of(there.push))

    async def user(self, number: int) -> PortalUser | None:
        """Return a user."""
        return self._users.get(number)

    async def user_by_login(self, login: str) -> PortalUser | None:
        """Return the user with this login, whatever its case; nobody has the empty one."""
        key = login_key(login)
        return next((user for user in self._users.values() if key and login_key(user.login) == key), None)

    async def users(self) -> list[PortalUser]:
        """Return all, by id."""
        return sorted(self._users.values(), key=lambda user: user.id)

    async def create_application(self, application: PortalApplication) -> PortalApplication:
        """Keep an application; its id is given by the store. Raises Conflict (the client id exists), NotFound (a deleted app)."""
        self._check(application, 0)
        self._last_application += 1
        kept = msgspec.structs.replace(application, id=self._last_application)
        self._applications[kept.id] = kept
        return kept

    async def change_application(self, application: PortalApplication) -> None:
        """Put this in place of the application with this id. Raises NotFound, and Conflict for another's client id."""
        if application.id not in self._applications:
            raise no_application(application.id)
        self._check(application, application.id)
        self._applications[application.id] = application

    def _check(self, application: PortalApplication, own: int) -> None:
        if self._apps.is_gone(application.app):
            raise NotFound("The app was deleted")
        other = self.application_of(application.client_id)
        if other is not None and other.id != own:
            raise Conflict(f"An application with the client id {application.client_id!r} exists already")

    async def delete_application(self, number: int) -> None:
        """Forget it with its codes, tokens, handlers and offline events. Raises NotFound."""
        if number not in self._applications:
            raise no_application(number)
        self._delete_application(number)

    def _delete_application(self, number: int) -> None:
        del self._applications[number]
        self._gone.add(number)
        self._codes = {digest: code for digest, code in self._codes.items() if code.application != number}
        self._grants = {row: grant for row, grant in self._grants.items() if grant.application != number}
        self._options = {key: options for key, options in self._options.items() if key[0] != number}
        for forget in self._forget:
            forget(number)

    def application(self, number: int) -> PortalApplication | None:
        """Return one by id."""
        return self._applications.get(number)

    def application_of(self, client_id: str) -> PortalApplication | None:
        """Return one by its client id."""
        return next((each for each in self._applications.values() if each.client_id == client_id), None)

    def applications(self) -> list[PortalApplication]:
        """Return all, oldest first."""
        return list(self._applications.values())

    async def create_webhook(self, webhook: IncomingWebhook) -> IncomingWebhook:
        """Keep a webhook; its id is given by the store. Raises Conflict (the code exists)."""
        if self.webhook_by(webhook.digest) is not None:
            raise Conflict("A webhook with this code exists already")
        self._last_webhook += 1
        kept = self._webhooks[self._last_webhook] = msgspec.structs.replace(webhook, id=self._last_webhook)
        return kept

    async def delete_webhook(self, number: int) -> None:
        """Make it useless. Raises NotFound."""
        if self._webhooks.pop(number, None) is None:
            raise no_webhook(number)

    async def touch_webhooks(self, used: Mapping[int, int]) -> None:
        """Write when webhooks were last used (Unix ms by id); those that are gone are left out."""
        for number, at in used.items():
            if number in self._webhooks:
                self._webhooks[number] = msgspec.structs.replace(self._webhooks[number], used=at)

    def webhook_by(self, digest: bytes) -> IncomingWebhook | None:
        """Return the webhook whose code has this digest."""
        return next((webhook for webhook in self._webhooks.values() if webhook.digest == digest), None)

    def webhooks(self) -> list[IncomingWebhook]:
        """Return all, oldest first."""
        return list(self._webhooks.values())

    async def options(self, application: int, user: int) -> dict[str, object]:
        """Return what an application keeps for a user; 0: for itself."""
        return dict(self._options.get((application, user), {}))

    async def change_options(self, application: int, user: int, new: Mapping[str, object], *, most: int) -> bool:
        """Add to what is kept; False, and nothing is changed: all of it would be longer than `most` bytes. Raises NotFound."""
        self._refuse_gone(application)
        options = self._options.get((application, user), {}) | dict(new)
        if len(msgspec.json.encode(options)) > most:
            return False
        self._options[application, user] = options
        return True

    async def keep_code(self, code: AuthorizationCode) -> None:
        """Keep a code until it is taken or expires. Raises NotFound for a deleted application."""
        self._refuse_gone(code.application)
        self._codes[code.digest] = code

    async def take_code(self, digest: bytes) -> AuthorizationCode | None:
        """Return a code and forget it: nobody gets it twice. Expired ones are returned too, once."""
        return self._codes.pop(digest, None)

    async def issue(self, grant: Grant) -> Grant:
        """Keep a pair of tokens beside those that this user granted before. Raises NotFound, as `keep_code`."""
        self._refuse_gone(grant.application)
        self._last_grant += 1
        kept = self._grants[self._last_grant] = msgspec.structs.replace(grant, id=self._last_grant)
        return kept

    async def grant_by_access(self, digest: bytes) -> Grant | None:
        """Return the grant whose access token this is, expired or not."""
        return next((grant for grant in self._grants.values() if grant.access == digest), None)

    async def grant_by_refresh(self, digest: bytes) -> Grant | None:
        """Return the grant whose refresh token this is, or was before the last rotation."""
        return next(
            (grant for grant in self._grants.values() if digest and digest in (grant.refresh, grant.former)), None
        )

    async def rotate(self, expected: bytes, grant: Grant, *, leaving: Grant | None = None) -> bool:
        """Put a new pair in place, if the refresh token in force is still `expected`; False: somebody was faster."""
        present = self._grants.get(grant.id)
        if present is None or present.refresh != expected:
            return False
        self._grants[grant.id] = grant
        if leaving is not None:
            await self.issue(leaving)
        return True

    async def revoke(self, grant: int) -> None:
        """Forget a grant, with what is left of its former pairs."""
        self._grants = {number: one for number, one in self._grants.items() if grant not in (number, one.of)}

    async def prune(self, now: int) -> int:
        """Forget codes and grants that have expired; returns how many."""
        codes = {digest: code for digest, code in self._codes.items() if code.expires > now}
        grants = {row: grant for row, grant in self._grants.items() if over(grant) > now}
        gone = len(self._codes) - len(codes) + len(self._grants) - len(grants)
        self._codes, self._grants = codes, grants
        return gone

    def forget_app(self, app: int) -> None:
        """Forget an app's applications."""
        for application in [each for each in self._applications.values() if each.app == app]:
            self._delete_application(application.id)

    def _refuse_gone(self, application: int) -> None:
        if application in self._gone:
            raise application_gone()
