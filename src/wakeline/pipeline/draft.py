"""One submission made ready for its commit: who gets it, on which route, when, and what ends here already.

No credential (901), a per-user limit (914) and a connected device end a delivery here, with its row and its event.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from wakeline.model.app import App
from wakeline.model.delivery import DeliveryRow, DeliveryState, pack
from wakeline.model.device import TargetKind
from wakeline.model.errors import InvalidRequest, NoCredential, PayloadTooLarge, WakelineError
from wakeline.model.event import Event
from wakeline.model.notification import Notification, NotificationRequest, PushType
from wakeline.model.outcome import Outcome
from wakeline.model.route import ProviderKind
from wakeline.pipeline import report
from wakeline.pipeline.audience import Directory, Named
from wakeline.pipeline.limits import Charge, UserLimits, worded
from wakeline.pipeline.parts import Parts
from wakeline.pipeline.resolve import Wait, absent_at, address_of, kinds_for
from wakeline.pipeline.route import RouteTable
from wakeline.pipeline.terms import Terms, terms_of
from wakeline.wire import fcm
from wakeline.wire.outcomes import Refusal, ours

_EVENTS_FOR_MISSING = 20
_PROVIDERS = {kind.value: kind.provider for kind in TargetKind}


class Draft(msgspec.Struct, kw_only=True):
    """A submission on its way to be an admission. `missing`: somebody who is named has nothing to send to."""

    terms: Terms
    key: int
    created: int
    missing: bool = False
    waiting: dict[tuple[int, Wait], list[int]] = msgspec.field(default_factory=dict)
    rows: list[DeliveryRow] = msgspec.field(default_factory=list)
    events: list[Event] = msgspec.field(default_factory=list)
    charges: dict[str, Charge | int] = msgspec.field(default_factory=dict)
    failures: list[Outcome] = msgspec.field(default_factory=list)
    providers: set[ProviderKind] = msgspec.field(default_factory=set)
    estimate: int | None = None

    @property
    def recipients(self) -> int:
        """Count its deliveries."""
        return sum(map(len, self.waiting.values())) + len(self.rows)

    def notification(self, app: int, request_id: str) -> Notification:
        """Return the notification; the names are kept where a walk or explain will ask for them."""
        terms = self.terms
        return Notification(
            key=self.key,
            app=app,
            content=terms.content,
            lane=terms.lane,
            due=terms.due,
            expires=terms.expires,
            created=self.created,
            bulk=terms.walked,
            audience=terms.audience if terms.walked or self.missing else None,
            only_if_absent=terms.only_if_absent,
            recipients=0 if terms.walked else self.recipients,
            walked=not terms.walked,
            request_id=request_id,
        )


class Ready(msgspec.Struct):
    """A draft with its notification: what a commit needs."""

    draft: Draft
    notification: Notification


class Drafting:
    """Makes drafts. Nothing is kept by it but what it charges to the per-user limits."""

    def __init__(self, parts: Parts, table: RouteTable, limits: UserLimits) -> None:
        self._parts = parts
        self._table = table
        self._limits = limits

    async def drafts(
        self, app: App, requests: Sequence[tuple[NotificationRequest, str]]
    ) -> list[Ready | WakelineError]:
        """Return a draft, or what is wrong, for each (request, request id); look-ups are shared."""
        now = self._parts.clock.now()
        allow_http = self._parts.settings.providers.webpush.allow_http
        terms = [_terms(request, now, allow_http=allow_http) for request, _ in requests]
        named = [term.audience for term in terms if isinstance(term, Terms) and not term.walked]
        directory = Directory()
        await directory.look_up(self._parts.devices, app.id, named, now)
        return [
            await self._draft(app, term, directory, request_id) if isinstance(term, Terms) else term
            for term, (_, request_id) in zip(terms, requests, strict=True)
        ]

    def refund(self, draft: Draft) -> None:
        """Give back what a draft was charged: it is not kept."""
        for charge in draft.charges.values():
            if isinstance(charge, Charge):
                self._limits.refund(charge)

    async def _draft(self, app: App, terms: Terms, directory: Directory, request_id: str) -> Ready | WakelineError:
        draft = Draft(terms=terms, key=self._parts.ids.next(), created=self._parts.clock.now())
        try:
            if terms.walked:
                await self._walk(app, draft)
            else:
                await self._resolve(app, draft, directory)
            notification = draft.notification(app.id, request_id)
            self._check_size(draft.providers, notification)
            _check_topics(terms)
        except InvalidRequest as error:
            self.refund(draft)
            return error
        return Ready(draft, notification)

    async def _walk(self, app: App, draft: Draft) -> None:
        audience = draft.terms.audience
        kinds = {kind.provider for kind in kinds_for(draft.terms.content.type, app.settings)}
        draft.providers = {credential.provider for credential in self._parts.credentials.of_app(app.id)} & kinds
        if not draft.providers:
            raise _no_credential(app, ours(Refusal.NO_CREDENTIAL))
        draft.estimate = draft.terms.named
        if audience.is_broad:
            draft.estimate += await self._parts.devices.count(app.id, tags=audience.tags)

    async def _resolve(self, app: App, draft: Draft, directory: Directory) -> None:
        terms, now = draft.terms, self._parts.clock.now()
        named = directory.named(terms.audience, terms.content.type, app.settings)
        places = await self._places(app, terms.content.type, named)
        if named and all(isinstance(place, Outcome) for place in places):
            refused = next(place for place in places if isinstance(place, Outcome))
            raise _no_credential(app, refused)
        for entry, place in zip(named, places, strict=True):
            self._put(app, draft, entry, place, now)
        await self._missing(app, draft, directory, named)

    async def _places(self, app: App, push_type: PushType, named: list[Named]) -> list[int | Outcome]:
        """Return where each goes; nearly always that is known without asking the store."""
        places: list[int | Outcome] = []
        for entry in named:
            address = address_of(entry.candidate)
            known = self._table.placed(app, push_type, address)
            places.append(known if known is not None else (await self._table.place(app, push_type, [address]))[address])
        return places

    def _put(self, app: App, draft: Draft, entry: Named, place: int | Outcome, now: int) -> None:
        """Decide about one target: which job it joins, or why it gets none."""
        if isinstance(place, Outcome):
            self._refuse(app, draft, entry, DeliveryState.FAILED, place)
            return
        wait = self._wait(app, draft, entry, now)
        if isinstance(wait, Outcome):
            connected = wait.reason == Refusal.CONNECTED
            self._refuse(app, draft, entry, DeliveryState.SKIPPED if connected else DeliveryState.FAILED, wait)
            return
        draft.waiting.setdefault((place, wait), []).append(pack(entry.candidate.target, entry.generation))
        draft.providers.add(_provider(entry.candidate.kind))

    def _wait(self, app: App, draft: Draft, entry: Named, now: int) -> Wait | Outcome:
        terms = draft.terms
        due = max(terms.due, absent_at(entry.candidate, now)) if terms.only_if_absent else terms.due
        if due >= terms.expires:
            return ours(Refusal.CONNECTED)
        if not entry.subject or not self._limited(app, terms, entry, now):
            return Wait(due)
        charge = self._charge(app, draft, entry.subject, now)
        if isinstance(charge, int):
            return ours(Refusal.RATE_LIMITED, detail=f"The next one is allowed at {worded(charge)}.")
        if charge.at <= now:
            return Wait(due)
        collapse_id = terms.content.collapse_id
        return Wait(max(due, charge.at), 914, f"{entry.subject}\n{collapse_id}" if collapse_id else "")

    def _limited(self, app: App, terms: Terms, entry: Named, now: int) -> bool:
        """Tell whether the per-user limits count this one. What is scheduled is spread by its caller, and not counted."""
        if not app.settings.limits or terms.due > now or not self._limits.applies(terms.content.type):
            return False
        ios = _provider(entry.candidate.kind) is ProviderKind.APNS
        return ios or terms.content.type is not PushType.BACKGROUND

    def _charge(self, app: App, draft: Draft, subject: str, now: int) -> Charge | int:
        """Charge a user once a notification, however many devices they have."""
        charge = draft.charges.get(subject)
        if charge is None:
            content = draft.terms.content
            latest = now if content.type is PushType.CALL else draft.terms.expires
            charge = self._limits.charge(app.id, subject, content.type, content.collapse_id, now=now, latest=latest)
            draft.charges[subject] = charge
        return charge

    def _refuse(self, app: App, draft: Draft, entry: Named, state: DeliveryState, outcome: Outcome) -> None:
        key, target, at = draft.key, entry.candidate.target, draft.created
        draft.rows.append(
            DeliveryRow(key, target, state, outcome.code, 0, outcome.reason, outcome.outcome_class, "", 0, at)
        )
        draft.failures.append(outcome)
        event = report.refused(state, outcome, app=app.slug, notification=key, candidate=entry.candidate, at=at)
        draft.events.append(event)

    async def _missing(self, app: App, draft: Draft, directory: Directory, named: list[Named]) -> None:
        """Tell of those who were named and have nothing to send to; keep the names, so that explain can tell too."""
        audience, key, at = draft.terms.audience, draft.key, draft.created
        wanted = len(audience.users) + len(audience.devices)
        if not wanted or (named and wanted == 1):
            return
        if len({entry.subject for entry in named if entry.subject}) == wanted:
            return
        users, devices = directory.missing_users(audience, named), directory.missing_devices(audience, named)
        draft.missing = bool(users or devices)
        if users:
            outcome = ours(Refusal.UNKNOWN_USER)
            event = report.unreachable(outcome, app=app.slug, notification=key, users=users, device="", at=at)
            draft.events.append(event)
        for device in devices[:_EVENTS_FOR_MISSING]:
            known = await self._parts.devices.get(app.id, device) is not None
            outcome = ours(Refusal.NO_TARGET if known else Refusal.UNKNOWN_DEVICE)
            event = report.unreachable(outcome, app=app.slug, notification=key, users=(), device=device, at=at)
            draft.events.append(event)

    def _check_size(self, providers: Iterable[ProviderKind], notification: Notification) -> None:
        for provider in providers:
            size, limit, field = self._parts.providers[provider].size(notification)
            if size > limit:
                raise PayloadTooLarge(
                    f"The push would be {size} bytes, and {provider.value} takes {limit}",
                    pointer=field if field.startswith("/") else f"/{field}",
                    fix="Shorten it, or set `truncate` to have the text shortened by the gateway.",
                )


def _check_topics(terms: Terms) -> None:
    """Refuse what FCM takes to a device but not to a topic or a condition."""
    if any(target.kind == TargetKind.FCM and fcm.is_broadcast(target.token) for target in terms.audience.targets):
        fcm.check_topic_size(terms.content)


def _terms(request: NotificationRequest, now: int, *, allow_http: bool) -> Terms | WakelineError:
    try:
        return terms_of(request, now, allow_http=allow_http)
    except InvalidRequest as error:
        return error


def _no_credential(app: App, outcome: Outcome) -> NoCredential:
    return NoCredential(f"App {app.slug} cannot reach any of them. {outcome.cause}", pointer="/to", fix=outcome.fix)


def _provider(kind: str) -> ProviderKind:
    return _PROVIDERS[kind]
