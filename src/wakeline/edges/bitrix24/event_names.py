"""The events that an application may bind, by the scope it needs for them. Source: Bitrix24 REST, "Events", one page a scope."""

from __future__ import annotations

from collections.abc import Collection

OFFLINE = "ONOFFLINEEVENT"
TEST = "ONAPPTEST"
CALL_BEGUN = "ONVOXIMPLANTCALLINIT"
CALL_ENDED = "ONVOXIMPLANTCALLEND"

BY_SCOPE: dict[str, tuple[str, ...]] = {
    "": (
        "ONAPPINSTALL",
        "ONAPPUNINSTALL",
        "ONAPPUPDATE",
        "ONAPPPAYMENT",
        TEST,
        "ONAPPMETHODCONFIRM",
        OFFLINE,
    ),
    "crm": tuple(
        f"ONCRM{thing}{change}"
        for thing in ("LEAD", "DEAL", "CONTACT", "COMPANY", "ACTIVITY")
        for change in ("ADD", "UPDATE", "DELETE")
    ),
    "task": (
        "ONTASKADD",
        "ONTASKUPDATE",
        "ONTASKDELETE",
        "ONTASKCOMMENTADD",
        "ONTASKCOMMENTUPDATE",
        "ONTASKCOMMENTDELETE",
    ),
    "telephony": (
        "ONEXTERNALCALLSTART",
        "ONEXTERNALCALLBACKSTART",
        CALL_BEGUN,
        "ONVOXIMPLANTCALLSTART",
        CALL_ENDED,
    ),
    "user": ("ONUSERADD",),
}
"""Names by scope; the empty scope is open to every application."""

WITH_REFRESH_TOKEN = frozenset({"ONAPPINSTALL", "ONAPPUPDATE", TEST, OFFLINE})
"""Events that come with a pair of tokens, since an application may begin its work with them."""

_SCOPE_OF = {name: scope for scope, names in BY_SCOPE.items() for name in names}


def is_open(event: str, scopes: Collection[str]) -> bool:
    """Tell whether an event exists, and whether these scopes open it; names are in capitals."""
    scope = _SCOPE_OF.get(event)
    return scope is not None and (not scope or scope in scopes)


def names_for(scopes: Collection[str]) -> list[str]:
    """Return the events that these scopes open."""
    return [name for name in _SCOPE_OF if is_open(name, scopes)]
