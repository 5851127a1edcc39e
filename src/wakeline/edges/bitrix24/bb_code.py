"""Bitrix24's markup of messages as plain text: what a phone shows has no markup.

Rule: only what is known as a tag is taken away; other brackets are somebody's words. The words between tags stay.
Source: Bitrix24 REST, "Message formatting".
"""

from __future__ import annotations

import re

_NAMES = (
    "attach|b|call|chat|code|color|context|disk|i|img|left|center|right|list|p|pch|put|quote|rating|s|send|size|table|td|"
    "th|timestamp|tr|u|url|user|video"
)
# Neither bracket may stand in a value, so that no text makes this look at a character more than twice.
_TAG = re.compile(rf"\[/?(?:{_NAMES})(?:[=\s][^\[\]]*)?\]", re.IGNORECASE)
_BREAK = re.compile(r"\[br\s?/?\]|#br#", re.IGNORECASE)
_ITEM = re.compile(r"\[\*\]\s?")
# One space before the next name: of many, each would be tried with each.
_ICON = re.compile(r"\[icon=[^\[\]]*?\btitle=(?P<title>[^\[\]=]*?)(?:\s\w+=[^\[\]]*)?\]", re.IGNORECASE)
_ANY_ICON = re.compile(r"\[icon=[^\[\]]*\]", re.IGNORECASE)


def plain(message: str) -> str:
    """Return a message without its markup; one that is nothing but markup stays as it is."""
    text = _BREAK.sub("\n", message)
    text = _ITEM.sub("- ", text)
    text = _ANY_ICON.sub(_title, text)
    return _TAG.sub("", text).strip() or message.strip()


def _title(icon: re.Match[str]) -> str:
    named = _ICON.fullmatch(icon[0])
    return named["title"].strip() if named is not None else ""
