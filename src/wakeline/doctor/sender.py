"""Which credential of an app would send to a target, or what it would take."""

from __future__ import annotations

from collections.abc import Sequence

from wakeline.model.app import ApnsEnvironment, App
from wakeline.model.credential import Credential
from wakeline.model.device import Target, TargetKind
from wakeline.model.notification import PushType
from wakeline.model.route import Environment, ProviderKind
from wakeline.observe.masking import masked_token
from wakeline.pipeline.coverage import Need, choose, missing, need_of, other_of, stranded


def sender_of(app: App, target: Target, credentials: Sequence[Credential], now: int) -> tuple[str, bool]:
    """Return in words who sends calls to a target of an app, and whether anybody does; `now` in Unix ms."""
    need = need_for(app, target)
    place = f"{target.kind.value} {masked_token(target.value)}"
    if need.provider is ProviderKind.APNS:
        place = f"{place} ({need.environment.value})"
    choice = choose(credentials, need, now)
    if choice is None:
        return f"{place}: nobody. {missing(credentials, need)}", False
    found = choice.credential
    named = f" {found.key_id}" if found.key_id else ""
    return f"{place}: {found.kind.value}{named}, credential {found.id}", True


def lacking(app: App, target: Target, credentials: Sequence[Credential], now: int) -> tuple[int, str] | None:
    """Return the code of pushes to a target that no credential covers, and what it takes; None: one does. `now` in Unix ms."""
    need = need_for(app, target)
    if choose(credentials, need, now):
        return None
    if stranded(credentials, need, now):
        there = other_of(need.environment).value
        return 905, f"The credential for it is for {there} alone; one for {need.environment.value} is required."
    return 901, missing(credentials, need)


def need_for(app: App, target: Target) -> Need:
    """Return what a call takes: calls are VoIP pushes only where there is a token for them."""
    forced = app.settings.apns_environment
    environment = target.environment if forced is ApnsEnvironment.AS_REGISTERED else Environment(forced.value)
    use = PushType.CALL if target.kind is TargetKind.APNS_VOIP else PushType.BACKGROUND
    return need_of(target.kind.value, environment, target.topic, use)
