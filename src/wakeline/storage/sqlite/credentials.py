"""Credentials: facts in memory, secrets sealed on disk and opened when a sender is made."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from wakeline.model.credential import Credential, CredentialSecret, CredentialState
from wakeline.ports import NewCredential, Secrets
from wakeline.storage.replacement import present, restored, successor, worth_keeping
from wakeline.storage.sealed import seal_context, sealed_form, secret_of
from wakeline.storage.sqlite.reader import Reader
from wakeline.storage.sqlite.statements import load
from wakeline.storage.sqlite.transaction import Transaction
from wakeline.storage.sqlite.writer import Writer

_SQL = load("registers")
_facts = msgspec.json.Decoder(Credential)


class SqliteCredentials:
    """Credentials by id; the seal binds each secret to its row, kind and app."""

    def __init__(self, writer: Writer, reader: Reader, secrets: Secrets) -> None:
        self._writer = writer
        self._reader = reader
        self._secrets = secrets
        self._known: dict[int, Credential] = {}
        self._former: dict[int, Credential] = {}
        self._listeners: list[Callable[[int], None]] = []

    async def load(self) -> None:
        """Read all facts."""
        for facts, former in self._reader.all(_SQL["credentials"]):
            credential = _facts.decode(facts)
            self._known[credential.id] = credential
            if former is not None:
                self._former[credential.id] = _facts.decode(former)

    def listen(self, changed: Callable[[int], None]) -> None:
        """Have `changed(app id)` called after a change."""
        self._listeners.append(changed)

    async def create(self, new: NewCredential, at: int) -> Credential:
        """Seal and keep it."""
        return await self._writer.write(lambda tx: self._create(tx, new, at))

    def _create(self, tx: Transaction, new: NewCredential, at: int) -> Credential:
        number = tx.execute(_SQL["insert_credential"], (new.facts.app,)).lastrowid or 0
        return self._keep(tx, msgspec.structs.replace(new.facts, id=number, created=at, revision=1), new.secret)

    async def replace(self, credential: int, new: NewCredential, at: int) -> Credential:
        """Put new content in place of the old. Raises NotFound."""
        return await self._writer.write(lambda tx: self._replace(tx, credential, new, at))

    def _replace(self, tx: Transaction, credential: int, new: NewCredential, at: int) -> Credential:
        old, kept = self._written(tx, credential)
        if worth_keeping(old, kept, at):
            tx.execute(_SQL["keep_former"], (credential,))
            tx.on_commit(lambda: self._former.__setitem__(credential, old))
        return self._keep(tx, successor(old, new.facts, at), new.secret)

    def former(self, credential: int) -> Credential | None:
        """Return the content that worked before the last replacement, while it is kept."""
        return self._former.get(credential)

    async def revert(self, credential: int, note: str) -> Credential:
        """Put the former content back. Raises NotFound if none is kept."""
        return await self._writer.write(lambda tx: self._revert(tx, credential, note))

    def _revert(self, tx: Transaction, credential: int, note: str) -> Credential:
        facts = restored(*self._written(tx, credential), note)
        tx.execute(_SQL["revert_credential"], (msgspec.json.encode(facts), credential))
        tx.on_commit(lambda: self._forget_former(facts))
        return facts

    async def forget_former(self, credential: int) -> None:
        """Forget the former content, facts and secret."""
        facts = self._known.get(credential)
        if facts is not None and credential in self._former:
            await self._writer.write(lambda tx: self._forget(tx, facts))

    def _forget(self, tx: Transaction, facts: Credential) -> None:
        tx.execute(_SQL["forget_former"], (facts.id,))
        tx.on_commit(lambda: self._forget_former(self._known.get(facts.id, facts)))

    def _forget_former(self, facts: Credential) -> None:
        self._former.pop(facts.id, None)
        self._remember(facts)

    def of_app(self, app: int) -> list[Credential]:
        """Return an app's credentials, oldest first."""
        return [facts for facts in self._known.values() if facts.app == app]

    def get(self, credential: int) -> Credential | None:
        """Return one by id."""
        return self._known.get(credential)

    def all(self) -> list[Credential]:
        """Return all."""
        return list(self._known.values())

    async def secret(self, credential: int, *, former: bool = False) -> CredentialSecret:
        """Open the sealed half, or that of the former content. Raises NotFound, SecretError."""
        facts = present(self._former.get(credential), credential) if former else self._found(credential)
        sealed = self._reader.one(_SQL["sealed"], (credential,))[former]
        return secret_of(self._secrets.open(sealed, seal_context(facts)))

    async def set_state(self, credential: int, state: CredentialState, note: str) -> None:
        """Remember what the provider thought of it."""
        facts = self._found(credential)
        if (facts.state, facts.state_note) != (state, note):
            await self._writer.write(lambda tx: self._set_state(tx, facts, state, note))

    def _set_state(self, tx: Transaction, seen: Credential, state: CredentialState, note: str) -> None:
        now, _ = self._written(tx, seen.id)
        if now.revision != seen.revision:
            return  # replaced meanwhile: what was thought of the former content says nothing of this one
        facts = msgspec.structs.replace(now, state=state, state_note=note)
        tx.execute(_SQL["update_facts"], (msgspec.json.encode(facts), seen.id))
        tx.on_commit(lambda: self._remember(facts))

    async def delete(self, credential: int) -> None:
        """Forget it."""
        if credential in self._known:
            await self._writer.write(lambda tx: tx.execute(_SQL["delete_credential"], (credential,)))
            self._former.pop(credential, None)
            facts = self._known.pop(credential, None)
            if facts is not None:
                self._tell(facts.app)

    async def forget_app(self, app: int) -> None:
        """Forget an app's credentials."""
        await self._writer.write(lambda tx: tx.execute(_SQL["delete_credentials"], (app,)))
        self._known = {number: facts for number, facts in self._known.items() if facts.app != app}
        self._former = {number: facts for number, facts in self._former.items() if facts.app != app}
        self._tell(app)

    def _written(self, tx: Transaction, credential: int) -> tuple[Credential, Credential | None]:
        """Return the facts, and those of what was before, with what others wrote in this same group. Raises NotFound."""
        row = tx.one(_SQL["credential"], (credential,))
        facts, former = row or (None, None)
        now = present(None if facts is None else _facts.decode(facts), credential)
        return now, None if former is None else _facts.decode(former)

    def _found(self, credential: int) -> Credential:
        return present(self._known.get(credential), credential)

    def _keep(self, tx: Transaction, facts: Credential, secret: CredentialSecret) -> Credential:
        sealed = self._secrets.seal(sealed_form(secret), seal_context(facts))
        tx.execute(_SQL["update_credential"], (msgspec.json.encode(facts), sealed, facts.id))
        tx.on_commit(lambda: self._remember(facts))
        return facts

    def _remember(self, facts: Credential) -> None:
        self._known[facts.id] = facts
        self._tell(facts.app)

    def _tell(self, app: int) -> None:
        for changed in self._listeners:
            changed(app)
