"""In which language a recipient is spoken to.

A phone's locale is matched from its most to its least specific form ("zh-Hant-TW", "zh-Hant", "zh"), whatever its case
and separators; then come the texts given without a language. If there are none, the first translation is better than a
push without words.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from wakeline.model.notification import Alert


class Texts(NamedTuple):
    """What is shown, in one language. `tag` is the translation's key as the caller wrote it (empty: none was used).

    Either loc key is kept only where no translation speaks: the phone would prefer the key.
    """

    title: str = ""
    subtitle: str = ""
    body: str = ""
    title_loc_key: str = ""
    title_loc_args: tuple[str, ...] = ()
    body_loc_key: str = ""
    body_loc_args: tuple[str, ...] = ()
    tag: str = ""


def _plain(alert: Alert) -> Texts:
    return Texts(
        alert.title,
        alert.subtitle,
        alert.body,
        alert.title_loc_key,
        alert.title_loc_args,
        alert.body_loc_key,
        alert.body_loc_args,
    )


def _translated(alert: Alert, tag: str) -> Texts:
    texts, translation = _plain(alert)._replace(tag=tag), alert.localized[tag]
    if translation.title:
        texts = texts._replace(title=translation.title, title_loc_key="", title_loc_args=())
    if translation.body:
        texts = texts._replace(body=translation.body, body_loc_key="", body_loc_args=())
    return texts


def speaks(alert: Alert | None) -> bool:
    """Tell whether an alert has words, or the key of words, in some language."""
    if alert is None:
        return False
    plain = alert.title or alert.subtitle or alert.body or alert.title_loc_key or alert.body_loc_key
    if plain:
        return True
    return any(said.title or said.body for said in alert.localized.values())


def default_texts(alert: Alert) -> Texts:
    """Return what somebody with an unknown language reads."""
    if not alert.localized:
        return _plain(alert)
    spoken = alert.title or alert.body or alert.title_loc_key or alert.body_loc_key
    if spoken:
        return _plain(alert)
    return _translated(alert, next(iter(alert.localized)))


def texts_for(alert: Alert, locale: str) -> Texts:
    """Return what a device with this locale ("de", "pt_BR", "zh-Hant-TW", empty) reads."""
    if locale and alert.localized:
        known = {_canonical(tag): tag for tag in reversed(alert.localized)}
        for candidate in _less_and_less_specific(_canonical(locale)):
            if candidate in known:
                return _translated(alert, known[candidate])
    return default_texts(alert)


def tags_of(alert: Alert) -> tuple[str, ...]:
    """Return locales that together reach every variant of the text."""
    return ("", *alert.localized)


def _canonical(tag: str) -> str:
    # POSIX locales end in an encoding or a modifier: "de_DE.UTF-8", "ca_ES@valencia".
    return tag.partition(".")[0].partition("@")[0].replace("_", "-").lower()


def _less_and_less_specific(tag: str) -> Iterator[str]:
    while tag:
        yield tag
        tag = tag.rpartition("-")[0]
