"""SIP users, in a dictionary."""

from __future__ import annotations

from wakeline.model.sip.user import SipUser
from wakeline.storage.sip import no_user, refuse_broken_text


class MemorySipUsers:
    """Users by domain and name."""

    def __init__(self) -> None:
        self._users: dict[tuple[str, str], SipUser] = {}

    async def put(self, user: SipUser) -> None:
        """Make a user, or put this in place of the one with its name and domain."""
        refuse_broken_text(user)
        self._users[user.domain, user.user] = user

    async def delete(self, user: str, domain: str) -> None:
        """Forget one. Raises NotFound."""
        if self._users.pop((domain, user), None) is None:
            raise no_user(user, domain)

    def get(self, user: str, domain: str) -> SipUser | None:
        """Return one."""
        return self._users.get((domain, user))

    def all(self) -> list[SipUser]:
        """Return all, by domain and name."""
        return [self._users[key] for key in sorted(self._users)]
