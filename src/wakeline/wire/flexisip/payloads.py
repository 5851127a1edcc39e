"""The payloads that liblinphone's apps read, as Flexisip 2.x writes them: for APNs one a kind of push, for FCM one.

Rules: names and their order are Flexisip's. What differs is on purpose: values are JSON and not spliced into it (a quote in a
caller's name broke the whole push), a background push has priority 5 as Apple asks, and what would be too large loses the
caller's name and then the address, which the phone learns by SIP anyway; Flexisip dropped the push.

A push is an `Occasion` (what happened), which with the tokens of a phone decides the `Form` (what its app expects):

    request(params, push, to)         the notification that wakes it; None: no token of this phone may be used for that
    content(params, push)             the same without whom it is for
    apple(form, params.texts, push)   the document for APNs
    firebase(params.texts, push)      the message for FCM, without its target
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import msgspec

from wakeline.model.notification import Audience, Call, Content, NotificationRequest, Override, PushType
from wakeline.model.sip.push import PushParams, PushProvider, PushTexts
from wakeline.wire.content import encode
from wakeline.wire.fcm.message import LONGEST_TTL

_VOIP_LIMIT = 5120
_LIMIT = 4096
"""Bytes; Apple: "Generating a remote notification"; Firebase: the same for data."""

_COLLAPSE_ID_LIMIT = 64
_LESS: tuple[dict[str, str], ...] = ({}, {"from_name": ""}, {"from_name": "", "from_uri": ""})


class Form(StrEnum):
    """Pushes of APNs, by the names of flexisip_pusher's `--apple-push-type`. RemoteBasic is that of Flexisip 2.0 and 2.1."""

    PUSHKIT = "PushKit"
    BACKGROUND = "Background"
    ALERT = "RemoteWithMutableContent"
    BASIC = "RemoteBasic"


class Occasion(StrEnum):
    """Why a phone is woken. The last three end the ringing of a phone that gets no VoIP pushes.

    `register`: its registration is about to end. `other`: a request that starts something else (REFER).
    """

    CALL = "call"
    GROUP_CHAT = "group-chat"
    MESSAGE = "message"
    MESSAGE_WAITING = "message-waiting"
    OTHER = "other"
    REGISTER = "register"
    MISSED = "missed"
    ACCEPTED_ELSEWHERE = "accepted-elsewhere"
    DECLINED_ELSEWHERE = "declined-elsewhere"


