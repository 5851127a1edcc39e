"""Which credential speaks for a route. Pure.

A .p8 key's topics are bundle ids and cover every push type; without topics it speaks for the whole team. A certificate
speaks for exactly the topics in it, suffixes included (Apple: "Establishing a certificate-based connection to APNs").
A service account speaks for its project, a VAPID key for every push service that browsers use (RFC 8292), an external push URI
for the bundle ids and projects that were named with it, or for all. An exact topic beats a team-wide key; what works beats
what has failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from wakeline.model.app import ApnsEnvironment, App, CallsBy
from wakeline.model.credential import Credential, CredentialState
from wakeline.model.device import TargetKind
from wakeline.model.notification import PushType
from wakeline.model.route import Environment, ProviderKind
from wakeline.ports import VoipPlace
from wakeline.wire.apns import RULES, Rule, rule_for, topic_with

_SPLIT = "/"
"""Parts a bundle id from a suffix in the topic of a route where a certificate of its own serves that suffix."""

_BY_SUFFIX = {rule.suffix: rule for rule in RULES.values() if rule.suffix}


class Need(NamedTuple):
    """What a credential has to cover: `rule` says which topic the push type makes of the bundle id (APNs only)."""

    provider: ProviderKind
    environment: Environment
    topic: str
    rule: Rule

    @property
    def plain(self) -> Need:
        """Return the same need for pushes to the bundle id itself."""
        return self._replace(rule=RULES[PushType.ALERT])


class Choice(NamedTuple):
    """The credential that covers a need, and the bundle id, project or origin that goes with it."""

    credential: Credential
    topic: str


def need_of(kind: str, environment: Environment, topic: str, push_type: PushType) -> Need:
    """Return what sending this push type to this kind of target needs."""
    provider = TargetKind(kind).provider
    worlds = provider is ProviderKind.APNS
    return Need(provider, environment if worlds else Environment.PRODUCTION, topic, rule_for(push_type, kind))


def need_of_route(provider: ProviderKind, environment: Environment, topic: str) -> Need:
    """Return what a route needs; `topic` as `route_topic` made it."""
    if provider is not ProviderKind.APNS:
        return Need(provider, environment, topic, RULES[PushType.ALERT])
    bundle, _, suffix = topic.partition(_SPLIT)
    return Need(provider, environment, bundle, _BY_SUFFIX.get(suffix, RULES[PushType.ALERT]))


def choose(credentials: Iterable[Credential], need: Need, now: int) -> Choice | None:
    """Return the best credential for a need, or None; `now` in Unix ms. The newest of equals is preferred."""
    ranked = [
        (_usable(credential, now), topic in credential.topics, credential.id, Choice(credential, topic))
        for credential in credentials
        if credential.provider is need.provider
        for topic in [_covered(credential, need)]
        if topic is not None
    ]
    return max(ranked, key=lambda entry: entry[:3])[3] if ranked else None


def stranded(credentials: Iterable[Credential], need: Need, now: int) -> Choice | None:
    """Return what would cover a need that nothing covers, were it of the other APNs environment; None: nothing would."""
    if need.provider is not ProviderKind.APNS:
        return None
    return choose(credentials, need._replace(environment=other_of(need.environment)), now)


def other_of(environment: Environment) -> Environment:
    """Return the other APNs environment."""
    return Environment.SANDBOX if environment is Environment.PRODUCTION else Environment.PRODUCTION


def missing(credentials: Iterable[Credential], need: Need) -> str:
    """Say what it would take to cover a need that nothing covers."""
    if need.provider is ProviderKind.WEBPUSH:
        return "It would take a VAPID key: `wakeline credential vapid` makes one, and browsers subscribe with its public half."
    if need.provider is ProviderKind.HTTP:
        return "It would take an external push URI as a credential of the app."
    fitting = (one for one in credentials if one.provider is need.provider and need.environment in one.environments)
    if not need.topic and any(fitting):
        return (
            "There is one that is good for several bundle ids, and nothing says which one this is for: give the "
            "credential its `topics`, or the device's target its `topic`."
        )
    wanted = " ".join((need.provider.value, need.environment.value, need.topic + need.rule.suffix)).strip()
    return f"It would take one for {wanted}."


def silent_calls(app: App, credentials: Sequence[Credential], places: Iterable[VoipPlace], now: int) -> tuple[str, ...]:
    """Say for which VoIP tokens of an app nothing can send a call; empty if its calls go another way (`calls_by`)."""
    if app.settings.calls_by is not CallsBy.VOIP:
        return ()
    forced = app.settings.apns_environment
    override = None if forced is ApnsEnvironment.AS_REGISTERED else Environment(forced.value)
    asked = dict.fromkeys((override or environment, topic) for environment, topic in places)
    needs = [need_of(TargetKind.APNS_VOIP, environment, topic, PushType.CALL) for environment, topic in asked]
    return tuple(
        f"Devices have VoIP tokens and calls do not reach them: no credential covers {need.environment.value} "
        f"{need.topic or '<bundle id>'}{need.rule.suffix}. Upload an APNs key (.p8), which covers every push type, or a VoIP "
        "Services certificate."
        for need in needs
        if choose(credentials, need, now) is None
    )


def route_topic(credentials: Iterable[Credential], need: Need, choice: Choice, now: int) -> str:
    """Return the topic of the route: the bundle id, with the suffix beside it if another credential serves the bundle id."""
    if need.provider is not ProviderKind.APNS or not need.rule.suffix:
        return choice.topic
    plain = choose(credentials, need.plain._replace(topic=choice.topic), now)
    if plain is not None and plain.credential.id == choice.credential.id:
        return choice.topic
    return f"{choice.topic}{_SPLIT}{need.rule.suffix}"


def bundle_of_route(topic: str) -> str:
    """Return the bundle id in the topic of a route to APNs."""
    return topic.partition(_SPLIT)[0]


def expired(credential: Credential, now: int) -> bool:
    """Tell whether a certificate is past its end."""
    return credential.not_after is not None and credential.not_after <= now


def _usable(credential: Credential, now: int) -> bool:
    return credential.state is not CredentialState.FAILED and not expired(credential, now)


def _covered(credential: Credential, need: Need) -> str | None:
    """Return the bundle id, project or origin that this credential covers for the need, or None."""
    if need.provider is ProviderKind.WEBPUSH:
        return need.topic
    if need.provider is ProviderKind.HTTP:
        return _external(credential, need.topic)
    if need.provider is ProviderKind.FCM:
        project = need.topic or next(iter(credential.topics), "")
        return project if project in credential.topics else None
    if need.environment not in credential.environments:
        return None
    topic = topic_with(need.rule, need.topic, credential)
    return topic.removesuffix(need.rule.suffix) if topic else None


def _external(credential: Credential, topic: str) -> str | None:
    """Return the topic of a route to an external push URI: one that serves all needs none."""
    if not credential.topics:
        return ""
    return topic if topic in credential.topics else None
