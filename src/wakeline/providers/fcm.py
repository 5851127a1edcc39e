"""FCM: opens senders that share connections and access tokens, and says what they would write."""

from __future__ import annotations

import weakref
from collections.abc import Callable

from wakeline import config
from wakeline.model.credential import Credential, CredentialSecret
from wakeline.model.device import Recipient
from wakeline.model.notification import Notification
from wakeline.model.route import ProviderKind, Route
from wakeline.observe.masking import masked_token
from wakeline.ports import Clock, HttpClient, Preview
from wakeline.providers.fcm_sender import FcmSender, obstacle_of, project_of
from wakeline.providers.fcm_token import AccessTokens
from wakeline.providers.sharing import PoolRegistry
from wakeline.transport.guard import read_url
from wakeline.transport.http2_connect import Origin
from wakeline.transport.http2_pool import Pool, PoolSettings
from wakeline.transport.tls import shared_context
from wakeline.wire import fcm, outcomes
from wakeline.wire.content import encode
from wakeline.wire.outcomes import Refusal


class FcmProvider:
    """Implements `ports.Provider`. `http` asks for access tokens."""

    kind = ProviderKind.FCM

    def __init__(self, settings: config.Fcm, clock: Clock, http: HttpClient) -> None:
        self._settings = settings
        self._clock = clock
        self._http = http
        self._address, _ = read_url(settings.base_url)
        self._pools = PoolRegistry()
        self._tokens: weakref.WeakValueDictionary[tuple[int, int], AccessTokens] = weakref.WeakValueDictionary()

    def open(
        self, route: Route, credential: Credential, secret: CredentialSecret, wake: Callable[[], None]
    ) -> FcmSender:
        """See `ports.Provider`. Raises CredentialRefused or ConfigError for a key or `ca_file` beyond use."""
        key = (credential.id, credential.revision)
        tokens = self._tokens.get(key)
        if tokens is None:
            tokens = AccessTokens(secret, self._clock, self._http, self._settings.token_hosts)
            self._tokens[key] = tokens
        return FcmSender(
            route=route,
            credential=credential,
            address=self._address,
            shared=self._pools.join(key, self._pool, wake),
            wake=wake,
            tokens=tokens,
            clock=self._clock,
            request_timeout=self._settings.request_timeout,
            own_pool=lambda: self._pool(lambda: None, 1),
        )

    def preview(
        self, notification: Notification, route: Route, credential: Credential, recipient: Recipient, now: int
    ) -> Preview:
        """See `ports.Provider`."""
        body = fcm.prepare(notification, now).body(recipient.value, recipient.locale)
        size, limit, _ = fcm.measure(notification.content)
        obstacle = obstacle_of(route, credential) or (None if body else outcomes.ours(Refusal.BAD_TOKEN))
        _, name = fcm.address(recipient.value)
        masked = body.replace(encode(name), encode(masked_token(name)), 1) if name else body
        return Preview(
            method="POST",
            url=f"{self._address}{fcm.path_of(project_of(route, credential)).decode()}",
            headers=(
                ("content-type", "application/json"),
                ("authorization", "Bearer [redacted]"),
                *notification.content.fcm.headers.items(),
            ),
            body=masked.decode(),
            size=size,
            limit=fcm.TOPIC_LIMIT if fcm.is_broadcast(recipient.value) else limit,
            warnings=(obstacle.cause,) if obstacle is not None else (),
        )

    def size(self, notification: Notification) -> tuple[int, int, str]:
        """See `ports.Provider`."""
        return fcm.judge(notification.content)

    def _pool(self, wake: Callable[[], None], most: int | None = None) -> Pool:
        origin = Origin(
            host=self._address.host,
            port=self._address.port,
            ssl_context=shared_context(ca_file=self._settings.ca_file),
            proxy=self._settings.proxy,
        )
        settings = PoolSettings(max_connections=most or self._settings.max_connections)
        return Pool(origin, wake=wake, settings=settings, clock=self._clock.monotonic)
