"""Everything that the fake services share: trust, scripts, behaviours, the journal, and where tokens belong."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated

import msgspec

from wakeline.simulator.behaviour import PROVIDERS, Behaviour, BehaviourChange, changed, defaults
from wakeline.simulator.certificates import ClientCertificate
from wakeline.simulator.exchange import Answer, Effect, Peer, Request
from wakeline.simulator.journal import REQUESTS_KEPT, Journal
from wakeline.simulator.phones import Phones
from wakeline.simulator.portal.memory import Memory
from wakeline.simulator.script import Scripts, canonical
from wakeline.simulator.subscriptions import Subscription, Wish, subscribe
from wakeline.simulator.trust import ApnsCertificate, Environment, Trust

Clock = Callable[[], float]


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /environment`: where a device token belongs. What is empty is not checked."""

    target: Annotated[str, msgspec.Meta(min_length=1)]
    environment: Environment = ""
    topic: str = ""


class Grant(msgspec.Struct, frozen=True):
    """An access token given out."""

    client_email: str
    expires_at: float
    """Seconds since 1970."""


class State:
    """The memory of one simulator."""

    def __init__(self, *, clock: Clock = time.time, requests_kept: int = REQUESTS_KEPT) -> None:
        self.clock = clock
        self.journal = Journal(requests_kept=requests_kept)
        self.grants: dict[str, Grant] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self.portal = Memory()
        self.phones = Phones()
        self._forget()

    def _forget(self) -> None:
        self.scripts = Scripts()
        self.behaviours: dict[str, Behaviour] = {name: defaults(name) for name in PROVIDERS}
        self.places: dict[str, Place] = {}
        self.portal.reset()
        self.phones.reset()
        self.set_trust(Trust())

    def reset(self) -> None:
        """As at the start, save that live connections, access tokens and subscriptions live on."""
        self.journal.clear()
        self._forget()

    def set_trust(self, trust: Trust) -> None:
        """From now on these credentials are good, also on connections already open."""
        self.trust = trust
        self.listed_certificates: dict[str, ApnsCertificate] | None = trust.certificates()

    def admits(self, certificate: ClientCertificate) -> bool:
        """Whether a handshake with this client certificate goes on."""
        listed = self.listed_certificates
        by_answer = self.trust.refuse_certificates_by == "answer"
        return by_answer or listed is None or certificate.sha256 in listed

    def behave(self, change: BehaviourChange) -> None:
        """Changes one provider's behaviour, or all. Raises KeyError for an unknown provider."""
        for provider in PROVIDERS if change.provider is None else (change.provider,):
            self.behaviours[provider] = changed(self.behaviours[provider], provider, change)

    def set_place(self, place: Place) -> None:
        """From now on the token belongs there."""
        self.places[canonical(place.target)] = place

    def place(self, target: str) -> Place | None:
        """Where the token belongs; None if nobody said."""
        return self.places.get(canonical(target)) if self.places else None

    def subscribe(self, wish: Wish) -> Subscription:
        """A new Web Push subscription, alive until a script says otherwise."""
        made = subscribe(wish)
        self.subscriptions[made.identity] = made
        return made

    def conclude(self, request: Request, answer: Answer, peer: Peer) -> Answer:
        """`answer` under the provider's behaviour, written down."""
        behaviour = self.behaviours[answer.provider]
        if behaviour.silent:
            answer = msgspec.structs.replace(answer, effect=Effect.SILENT)
        if behaviour.min_latency_ms > answer.delay_s * 1000:
            answer = msgspec.structs.replace(answer, delay_s=behaviour.min_latency_ms / 1000)
        self.journal.record(self.clock(), peer.number, request, answer)
        self.phones.got(request, answer)
        return answer
