"""Push parameters of a Contact (RFC 8599 sections 8.7 and 10-12), and the older ones of liblinphone and Flexisip.

`pn-provider` makes it the form of the RFC, else `pn-tok` the older one. A phone that gives no
`pn-prid` asks what is served (`PushQuery`). What cannot be served at all is a `PushRefused`, which a registrar answers 555.

What is understood against its letter is understood and noted in `warnings`: phones in the field forget the label of one of their
two Apple tokens, declare one service and bring two tokens, escape `:` and `&`, or leave out `.prod`. A push to a token that turns
out wrong costs one answer of the push service; a push that is not sent costs the call. Tokens never stand in a warning.

Push parameters are for us alone (RFC 8599 sections 4.1 and 13): `hide` takes them out of what goes on.
"""

from __future__ import annotations

import re

import msgspec

from wakeline.model.sip.push import PushParams, PushProvider, PushTexts, PushToken
from wakeline.wire.sip.fields import Message
from wakeline.wire.sip.headers import NameAddr, bracketed
from wakeline.wire.sip.message import Request
from wakeline.wire.sip.pieces import Params, is_utf8, parse_params, readable, unescape, unquote, without_params
from wakeline.wire.sip.uri import SipUri

MAX_VALUE = 4096
"""Longest parameter that is read; a subscription of Web Push takes some hundred characters."""
NO_TEAM = "ABCD1234"
"""What liblinphone and Flexisip write where an app has no team of Apple."""
_LONGEST_REPEAT = 30.0

_APPLE = re.compile(r"([^.]+)\.(.+?)(?:\.((?:voip|remote)(?:&(?:voip|remote))*))?")
_LEGACY_APPLE = re.compile(r"(.+?)(\.voip)?(?:\.(prod|dev))?")
_TOKEN = re.compile(r"[0-9A-Fa-f]{64,200}")
_SECONDS = re.compile(r"-?[0-9]{1,6}")
_TEXTS = {
    "pn-msg-str": "message",
    "pn-call-str": "call",
    "pn-groupchat-str": "group_chat",
    "pn-mwi-str": "message_waiting",
    "pn-call-snd": "call_sound",
    "pn-msg-snd": "message_sound",
    "pn-missing-call-str": "missed",
    "pn-call-accepted-elsewhere-str": "accepted_elsewhere",
    "pn-call-declined-elsewhere-str": "declined_elsewhere",
}
_LEGACY_FCM = frozenset({"firebase", "google", "android"})
_OUTWARD = (
    "contact",
    "refer-to",
    "referred-by",
    "history-info",
    "diversion",
    "reply-to",
    "remote-party-id",
    "p-called-party-id",
    "p-asserted-identity",
    "p-preferred-identity",
)
"""Fields that may bear the Contact of a phone."""


class PushQuery(msgspec.Struct, frozen=True):
    """A phone asks whether pushes of a service (empty: of which services) are sent (RFC 8599 section 4.1.5)."""

    provider: str


class PushRefused(msgspec.Struct, frozen=True):
    """A phone asks for pushes that cannot be sent, and why."""

    provider: str
    why: str


PushAsked = PushParams | PushQuery | PushRefused


class _Unusable(Exception):
    """Push parameters of which nothing can be made."""


def push_of(contact: NameAddr, uri: SipUri | None = None) -> PushAsked | None:
    """Return what a Contact asks for; None: no pushes. `uri` is that of the Contact, if it was read already. Raises Broken.

    Phones that forget the angle brackets make their parameters those of the field (RFC 3261 section 20.10); they are found there.
    """
    of_uri = uri.params if uri else parse_params(_behind_user(contact.uri).partition("?")[0].partition(";")[2])
    return push_asked(of_uri) or push_asked(contact.params)


def _behind_user(uri: str) -> str:
    """Return host, port, parameters and headers: a user part may hold semicolons."""
    user, at, behind = uri.partition("@")
    return behind if at else user


def push_asked(params: Params) -> PushAsked | None:
    """Return what the parameters of a Contact ask for; None: no pushes."""
    legacy = "pn-provider" not in params
    if legacy and "pn-tok" not in params:
        return None
    provider = readable(unescape(params.get("pn-type" if legacy else "pn-provider") or "")).lower()
    if not legacy and "pn-prid" not in params:
        return PushQuery(provider)
    try:
        return _legacy(params, provider) if legacy else _standard(params, provider)
    except _Unusable as why:
        return PushRefused(provider, str(why))


def _text(params: Params, name: str) -> str:
    """Return a parameter unescaped; empty if it is absent."""
    value = params.get(name)
    if not value:
        return ""
    if len(value) > MAX_VALUE:
        raise _Unusable(f"{name} is longer than {MAX_VALUE} characters")
    text = unescape(unquote(value))
    if not is_utf8(text):
        raise _Unusable(f"{name} is no UTF-8")
    return text


def _standard(params: Params, provider: str) -> PushParams:
    prid, param = _text(params, "pn-prid"), _text(params, "pn-param")
    if not prid:
        raise _Unusable("pn-prid is empty")
    tokens: tuple[PushToken, ...]
    warnings: tuple[str, ...] = ()
    match provider:
        case "apns" | "apns.dev":
            tokens, warnings = _apple_tokens(param, prid)
        case "fcm":
            if not param:
                raise _Unusable("pn-param is missing: fcm needs the project")
            tokens = (PushToken(service="", value=prid, topic=param),)
        case "webpush":
            tokens = (PushToken(service="", value=prid),)
            warnings = ("pn-param has no meaning with webpush",) if param else ()
        case _:
            raise _Unusable(f"The push service {provider[:40]!r} is not served")
    return _made(params, PushProvider(provider), param, prid, tokens, warnings)


