"""What the SIP edge needs kept. The conformance suites define it, as with the others. Times in Unix milliseconds."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from wakeline.model.sip.binding import Binding, BindingChange
from wakeline.model.sip.user import SipUser
from wakeline.model.sip.waiting import WaitingMessage


class SipBindings(Protocol):
    """Registrations. What is read is what was written, also before it is on disk."""

    async def change(self, change: BindingChange) -> None:
        """Write what a REGISTER does; on disk when it returns. Calls that arrive while a commit runs share the next one.

        What waits for a phone that has another uid now (`moved`) waits for that.
        Raises StoreUnavailable, and nothing is changed; InvalidRequest for text that is no UTF-8.
        """

    def of(self, aor: str) -> list[Binding]:
        """Return the bindings of an AoR that are kept, highest q first, of equals the one that registered last.

        At once: between this and the caller's next step no REGISTER comes. Raises StoreUnavailable.
        """

    def by_gruu(self, gruu: str) -> Binding | None:
        """Return the binding that has this public GRUU; of several the one that registered last. Raises StoreUnavailable."""

    async def by_token(self, app: int, token: str) -> list[Binding]:
        """Return the bindings that are woken by this token through this app."""

    async def aors(self, *, after: str = "", limit: int) -> list[str]:
        """Return AoRs that have bindings, in the order of their texts, from the one behind `after`."""

    async def expiring(self, before: int, *, after: int = 0, limit: int) -> list[Binding]:
        """Return bindings with push parameters whose SIP registration ends before that and not before `after`, soonest first."""

    async def prune(self, now: int) -> int:
        """Forget bindings that are kept no longer; returns how many."""


class SipMessages(Protocol):
    """Messages that wait."""

    async def put(self, message: WaitingMessage) -> WaitingMessage:
        """Keep a message, on disk when it returns; its id is given by the store; one with its AoR and key is the one that is there.

        Calls that arrive while a commit runs share the next one. Raises StoreUnavailable, InvalidRequest for text that is no UTF-8.
        """

    def any_for(self, aor: str, uid: str, *, now: int) -> bool:
        """Tell whether a phone has not taken something. Raises StoreUnavailable."""

    async def waiting(self, aor: str, uid: str, *, now: int, limit: int) -> list[WaitingMessage]:
        """Return what a phone has not taken, in order; what has expired is left out."""

    async def taken(self, uid: str, messages: Collection[int]) -> None:
        """Write that a phone took messages; one that all have taken is forgotten."""

    async def count(self, aor: str) -> int:
        """Count what waits for an AoR."""

    async def prune(self, now: int) -> int:
        """Forget messages that have expired; returns how many."""


class SipUsers(Protocol):
    """Users, read from memory; digests are sealed on disk."""

    async def put(self, user: SipUser) -> None:
        """Make a user, or put this in place of the one with its name and domain."""

    async def delete(self, user: str, domain: str) -> None:
        """Forget one. Raises NotFound."""

    def get(self, user: str, domain: str) -> SipUser | None:
        """Return one."""

    def all(self) -> Sequence[SipUser]:
        """Return all, by domain and name."""


class SipCredentials(Protocol):
    """Who knows passwords: our own users, or somebody's HTTP back-end."""

    async def digests(self, user: str, realm: str) -> Mapping[str, str] | None:
        """Return H(user:realm:password) by algorithm (`MD5`, `SHA-256`); None: there is no such user. Raises StoreUnavailable."""
