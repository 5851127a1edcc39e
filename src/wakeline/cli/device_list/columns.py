"""Cells into what the API takes: which column means what, whatever the server that wrote it calls it.

Names are compared without case, dots, dashes and underscores. A row has one target in flat cells, or `targets` as the API has
them. `environment` and `topic` are read for APNs, `project` for FCM: in a table the column is there for all.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

from wakeline.model.device import TargetKind
from wakeline.model.errors import ConfigError
from wakeline.model.route import ProviderKind

ALIASES: Mapping[str, tuple[str, ...]] = {
    "device": ("device_id", "installation_id", "installation", "vendor_id", "uuid"),
    "user": ("user_id", "external_id", "external_user_id", "alias", "username", "account", "subscriber"),
    "users": (),
    "kind": ("provider", "service", "push_type", "token_type", "device_type", "cloud_message_type"),
    "value": ("token", "device_token", "push_token", "registration_id", "reg_id", "endpoint", "subscription"),
    "environment": ("env", "apns_environment"),
    "topic": ("bundle_id", "bundle", "bundle_identifier"),
    "project": ("project_id", "fcm_project"),
    "p256dh": ("keys_p256dh", "public_key"),
    "auth": ("keys_auth", "auth_secret"),
    "keys": (),
    "targets": (),
    "tags": ("tag", "labels"),
    "locale": ("language", "lang"),
    "platform": ("os",),
    "os_version": (),
    "model": ("device_model",),
    "app_version": ("version",),
    "notifications_enabled": (),
    "background_refresh": (),
    "low_power": (),
    "battery_restricted": (),
    "confirmed_at": ("confirmed", "updated_at", "last_seen", "last_registered_at", "registered_at", "date_updated"),
}
"""What is read, and what else it may be called."""

_KINDS = {
    "ios": TargetKind.APNS,
    "apple": TargetKind.APNS,
    "iphone": TargetKind.APNS,
    "ipad": TargetKind.APNS,
    "voip": TargetKind.APNS_VOIP,
    "pushkit": TargetKind.APNS_VOIP,
    "iosvoip": TargetKind.APNS_VOIP,
    "android": TargetKind.FCM,
    "gcm": TargetKind.FCM,
    "firebase": TargetKind.FCM,
    "google": TargetKind.FCM,
    "web": TargetKind.WEBPUSH,
    "wp": TargetKind.WEBPUSH,
    "browser": TargetKind.WEBPUSH,
    **{re.sub(r"[^a-z]", "", kind): kind for kind in TargetKind},
}
_ENVIRONMENTS = {"prod": "production", "dev": "sandbox", "development": "sandbox"}
_SWITCHES = ("notifications_enabled", "background_refresh", "low_power", "battery_restricted")
_FACTS = ("locale", "platform", "os_version", "model", "app_version")
_MORE = frozenset((*_SWITCHES, *_FACTS))
_TRUE, _FALSE = ("true", "t", "yes", "1"), ("false", "f", "no", "0")
_NUMBER = re.compile(r"\d{1,18}(\.\d+)?\Z")
_SECONDS, _MILLISECONDS = 10**11, 10**14
_PARTS = re.compile(r"[,;|]")


class Wrong(Exception):
    """What is wrong with a row, in words."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of the request: what the API takes as a device of a list."""

    device: str
    user: Sequence[str] = ()
    targets: Sequence[Mapping[str, Any]] = ()
    tags: Sequence[str] = ()
    locale: str = ""
    platform: str = ""
    os_version: str = ""
    model: str = ""
    app_version: str = ""
    notifications_enabled: bool | None = None
    background_refresh: bool | None = None
    low_power: bool | None = None
    battery_restricted: bool | None = None
    confirmed_at: datetime | None = None


class Columns:
    """Which column means what. `given` are "field=column" of the caller, who knows better."""

    def __init__(self, given: Iterable[str], *, ignore_unknown: bool) -> None:
        """Raises ConfigError for a field that there is not."""
        self._ignore = ignore_unknown
        self._named: dict[str, str] = {
            _plain(name): field for field, also in ALIASES.items() for name in (field, *also)
        }
        for text in given:
            field, is_pair, column = text.partition("=")
            if field not in ALIASES or not is_pair:
                raise ConfigError(f"--map {text} is no FIELD=COLUMN.", fix=f"Fields are {', '.join(ALIASES)}.")
            self._named = {name: mapped for name, mapped in self._named.items() if mapped != field}
            self._named[_plain(column)] = field
        self._fields: dict[str, str] = {}
        self._names_devices = False

    def check(self, columns: Sequence[str]) -> None:
        """Look at the header of a table. Raises ConfigError for columns that mean nothing, twice the same, or no token."""
        found = [(self._field(column), column) for column in columns]
        unknown = [column for field, column in found if not field]
        if unknown and not self._ignore:
            raise ConfigError(
                f"These columns mean nothing here: {', '.join(unknown)}.",
                fix="Say what they are with --map FIELD=COLUMN, or leave them out with --ignore-unknown. "
                f"Fields are {', '.join(ALIASES)}.",
            )
        fields = [field for field, _ in found if field]
        for field in fields:
            if fields.count(field) > 1:
                both = " and ".join(column for name, column in found if name == field)
                raise ConfigError(f"The columns {both} both mean {field}.", fix=f"Choose with --map {field}=COLUMN.")
        if not {"value", "targets"} & set(fields):
            raise ConfigError("No column holds the tokens.", fix="Name it with --map value=COLUMN.")
        self._names_devices = "device" in fields

    def entry(self, cells: Mapping[str, Any]) -> Entry:
        """Return what a row says. Raises Wrong."""
        said: dict[str, Any] = {}
        fields = self._fields
        for column, cell in cells.items():
            field = fields[column] if column in fields else self._field(column)
            if not field and not self._ignore:
                raise Wrong(f"{column!r} means nothing here; see --map and --ignore-unknown")
            if field and cell != "" and cell is not None:
                said[field] = cell
        targets = _listed(said["targets"]) if "targets" in said else [_target(said)]
        more = _more(said) if not _MORE.isdisjoint(said) else {}
        return Entry(
            device=_device(said, targets, named=self._names_devices),
            user=_several(said.get("users"), _PARTS) or _several(said.get("user"), None),
            targets=targets,
            tags=_several(said.get("tags"), _PARTS),
            confirmed_at=moment_of(said.get("confirmed_at")),
            **more,
        )

    def _field(self, column: str) -> str:
        return self._fields.setdefault(column, self._named.get(_plain(column), ""))


