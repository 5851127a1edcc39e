"""What an app says about a target, checked and in its normal form.

Theory: a token is compared byte by byte when it turns up elsewhere, so its spelling must be one. APNs tokens are hex of
any length (Apple: "don't make assumptions about the length") and are kept in lower case; FCM tokens are opaque; a Web Push
subscription is its endpoint with its keys, and its topic is the endpoint's origin.
"""

from __future__ import annotations

from typing import Annotated, assert_never

import msgspec

from wakeline.edges.rest.shapes import Strict
from wakeline.model.device import BrowserSubscription, SubscriptionKeys, TargetClaim, TargetKind
from wakeline.model.errors import InvalidRequest
from wakeline.model.route import Environment, ProviderKind
from wakeline.wire import apns, fcm, webpush
from wakeline.wire.flexisip import external
from wakeline.wire.webpush.registration import told

LONGEST = 4096

Token = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST)]
# A topic becomes a header of HTTP/2 and part of a route's name: a phone may not put anything else there.
Topic = Annotated[str, msgspec.Meta(max_length=255, pattern=r"^[A-Za-z0-9._:-]*(?!\n)$")]


class TargetBody(Strict, frozen=True, kw_only=True):
    """One target. `topic`: the bundle id of an APNs target; `project`: the project id of an FCM target.

    Both may be left out where the app's credential has only one. `environment` is APNs': `sandbox` for development builds.
    Of a target behind an external push URI `value` are its placeholders, as in a query: `token=...&type=apple&app-id=...`.
    Of a Web Push subscription `value` is the endpoint with `keys` beside it, or the browser's own object, as such or as text.
    """

    value: Token | BrowserSubscription
    keys: SubscriptionKeys | None = None
    environment: Environment = Environment.PRODUCTION
    topic: Topic = ""
    project: Topic = ""


class KindedTarget(TargetBody, frozen=True, kw_only=True):
    """One target of a device with its kind."""

    kind: TargetKind


def claim(kind: TargetKind, said: TargetBody, pointer: str, *, allow_http: bool) -> TargetClaim:
    """Return the target in its normal form; `allow_http`: Web Push endpoints may be without TLS.

    Raises InvalidRequest that points below `pointer`.
    """
    match kind.provider:
        case ProviderKind.APNS:
            return _apns(kind, said, _token(said, pointer), pointer)
        case ProviderKind.FCM:
            return _fcm(kind, said, _token(said, pointer), pointer)
        case ProviderKind.WEBPUSH:
            return _webpush(kind, said, pointer, allow_http=allow_http)
        case ProviderKind.HTTP:
            return _http(kind, said, _token(said, pointer), pointer)
        case other:
            assert_never(other)


def kind_of(text: str) -> TargetKind:
    """Return the kind of this name. Raises InvalidRequest naming those there are."""
    try:
        return TargetKind(text)
    except ValueError:
        raise InvalidRequest(f"there is no kind of target {text[:64]!r}", fix=f"Use {', '.join(TargetKind)}.") from None


def _token(said: TargetBody, pointer: str) -> str:
    """Return the token of a target that is no Web Push subscription."""
    if said.keys is not None or not isinstance(said.value, str):
        raise InvalidRequest(
            "only targets of kind webpush are subscriptions with keys",
            pointer=f"{pointer}/value" if said.keys is None else f"{pointer}/keys",
            fix="Give the token as text, or say `webpush` as kind.",
        )
    return said.value


def _apns(kind: TargetKind, said: TargetBody, token: str, pointer: str) -> TargetClaim:
    if said.project:
        raise InvalidRequest(
            "a project belongs to fcm targets", pointer=f"{pointer}/project", fix="Give the bundle id as topic."
        )
    value = apns.spelled(token, f"{pointer}/value")
    return TargetClaim(kind=kind, value=value, environment=said.environment, topic=said.topic)


def _fcm(kind: TargetKind, said: TargetBody, token: str, pointer: str) -> TargetClaim:
    if said.environment is not Environment.PRODUCTION:
        raise InvalidRequest(
            "FCM has one environment, production", pointer=f"{pointer}/environment", fix="Leave it out."
        )
    if said.topic and said.project and said.topic != said.project:
        raise InvalidRequest("topic and project differ", pointer=f"{pointer}/project", fix="Give the project alone.")
    if not token.isascii() or not token.isprintable() or " " in token:
        raise InvalidRequest("this is no FCM token: it has characters that none has", pointer=f"{pointer}/value")
    if fcm.is_broadcast(token):
        raise InvalidRequest(
            "this is an FCM topic: all who subscribed to it would get what is meant for this device",
            pointer=f"{pointer}/value",
            fix="Register the phone's own token; send to a topic as `fcm_topic` of a raw target.",
        )
    return TargetClaim(kind=kind, value=token, topic=said.project or said.topic)


def _http(kind: TargetKind, said: TargetBody, value: str, pointer: str) -> TargetClaim:
    """Return a phone behind an external push URI; `topic` is the bundle id or project by which the URI is chosen, if several."""
    if said.environment is not Environment.PRODUCTION:
        raise InvalidRequest(
            "an external push URI has one environment, production",
            pointer=f"{pointer}/environment",
            fix="Leave it out; `app-id` says .dev or .prod.",
        )
    external.read_phone(value, f"{pointer}/value")
    return TargetClaim(kind=kind, value=value, topic=said.topic or said.project)


def _webpush(kind: TargetKind, said: TargetBody, pointer: str, *, allow_http: bool) -> TargetClaim:
    for field in ("topic", "project"):
        if getattr(said, field):
            raise InvalidRequest(
                f"a subscription has no {field}: its endpoint says it all",
                pointer=f"{pointer}/{field}",
                fix="Leave it out.",
            )
    if said.environment is not Environment.PRODUCTION:
        raise InvalidRequest(
            "Web Push has one environment, production", pointer=f"{pointer}/environment", fix="Leave it out."
        )
    subscription = told(said.value, said.keys, pointer=pointer, allow_http=allow_http)
    return TargetClaim(kind=kind, value=webpush.written(subscription), topic=subscription.origin)
