"""Checks of content that hold for every push service; each error names the field by a JSON Pointer (RFC 6901)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from wakeline.model.errors import InvalidRequest
from wakeline.model.notification import Alert, Content, Override, Translation
from wakeline.wire.content.json import encode
from wakeline.wire.content.language import texts_for

_HEADER_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
# What belongs to the request itself (RFC 9113 section 8.2.2) or to our identity is not the caller's to set.
_OURS = frozenset(
    {
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        # Google reads a method and a billed project out of these: a push could become another call of ours.
        "x-goog-user-project",
        "x-http-method-override",
    }
)
_MOST_HEADERS = 16
_MOST_LEVELS = 64
_MOST_LANGUAGES = 300
_LONGEST_TAG = 64
_LONGEST_TEXT = 16 * 1024
_MOST_HEADER_BYTES = 2048

SURPLUS = 512
"""Bytes beyond those of a content as JSON that no payload needs: names of keys, a badge of ten digits, an id, a time.

A payload bears each text of the content at most once; FCM's message at most twice, since `data` is text in text there. So a
short content fits, and only where this leaves it open a payload is written to be measured.
"""


class Measure(NamedTuple):
    """The longest variant in bytes, the limit, and (empty if it fits) the field to shorten, as a JSON Pointer."""

    size: int
    limit: int
    field: str


def pointer(*steps: str | int) -> str:
    """Return a JSON Pointer."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in steps)


def check_text(content: Content) -> int:
    """Refuse objects nested without end, and text that UTF-8 cannot hold (a lone surrogate). Raises InvalidRequest.

    Returns the bytes that the content has as JSON: what is written of it for a push service follows from that (`SURPLUS`).
    """
    written = _written(content)
    # Nothing is nested deeper than there are brackets.
    if written and written.count(b"{") + written.count(b"[") < _MOST_LEVELS:
        return len(written)
    for steps, value in _free_form(content):
        if value:
            _check_depth(value, steps)
    if not written:
        _name_the_half_character(content)
    return len(written)


def _written(content: Content) -> bytes:
    """Return a content as JSON; empty if it cannot be written."""
    try:
        return encode(content)
    except (UnicodeEncodeError, RecursionError):
        return b""


