"""The batch that a portal posts as `MessageBody`.

`;<mode>;tkey=<APP_ID>;h=<host>;<base64>;<base64>...`, repeated for each mode. The mode says what the base64s behind it are:
1 and 2 Apple's sandbox and production, 4 and 5 the same for calls (VoIP), 3 the former GCM, 6 Huawei, 7 FCM v1.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from wakeline.model.errors import MalformedRequest
from wakeline.model.route import Environment
from wakeline.wire.bitrix_broker import frames, gcm
from wakeline.wire.bitrix_broker.entry import MOST_ENTRIES, Broken, Entry, Service, Unreadable, check_tokens

_APPLE = {
    1: (Service.APNS, Environment.SANDBOX),
    2: (Service.APNS, Environment.PRODUCTION),
    4: (Service.APNS_VOIP, Environment.SANDBOX),
    5: (Service.APNS_VOIP, Environment.PRODUCTION),
}
_GCM, _HUAWEI, _FCM = 3, 6, 7
_MODE_DIGITS = 2
_MOST_PIECES = 8 * MOST_ENTRIES
"""Each entry may stand under a mode, an APP_ID and a host of its own, with empty pieces between."""


class _Under(msgspec.Struct, frozen=True):
    """What was said before an entry, and holds until it is said anew. `mode` 0: nothing yet."""

    mode: int = 0
    application: str = ""
    host: str = ""


def batch(text: str) -> list[Entry | Unreadable]:
    """Read a batch. Raises MalformedRequest for one with more entries than are read."""
    pieces = text.split(";", _MOST_PIECES)
    found: list[Entry | Unreadable] = []
    under = _Under()
    for piece in map(str.strip, pieces):
        said = _said(under, piece) if piece else under
        if said is not None:
            under = said
            continue
        if len(found) == MOST_ENTRIES:
            raise _too_many()
        found.append(_read(len(found) + 1, under, piece))
    if len(pieces) > _MOST_PIECES:
        raise _too_many()
    check_tokens(found)
    return found


def _said(under: _Under, piece: str) -> _Under | None:
    """Return what holds from here on, or None for an entry."""
    if len(piece) <= _MODE_DIGITS and piece.isascii() and piece.isdigit():
        return msgspec.structs.replace(under, mode=int(piece))
    if piece.startswith("tkey="):
        return msgspec.structs.replace(under, application=piece.removeprefix("tkey="))
    if piece.startswith("h="):
        return msgspec.structs.replace(under, host=piece.removeprefix("h="))
    return None


def _read(number: int, under: _Under, piece: str) -> Entry | Unreadable:
    try:
        return _entry(number, under, piece)
    except Broken as broken:
        return Unreadable(number=number, cause=str(broken), mode=under.mode, host=under.host)


def _entry(number: int, under: _Under, piece: str) -> Entry:
    if under.mode in _APPLE:
        service, environment = _APPLE[under.mode]
        frame = frames.frame(_decoded(piece))
        return Entry(
            number=number,
            service=service,
            tokens=(frame.token,),
            payload=frame.payload,
            environment=environment,
            mode=under.mode,
            application=under.application,
            host=under.host,
            mark=frame.mark,
            expires=frame.expires,
        )
    if under.mode not in (_GCM, _HUAWEI, _FCM):
        raise Broken(f"{under.mode} is no mode" if under.mode else "no mode stands before it")
    document = frames.message(_decoded(piece))
    huawei = under.mode == _HUAWEI
    read = gcm.ForGoogle((), document, None) if huawei else _for_google(under.mode, document)
    return Entry(
        number=number,
        service=Service.HUAWEI if huawei else Service.FCM,
        tokens=read.tokens,
        payload=read.message,
        mode=under.mode,
        application=under.application,
        host=under.host,
        ttl=read.ttl,
    )


def _for_google(mode: int, document: dict[str, object]) -> gcm.ForGoogle:
    read = gcm.of_v1(document) if mode == _FCM else gcm.of_legacy(document)
    if not read.tokens:
        raise Broken("the message names no token")
    return read


def _decoded(piece: str) -> bytes:
    """Return what a base64 stands for; a `+` that was not encoded in the form came as a space."""
    try:
        return base64.b64decode(piece.replace(" ", "+"), validate=True)
    except (binascii.Error, ValueError):
        raise Broken("it is no base64") from None


def _too_many() -> MalformedRequest:
    return MalformedRequest(f"the batch has more than {MOST_ENTRIES} entries", fix="Send fewer at once.")
