"""Raw targets: which kinds a push type may go to, and one spelling for what a caller names.

Rule: whoever names a token says which push type it is for; what iOS or FCM would punish is refused with that reason. FCM's
installation ids, topics and conditions are kept in the one text that `wire.fcm` tells apart, a Web Push subscription in the one
that `wire.webpush` writes.
"""

from __future__ import annotations

import re
from functools import partial

import msgspec

from wakeline.model.device import TargetKind
from wakeline.model.errors import InvalidRequest
from wakeline.model.notification import PushType, RawTarget
from wakeline.model.route import ProviderKind
from wakeline.wire import apns, fcm, webpush
from wakeline.wire.flexisip import external
from wakeline.wire.webpush.registration import told

_VALUE_LIMIT = 4096
# What a bundle id or a project id is made of; a topic becomes a header of HTTP/2.
_TOPIC = re.compile(r"[A-Za-z0-9._:-]{0,255}").fullmatch
_KINDS = {kind.value: kind for kind in TargetKind}
_FCM_WORDS = ("fid", "fcm_topic", "condition")

TARGET_KINDS: dict[PushType, tuple[TargetKind, ...]] = {
    PushType.ALERT: (TargetKind.APNS, TargetKind.FCM, TargetKind.WEBPUSH, TargetKind.HTTP),
    PushType.BACKGROUND: (TargetKind.APNS, TargetKind.FCM, TargetKind.WEBPUSH, TargetKind.HTTP),
    PushType.CALL: (TargetKind.APNS_VOIP, TargetKind.FCM, TargetKind.APNS, TargetKind.WEBPUSH, TargetKind.HTTP),
    PushType.LIVEACTIVITY: (TargetKind.APNS_LIVEACTIVITY,),
    PushType.LOCATION: (TargetKind.APNS_LOCATION,),
    PushType.COMPLICATION: (TargetKind.APNS_COMPLICATION,),
    PushType.FILEPROVIDER: (TargetKind.APNS_FILEPROVIDER,),
    PushType.MDM: (TargetKind.APNS_MDM,),
    PushType.PUSHTOTALK: (TargetKind.APNS_PUSHTOTALK,),
    PushType.WIDGETS: (TargetKind.APNS_WIDGETS,),
    PushType.CONTROLS: (TargetKind.APNS_CONTROLS,),
}
"""Which targets a push type may go to, the best first (DESIGN 5.2). Whoever names a raw target may also say plain `apns`."""


def raw_kinds(push_type: PushType) -> frozenset[TargetKind]:
    """Return the kinds of raw target that a push type may go to. Only calls go to VoIP: iOS terminates apps otherwise."""
    own = frozenset(TARGET_KINDS[push_type])
    if push_type is PushType.LIVEACTIVITY:  # FCM hands it on to an activity's own token
        return own | {TargetKind.APNS, TargetKind.FCM}
    return own if TargetKind.FCM in own else own | {TargetKind.APNS}


def normalised(
    targets: tuple[RawTarget, ...], push_type: PushType, *, allow_http: bool = False
) -> tuple[RawTarget, ...]:
    """Return targets with everything they are addressed by in `value`. Raises InvalidRequest, naming the field.

    `allow_http`: endpoints of Web Push may be without TLS.
    """
    spelled = []
    for position, target in enumerate(targets):
        pointer = f"/to/targets/{position}"
        one = _addressed(target, pointer)
        _check_target(one, push_type, pointer)
        spelled.append(_spelled(one, pointer, allow_http=allow_http))
    if push_type is PushType.LIVEACTIVITY and sum(target.kind == TargetKind.FCM for target in targets) > 1:
        raise InvalidRequest(
            "Through FCM a Live Activity is on one phone: its token is part of the message",
            pointer="/to/targets",
            fix="Send a notification for each phone.",
        )
    return tuple(spelled)


def _spelled(target: RawTarget, pointer: str, *, allow_http: bool) -> RawTarget:
    """Return a checked target in the spelling in which it is registered."""
    match _KINDS[target.kind].provider:
        case ProviderKind.APNS:
            return msgspec.structs.replace(target, value=apns.spelled(str(target.value), f"{pointer}/value"))
        case ProviderKind.WEBPUSH:
            return _subscription(target, pointer, allow_http=allow_http)
        case ProviderKind.FCM:
            return target
        case ProviderKind.HTTP:
            external.read_phone(target.token, f"{pointer}/value")
            return target


