"""Apps, credentials, routes, API keys and settings, in dictionaries."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from wakeline.model.app import App, AppSettings
from wakeline.model.credential import Credential, CredentialSecret, CredentialState
from wakeline.model.errors import Conflict, NotFound
from wakeline.model.key import ApiKey
from wakeline.model.route import Environment, Hold, ProviderKind, Route
from wakeline.ports import HOLD_NEW_ROUTES, Clock, NewCredential, Secrets
from wakeline.storage.holds import restored_hold
from wakeline.storage.replacement import present, restored, successor, worth_keeping
from wakeline.storage.sealed import seal_context, sealed_form, secret_of


class MemoryApps:
    """Apps by slug and id."""

    def __init__(self) -> None:
        self._apps: dict[int, App] = {}
        self._last = 0
        self._deleted: list[Callable[[int], None]] = []
        self._listeners: list[Callable[[int], None]] = []
        self._gone: set[int] = set()

    def is_gone(self, app: int) -> bool:
        """Tell whether an app was deleted."""
        return app in self._gone

    def listen(self, changed: Callable[[int], None]) -> None:
        """Have `changed(app id)` called after a change."""
        self._listeners.append(changed)

    def on_delete(self, forget: Callable[[int], None]) -> None:
        """Have what belongs to an app forgotten with it."""
        self._deleted.append(forget)

    async def create(self, slug: str, name: str, at: int) -> App:
        """Raises Conflict if the slug exists."""
        if self.get(slug) is not None:
            raise Conflict(f"An app {slug!r} exists already")
        self._last += 1
        app = self._apps[self._last] = App(id=self._last, slug=slug, name=name, created=at)
        return app

    def get(self, slug: str) -> App | None:
        """Return an app by its slug."""
        return next((app for app in self._apps.values() if app.slug == slug), None)

    def by_id(self, app: int) -> App | None:
        """Return an app by its row id."""
        return self._apps.get(app)

    def all(self) -> list[App]:
        """Return all apps by slug."""
        return sorted(self._apps.values(), key=lambda app: app.slug)

    async def update(
        self,
        app: int,
        *,
        name: str | None = None,
        settings: AppSettings | None = None,
        paused: bool | None = None,
    ) -> App:
        """Change what is given. Raises NotFound."""
        found = self._apps.get(app)
        if found is None:
            raise NotFound(f"There is no app with id {app}")
        found = self._apps[app] = msgspec.structs.replace(
            found,
            name=found.name if name is None else name,
            settings=found.settings if settings is None else settings,
            paused=found.paused if paused is None else paused,
        )
        for changed in self._listeners:
            changed(app)
        return found

    async def delete(self, app: int) -> None:
        """Forget the app with all that is its own."""
        if self._apps.pop(app, None) is not None:
            self._gone.add(app)
            for forget in self._deleted:
                forget(app)


class MemoryCredentials:
    """Credentials; the secret half is sealed here too, so that what is tested is what runs."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._facts: dict[int, Credential] = {}
        self._sealed: dict[int, bytes] = {}
        self._former: dict[int, tuple[Credential, bytes]] = {}
        self._last = 0
        self._listeners: list[Callable[[int], None]] = []

    def listen(self, changed: Callable[[int], None]) -> None:
        """Have `changed(app id)` called after a change."""
        self._listeners.append(changed)

    async def create(self, new: NewCredential, at: int) -> Credential:
        """Seal and keep it."""
        self._last += 1
        return self._keep(msgspec.structs.replace(new.facts, id=self._last, created=at, revision=1), new.secret)

    async def replace(self, credential: int, new: NewCredential, at: int) -> Credential:
        """Put new content in place of the old. Raises NotFound."""
        old = self._found(credential)
        if worth_keeping(old, self.former(credential), at):
            self._former[credential] = old, self._sealed[credential]
        return self._keep(successor(old, new.facts, at), new.secret)

    def former(self, credential: int) -> Credential | None:
        """Return the content that worked before the last replacement, while it is kept."""
        kept = self._former.get(credential)
        return kept[0] if kept is not None else None

    async def revert(self, credential: int, note: str) -> Credential:
        """Put the former content back. Raises NotFound if none is kept."""
        facts = restored(self._found(credential), self.former(credential), note)
        self._facts[credential], self._sealed[credential] = facts, self._former.pop(credential)[1]
        self._tell(facts.app)
        return facts

    async def forget_former(self, credential: int) -> None:
        """Forget the former content, facts and secret."""
        if self._former.pop(credential, None) is not None:
            self._tell(self._found(credential).app)

    def of_app(self, app: int) -> list[Credential]:
        """Return an app's credentials, oldest first."""
        return [facts for facts in self._facts.values() if facts.app == app]

    def get(self, credential: int) -> Credential | None:
        """Return one by id."""
        return self._facts.get(credential)

    def all(self) -> list[Credential]:
        """Return all."""
        return list(self._facts.values())

    async def secret(self, credential: int, *, former: bool = False) -> CredentialSecret:
        """Open the sealed half, or that of the former content. Raises NotFound, SecretError."""
        if former:
            facts, sealed = present(self.former(credential), credential), self._former[credential][1]
        else:
            facts, sealed = self._found(credential), self._sealed[credential]
        return secret_of(self._secrets.open(sealed, seal_context(facts)))

    async def set_state(self, credential: int, state: CredentialState, note: str) -> None:
        """Remember what the provider thought of it."""
        facts = self._found(credential)
        if (facts.state, facts.state_note) != (state, note):
            self._facts[credential] = msgspec.structs.replace(facts, state=state, state_note=note)
            self._tell(facts.app)

    async def delete(self, credential: int) -> None:
        """Forget it."""
        facts = self._facts.pop(credential, None)
        if facts is not None:
            del self._sealed[credential]
            self._former.pop(credential, None)
            self._tell(facts.app)

    def forget_app(self, app: int) -> None:
        """Forget an app's credentials."""
        for facts in self.of_app(app):
            del self._facts[facts.id], self._sealed[facts.id]
            self._former.pop(facts.id, None)
        self._tell(app)

    def _found(self, credential: int) -> Credential:
        return present(self._facts.get(credential), credential)

    def _keep(self, facts: Credential, secret: CredentialSecret) -> Credential:
        self._sealed[facts.id] = self._secrets.seal(sealed_form(secret), seal_context(facts))
        self._facts[facts.id] = facts
        self._tell(facts.app)
        return facts

    def _tell(self, app: int) -> None:
        for changed in self._listeners:
            changed(app)


