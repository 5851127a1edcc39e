"""What a file's name says, in Flexisip's layout: `<topic>.prod.pem` and `<topic>.dev.pem`, the topic with its `.voip`.

Flexisip finds the certificate of a push by this name alone (its topic, and whether the phone said `apns` or `apns.dev`). We
read the certificate as well, and where the two differ the certificate is right, since Apple goes by it.
"""

from __future__ import annotations

import re

import msgspec

from wakeline.model.route import Environment

SUFFIXES = (".pem", ".p12", ".pfx", ".p8", ".json")
"""Endings of files that are looked into; all others are left alone."""

_LAYOUT = re.compile(
    r"(?P<topic>[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)\.(?P<environment>prod|dev)\.(?:pem|p12|pfx)"
).fullmatch
_ENVIRONMENTS = {"prod": Environment.PRODUCTION, "dev": Environment.SANDBOX}


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """Topic and environment in a name; nothing, if it is not of the layout."""

    topic: str = ""
    environment: Environment | None = None


def said_by(name: str) -> Said:
    """Return what the name of a file says."""
    found = _LAYOUT(name)
    if found is None:
        return Said()
    return Said(topic=found["topic"], environment=_ENVIRONMENTS[found["environment"]])


def looks_like_credential(name: str) -> bool:
    """Tell whether a file of this name is looked into. Hidden files are the tools' own (`..data`, editors' copies)."""
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")
