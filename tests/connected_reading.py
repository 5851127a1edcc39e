"""Reading events of a connected portal in tests: the portal simulator, the rules, and a pipeline that takes what they send."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from connected_portal import Connected
from stories.post import Post
from wakeline.connectors.bitrix24.reading import Reading, ReadingPorts, reading
from wakeline.model.bitrix24.inbox import EventState, Origin, ReceivedEvent, identity_of, identity_of_next, subject_of
from wakeline.model.bitrix24.installation import Installation
from wakeline.model.bitrix24.rule import Rule
from wakeline.model.ids import parse_key
from wakeline.model.notification import Content
from wakeline.model.route import ProviderKind
from wakeline.pipeline import Parts, Pipeline
from wakeline.ports import StoreHealth
from wakeline.service.ids import KeyMaker
from wakeline.service.receipt_signing import ReceiptSigner
from wakeline.simulator.portal.records import Kind
from wakeline.storage.sealing import Sealer
from webhook_listener import Listener


class Keeper:
    """A disk with room, unless it is full."""

    full = False

    def health(self) -> StoreHealth:
        return StoreHealth(writable=True, low_disk=self.full)

    async def checkpoint(self) -> None:
        """Nothing to fold."""


class ReadingWorld:
    """One installation, its rules, and what becomes of its events."""

    def __init__(self, world: Connected, installation: Installation) -> None:
        self.world = world
        self.installation = installation
        self.keeper = Keeper()
        self.raised: list[tuple[str, Mapping[str, object], int]] = []
        self.placed: list[Mapping[str, object]] = []
        self.pipeline = self._pipeline()
        self.reading = self.restarted()

    def restarted(self) -> Reading:
        """Return a new reader on the same store, as after a crash."""
        store = self.world.store
        ports = ReadingPorts(
            clock=self.world.clock,
            apps=store.apps,
            installations=store.installations,
            rules=store.portal_rules,
            inbox=store.event_inbox,
            records=store.portal_records,
            access=store.portal_access,
            accept=self.pipeline.accept,
            raised=self._raise,
            placed=self._place,
        )
        self.reading = reading(ports, self.world.connections)
        return self.reading

    async def _raise(self, event: str, data: Mapping[str, object], user: int) -> None:
        self.raised.append((event, data, user))

    async def _place(self, _: Installation, data: Mapping[str, object], __: int) -> None:
        self.placed.append(data)

    def _pipeline(self) -> Pipeline:
        store, clock = self.world.store, self.world.clock
        parts = Parts(
            acceptance=store.acceptance,
            idempotency=store.idempotency,
            queue=store.queue,
            ledger=store.ledger,
            events=store.events,
            devices=store.devices,
            apps=store.apps,
            credentials=store.credentials,
            routes=store.routes,
            brakes=store.brakes,
            portal_access=store.portal_access,
            portal_events=store.portal_events,
            portal_calls=store.portal_calls,
            event_inbox=store.event_inbox,
            outbox=store.outbox,
            sip_bindings=store.sip_bindings,
            sip_messages=store.sip_messages,
            endpoints=store.endpoints,
            receipts=store.receipts,
            webhook_sender=Listener(),
            silence=store.silence,
            facts=store.settings,
            keeper=self.keeper,
            providers={ProviderKind.APNS: Post(ProviderKind.APNS)},
            clock=clock,
            ids=KeyMaker(clock.now, 0),
            entropy=lambda: 0.5,
            receipt_token=ReceiptSigner(Sealer(b"k" * 32)).token,
            settings=self.world.settings,
        )
        return Pipeline(parts)

    # --- rules and events

    async def rule(self, name: str = "told", event: str = "ONCRMDEALUPDATE", **fields: object) -> Rule:
        usual: dict[str, object] = {"recipients": ("record.ASSIGNED_BY_ID",), "title": "{{ record.TITLE }}"}
        one = Rule(id=0, name=name, event=event, recipients=())
        return await self.world.store.portal_rules.create(msgspec.structs.replace(one, **{**usual, **fields}))

    async def happens(
        self,
        number: int = 7,
        event: str = "ONCRMDEALUPDATE",
        *,
        data: Mapping[str, object] | None = None,
        user: int = 1,
        origin: Origin = Origin.POSTED,
        received: int | None = None,
    ) -> int:
        """Have an event in the inbox, a second after the last; returns its id."""
        self.world.clock.advance(1)
        at = self.world.clock.now()
        said = msgspec.json.encode({"FIELDS": {"ID": str(number)}} if data is None else data)
        subject = subject_of(event, said)
        one = ReceivedEvent(
            id=0,
            installation=self.installation.id,
            event=event,
            data=said,
            at=at,
            received=at if received is None else received,
            identity=identity_of(subject, at),
            subject=subject,
            record=number,
            user=user,
            origin=origin,
        )
        assert await self.world.store.event_inbox.put([one]) == [True]
        [newest] = await self.world.store.event_inbox.recorded(installation=self.installation.id, limit=1)
        return newest.id

    async def happens_again(self, number: int) -> int:
        """Have what an event told of happen once more in the same second; returns the id of the event that tells it."""
        known = await self.event(number)
        again = msgspec.structs.replace(
            known, id=0, identity=identity_of_next(known.identity), state=EventState.WAITING, notifications=(), cause=""
        )
        assert await self.world.store.event_inbox.put([again]) == [True]
        [newest] = await self.world.store.event_inbox.recorded(installation=self.installation.id, limit=1)
        return newest.id

    async def drained(self, number: int) -> int:
        """Have a deal change, and its event worked off; returns the event's id."""
        happened = await self.happens(number)
        await self.drain()
        return happened

    async def drain(self) -> None:
        """Work off what is due."""
        for _ in range(100):
            if not await self.reading.reader.drain(self.installation.id):
                return
        raise AssertionError("it never comes to an end")

    # --- what can be seen

    async def event(self, number: int) -> ReceivedEvent:
        found = await self.world.store.event_inbox.by_id(number)
        assert found is not None
        return found

    async def sent(self, number: int) -> list[Content]:
        """What was sent for an event."""
        event = await self.event(number)
        return [await self.content(name) for name in event.notifications]

    async def content(self, name: str) -> Content:
        found = await self.world.store.ledger.notification(parse_key(name))
        assert found is not None
        return found.content

    async def titles(self, number: int) -> list[str]:
        """The titles of what was sent for an event, which is done."""
        event = await self.event(number)
        assert event.state is EventState.DONE, event.cause
        contents = await self.sent(number)
        return [content.alert.title for content in contents if content.alert is not None]

    def deal(self, number: int, **fields: object) -> None:
        """Change a deal on the portal, without an event."""
        rows = self.world.portal.records[Kind.DEAL]
        rows[number] = {**rows[number], **fields}

    def trips(self) -> int:
        """How many requests the portal got from us."""
        entries = msgspec.json.decode(self.world.simulator.state.journal.requests(provider="portal"))
        return len(entries)
