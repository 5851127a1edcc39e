"""What being a client of other people's Bitrix24 portals needs: kept by the store, and offered to the edges by the connector.

The conformance suites define what is kept, as with the others. The connector implements `Portals` and `CallJournal`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

import msgspec

from wakeline.model.bitrix24.inbox import EventState, ReceivedEvent, Settled
from wakeline.model.bitrix24.installation import Installation, Tokens
from wakeline.model.bitrix24.outbox import PortalWrite, WriteState
from wakeline.model.bitrix24.rule import Rule, RuleTrial

# --- kept by the store -----------------------------------------------------------------------------------------------


class Installations(Protocol):
    """Connected portals. Reads are from memory; secrets are sealed on disk."""

    async def create(self, installation: Installation) -> Installation:
        """Keep one; its id is given by the store. Raises Conflict (name, or a second mirror), NotFound (a deleted app)."""

    async def change(self, installation: Installation, *, of: Installation | None = None) -> None:
        """Put this in place of the one with its id, but for tokens and `reached`. Raises NotFound, and Conflict as above.

        `of`: what the caller made this of. Then only what differs from that is changed: changes side by side all count.
        """

    async def keep_tokens(self, number: int, tokens: Tokens | None, *, instead_of: str) -> bool:
        """Put a new pair in place if the refresh token in force is still `instead_of` (empty: none is); on disk when it returns.

        False: somebody was faster, and nothing was changed. Raises NotFound.
        """

    async def reach(self, number: int, moment: int) -> None:
        """Write that everything before `moment` is known here; an earlier one than is written changes nothing."""

    async def delete(self, number: int) -> None:
        """Forget it, with its rules, events and writes. Raises NotFound."""

    def by_id(self, number: int) -> Installation | None:
        """Return one."""

    def by_name(self, name: str) -> Installation | None:
        """Return the one whose address this is."""

    def by_prefix(self, user: str) -> Installation | None:
        """Return the one of whose portal this user of our registry is: the longest prefix that fits, never the empty one."""

    def all(self) -> list[Installation]:
        """Return all, oldest first."""


class Rules(Protocol):
    """Rules, read from memory."""

    async def create(self, rule: Rule) -> Rule:
        """Keep one; its id is given by the store. Raises Conflict (the name exists), NotFound (no such installation)."""

    async def change(self, rule: Rule) -> None:
        """Put this in place of the one with its id. Raises NotFound, and Conflict for another's name."""

    async def delete(self, number: int) -> None:
        """Forget it. Raises NotFound."""

    def by_id(self, number: int) -> Rule | None:
        """Return one."""

    def all(self) -> list[Rule]:
        """Return all, oldest first."""


class EventInbox(Protocol):
    """Events of connected portals."""

    async def put(self, events: Sequence[ReceivedEvent]) -> list[bool]:
        """Keep events, on disk when it returns; False for one whose installation and identity are there already.

        Calls that arrive while a commit runs share the next one. Those of a deleted installation are not kept (False).
        Raises StoreUnavailable, and none is kept.
        """

    async def waiting(self, installation: int, *, now: int, limit: int) -> list[ReceivedEvent]:
        """Return waiting events that are due, oldest first."""

    async def next_due(self) -> dict[int, int]:
        """Return when the first waiting event of each installation that has any is due."""

    async def hasten(self, installation: int, *, now: int) -> None:
        """Have all waiting events of an installation due by `now`."""

    async def settle(self, settled: Sequence[Settled]) -> None:
        """Write what became of waiting events, each one attempt more, in one commit; what was settled before stays as it is."""

    async def latest(self, installation: int, subjects: Collection[bytes]) -> Mapping[bytes, int]:
        """Return when the portal raised the last event we know of with each of these subjects (`at`)."""

    async def by_id(self, number: int) -> ReceivedEvent | None:
        """Return one, if it is still recorded."""

    async def by_identity(self, installation: int, identity: bytes) -> ReceivedEvent | None:
        """Return the one of an installation with this identity, if it is still recorded."""

    async def recorded(
        self,
        *,
        installation: int | None = None,
        event: str | None = None,
        state: EventState | None = None,
        before: int | None = None,
        limit: int,
    ) -> list[ReceivedEvent]:
        """Return recorded events, newest first; `before`: with a smaller id."""

    async def prune(self, before: int) -> int:
        """Forget events received before that which wait for nothing; returns how many."""


