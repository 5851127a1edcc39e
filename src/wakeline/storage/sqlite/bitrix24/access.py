"""Who may speak to the portal: portal and webhooks in memory whole and written through, users as rows.

A webhook is found in a map by the digest of its code; why that tells an attacker nothing is said in `tokens`.
"""

from __future__ import annotations

import secrets as entropy
from collections.abc import Mapping
from functools import partial

import msgspec

from wakeline.model.bitrix24.access import IncomingWebhook, PortalState, PortalUser, PushChange
from wakeline.model.errors import Conflict
from wakeline.ports import Secrets
from wakeline.storage.portal import MEMBER_ID_BYTES, login_key, no_user, no_webhook
from wakeline.storage.sqlite.apps import SqliteApps
from wakeline.storage.sqlite.bitrix24.options import PortalOptions
from wakeline.storage.sqlite.bitrix24.spans import is_row_id
from wakeline.storage.sqlite.reader import Reader
from wakeline.storage.sqlite.settings import SqliteSettings
from wakeline.storage.sqlite.statements import load
from wakeline.storage.sqlite.transaction import Transaction
from wakeline.storage.sqlite.writer import Writer

PORTAL = "bitrix24_portal"
"""The setting that holds the portal's state."""

_SQL = load("bitrix24_access")
_state = msgspec.json.Decoder(PortalState)
_user = msgspec.json.Decoder(PortalUser)
_webhook = msgspec.json.Decoder(IncomingWebhook)


