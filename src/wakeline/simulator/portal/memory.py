"""The portal's memory: its applications, tokens, records, bound handlers, offline queue and switches."""

from __future__ import annotations

import hashlib
import itertools
from collections import deque
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from wakeline.simulator.portal.courier import Delivery
from wakeline.simulator.portal.php import Tree
from wakeline.simulator.portal.records import Records, fresh_records
from wakeline.simulator.portal.selection import Row

CLIENT_ID = "local.simulator"
CLIENT_SECRET = "simulator-secret"  # noqa: S105 - said in the documentation, and good for nothing else
WEBHOOK_CODE = "simulatorwebhook"
SCOPES = ("crm", "im", "pull", "task", "tasks", "telephony", "user")
OAUTH_HOSTS = ("127.0.0.1", "oauth.bitrix24.tech", "oauth.bitrix.info")
ADMIN = 1

_DAY_S = 24 * 3600
_DELIVERIES_KEPT = 20_000


class Application(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /portal/application`: an application that the portal knows."""

    client_id: Annotated[str, msgspec.Meta(min_length=1)] = CLIENT_ID
    client_secret: Annotated[str, msgspec.Meta(min_length=1)] = CLIENT_SECRET
    redirect_uri: str = ""
    """Where /oauth/authorize/ leads; empty is whatever the request says."""
    scope: tuple[str, ...] = SCOPES
    installed: bool = True


class Switches(msgspec.Struct):
    """What `POST /portal/set` changes; mutable, because tests turn them while clients live."""

    closed: bool = False
    """403 PORTAL_DELETED to every call."""
    paid: bool = True
    """Otherwise ACCESS_DENIED to calls and PAYMENT_REQUIRED to refreshes, and no events go out."""
    moved_to: str = ""
    """An origin such as https://moved.portal.test:8444: calls under another one are answered 302."""
    client_endpoint: str = ""
    """What applications are told to call; empty is this portal."""
    server_endpoint: str = ""
    """The REST address of the OAuth host; empty is this one."""
    code_lifetime_s: float = 30.0
    refresh_lifetime_s: float = 180 * _DAY_S
    bucket_size: int = 0
    """Calls in a row before 503 QUERY_LIMIT_EXCEEDED; 0 is no limit, Bitrix24's is 50."""
    bucket_per_s: float = 2.0


class SwitchChange(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST /portal/set`: only the fields given change, null is the default."""

    closed: bool | UnsetType | None = UNSET
    paid: bool | UnsetType | None = UNSET
    moved_to: str | UnsetType | None = UNSET
    client_endpoint: str | UnsetType | None = UNSET
    server_endpoint: str | UnsetType | None = UNSET
    code_lifetime_s: float | UnsetType | None = UNSET
    refresh_lifetime_s: float | UnsetType | None = UNSET
    bucket_size: int | UnsetType | None = UNSET
    bucket_per_s: float | UnsetType | None = UNSET


class Session(msgspec.Struct, frozen=True):
    """What a code, an access token or a refresh token stands for."""

    client_id: str
    user: int
    expires_at: float
    """Seconds since 1970."""


class Binding(msgspec.Struct, frozen=True):
    """An event handler that an application bound, or its wish to find the event in the offline queue."""

    id: int
    client_id: str
    event: str
    handler: str
    user: int = 0
    offline: bool = False
    connector: str = ""
    min_timeout_s: float = 1.0


class Queued(msgspec.Struct):
    """One row of the offline queue; mutable, because rows are reserved and marked."""

    id: int
    client_id: str
    connector: str
    event: str
    data: Tree
    user: int
    message_id: str
    at: float
    process_id: str = ""
    error: bool = False


class Memory:
    """Everything that the portal knows. `reset` keeps tokens, as every fake service does."""

    def __init__(self) -> None:
        self.origin = self.oauth_origin = ""
        self.codes: dict[str, Session] = {}
        self.access: dict[str, Session] = {}
        self.refresh: dict[str, Session] = {}
        self.deliveries: deque[Delivery] = deque(maxlen=_DELIVERIES_KEPT)
        self._records: Records | None = None
        self.reset()

    def reset(self) -> None:
        """As at the start, save that tokens live on."""
        self.switches = Switches()
        self.applications = {CLIENT_ID: Application()}
        self.bindings: list[Binding] = []
        self.queue: list[Queued] = []
        self.deliveries.clear()
        self.announced: dict[int, float] = {}
        self.calls: dict[str, Row] = {}
        self.level = self.level_at = 0.0
        self._records = None
        self._numbers = itertools.count(1)

    @property
    def records(self) -> Records:
        """The rows by kind and id, made when first asked for."""
        if self._records is None:
            self._records = fresh_records()
        return self._records

    def number(self) -> int:
        """A number that was not given before."""
        return next(self._numbers)

    def change(self, change: SwitchChange) -> None:
        """Turns switches; null is the default."""
        usual = Switches()
        for name, value in msgspec.structs.asdict(change).items():
            if value is not UNSET:
                setattr(self.switches, name, getattr(usual, name) if value is None else value)

    @property
    def member_id(self) -> str:
        """The portal's own name, which stays when its address changes."""
        return hashlib.md5(b"wakeline simulator portal").hexdigest()  # noqa: S324 - the form that Bitrix24's have

    def application_token(self, client_id: str) -> str:
        """The secret that proves events of this installation: 32 characters, the same for its whole life."""
        return hashlib.md5(f"{self.member_id}|{client_id}".encode()).hexdigest()  # noqa: S324 - Bitrix24's form

    @property
    def client_endpoint(self) -> str:
        """Where REST is, as applications are told."""
        return self.switches.client_endpoint or f"{self.switches.moved_to or self.origin}/rest/"

    @property
    def server_endpoint(self) -> str:
        """Where the OAuth host's REST is, as applications are told."""
        return self.switches.server_endpoint or f"{self.oauth_origin}/rest/"