def merged(first: Entry, second: Entry) -> Entry | None:
    """Return two rows as one if they tell of the same device on the same day, else None."""
    if first.device != second.device or first.confirmed_at != second.confirmed_at:
        return None
    facts = {name: getattr(second, name) or getattr(first, name) for name in _FACTS}
    switches = {name: getattr(first if getattr(second, name) is None else second, name) for name in _SWITCHES}
    return Entry(
        device=first.device,
        user=tuple(dict.fromkeys([*first.user, *second.user])),
        targets=[*first.targets, *second.targets],
        tags=tuple(dict.fromkeys([*first.tags, *second.tags])),
        confirmed_at=first.confirmed_at,
        **facts,
        **switches,
    )


def moment_of(cell: Any) -> datetime | None:
    """Return a time written as RFC 3339 (UTC if it does not say) or as Unix seconds or milliseconds. Raises Wrong."""
    if cell is None:
        return None
    text = str(cell)
    try:
        if not _NUMBER.match(text):
            found = datetime.fromisoformat(text.removesuffix(" UTC"))
            return found if found.tzinfo else found.replace(tzinfo=UTC)
        number = float(text)
        if number < _MILLISECONDS:
            return datetime.fromtimestamp(number if number < _SECONDS else number / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    raise Wrong(f"{text[:40]!r} is no time: RFC 3339, or Unix seconds or milliseconds")


def _more(said: Mapping[str, Any]) -> dict[str, Any]:
    more: dict[str, Any] = {field: str(said[field]) for field in _FACTS if field in said}
    more.update((field, _switch(field, said[field])) for field in _SWITCHES if field in said)
    return more


def _target(said: Mapping[str, Any]) -> dict[str, Any]:
    if "value" not in said:
        raise Wrong("there is no token")
    kind = _kind(said)
    target: dict[str, Any] = {"kind": kind.value, "value": said["value"]}
    match kind.provider:
        case ProviderKind.APNS:
            if "environment" in said:
                world = str(said["environment"]).lower()
                target["environment"] = _ENVIRONMENTS.get(world, world)
            if "topic" in said:
                target["topic"] = said["topic"]
        case ProviderKind.FCM:
            if "project" in said:
                target["project"] = said["project"]
        case _:
            keys = said.get("keys") or {name: said[name] for name in ("p256dh", "auth") if name in said}
            if keys:
                target["keys"] = keys
    return target


def _kind(said: Mapping[str, Any]) -> TargetKind:
    for field in ("kind", "platform"):
        if field in said:
            kind = _kind_called(str(said[field]))
            if kind is not None:
                return kind
            if field == "kind":
                raise Wrong(f"there is no kind of target {said[field]!r}; kinds are {', '.join(TargetKind)}")
    raise Wrong("neither a kind nor a platform says which push service the token is of")


@lru_cache(maxsize=256)
def _kind_called(word: str) -> TargetKind | None:
    return _KINDS.get(re.sub(r"[^a-z]", "", word.lower()))


def _listed(cell: Any) -> list[dict[str, Any]]:
    if not isinstance(cell, list) or not all(isinstance(one, dict) for one in cell):
        raise Wrong("targets is a list of objects")
    return cell


def _device(said: Mapping[str, Any], targets: Sequence[Mapping[str, Any]], *, named: bool) -> str:
    """Return the device's id; a list without such a column has one device a token, under a name that does not show it."""
    if "device" in said:
        return str(said["device"])
    if named or not targets:
        raise Wrong("there is no device id")
    return named_by_token(targets[0])


def named_by_token(target: Mapping[str, Any]) -> str:
    """Return a device's id for a list that names none: the same for a token each time, and it does not show it."""
    digest = hashlib.sha256(msgspec.json.encode([target.get("kind"), target.get("value")])).hexdigest()
    return f"token-{digest[:32]}"


def _several(cell: Any, parts: re.Pattern[str] | None) -> tuple[str, ...]:
    """Return one or several names: a JSON list, or text cut at `parts`."""
    if cell is None:
        return ()
    if isinstance(cell, str) and parts and cell.startswith("["):
        try:
            cell = msgspec.json.decode(cell)
        except msgspec.DecodeError:
            raise Wrong(f"{cell[:40]!r} is no JSON list") from None
    if isinstance(cell, list):
        return tuple(str(one) for one in cell)
    text = str(cell)
    return tuple(one.strip() for one in parts.split(text) if one.strip()) if parts else (text,)


def _switch(field: str, cell: Any) -> bool:
    if isinstance(cell, bool):
        return cell
    word = str(cell).lower()
    if word not in _TRUE and word not in _FALSE:
        raise Wrong(f"{field}: {word[:40]!r} is neither true nor false")
    return word in _TRUE


def _plain(name: str) -> str:
    return re.sub(r"[\s._-]", "", name).lower()
