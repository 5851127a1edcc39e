"""The external push URI of Flexisip: placeholders filled in where we call one, and read back where a Flexisip calls us.

Rules: placeholders stand in path and query, all occurrences are filled in (Flexisip fills in the first), values are escaped with
percent signs, and what is no placeholder stays as it is (`$callid`, which Flexisip's own example has, is none).

How a URI names its parameters is its author's: a call is read by the names of the placeholders and by those that examples use.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import assert_never
from urllib.parse import quote, urlsplit

import msgspec

from wakeline.model.errors import InvalidRequest
from wakeline.model.sip.push import PushParams, PushProvider, PushTexts, PushToken
from wakeline.wire.flexisip.payloads import Form, Occasion, Push, form_for, loc_key, sound
from wakeline.wire.sip.push_params import PushQuery, PushRefused, push_asked

NAMES = (
    "api-key",
    "app-id",
    "call-id",
    "event",
    "from-name",
    "from-tag",
    "from-uri",
    "msgid",
    "sound",
    "to-uri",
    "token",
    "type",
    "uid",
)
"""Names of placeholders, without the dollar sign. `$api-key` is that of Flexisip 2.5 and before."""

_PLACEHOLDER = re.compile(r"\$(" + "|".join(NAMES) + r")(?![A-Za-z0-9_])")
_LONGEST_URI = 8192

_SPELLINGS = {
    "type": "type",
    "token": "token",
    "app-id": "app-id appid app_id",
    "call-id": "call-id callid call_id cid",
    "event": "event",
    "from-name": "from-name from_name fromname name",
    "from-tag": "from-tag from_tag tag",
    "from-uri": "from-uri from_uri from",
    "msgid": "msgid msg-id msg_id",
    "sound": "sound snd",
    "to-uri": "to-uri to_uri to",
    "uid": "uid",
}
_NAME_OF = {spelling: name for name, said in _SPELLINGS.items() for spelling in said.split()}


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A push that a Flexisip asks for; `sound` and `loc_key` of the phone stand in the texts of `params`."""

    params: PushParams
    occasion: Occasion
    call_id: str = ""
    uid: str = ""
    from_uri: str = ""
    from_name: str = ""
    to_uri: str = ""

    @property
    def token(self) -> str:
        """Return the token that is named."""
        return self.params.prid


def check_template(uri: str) -> None:
    """Refuse what can be no external push URI: placeholders may not choose the host. Raises InvalidRequest."""
    parts = None
    if len(uri) <= _LONGEST_URI and uri.isascii() and uri.isprintable() and " " not in uri:
        try:
            parts = urlsplit(uri)
            host = parts.hostname if parts.port != 0 else None
        except ValueError:
            host = None
    if parts is None or parts.scheme not in ("http", "https") or not host:
        raise InvalidRequest("The external push URI is no http or https URL", fix="Write it as in a browser.")
    if "$" in parts.netloc or parts.username is not None or parts.fragment:
        raise InvalidRequest(
            "The external push URI has a placeholder, a password or a fragment where it cannot have one",
            fix="Use placeholders in path and query alone.",
        )


def fill(template: str, values: Mapping[str, str]) -> str:
    """Return an external push URI with the values of all its placeholders; those without a value become empty."""
    return _PLACEHOLDER.sub(lambda found: quote(values.get(found[1], ""), safe="", errors="surrogateescape"), template)


def values(params: PushParams, push: Push) -> dict[str, str]:
    """Return what Flexisip fills in for a push to a phone. The token is the one that this kind of push goes to."""
    token = token_for(params, push.occasion)
    found = {
        "type": _type(params.provider),
        "token": token.value if token else params.prid,
        "app-id": app_id(params, token),
        "call-id": push.call_id,
        "event": _event(push.occasion),
        "from-name": push.from_name,
        "from-tag": push.from_tag,
        "from-uri": push.from_uri,
        "to-uri": push.to_uri,
        "uid": push.uuid,
    }
    if _is_apple(params.provider):
        found |= {"msgid": loc_key(params.texts, push.occasion), "sound": sound(params.texts, push.occasion)}
    return found


def token_for(params: PushParams, occasion: Occasion) -> PushToken | None:
    """Return the token that a push goes to; None: no token of this phone may be used for it."""
    if not _is_apple(params.provider):
        return next(iter(params.tokens), None)
    match form_for(params, occasion):
        case Form.PUSHKIT:
            return params.token("voip")
        case None:
            return None
        case _:
            return params.token("remote")


def app_id(params: PushParams, token: PushToken | None) -> str:
    """Return `$app-id`: of Apple the topic with its world behind it, else the project."""
    if not _is_apple(params.provider):
        return params.param
    world = "dev" if params.provider is PushProvider.APNS_DEV else "prod"
    return f"{token.topic}.{world}" if token else ""


def asked(query: Mapping[str, str]) -> Asked:
    """Read what a Flexisip fills in for us. Raises InvalidRequest, naming the parameter."""
    said = {name: value for spelling, value in query.items() if (name := _NAME_OF.get(spelling.lower()))}
    for name in ("type", "token", "app-id"):
        if not said.get(name):
            raise InvalidRequest(
                f"${name} is missing",
                pointer=f"/query/{name}",
                fix="Put `type=$type&token=$token&app-id=$app-id&event=$event&call-id=$call-id` into external-push-uri.",
            )
    params = _params(said)
    return Asked(
        params=params,
        occasion=_occasion(said.get("event"), params),
        call_id=said.get("call-id", ""),
        uid=said.get("uid", "").strip('"').removeprefix("<").removesuffix(">"),
        from_uri=said.get("from-uri", ""),
        from_name=said.get("from-name", ""),
        to_uri=said.get("to-uri", ""),
    )


def _params(said: Mapping[str, str]) -> PushParams:
    """Return push parameters: what a Flexisip says is what phones said before RFC 8599."""
    kind, app = said["type"].lower(), said["app-id"]
    if kind != "apple":
        app = app.removesuffix(".prod").removesuffix(".dev")
    match push_asked({"pn-type": kind, "app-id": quote(app), "pn-tok": quote(said["token"])}):
        case PushParams() as params:
            return msgspec.structs.replace(params, texts=_texts(said))
        case PushRefused(why=why):
            raise InvalidRequest(why, pointer="/query/type")
        case PushQuery() | None:
            raise InvalidRequest("$token is missing", pointer="/query/token")
        case other:
            assert_never(other)


def _texts(said: Mapping[str, str]) -> PushTexts:
    key, tune = said.get("msgid", ""), said.get("sound", "")
    found = {"call": key, "message": key, "group_chat": key} if key else {}
    return PushTexts(**found, **({"call_sound": tune, "message_sound": tune} if tune else {}))


def _occasion(event: str | None, params: PushParams) -> Occasion:
    """Return why; an empty event is the renewal of a registration, one that is not told follows from the token."""
    match event:
        case "call":
            return Occasion.CALL
        case "":
            return Occasion.REGISTER
        case None if params.token("voip") is not None:
            return Occasion.CALL
        case _:
            return Occasion.MESSAGE


def _event(occasion: Occasion) -> str:
    match occasion:
        case Occasion.CALL:
            return "call"
        case Occasion.REGISTER:
            return ""
        case _:
            return "message"


def _is_apple(provider: PushProvider) -> bool:
    return provider in (PushProvider.APNS, PushProvider.APNS_DEV)


def _type(provider: PushProvider) -> str:
    match provider:
        case PushProvider.APNS | PushProvider.APNS_DEV:
            return "apple"
        case PushProvider.FCM:
            return "firebase"
        case PushProvider.WEBPUSH:
            return "webpush"