def _addressed(target: RawTarget, pointer: str) -> RawTarget:
    """Return a target with its installation id, topic or condition as its value."""
    said = [word for word in _FCM_WORDS if getattr(target, word)]
    if not said:
        return target
    word, *more = [*said, *(["value"] if target.value else [])]
    if target.kind != TargetKind.FCM:
        raise InvalidRequest(
            f"`{word}` belongs to targets of kind fcm", pointer=f"{pointer}/{word}", fix="Give the token as `value`."
        )
    if more:
        raise InvalidRequest(
            f"`{word}` and `{more[0]}` are two targets", pointer=f"{pointer}/{more[0]}", fix="Name each as its own."
        )
    given = getattr(target, word)
    if word == "fid":
        fcm.check_installation_id(given, f"{pointer}/fid")
    value = fcm.topic(given) if word == "fcm_topic" else given
    if word != "fid":
        fcm.check_target(value if word == "fcm_topic" else _as_condition(value, pointer), f"{pointer}/{word}")
    return msgspec.structs.replace(target, value=value, fid="", fcm_topic="", condition="")


def _as_condition(text: str, pointer: str) -> str:
    if fcm.address(text)[0] != "condition":
        raise InvalidRequest(
            "this is no condition over FCM topics",
            pointer=f"{pointer}/condition",
            fix="Write `'a' in topics`; a single topic goes into `fcm_topic`.",
        )
    return text


def _check_target(target: RawTarget, push_type: PushType, pointer: str) -> None:
    refuse = partial(InvalidRequest, fix="See the list of target kinds in the reference.")
    kind = _KINDS.get(target.kind)
    if kind is None:
        raise refuse(f"{target.kind[:40]!r} is no kind of target", pointer=f"{pointer}/kind")
    if kind is TargetKind.APNS_VOIP and push_type is not PushType.CALL:
        raise InvalidRequest(
            f"Only calls may go to a VoIP token, and this is of type {push_type.value}: iOS terminates an app that gets "
            "anything else there, and delivers no more to it",
            pointer=f"{pointer}/kind",
            fix="Send it to the alert token (kind `apns`), or send a notification of type `call`.",
        )
    if kind not in raw_kinds(push_type):
        raise refuse(
            f"A push of type {push_type.value} cannot go to a target of kind {kind.value}", pointer=f"{pointer}/kind"
        )
    if kind is not TargetKind.WEBPUSH:
        _check_token(target, kind, pointer)


def _check_token(target: RawTarget, kind: TargetKind, pointer: str) -> None:
    refuse = partial(InvalidRequest, fix="See the list of target kinds in the reference.")
    if target.environment not in ("production", "sandbox"):
        raise refuse("`environment` is production or sandbox", pointer=f"{pointer}/environment")
    if not isinstance(target.value, str) or target.keys is not None:
        raise refuse("Only targets of kind webpush are subscriptions with keys", pointer=f"{pointer}/value")
    if not 0 < len(target.value) <= _VALUE_LIMIT or not target.value.isascii() or not target.value.isprintable():
        raise refuse("The token is empty, too long, or no printable ASCII", pointer=f"{pointer}/value")
    for field in ("topic", "project"):
        if not _TOPIC(getattr(target, field)):
            raise refuse(f"The {field} is no bundle id and no project id", pointer=f"{pointer}/{field}")
    if kind is TargetKind.FCM:
        fcm.check_target(target.value, f"{pointer}/value")


def _subscription(target: RawTarget, pointer: str, *, allow_http: bool) -> RawTarget:
    """Return a Web Push subscription as it is kept: endpoint and keys as its value, the push service as its topic."""
    for word, usual in (("topic", ""), ("project", ""), ("environment", "production")):
        if getattr(target, word) != usual:
            raise InvalidRequest(
                f"a subscription has no {word}: its endpoint says it all",
                pointer=f"{pointer}/{word}",
                fix="Leave it out.",
            )
    subscription = told(target.value, target.keys, pointer=pointer, allow_http=allow_http)
    return RawTarget(kind=target.kind, value=webpush.written(subscription), topic=subscription.origin)
