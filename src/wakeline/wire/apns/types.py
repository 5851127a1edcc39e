"""The eleven push types of APNs as one table, and the topics that follow from them.

Source: Apple, "Sending notification requests to APNs", headers `apns-push-type`, `apns-priority` and `apns-topic`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from wakeline.model.credential import Credential, CredentialKind
from wakeline.model.device import TargetKind
from wakeline.model.notification import Priority, PushType

_ANY = (10, 5, 1)


class Rule(msgspec.Struct, frozen=True):
    """What one push type asks for.

    `suffix` is appended to the bundle id; `priorities` are those it takes, most urgent first, and `least` is the one below
    which a wish never takes it; `limit` of the payload in bytes; `kind` of the token it goes to; `aps` is what its
    dictionary holds in any case (None: the payload has none unless something is put in), `beside` what stands beside it;
    `shows`: it may bear an alert; `key_only`: certificates cannot send it.
    """

    name: str
    suffix: str
    priorities: tuple[int, ...]
    kind: TargetKind
    limit: int = 4096
    least: int = 1
    aps: dict[str, Any] | None = msgspec.field(default_factory=dict)
    beside: dict[str, Any] = {}
    shows: bool = False
    key_only: bool = False


RULES: dict[PushType, Rule] = {
    PushType.ALERT: Rule("alert", "", (10, 5), TargetKind.APNS, shows=True),
    PushType.BACKGROUND: Rule("background", "", (5,), TargetKind.APNS, aps={"content-available": 1}),
    # A phone rings now or not at all, so no wish takes a call below 10.
    PushType.CALL: Rule("voip", ".voip", _ANY, TargetKind.APNS_VOIP, limit=5120, least=10, shows=True),
    PushType.LIVEACTIVITY: Rule(
        "liveactivity", ".push-type.liveactivity", (10, 5), TargetKind.APNS_LIVEACTIVITY, shows=True
    ),
    PushType.LOCATION: Rule("location", ".location-query", (10, 5), TargetKind.APNS_LOCATION, key_only=True),
    PushType.COMPLICATION: Rule("complication", ".complication", _ANY, TargetKind.APNS_COMPLICATION),
    PushType.FILEPROVIDER: Rule(
        "fileprovider",
        ".pushkit.fileprovider",
        _ANY,
        TargetKind.APNS_FILEPROVIDER,
        aps=None,
        # What every replicated file provider signals when nothing narrower is named.
        beside={"container-identifier": "NSFileProviderWorkingSetContainerItemIdentifier"},
    ),
    PushType.MDM: Rule("mdm", "", _ANY, TargetKind.APNS_MDM, aps=None),
    PushType.PUSHTOTALK: Rule("pushtotalk", ".voip-ptt", _ANY, TargetKind.APNS_PUSHTOTALK),
    PushType.WIDGETS: Rule(
        "widgets", ".push-type.widgets", _ANY, TargetKind.APNS_WIDGETS, aps={"content-changed": True}
    ),
    PushType.CONTROLS: Rule(
        "controls", ".push-type.controls", _ANY, TargetKind.APNS_CONTROLS, aps={"content-changed": True}
    ),
}

_WISHES = {Priority.HIGH: 10, Priority.NORMAL: 5, Priority.LOW: 1}
_SUFFIXES = tuple(sorted({rule.suffix for rule in RULES.values()} - {""}, key=len, reverse=True))


def rule_for(push_type: PushType, kind: str = "") -> Rule:
    """Return the rule for a push of this type to a token of this kind: a call to an alert token is an alert."""
    if push_type is PushType.CALL and kind == TargetKind.APNS:
        return RULES[PushType.ALERT]
    return RULES[push_type]


def _nearest(rule: Rule, wish: Priority) -> int:
    wished = max(_WISHES[wish], rule.least)
    return min(rule.priorities, key=lambda value: abs(value - wished))


_PRIORITIES = {(rule.name, wish): _nearest(rule, wish) for rule in RULES.values() for wish in Priority}


def priority_of(rule: Rule, wish: Priority) -> int:
    """Return the `apns-priority`: the wished one, or the nearest that the type takes."""
    return _PRIORITIES[rule.name, wish]


def topic_for(push_type: PushType, bundle: str, kind: str = "") -> str:
    """Return the topic of a push type for a bundle id. An MDM topic is the certificate's own and stays as it is."""
    return bundle + rule_for(push_type, kind).suffix


def bundle_of(topic: str) -> str:
    """Return a topic without the suffix of a push type."""
    return next((topic.removesuffix(suffix) for suffix in _SUFFIXES if topic.endswith(suffix)), topic)


def topic_with(rule: Rule, bundle: str, credential: Credential) -> str:
    """Return the topic to send with, or an empty string if the credential does not cover it.

    An empty `bundle` stands for the credential's only one. A certificate's topics are exactly those in it; one without
    any is left to Apple's judgement. A key's topics are bundle ids and cover every suffix; none means all of the team.
    """
    certificate = credential.kind is CredentialKind.APNS_CERTIFICATE
    if certificate and rule.key_only:
        return ""
    known = {bundle_of(topic) for topic in credential.topics} if certificate else set(credential.topics)
    if not bundle:
        bundle = next(iter(known)) if len(known) == 1 else ""
    if not bundle:
        return ""
    # A phone may register the whole topic ("com.acme.chat.voip") where others register the bundle id.
    spelled = [bundle + rule.suffix]
    if rule.suffix and bundle.endswith(rule.suffix):
        spelled.append(bundle)
    covered = set(credential.topics) if certificate else {bundle_id + rule.suffix for bundle_id in known}
    return next((topic for topic in spelled if not covered or topic in covered), "")