def _legacy(params: Params, kind: str) -> PushParams:
    """Read `pn-type`, `app-id`, `pn-tok`; `param` is what the app would write today."""
    app, token = _text(params, "app-id"), _text(params, "pn-tok")
    if not app or not token:
        raise _Unusable("app-id is missing" if token else "pn-tok is empty")
    if kind in _LEGACY_FCM:
        fcm = PushToken(service="", value=token, topic=app)
        return _made(params, PushProvider.FCM, app, token, (fcm,), ())
    if kind != "apple":
        raise _Unusable(f"The push service {kind[:40]!r} is not served")
    match = _LEGACY_APPLE.fullmatch(app)
    if match is None:
        raise _Unusable("app-id names no app")
    bundle, voip, environment = match.groups()
    provider = PushProvider.APNS_DEV if environment == "dev" else PushProvider.APNS
    param = f"{NO_TEAM}.{bundle}{voip or ''}"
    tokens, warnings = _apple_tokens(param, token)
    if environment is None:
        warnings = (*warnings, "app-id says neither .prod nor .dev; taken as .prod")
    return _made(params, provider, param, token, tokens, warnings)


def _made(
    params: Params,
    provider: PushProvider,
    param: str,
    prid: str,
    tokens: tuple[PushToken, ...],
    warnings: tuple[str, ...],
) -> PushParams:
    texts = {_TEXTS[name]: text for name in params if name in _TEXTS and (text := _text(params, name))}
    repeat = _seconds(params, "pn-call-remote-push-interval")
    return PushParams(
        provider=provider,
        param=param,
        prid=prid,
        tokens=tokens,
        texts=PushTexts(**texts),
        legacy="pn-provider" not in params,
        timeout=_seconds(params, "pn-timeout"),
        repeat=None if repeat is None else min(repeat, _LONGEST_REPEAT),
        warnings=warnings,
    )


def _seconds(params: Params, name: str) -> float | None:
    """Read seconds as Flexisip does: less than none is none, what is no number was not said."""
    value = _text(params, name)
    if not value or not _SECONDS.fullmatch(value):
        return None
    return max(0.0, float(value))


def _apple_tokens(param: str, prid: str) -> tuple[tuple[PushToken, ...], tuple[str, ...]]:
    """Match tokens with the services that `<team>.<bundle>.<services>` declares (RFC 8599 section 10)."""
    match = _APPLE.fullmatch(param)
    if match is None:
        raise _Unusable("pn-param is not <team>.<bundle>.<service>")
    _, bundle, declared = match.groups()
    services = list(dict.fromkeys((declared or "remote").split("&")))
    given = [_labelled(part) for part in prid.split("&") if part]
    found, warnings = _matched(services, given)
    if not found:
        raise _Unusable("pn-prid holds no token")
    if not all(_TOKEN.fullmatch(value) for value in found.values()):
        warnings.append("A token is not as Apple writes tokens (64 hex digits)")
    tokens = tuple(
        PushToken(service=service, value=value, topic=f"{bundle}.voip" if service == "voip" else bundle)
        for service, value in found.items()
    )
    return tokens, tuple(warnings)


def _labelled(part: str) -> tuple[str, str]:
    """Return a token and its label."""
    token, _, label = part.partition(":")
    return token.strip(), label.strip().lower()


def _matched(services: list[str], given: list[tuple[str, str]]) -> tuple[dict[str, str], list[str]]:
    """Return tokens by service. Labels count first; what has none, or one that is taken, gets a service that is left."""
    found: dict[str, str] = {}
    left: list[str] = []
    warnings: list[str] = []
    if len(given) != len(services):
        warnings.append(f"pn-param declares {len(services)} service(s), pn-prid has {len(given)} token(s)")
    for token, label in given:
        if token and label in ("voip", "remote") and label not in found:
            found[label] = token
        elif token:
            left.append(token)
    undeclared = [label for label in found if label not in services]
    if undeclared:
        warnings.append(f"pn-prid has a token for {undeclared[0]}, which pn-param does not declare")
    free = [*services, "voip", "remote"] if found else services
    for service, token in zip([service for service in dict.fromkeys(free) if service not in found], left, strict=False):
        found[service] = token
        if len(services) > 1 or len(found) > 1:
            warnings.append(f"A token without label was taken for {service}")
    return found, warnings


def hide(message: Message) -> None:
    """Take push parameters out of a message that goes on: Request-URI, Contact, and fields that quote a Contact. Raises Broken."""
    if isinstance(message, Request) and _may_push(message.uri):
        message.uri = _hidden_uri(message.target.text)
    for name in _OUTWARD:
        if name in message and any(_may_push(value) for value in message.all(name)):
            message.replace(name, [hidden(value) for value in message.values(name)])


def hidden(value: str) -> str:
    """Return an address (with or without angle brackets) without push parameters; all else as it came. Raises Broken."""
    if not _may_push(value):
        return value
    parts = bracketed(value)
    if parts is None:
        return _hidden_uri(value)
    before, uri, params = parts
    kept = "" if params is None else without_params(f";{params}", _is_push)
    return f"{before}<{_hidden_uri(uri)}>{kept}"


def _may_push(text: str) -> bool:
    lower = text.lower()
    return "pn-" in lower or "app-id" in lower


def _hidden_uri(uri: str) -> str:
    behind = _behind_user(uri)
    user = uri[: len(uri) - len(behind)]
    where, mark, headers = behind.partition("?")
    return f"{user}{without_params(where, _is_push)}{mark}{headers}"


def _is_push(name: str) -> bool:
    """`pn-purr` is made to be seen by others (RFC 8599 section 6)."""
    return (name.startswith("pn-") and name != "pn-purr") or name == "app-id"