class Outbox(Protocol):
    """Writes on connected portals. Those of an installation are sent in the order in which they were put."""

    async def put(self, writes: Sequence[PortalWrite]) -> list[PortalWrite]:
        """Keep writes, on disk when it returns; ids are given by the store; one whose key is known is the write that is there.

        Raises NotFound (no such installation), StoreUnavailable.
        """

    async def replace(self, write: PortalWrite) -> PortalWrite:
        """Put this in place of the waiting write with its key, or keep it as a new one; one that was sent stays, and is given."""

    async def waiting(self, installation: int, *, now: int, limit: int) -> list[PortalWrite]:
        """Return waiting and sent writes that are due, in their order."""

    async def next_due(self) -> dict[int, int]:
        """Return when the first waiting or sent write of each installation that has any is due."""

    async def settle(self, write: PortalWrite, *, instead_of: WriteState | None = None) -> bool:
        """Write its state, attempts, due time, result and cause; on disk when it returns.

        False: it is not in the state `instead_of` any more, or forgotten, and nothing was written.
        """

    async def by_key(self, installation: int, key: str) -> PortalWrite | None:
        """Return the write with this key."""

    async def by_id(self, number: int) -> PortalWrite | None:
        """Return one, if it is still recorded."""

    async def recorded(
        self,
        *,
        installation: int | None = None,
        state: WriteState | None = None,
        before: int | None = None,
        limit: int,
    ) -> list[PortalWrite]:
        """Return recorded writes, newest first; `before`: with a smaller id."""

    async def prune(self, before: int) -> int:
        """Forget writes put before that which wait for nothing and nobody; returns how many.

        Doubtful ones stay, and so do those whose result a later write waits for.
        """


# --- offered by the connector ----------------------------------------------------------------------------------------


class SyncProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a synchronisation is: records read by kind, `total` as far as the portal told; `ended` 0: it runs."""

    began: int
    ended: int = 0
    done: dict[str, int] = {}
    total: dict[str, int] = {}
    cause: str = ""


class Portals(Protocol):
    """Connected portals as the edges see them."""

    def ring(self, installation: int) -> None:
        """Say that events or writes of an installation wait; returns at once."""

    def connected(self, installation: int) -> None:
        """Say that an installation may be asked (again): what happened there meanwhile is looked for; returns at once."""

    def disconnected(self, installation: int) -> None:
        """Say that an installation was deleted; what is under way for it ends. Returns at once."""

    def rules_changed(self) -> None:
        """Say that rules, or what is mirrored, have changed: portals are told which events we want now; returns at once."""

    async def verify(self, installation: Installation) -> Installation:
        """Ask the portal who it is; returns what was learnt (endpoints, member id, state ACTIVE), which is not kept yet.

        Raises WakelineError with the cause and the next step: the portal does not answer, or does not let us in.
        """

    async def redeem(self, installation: Installation, code: str) -> Installation:
        """Exchange an authorization code for tokens and verify them; not kept yet. Raises as `verify`."""

    async def bind(self, installation: Installation) -> tuple[str, ...]:
        """Have the portal post the events of our rules to us, and no others that we bound; returns the events that are bound.

        With a webhook an operator has to do so: then it returns none.
        """

    def check(self, rule: Rule) -> None:
        """Judge templates and expressions. Raises InvalidRequest that names the field, the cause and the place."""

    async def attempt(self, rule: Rule, event: ReceivedEvent) -> RuleTrial:
        """Apply a rule to an event, with what the portal says of its record now, and send nothing."""

    def synchronise(self, installation: int) -> SyncProgress:
        """Begin to read all users and records of the mirrored portal anew, unless that runs; returns at once.

        Raises NotFound, and Conflict for an installation that is no mirror or is not active.
        """

    def progress(self, installation: int) -> SyncProgress | None:
        """Return how far the last synchronisation of this process is."""


class CallBegan(msgspec.Struct, frozen=True, kw_only=True):
    """A call that rings users of our registry in `app` (row id). `call_id` is its edge's own (unique in the app); `at` in Unix ms.

    `phone` is the number of who calls; `line` the one that was called, if it is known.
    """

    app: int
    call_id: str
    users: tuple[str, ...]
    phone: str
    at: int
    line: str = ""


class CallEnded(msgspec.Struct, frozen=True, kw_only=True):
    """How a call ended: `duration` in whole seconds that people talked, `status` as SIP has it (200, 304 missed, 486, 603).

    `user` is who talked, if it is known.
    """

    app: int
    call_id: str
    duration: int
    status: int
    at: int
    reason: str = ""
    user: str = ""


class CallJournal(Protocol):
    """Whoever keeps a record of calls elsewhere. Edges tell it; what it was told is on disk when it returns."""

    def keeps(self, app: int, user: str) -> bool:
        """Tell whether calls of this user of an app are of interest; at once, for every call."""

    async def began(self, calls: Sequence[CallBegan]) -> None:
        """Note calls; one that is told twice is one. Raises StoreUnavailable."""

    async def ended(self, call: CallEnded) -> bool:
        """Note how a call ended; False for one that nobody noted before. Raises StoreUnavailable."""
