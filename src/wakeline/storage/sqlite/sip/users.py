"""SIP users: kept in memory whole, written through; their digests are sealed on disk, for each opens as the password does."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import structlog

from wakeline.model.errors import SecretError
from wakeline.model.sip.user import SipUser
from wakeline.ports import Secrets
from wakeline.storage.sealed import user_context
from wakeline.storage.sip import no_user, refuse_broken_text
from wakeline.storage.sqlite.reader import Reader
from wakeline.storage.sqlite.statements import load
from wakeline.storage.sqlite.transaction import Transaction
from wakeline.storage.sqlite.writer import Writer

_SQL = load("sip_users")
_facts = msgspec.json.Decoder(SipUser)
_digests = msgspec.msgpack.Decoder(tuple[str, str])
_log = structlog.get_logger()


class SqliteSipUsers:
    """Users by domain and name."""

    def __init__(self, writer: Writer, reader: Reader, secrets: Secrets) -> None:
        self._writer = writer
        self._reader = reader
        self._secrets = secrets
        self._users: dict[tuple[str, str], SipUser] = {}
        self._listed: list[SipUser] | None = None
        """All in order, while nobody was added or left: whoever pages through many must not have them sorted for each page."""

    async def load(self) -> None:
        """Read all users. One whose digests do not open is left out: empty ones would let everybody in."""
        for facts, sealed in self._reader.all(_SQL["users"]):
            user = _facts.decode(facts)
            try:
                md5, sha256 = _digests.decode(self._secrets.open(sealed, user_context(user)))
            except SecretError as error:
                _log.error("sip_user_lost", user=user.aor, error=error.detail)
            else:
                self._remember(msgspec.structs.replace(user, md5=md5, sha256=sha256))

    async def put(self, user: SipUser) -> None:
        """Make a user, or put this in place of the one with its name and domain."""
        refuse_broken_text(user)
        await self._writer.write(lambda tx: self._put(tx, user))

    def _put(self, tx: Transaction, user: SipUser) -> None:
        sealed = self._secrets.seal(msgspec.msgpack.encode((user.md5, user.sha256)), user_context(user))
        facts = msgspec.json.encode(msgspec.structs.replace(user, md5="", sha256=""))
        tx.execute(_SQL["put_user"], (user.domain, user.user, facts, sealed))
        tx.on_commit(lambda: self._remember(user))

    async def delete(self, user: str, domain: str) -> None:
        """Forget one. Raises NotFound."""
        await self._writer.write(lambda tx: self._delete(tx, user, domain))

    def _delete(self, tx: Transaction, user: str, domain: str) -> None:
        if not tx.execute(_SQL["delete_user"], (domain, user)).rowcount:
            raise no_user(user, domain)
        tx.on_commit(lambda: self._drop(user, domain))

    def _drop(self, user: str, domain: str) -> None:
        self._users.pop((domain, user), None)
        self._listed = None

    def get(self, user: str, domain: str) -> SipUser | None:
        """Return one."""
        return self._users.get((domain, user))

    def all(self) -> Sequence[SipUser]:
        """Return all, by domain and name."""
        if self._listed is None:
            self._listed = [self._users[key] for key in sorted(self._users)]
        return self._listed

    def _remember(self, user: SipUser) -> None:
        self._users[user.domain, user.user] = user
        self._listed = None
