"""What an app says about a target, checked and in its normal form.

Theory: a token is compared byte by byte when it turns up elsewhere, so its spelling must be one. APNs tokens are hex of
any length (Apple: "don't make assumptions about the length") and are kept in lower case; FCM tokens are opaque.
"""

from __future__ import annotations

from typing import Annotated, assert_never

import msgspec

from wakeline.edges.rest.shapes import Strict
from wakeline.model.device import TargetClaim, TargetKind
from wakeline.model.errors import InvalidRequest
from wakeline.model.route import Environment, ProviderKind

LONGEST = 4096

Token = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST)]
# A topic becomes a header of HTTP/2 and part of a route's name: a phone may not put anything else there.
Topic = Annotated[str, msgspec.Meta(max_length=255, pattern=r"^[A-Za-z0-9._:-]*(?!\n)$")]

_HEX = frozenset("0123456789abcdef")
_FORMS = "APNs tokens are sent as hex: two digits a byte, nothing between."


class TargetBody(Strict, frozen=True, kw_only=True):
    """One target. `topic`: the bundle id of an APNs target; `project`: the project id of an FCM target.

    Both may be left out where the app's credential has only one. `environment` is APNs': `sandbox` for development builds.
    """

    value: Token
    environment: Environment = Environment.PRODUCTION
    topic: Topic = ""
    project: Topic = ""


class KindedTarget(TargetBody, frozen=True, kw_only=True):
    """One target of a device with its kind."""

    kind: TargetKind


def claim(kind: TargetKind, said: TargetBody, pointer: str) -> TargetClaim:
    """Return the target in its normal form. Raises InvalidRequest that points below `pointer`."""
    match kind.provider:
        case ProviderKind.APNS:
            return _apns(kind, said, pointer)
        case ProviderKind.FCM:
            return _fcm(kind, said, pointer)
        case other:
            assert_never(other)


def kind_of(text: str) -> TargetKind:
    """Return the kind of this name. Raises InvalidRequest naming those there are."""
    try:
        return TargetKind(text)
    except ValueError:
        raise InvalidRequest(f"there is no kind of target {text[:64]!r}", fix=f"Use {', '.join(TargetKind)}.") from None


def apns_token(value: str, pointer: str) -> str:
    """Return an APNs token in lower case. Raises InvalidRequest."""
    token = value.lower()
    if not _HEX.issuperset(token):
        raise InvalidRequest(
            "this is no APNs token: it has characters that are no hex digits", pointer=pointer, fix=_FORMS
        )
    if len(token) % 2:
        raise InvalidRequest("this is no APNs token: it has an odd number of hex digits", pointer=pointer, fix=_FORMS)
    return token


def _apns(kind: TargetKind, said: TargetBody, pointer: str) -> TargetClaim:
    if said.project:
        raise InvalidRequest(
            "a project belongs to fcm targets", pointer=f"{pointer}/project", fix="Give the bundle id as topic."
        )
    value = apns_token(said.value, f"{pointer}/value")
    return TargetClaim(kind=kind, value=value, environment=said.environment, topic=said.topic)


def _fcm(kind: TargetKind, said: TargetBody, pointer: str) -> TargetClaim:
    if said.environment is not Environment.PRODUCTION:
        raise InvalidRequest(
            "FCM has one environment, production", pointer=f"{pointer}/environment", fix="Leave it out."
        )
    if said.topic and said.project and said.topic != said.project:
        raise InvalidRequest("topic and project differ", pointer=f"{pointer}/project", fix="Give the project alone.")
    if not said.value.isascii() or not said.value.isprintable() or " " in said.value:
        raise InvalidRequest("this is no FCM token: it has characters that none has", pointer=f"{pointer}/value")
    return TargetClaim(kind=kind, value=said.value, topic=said.project or said.topic)