def _free_form(content: Content) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield what callers write as they like, with where it stands."""
    yield ("data",), content.data
    if content.liveactivity is not None:
        yield ("liveactivity", "content_state"), content.liveactivity.content_state
        yield ("liveactivity", "attributes"), content.liveactivity.attributes
    for provider in ("apns", "fcm", "webpush"):
        override: Override = getattr(content, provider)
        yield (provider, "payload"), override.payload
        if override.raw is not None:
            yield (provider, "raw"), override.raw


def _check_depth(value: Any, steps: tuple[str, ...]) -> None:
    """Refuse what a reader or writer of JSON might run out of stack with, later and for everybody."""
    level, depth = [value], 0
    while level := [inner for outer in level for inner in _containers(outer)]:
        depth += 1
        if depth >= _MOST_LEVELS:
            raise InvalidRequest(
                f"it is nested more than {_MOST_LEVELS} levels deep", pointer=pointer(*steps), fix="Make it flatter."
            )


def _containers(value: dict[str, Any] | list[Any]) -> Iterator[dict[str, Any] | list[Any]]:
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, dict | list):
            yield inner


def _name_the_half_character(content: Content) -> None:
    for steps, text in _texts(msgspec.to_builtins(content), ()):
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InvalidRequest(
                "the text holds half a character (a lone surrogate)",
                pointer=pointer(*steps),
                fix="Cut texts between characters.",
            ) from None


def _texts(value: Any, steps: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    match value:
        case str():
            yield steps, value
        case dict():
            for key, inner in value.items():
                yield steps, key
                yield from _texts(inner, (*steps, key))
        case list() | tuple():
            for index, inner in enumerate(value):
                yield from _texts(inner, (*steps, index))


def check_alert(alert: Alert) -> None:
    """Refuse a badge that is neither a number from 0 nor "+1", more words than any push can bear, arguments without a key.

    Raises InvalidRequest.
    """
    if len(alert.title) + len(alert.subtitle) + len(alert.body) > _LONGEST_TEXT:
        _check_words(alert, "alert")
    if alert.title_loc_args or alert.body_loc_args:
        _check_arguments(alert)
    if alert.localized:
        _check_languages(alert.localized)
    badge = alert.badge
    if badge is None or badge == "+1":
        return
    if type(badge) is not int or not 0 <= badge < 2**31:
        raise InvalidRequest(
            f"{badge!r} is no badge", pointer="/alert/badge", fix='Give a number from 0, or "+1" to count up.'
        )


def _check_arguments(alert: Alert) -> None:
    for name in ("title", "body"):
        if getattr(alert, f"{name}_loc_args") and not getattr(alert, f"{name}_loc_key"):
            raise InvalidRequest(
                "these arguments belong to no key",
                pointer=pointer("alert", f"{name}_loc_args"),
                fix=f"Give `{name}_loc_key`, the key of a string inside the app.",
            )


def _check_languages(localized: dict[str, Translation]) -> None:
    if len(localized) > _MOST_LANGUAGES or any(len(tag) > _LONGEST_TAG for tag in localized):
        raise InvalidRequest(
            f"there are more than {_MOST_LANGUAGES} languages, or one whose tag is longer than {_LONGEST_TAG} characters",
            pointer="/alert/localized",
            fix="Send a notification for each group of languages.",
        )
    for tag, translation in localized.items():
        _check_words(translation, "alert", "localized", tag)


def _check_words(said: Alert | Translation, *home: str) -> None:
    """Refuse what is too long even to be shortened: each language would be written and measured with it."""
    for name in ("title", "subtitle", "body"):
        if len(getattr(said, name, "")) > _LONGEST_TEXT:
            raise InvalidRequest(
                f"the text has more than {_LONGEST_TEXT} characters; a push bears 4096 bytes",
                pointer=pointer(*home, name),
                fix="Shorten it.",
            )


def check_headers(headers: dict[str, str], provider: str, reserved: frozenset[str] = frozenset()) -> None:
    """Refuse header names and values that HTTP/2 or we cannot take. Raises InvalidRequest.

    They travel with every push of the notification, and a server that finds them too many ends the connection that all
    share, so their number and size are bounded.
    """
    if not headers:
        return
    if len(headers) > _MOST_HEADERS or sum(map(len, (*headers, *headers.values()))) > _MOST_HEADER_BYTES:
        raise InvalidRequest(
            f"there are more than {_MOST_HEADERS} headers, or they have more than {_MOST_HEADER_BYTES} characters",
            pointer=pointer(provider, "headers"),
            fix="Put what is for the app into `data`.",
        )
    for name, value in headers.items():
        where = pointer(provider, "headers", name)
        if not _HEADER_NAME.fullmatch(name):
            raise InvalidRequest(
                f"{name!r} is no header name in lower case", pointer=where, fix="Write it in lower case."
            )
        if name in _OURS or name in reserved:
            raise InvalidRequest(f"the header {name} is set by the gateway", pointer=where, fix="Leave it out.")
        if not _HEADER_VALUE.fullmatch(value):
            raise InvalidRequest(f"the value of {name} is not visible ASCII text", pointer=where, fix="Use ASCII.")


def largest_field(content: Content, provider: str, override: Override, tag: str) -> str:
    """Name what to shorten in one language: the field that takes most bytes, as a JSON Pointer."""
    if override.raw is not None:
        return pointer(provider, "raw")
    sizes = {pointer("data"): len(encode(content.data)), pointer(provider, "payload"): len(encode(override.payload))}
    if content.liveactivity is not None:
        for name in ("content_state", "attributes"):
            sizes[pointer("liveactivity", name)] = len(encode(getattr(content.liveactivity, name)))
    if content.alert is not None:
        texts = texts_for(content.alert, tag)
        translation = content.alert.localized.get(texts.tag)
        for name, translated in (
            ("title", translation and translation.title),
            ("body", translation and translation.body),
        ):
            home = ("alert", "localized", texts.tag, name) if translated else ("alert", name)
            sizes[pointer(*home)] = len(encode(getattr(texts, name)))
        sizes[pointer("alert", "subtitle")] = len(encode(texts.subtitle))
    return max(sizes, key=lambda name: sizes[name])
