"""One submission made ready for its commit: who gets it, on which route, when, and what ends here already.

No credential (901), a per-user limit (914) and a connected device end a delivery here, with its row and its event.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from wakeline.model.app import App
from wakeline.model.delivery import DeliveryRow, DeliveryState, pack
from wakeline.model.device import Candidate, TargetKind
from wakeline.model.errors import InvalidRequest, NoCredential, PayloadTooLarge, WakelineError
from wakeline.model.moments import worded
from wakeline.model.notification import Notification, NotificationRequest, PushType
from wakeline.model.outcome import Outcome
from wakeline.model.route import ProviderKind
from wakeline.pipeline import report
from wakeline.pipeline.audience import Directory, Named
from wakeline.pipeline.limits import Charge, UserLimits
from wakeline.pipeline.parts import Parts
from wakeline.pipeline.ready import Draft, Ready, notification_of
from wakeline.pipeline.remembered import Remembered
from wakeline.pipeline.resolve import Wait, absent_at, address_of, kinds_for
from wakeline.pipeline.route import RouteTable
from wakeline.pipeline.terms import Terms, terms_of
from wakeline.ports import Single
from wakeline.wire import fcm, receipt_token
from wakeline.wire.outcomes import Refusal, ours

_EVENTS_FOR_MISSING = 20
_PROVIDERS = {kind.value: kind.provider for kind in TargetKind}


class Drafting:
    """Makes drafts. Nothing is kept by it but what it charges to the per-user limits."""

    def __init__(self, parts: Parts, table: RouteTable, limits: UserLimits, remembered: Remembered) -> None:
        self._parts = parts
        self._table = table
        self._limits = limits
        self._remembered = remembered

    async def drafts(
        self,
        app: App,
        requests: Sequence[tuple[NotificationRequest, str]],
        *,
        unserved: frozenset[int] = frozenset(),
    ) -> list[Ready | WakelineError]:
        """Return what a commit needs, or what is wrong, for each (request, request id); look-ups are shared.

        Of those at the places `unserved` a draft is made even if the app can reach nobody.
        Nearly every push has one recipient, whose route is known and for whom nothing is in the way: that takes the short way.
        """
        now = self._parts.clock.now()
        allow_http = self._parts.settings.providers.webpush.allow_http
        terms = [_terms(request, now, allow_http=allow_http) for request, _ in requests]
        named = [term.audience for term in terms if isinstance(term, Terms) and not term.walked]
        directory, version = Directory(), self._parts.devices.version
        await directory.look_up(self._parts.devices, app.id, named, now)
        self._remembered.note(directory.candidates(), version)
        drafts: list[Ready | WakelineError] = []
        for place, (term, (_, request_id)) in enumerate(zip(terms, requests, strict=True)):
            if isinstance(term, Terms):
                charges: dict[str, Charge | int] = {}
                found = [] if term.walked else directory.named(term.audience, term.content.type, app.settings)
                ready = self._short_way(app, term, charges, found, request_id, now)
                drafts.append(
                    ready
                    or await self._long_way(
                        app, term, charges, directory, found, request_id, now, keeps_unserved=place in unserved
                    )
                )
            else:
                drafts.append(term)
        return drafts

    def refund(self, charges: Mapping[str, Charge | int]) -> None:
        """Give back what a draft was charged: it is not kept."""
        for charge in charges.values():
            if isinstance(charge, Charge):
                self._limits.refund(charge)

    def _short_way(
        self,
        app: App,
        terms: Terms,
        charges: dict[str, Charge | int],
        found: list[Named],
        request_id: str,
        now: int,
    ) -> Ready | WakelineError | None:
        """Return what the long way would, if that has nothing to decide; else None, with what was charged in `charges`."""
        if len(found) != 1 or terms.named != 1 or terms.due > now or not terms.plain:
            return None
        [entry] = found
        candidate = entry.candidate
        place = self._table.placed(app, terms.content.type, address_of(candidate))
        if not isinstance(place, int) or self._wait(app, terms, charges, entry, now) is not None:
            return None
        key = self._parts.ids.next()
        try:
            if app.settings.receipts:
                terms = self._with_receipt(terms, key)
            notification = notification_of(terms, key, app.id, request_id, created=now, recipients=1, keeps_names=False)
            self._check_size((_PROVIDERS[candidate.kind],), notification)
            _check_topics(terms)
        except InvalidRequest as error:
            self.refund(charges)
            return error
        single = Single(place, pack(candidate.target, entry.generation))
        return Ready(notification=notification, charges=charges, single=single)

    async def _long_way(
        self,
        app: App,
        terms: Terms,
        charges: dict[str, Charge | int],
        directory: Directory,
        found: list[Named],
        request_id: str,
        now: int,
        *,
        keeps_unserved: bool,
    ) -> Ready | WakelineError:
        draft = Draft(
            terms=terms, key=self._parts.ids.next(), created=now, charges=charges, keeps_unserved=keeps_unserved
        )
        try:
            if app.settings.receipts:
                draft.terms = self._with_receipt(terms, draft.key)
            if terms.walked:
                await self._walk(app, draft)
            else:
                await self._resolve(app, draft, directory, found)
            ready = draft.ready(app.id, request_id)
            self._check_size(draft.providers, ready.notification)
            _check_topics(terms)
        except InvalidRequest as error:
            self.refund(charges)
            return error
        return ready

    def _with_receipt(self, terms: Terms, key: int) -> Terms:
        """Put into the data what the phone needs to say that it has the push. Raises InvalidRequest."""
        content = terms.content
        if receipt_token.FIELD in content.data:
            raise InvalidRequest(
                f"`data` may not have a key `{receipt_token.FIELD}`: what a phone needs for its receipt stands there",
                pointer=f"/data/{receipt_token.FIELD}",
                fix="Use another key, or switch `receipts` off for the app.",
            )
        data = receipt_token.bearing(content.data, key, self._parts.receipt_token(key))
        return msgspec.structs.replace(terms, content=msgspec.structs.replace(content, data=data))

    async def _walk(self, app: App, draft: Draft) -> None:
        audience = draft.terms.audience
        kinds = {kind.provider for kind in kinds_for(draft.terms.content.type, app.settings)}
        draft.providers = {credential.provider for credential in self._parts.credentials.of_app(app.id)} & kinds
        if not draft.providers and not draft.keeps_unserved:
            raise _no_credential(app, ours(Refusal.NO_CREDENTIAL))
        draft.estimate = draft.terms.named
        if audience.is_broad:
            draft.estimate += await self._parts.devices.count(app.id, tags=audience.tags)

    async def _resolve(self, app: App, draft: Draft, directory: Directory, named: list[Named]) -> None:
        places = await self._places(app, draft.terms.content.type, named)
        if named and not draft.keeps_unserved and all(isinstance(place, Outcome) for place in places):
            refused = next(place for place in places if isinstance(place, Outcome))
            raise _no_credential(app, refused)
        for entry, place in zip(named, places, strict=True):
            self._put(app, draft, entry, place)
        await self._missing(app, draft, directory, named)

    async def _places(self, app: App, push_type: PushType, named: list[Named]) -> list[int | Outcome]:
        """Return where each goes; nearly always that is known without asking the store."""
        places: list[int | Outcome] = []
        for entry in named:
            address = address_of(entry.candidate)
            known = self._table.placed(app, push_type, address)
            places.append(known if known is not None else (await self._table.place(app, push_type, [address]))[address])
        return places

    def _put(self, app: App, draft: Draft, entry: Named, place: int | Outcome) -> None:
        """Decide about one target: which job it joins, or why it gets none."""
        if isinstance(place, Outcome):
            self._refuse(app, draft, entry, DeliveryState.FAILED, place)
            return
        wait = self._wait(app, draft.terms, draft.charges, entry, draft.created) or Wait(draft.terms.due)
        if isinstance(wait, Outcome):
            connected = wait.reason == Refusal.CONNECTED
            self._refuse(app, draft, entry, DeliveryState.SKIPPED if connected else DeliveryState.FAILED, wait)
            return
        draft.waiting.setdefault((place, wait), []).append(pack(entry.candidate.target, entry.generation))
        draft.providers.add(_PROVIDERS[entry.candidate.kind])

    def _wait(
        self, app: App, terms: Terms, charges: dict[str, Charge | int], entry: Named, now: int
    ) -> Wait | Outcome | None:
        """Return what one recipient has to wait for, or why they get nothing; None: it may go when it is due."""
        due = max(terms.due, self._absent_at(app, entry.candidate, now)) if terms.only_if_absent else terms.due
        if due >= terms.expires:
            return ours(Refusal.CONNECTED)
        if entry.subject and self._limited(app, terms, entry, now):
            charge = self._charge(app, terms, charges, entry.subject, now)
            if isinstance(charge, int):
                return ours(Refusal.RATE_LIMITED, detail=f"The next one is allowed at {worded(charge)}.")
            if charge.at > now:
                collapse_id = terms.content.collapse_id
                return Wait(max(due, charge.at), 914, f"{entry.subject}\n{collapse_id}" if collapse_id else "")
        return Wait(due) if due > terms.due else None

    def _absent_at(self, app: App, candidate: Candidate, now: int) -> int:
        return absent_at(candidate, now, connected=self._parts.connected(app.id, candidate.device_id))

    def _limited(self, app: App, terms: Terms, entry: Named, now: int) -> bool:
        """Tell whether the per-user limits count this one. What is scheduled is spread by its caller, and not counted."""
        push_type = terms.content.type
        if not app.settings.limits or terms.due > now or not self._limits.applies(push_type):
            return False
        return push_type is not PushType.BACKGROUND or _PROVIDERS[entry.candidate.kind] is ProviderKind.APNS

    def _charge(self, app: App, terms: Terms, charges: dict[str, Charge | int], subject: str, now: int) -> Charge | int:
        """Charge a user once a notification, however many devices they have."""
        charge = charges.get(subject)
        if charge is None:
            content = terms.content
            latest = now if content.type is PushType.CALL else terms.expires
            charge = self._limits.charge(app.id, subject, content.type, content.collapse_id, now=now, latest=latest)
            charges[subject] = charge
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
        bare = [user for user in users[:_EVENTS_FOR_MISSING] if await self._is_known(app, user)]
        strangers = [user for user in users if user not in bare]
        for refusal, whom in ((Refusal.NO_TARGET, bare), (Refusal.UNKNOWN_USER, strangers)):
            if whom:
                event = report.unreachable(ours(refusal), app=app.slug, notification=key, users=whom, device="", at=at)
                draft.events.append(event)
        for device in devices[:_EVENTS_FOR_MISSING]:
            known = await self._parts.devices.get(app.id, device) is not None
            outcome = ours(Refusal.NO_TARGET if known else Refusal.UNKNOWN_DEVICE)
            event = report.unreachable(outcome, app=app.slug, notification=key, users=(), device=device, at=at)
            draft.events.append(event)

    async def _is_known(self, app: App, user: str) -> bool:
        """Tell whether a user has a device, be it one without a token."""
        return bool((await self._parts.devices.find(app.id, user=user, limit=1)).devices)

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
    targets = terms.audience.targets
    if targets and any(target.kind == TargetKind.FCM and fcm.is_broadcast(target.token) for target in targets):
        fcm.check_topic_size(terms.content)


def _terms(request: NotificationRequest, now: int, *, allow_http: bool) -> Terms | WakelineError:
    try:
        return terms_of(request, now, allow_http=allow_http)
    except InvalidRequest as error:
        return error


def _no_credential(app: App, outcome: Outcome) -> NoCredential:
    return NoCredential(f"App {app.slug} cannot reach any of them. {outcome.cause}", pointer="/to", fix=outcome.fix)