class MemorySettings:
    """Small facts by name."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    async def get(self, name: str) -> str | None:
        """Return a value, or None."""
        return self._values.get(name)

    async def set(self, name: str, value: str | None) -> None:
        """Keep a value; None forgets it."""
        if value is None:
            self._values.pop(name, None)
        else:
            self._values[name] = value

    def known(self, name: str) -> str | None:
        """Return a value without waiting, for the routes."""
        return self._values.get(name)


class MemoryRoutes:
    """Routes and their holds."""

    def __init__(self, settings: MemorySettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._routes: dict[int, Route] = {}
        self._last = 0

    async def ensure(self, app: int, provider: ProviderKind, environment: Environment, topic: str) -> Route:
        """Return the route, making it at its first use."""
        wanted = (app, provider, environment, topic)
        for route in self._routes.values():
            if (route.app, route.provider, route.environment, route.topic) == wanted:
                return route
        self._last += 1
        hold = restored_hold(self._clock.now()) if self._settings.known(HOLD_NEW_ROUTES) else None
        route = Route(id=self._last, app=app, provider=provider, environment=environment, topic=topic, hold=hold)
        self._routes[route.id] = route
        return route

    def get(self, route: int) -> Route | None:
        """Return a route by id."""
        return self._routes.get(route)

    def all(self) -> list[Route]:
        """Return all routes."""
        return list(self._routes.values())

    async def hold(self, route: int, hold: Hold | None) -> Route:
        """Hold or release it. Raises NotFound."""
        found = self._routes.get(route)
        if found is None:
            raise NotFound(f"There is no route with id {route}")
        found = self._routes[route] = msgspec.structs.replace(found, hold=hold)
        return found

    def forget_app(self, app: int) -> None:
        """Forget an app's routes."""
        self._routes = {number: route for number, route in self._routes.items() if route.app != app}


class MemoryApiKeys:
    """API keys by digest."""

    def __init__(self) -> None:
        self._keys: dict[int, ApiKey] = {}
        self._last = 0

    async def create(self, key: ApiKey) -> ApiKey:
        """Keep a key under a new id. Raises Conflict if its digest is known."""
        if self.by_digest(key.digest) is not None:
            raise Conflict("This API key exists already")
        self._last += 1
        key = self._keys[self._last] = msgspec.structs.replace(key, id=self._last)
        return key

    def by_digest(self, digest: bytes) -> ApiKey | None:
        """Return the key with this digest."""
        return next((key for key in self._keys.values() if key.digest == digest), None)

    def all(self) -> list[ApiKey]:
        """Return all keys."""
        return list(self._keys.values())

    async def revoke(self, key: int, at: int) -> ApiKey:
        """Make it useless; a key revoked before keeps its time. Raises NotFound."""
        found = self._keys.get(key)
        if found is None:
            raise NotFound(f"There is no API key with id {key}")
        if found.revoked is None:
            found = self._keys[key] = msgspec.structs.replace(found, revoked=at)
        return found

    async def touch(self, used: Mapping[int, int]) -> None:
        """Write when keys were last used."""
        for key, at in used.items():
            if key in self._keys:
                self._keys[key] = msgspec.structs.replace(self._keys[key], last_used=at)
