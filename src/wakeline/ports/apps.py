"""What an operator sets up: apps, credentials, routes, brakes, API keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from wakeline.model.app import App, AppSettings
from wakeline.model.brake import BrakeEpisode
from wakeline.model.credential import Credential, CredentialSecret, CredentialState
from wakeline.model.key import ApiKey
from wakeline.model.route import Environment, Hold, ProviderKind, Route


class Apps(Protocol):
    """Apps, by slug and by id. Reads are from memory: every request asks."""

    async def create(self, slug: str, name: str, at: int) -> App:
        """Raises Conflict if the slug exists."""

    def get(self, slug: str) -> App | None:
        """Return an app by its slug."""

    def by_id(self, app: int) -> App | None:
        """Return an app by its row id."""

    def all(self) -> list[App]:
        """Return all apps by slug."""

    async def update(
        self,
        app: int,
        *,
        name: str | None = None,
        settings: AppSettings | None = None,
        paused: bool | None = None,
    ) -> App:
        """Change what is given. Raises NotFound."""

    async def delete(self, app: int) -> None:
        """Forget the app with its credentials, routes, queue and devices."""

    def listen(self, changed: Callable[[int], None]) -> None:
        """Have `changed(app id)` called after an app was changed: what a pause held back waits for that."""


class NewCredential(msgspec.Struct, frozen=True, kw_only=True):
    """A credential that was inspected and found usable: `facts.id` is 0 until it is kept."""

    facts: Credential
    secret: CredentialSecret


class Credentials(Protocol):
    """Credentials: facts readable, secrets sealed."""

    async def create(self, new: NewCredential, at: int) -> Credential:
        """Seal and keep it."""

    async def replace(self, credential: int, new: NewCredential, at: int) -> Credential:
        """Put new content in place of the old, same id, next revision; state becomes `unproven`.

        The last content that was `working` is kept as the former one, until `revert` or `forget_former`.
        """

    def former(self, credential: int) -> Credential | None:
        """Return the content that worked before the last replacement, while it is kept; from memory."""

    async def revert(self, credential: int, note: str) -> Credential:
        """Put the former content back, next revision, state `working` with this note. Raises NotFound if none is kept."""

    async def forget_former(self, credential: int) -> None:
        """Forget the former content, facts and secret."""

    def of_app(self, app: int) -> list[Credential]:
        """Return an app's credentials, oldest first, from memory."""

    def get(self, credential: int) -> Credential | None:
        """Return one by id, from memory."""

    def all(self) -> list[Credential]:
        """Return all, from memory."""

    async def secret(self, credential: int, *, former: bool = False) -> CredentialSecret:
        """Open the sealed half, or that of the former content. Raises NotFound, SecretError."""

    async def set_state(self, credential: int, state: CredentialState, note: str) -> None:
        """Remember what the provider thought of it."""

    async def delete(self, credential: int) -> None:
        """Forget it."""

    def listen(self, changed: Callable[[int], None]) -> None:
        """Have `changed(app id)` called after a credential of that app was created, replaced, judged or deleted."""


class Routes(Protocol):
    """Routes and the holds on them; small, in memory, written through."""

    async def ensure(self, app: int, provider: ProviderKind, environment: Environment, topic: str) -> Route:
        """Return the route, making it at its first use."""

    def get(self, route: int) -> Route | None:
        """Return a route by id."""

    def all(self) -> list[Route]:
        """Return all routes."""

    async def hold(self, route: int, hold: Hold | None) -> Route:
        """Hold it, or (None) release it; survives restarts."""


class Brakes(Protocol):
    """Brake episodes; few, in memory, written through."""

    async def keep(self, episode: BrakeEpisode) -> BrakeEpisode:
        """Keep a new episode; its id is given by the store. Raises NotFound for a deleted app."""

    async def change(self, episode: BrakeEpisode) -> None:
        """Write what became of it. Raises NotFound."""

    def get(self, episode: int) -> BrakeEpisode | None:
        """Return one by id."""

    def all(self) -> list[BrakeEpisode]:
        """Return all, the newest first."""

    async def prune(self, before: int) -> int:
        """Forget released ones that closed before that time; returns how many."""


class ApiKeys(Protocol):
    """API keys, by digest. Reads are from memory."""

    async def create(self, key: ApiKey) -> ApiKey:
        """Keep a key; its id is given by the store."""

    def by_digest(self, digest: bytes) -> ApiKey | None:
        """Return the key with this SHA-256 digest."""

    def all(self) -> list[ApiKey]:
        """Return all keys."""

    async def revoke(self, key: int, at: int) -> ApiKey:
        """Make it useless. Raises NotFound."""

    async def touch(self, used: Mapping[int, int]) -> None:
        """Write when keys were last used (batched, at most once a minute)."""