class SqlitePortalAccess(PortalOptions):
    """The portal, its users and webhooks, over its applications with their tokens and options."""

    def __init__(
        self, writer: Writer, reader: Reader, secrets: Secrets, apps: SqliteApps, settings: SqliteSettings
    ) -> None:
        super().__init__(writer, reader, secrets, apps)
        self._settings = settings
        self._state = PortalState(member_id="")
        self._webhooks: dict[int, IncomingWebhook] = {}
        self._by_digest: dict[bytes, int] = {}
        self.on_delete(self.forget_tokens)
        self.on_delete(self.forget_options)

    async def load(self) -> None:
        """Read what is kept in memory; at the first time the portal is given its `member_id`."""
        await super().load()
        for number, facts in self._reader.all(_SQL["webhooks"]):
            self._remember_webhook(msgspec.structs.replace(_webhook.decode(facts), id=number))
        known = self._settings.known(PORTAL)
        if known is not None:
            self._state = _state.decode(known)
        else:
            await self._write_portal(PortalState(member_id=entropy.token_hex(MEMBER_ID_BYTES)))

    def portal(self) -> PortalState:
        """Return the portal; its `member_id` was made with the store."""
        return self._state

    async def set_portal(self, state: PortalState) -> None:
        """Change it, but for the `member_id`."""
        await self._write_portal(msgspec.structs.replace(state, member_id=self._state.member_id))

    async def _write_portal(self, state: PortalState) -> None:
        await self._settings.set(PORTAL, msgspec.json.encode(state).decode())
        self._state = state

    async def put_user(self, user: PortalUser) -> None:
        """Make a user, or put this in place of the one with this id. Raises Conflict if the login is another user's.

        What one who is there wants on their phone stays: `change_push` changes that.
        """
        await self._writer.write(lambda tx: _put_user(tx, user))

    async def change_push(self, user: int, change: PushChange) -> None:
        """Change what a user wants on their phone and nothing else: changes side by side all count. Raises NotFound."""
        await self._writer.write(lambda tx: _change_push(tx, user, change))

    async def user(self, number: int) -> PortalUser | None:
        """Return a user."""
        row = self._reader.one(_SQL["user"], (number,)) if is_row_id(number) else None
        return None if row is None else _user.decode(row[0])

    async def user_by_login(self, login: str) -> PortalUser | None:
        """Return the user with this login, whatever its case; nobody has the empty one."""
        row = self._reader.one(_SQL["user_by_login"], (login_key(login),))
        return None if row is None else _user.decode(row[0])

    async def users(self) -> list[PortalUser]:
        """Return all, by id: a portal has some thousands at most."""
        return [_user.decode(facts) for (facts,) in self._reader.all(_SQL["users"])]

    async def create_webhook(self, webhook: IncomingWebhook) -> IncomingWebhook:
        """Keep a webhook; its id is given by the store. Raises Conflict (the code exists)."""
        return await self._writer.write(lambda tx: self._create_webhook(tx, webhook))

    def _create_webhook(self, tx: Transaction, webhook: IncomingWebhook) -> IncomingWebhook:
        if tx.one(_SQL["webhook_of_digest"], (webhook.digest,)) is not None:
            raise Conflict("A webhook with this code exists already")
        number = tx.execute(_SQL["insert_webhook"], (webhook.digest, msgspec.json.encode(webhook))).lastrowid or 0
        kept = msgspec.structs.replace(webhook, id=number)
        tx.on_commit(lambda: self._remember_webhook(kept))
        return kept

    async def delete_webhook(self, number: int) -> None:
        """Make it useless. Raises NotFound."""
        await self._writer.write(lambda tx: self._delete_webhook(tx, number))

    def _delete_webhook(self, tx: Transaction, number: int) -> None:
        if not tx.execute(_SQL["delete_webhook"], (number,)).rowcount:
            raise no_webhook(number)
        tx.on_commit(lambda: self._forget_webhook(number))

    async def touch_webhooks(self, used: Mapping[int, int]) -> None:
        """Write when webhooks were last used (Unix ms by id); those that are gone are left out."""
        await self._writer.write(lambda tx: self._touch_webhooks(tx, used))

    def _touch_webhooks(self, tx: Transaction, used: Mapping[int, int]) -> None:
        for number, at in used.items():
            if number in self._webhooks:
                touched = msgspec.structs.replace(self._webhooks[number], used=at)
                if tx.execute(_SQL["touch_webhook"], (msgspec.json.encode(touched), number)).rowcount:
                    tx.on_commit(partial(self._touched, touched))

    def _touched(self, webhook: IncomingWebhook) -> None:
        """Remember a use, unless the webhook was deleted in the same commit."""
        if webhook.id in self._webhooks:
            self._webhooks[webhook.id] = webhook

    def webhook_by(self, digest: bytes) -> IncomingWebhook | None:
        """Return the webhook whose code has this digest."""
        number = self._by_digest.get(digest)
        return None if number is None else self._webhooks[number]

    def webhooks(self) -> list[IncomingWebhook]:
        """Return all, oldest first."""
        return list(self._webhooks.values())

    def _remember_webhook(self, webhook: IncomingWebhook) -> None:
        self._webhooks[webhook.id] = webhook
        self._by_digest[webhook.digest] = webhook.id

    def _forget_webhook(self, number: int) -> None:
        self._by_digest.pop(self._webhooks.pop(number).digest, None)


def _put_user(tx: Transaction, user: PortalUser) -> None:
    key = login_key(user.login)
    other = tx.one(_SQL["login_taken"], (key, user.id))
    if other is not None:
        raise Conflict(f"The login {user.login!r} is that of user {other[0]}")
    there = tx.one(_SQL["user"], (user.id,))
    kept = user if there is None else msgspec.structs.replace(user, push=_user.decode(there[0]).push)
    tx.execute(_SQL["put_user"], (user.id, key, msgspec.json.encode(kept)))


def _change_push(tx: Transaction, number: int, change: PushChange) -> None:
    row = tx.one(_SQL["user"], (number,)) if is_row_id(number) else None
    if row is None:
        raise no_user(number)
    user = _user.decode(row[0])
    changed = msgspec.structs.replace(user, push=change.of(user.push))
    tx.execute(_SQL["change_facts"], (msgspec.json.encode(changed), number))