class Push(msgspec.Struct, frozen=True, kw_only=True):
    """One push. `ttl` in seconds, `at` (now) in Unix ms.

    `from_uri` and `from_name` are the caller's, empty if pushes are not to bear them. `uuid` is the phone's `+sip.instance`.
    `from_tag` and `to_uri` are the call's, for an external push URI. `chat_room` is the address of a group chat.
    `custom` is what the app's own server adds; `badge`: alerts count 1, not 0.
    """

    occasion: Occasion
    ttl: int
    at: int
    call_id: str = ""
    uuid: str = ""
    from_uri: str = ""
    from_name: str = ""
    from_tag: str = ""
    to_uri: str = ""
    chat_room: str = ""
    custom: dict[str, Any] = {}
    badge: bool = True

    @property
    def shown(self) -> str:
        """Return who calls or writes: the name, else the address."""
        return self.from_name or self.from_uri

    @property
    def send_time(self) -> str:
        """Return when it was sent, in UTC."""
        return datetime.fromtimestamp(self.at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


_RINGING = frozenset({Occasion.CALL, Occasion.MISSED, Occasion.ACCEPTED_ELSEWHERE, Occasion.DECLINED_ELSEWHERE})


def request(params: PushParams, push: Push, to: Audience, form: Form | None = None) -> NotificationRequest | None:
    """Return the notification that wakes a phone, or None as `content` does. `push.ttl` is cut to what a push service keeps."""
    made = content(params, push, form)
    if made is None:
        return None
    return NotificationRequest(
        to=to,
        type=made.type,
        call=made.call,
        data=made.data | placeholders(push),
        ttl=max(0, min(push.ttl, LONGEST_TTL)),
        collapse_id=made.collapse_id,
        apns=made.apns,
        fcm=made.fcm,
    )


def placeholders(push: Push) -> dict[str, str]:
    """Return what an external push URI may want to know (`external`); payloads of Apple and Google have their own fields for it."""
    known = {
        "call-id": push.call_id,
        "from-name": push.from_name,
        "from-tag": push.from_tag,
        "from-uri": push.from_uri,
        "to-uri": push.to_uri,
        "uid": push.uuid,
    }
    return {name: value for name, value in known.items() if value}


def content(params: PushParams, push: Push, form: Form | None = None) -> Content | None:
    """Return what to send to a phone; None if no token of it may be used for this.

    `form`, of APNs, follows from the occasion and the tokens (`form_for`) unless it is given.
    """
    if params.provider not in (PushProvider.APNS, PushProvider.APNS_DEV):
        return _for_others(params, push)
    form = form or form_for(params, push.occasion)
    if form is None:
        return None
    override = Override(raw=apple(form, params.texts, push))
    match form:
        case Form.PUSHKIT:
            return Content(type=PushType.CALL, call=_call(push), apns=override)
        case Form.BACKGROUND:
            return Content(type=PushType.BACKGROUND, apns=override)
        case Form.ALERT | Form.BASIC:
            # A call that rings by alerts: the next replaces the one before it.
            collapse_id = collapse_id_of(push.call_id) if push.occasion in _RINGING else ""
            if push.occasion is Occasion.CALL:
                return Content(type=PushType.CALL, call=_call(push), collapse_id=collapse_id, apns=override)
            return Content(type=PushType.ALERT, collapse_id=collapse_id, apns=override)


def _for_others(params: PushParams, push: Push) -> Content:
    """Return what to send where there is one kind of token: its app is woken by any push, and gets the facts as data.

    A message is of type `alert` though it shows nothing, for somebody waits for it: background pushes go last, and are few.
    """
    if params.provider is PushProvider.WEBPUSH:
        data = {"call-id": push.call_id}
        if push.occasion is Occasion.CALL:
            return Content(type=PushType.CALL, call=_call(push), data=data)
        return Content(type=PushType.BACKGROUND, data=data)
    fcm = Override(raw=firebase(params.texts, push))
    match push.occasion:
        case Occasion.CALL:
            return Content(type=PushType.CALL, call=_call(push), fcm=fcm)
        case Occasion.REGISTER:
            return Content(type=PushType.BACKGROUND, fcm=fcm)
        case _:
            return Content(type=PushType.ALERT, fcm=fcm)


def form_for(params: PushParams, occasion: Occasion) -> Form | None:
    """Return the push of APNs for an occasion, as Flexisip chooses it: VoIP for calls, else an alert; None: there is none.

    A VoIP push for anything but a call is none: iOS ends apps for that. Registrations are renewed in the background.
    """
    if occasion is Occasion.CALL and params.token("voip") is not None:
        return Form.PUSHKIT
    if params.token("remote") is None:
        return None
    return Form.BACKGROUND if occasion is Occasion.REGISTER else Form.ALERT


def apple(form: Form, texts: PushTexts, push: Push) -> dict[str, Any]:
    """Return the document for APNs, within what Apple takes unless `custom` alone is more."""
    limit = _VOIP_LIMIT if form is Form.PUSHKIT else _LIMIT
    return _fitting(lambda one: _apple(form, texts, one), push, limit)


def firebase(texts: PushTexts, push: Push) -> dict[str, Any]:
    """Return the message for FCM without its target: data of Android alone, every value a text, nothing to show."""
    return _fitting(lambda one: _firebase(texts, one), push, _LIMIT)


def instance_text(instance: str) -> str:
    """Return a phone's instance (`urn:uuid:...`, quoted or not) as it stands in `+sip.instance`; other ids as they are."""
    bare = instance.strip('"').removeprefix("<").removesuffix(">")
    return f'"<{bare}>"' if bare.startswith("urn:") else instance


def loc_key(texts: PushTexts, occasion: Occasion) -> str:
    """Return the key of the text that the app shows (`pn-call-str` and its like)."""
    match occasion:
        case Occasion.CALL:
            return texts.call
        case Occasion.GROUP_CHAT:
            return texts.group_chat
        case Occasion.MESSAGE:
            return texts.message
        case Occasion.MESSAGE_WAITING:
            return texts.message_waiting
        case Occasion.OTHER | Occasion.REGISTER:
            return "IC_SIL"
        case Occasion.MISSED:
            return texts.missed
        case Occasion.ACCEPTED_ELSEWHERE:
            return texts.accepted_elsewhere
        case Occasion.DECLINED_ELSEWHERE:
            return texts.declined_elsewhere


def sound(texts: PushTexts, occasion: Occasion) -> str:
    """Return the name of the sound that the app plays (`pn-call-snd`, `pn-msg-snd`)."""
    return texts.call_sound if occasion is Occasion.CALL else texts.message_sound


def collapse_id_of(call_id: str) -> str:
    """Return what makes the alerts of a call replace each other: its Call-ID, or a digest of one that no header may hold."""
    plain = call_id.isprintable() and call_id == call_id.strip() and len(call_id.encode()) <= _COLLAPSE_ID_LIMIT
    return call_id if plain else hashlib.sha256(call_id.encode(errors="surrogateescape")).hexdigest()


def _apple(form: Form, texts: PushTexts, push: Push) -> dict[str, Any]:
    key = loc_key(texts, push.occasion)
    words = {"loc-key": key, "loc-args": [push.shown]}
    call, phone = {"call-id": push.call_id}, {"uuid": push.uuid, "send-time": push.send_time}
    caller = {"from-uri": push.from_uri, "display-name": push.from_name}
    ttl, custom = {"pn_ttl": push.ttl}, {"customPayload": push.custom}
    match form:
        case Form.PUSHKIT:
            return {"aps": {"sound": "", **words, **call, **phone}, **caller, **ttl, **custom}
        case Form.BACKGROUND:
            aps = {"badge": 0, "content-available": 1, **words, **call, **phone}
            return {"aps": aps, **caller, **ttl, **custom}
        case Form.ALERT | Form.BASIC:
            shown = {"alert": words, "sound": sound(texts, push.occasion)}
            badge = {"badge": int(push.badge)}
            beside = {**caller, **call, **ttl, **phone}
            if form is Form.BASIC:
                return {"aps": {**shown, **badge}, **beside}
            return {
                "aps": {**shown, "mutable-content": 1, **badge},
                **beside,
                "chat-room-addr": push.chat_room,
                **custom,
            }


def _firebase(texts: PushTexts, push: Push) -> dict[str, Any]:
    data = {
        "uuid": push.uuid,
        "from-uri": push.from_uri,
        "display-name": push.from_name,
        "call-id": push.call_id,
        "sip-from": push.shown,
        "loc-key": loc_key(texts, push.occasion),
        "loc-args": push.shown,
        "send-time": push.send_time,
        "custom-payload": encode(push.custom).decode(),
    }
    ttl = max(0, min(push.ttl, LONGEST_TTL))
    return {"android": {"priority": "high", "ttl": f"{ttl}s", "data": data}}


def _call(push: Push) -> Call:
    return Call(id=push.call_id or "-", caller=push.shown)


def _fitting(write: Callable[[Push], dict[str, Any]], push: Push, limit: int) -> dict[str, Any]:
    """Return the document; if it is too large then without the caller's name, then without the address, whatever it has then."""
    for less in _LESS:
        document = write(msgspec.structs.replace(push, **less))
        if len(encode(document)) <= limit:
            break
    return document
