"""Rows of a Bitrix24 portal's device table, `b_pull_push` (in older writings `b_mobile_device`), into what the API takes.

A row is a phone: its application's uuid, the user it is registered for, an alert token and perhaps one for calls. DEVICE_TYPE
says the push service, an APP_ID that ends in `_bxdev` a development build, DATE_AUTH when the app was last heard of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wakeline.cli.device_list.columns import Entry, Wrong, moment_of, named_by_token
from wakeline.model.device import TargetKind
from wakeline.model.errors import ConfigError
from wakeline.wire.bitrix_broker import Service, service_called

_ALIASES: Mapping[str, tuple[str, ...]] = {
    "device": ("DEVICE_ID", "UUID", "DEVICE_UUID"),
    "user": ("USER_ID",),
    "type": ("DEVICE_TYPE", "PLATFORM", "TYPE", "OS"),
    "token": ("DEVICE_TOKEN", "TOKEN", "PUSH_TOKEN"),
    "voip": ("VOIP_TOKEN", "DEVICE_TOKEN_VOIP"),
    "application": ("APP_ID",),
    "date": ("DATE_AUTH", "DATE_UPDATE", "TIMESTAMP_X", "DATE_CREATE"),
}
"""What is read, the best first; other columns do not matter here."""

_KINDS = {Service.APNS: TargetKind.APNS, Service.APNS_VOIP: TargetKind.APNS_VOIP, Service.FCM: TargetKind.FCM}
_DEVELOPMENT = "_bxdev"
_NO_DATE = "0000"


class PortalColumns:
    """Reads such rows. `topic`: the bundle id of the portal's app, if the credentials are good for several."""

    def __init__(self, topic: str = "") -> None:
        self._topic = topic

    def check(self, columns: Sequence[str]) -> None:
        """Look at the header of a table. Raises ConfigError if it is not that of the portal's devices."""
        named = {column.upper() for column in columns}
        for field in ("user", "type", "token"):
            if named.isdisjoint(_ALIASES[field]):
                raise ConfigError(
                    f"No column is {' or '.join(_ALIASES[field])}.",
                    fix="Export the table b_pull_push with its column names; other lists are for `wakeline import devices`.",
                )

    def entry(self, cells: Mapping[str, Any]) -> Entry:
        """Return what a row says. Raises Wrong."""
        upper = {column.upper(): cell for column, cell in cells.items()}
        said = {field: _first(upper, names) for field, names in _ALIASES.items()}
        service = service_called(said["type"])
        if service is None:
            raise Wrong(f"there is no device type {said['type'][:40]!r}")
        if service is Service.HUAWEI:
            raise Wrong("Huawei's push service is not served")
        targets = list(self._targets(service, said))
        if not targets:
            raise Wrong("there is no token")
        date = said["date"]
        return Entry(
            device=said["device"] or named_by_token(targets[0]),
            user=(said["user"],) if said["user"] not in ("", "0") else (),
            targets=targets,
            platform="android" if service is Service.FCM else "ios",
            confirmed_at=moment_of(date) if date and not date.startswith(_NO_DATE) else None,
        )

    def _targets(self, service: Service, said: Mapping[str, str]) -> list[dict[str, Any]]:
        kinds = [(_KINDS[service], said["token"])]
        if service is not Service.FCM:
            kinds.append((TargetKind.APNS_VOIP, said["voip"]))
        more: dict[str, str] = {}
        if service is not Service.FCM:
            more["environment"] = "sandbox" if said["application"].endswith(_DEVELOPMENT) else "production"
            if self._topic:
                more["topic"] = self._topic
        return [{"kind": kind.value, "value": value, **more} for kind, value in kinds if value]


def _first(cells: Mapping[str, Any], names: Sequence[str]) -> str:
    """Return the first of these cells that holds something."""
    return next((str(cells[name]).strip() for name in names if cells.get(name) not in (None, "")), "")
