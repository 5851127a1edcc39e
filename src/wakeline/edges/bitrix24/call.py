"""One call of a method, and the entry of the table that describes it: what door, batch and documentation all read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum

import msgspec

from wakeline import ports
from wakeline.config import Settings
from wakeline.edges.bitrix24.delivering import EventDeliveries
from wakeline.edges.bitrix24.ringing import Rings
from wakeline.model.bitrix24.access import Grant, IncomingWebhook, PortalApplication, PortalUser
from wakeline.pipeline import Pipeline
from wakeline.ports.bitrix24 import PortalAccess, PortalCalls, PortalEvents, PortalRecords

Value = object
"""What JSON can say: None, bool, int, float, str, lists and maps of these."""

Params = dict[str, Value]
"""The parameters of a call as a tree of maps, lists and texts, without those that were for us (auth, start)."""


class BitrixPorts(msgspec.Struct, kw_only=True):
    """The parts this edge speaks to; a reload puts new `settings` in their place.

    `http` is for URLs that callers give, behind the outbound guard, `hook` for the call hook of the settings; `deliveries` post
    events.
    """

    clock: ports.Clock
    apps: ports.Apps
    devices: ports.Devices
    secrets: ports.Secrets
    access: PortalAccess
    events: PortalEvents
    records: PortalRecords
    calls: PortalCalls
    pipeline: Pipeline
    settings: Settings
    http: ports.HttpClient
    hook: ports.HttpClient
    deliveries: EventDeliveries
    rings: Rings = msgspec.field(default_factory=Rings)


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls: a user, through an application's token (`grant`) or an incoming webhook."""

    user: PortalUser
    scopes: frozenset[str]
    application: PortalApplication | None = None
    grant: Grant | None = None
    webhook: IncomingWebhook | None = None


class Call(msgspec.Struct, kw_only=True):
    """One call. `start` is the asked place in a list (None: not asked, -1: without a count); `now` in Unix ms.

    `base` is the portal's own address as the caller knows it: `https://portal.example`. `table` is every method by its name.
    """

    ports: BitrixPorts
    caller: Caller
    method: str
    params: Params
    now: int
    base: str
    start: int | None = None
    request_id: str = ""
    table: Mapping[str, Method] = {}


class Result(msgspec.Struct, frozen=True):
    """What a method answers. `next` and `total` belong to lists only."""

    value: Value
    next: int | None = None
    total: int | None = None


class MethodError(Exception):
    """A method's refusal in Bitrix24's own form: HTTP status, code, text, and further keys of the answer."""

    def __init__(self, status: int, error: str, description: str, **more: str) -> None:
        """Say which row of the table of errors it is."""
        super().__init__(description)
        self.status = status
        self.error = error
        self.description = description
        self.more = more


class Auth(StrEnum):
    """Which kinds of authorization a method takes."""

    ANY = "any"
    APPLICATION = "application"
    WEBHOOK = "webhook"


class Method(msgspec.Struct, frozen=True, kw_only=True):
    """One method. `name` in lower case; `scope` is what the token must have (empty: basic, always there), or one of `narrower`.

    `wrong_auth` is the text of WRONG_AUTH_TYPE if the authorization is of another kind than `auth`; `batch`: it may be part of
    a batch. `folded`: names of top-level parameters count in any case and come in upper case.
    """

    name: str
    scope: str
    handler: Callable[[Call], Awaitable[Result]]
    auth: Auth = Auth.ANY
    wrong_auth: str = "Current authorization type is denied for this method"
    batch: bool = True
    folded: bool = True
    narrower: frozenset[str] = frozenset()
