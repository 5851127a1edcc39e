"""APNs: opens senders that share connections, and says what they would write.

A pool belongs to one credential in one environment and serves all routes of both, because Apple binds a connection to a
team and its topics. The provider token of a key is shared even by both environments.
"""

from __future__ import annotations

import ssl
import weakref
from collections.abc import Callable, Iterator

from wakeline import config
from wakeline.model.credential import Credential, CredentialKind, CredentialSecret
from wakeline.model.device import Recipient
from wakeline.model.notification import Content, Notification, Priority
from wakeline.model.outcome import Outcome
from wakeline.model.route import Environment, ProviderKind, Route
from wakeline.observe.masking import masked_token
from wakeline.ports import Clock, Preview
from wakeline.providers.apns_fit import obstacle_of, unfit
from wakeline.providers.apns_sender import ApnsSender
from wakeline.providers.apns_token import ProviderTokens
from wakeline.providers.sharing import PoolRegistry
from wakeline.transport.guard import Origin as Address
from wakeline.transport.guard import read_url
from wakeline.transport.http2_connect import Origin
from wakeline.transport.http2_pool import Pool, PoolSettings
from wakeline.transport.tls import ClientCertificate, client_context, shared_context
from wakeline.wire import apns
from wakeline.wire.http2 import Answer

_UNAVAILABLE = 503


def _shuts_down(answer: Answer) -> bool:
    """Tell whether Apple's server says that it is going (503 Shutdown): what follows belongs on another connection."""
    return answer.status == _UNAVAILABLE and apns.read(answer.status, answer.headers, answer.body).reason == "Shutdown"


class ApnsProvider:
    """Implements `ports.Provider`."""

    kind = ProviderKind.APNS

    def __init__(self, settings: config.Apns, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._pools = PoolRegistry()
        # One set of tokens per key, shared by both environments and all routes.
        self._tokens: weakref.WeakValueDictionary[tuple[int, int], ProviderTokens] = weakref.WeakValueDictionary()

    def open(
        self, route: Route, credential: Credential, secret: CredentialSecret, wake: Callable[[], None]
    ) -> ApnsSender:
        """See `ports.Provider`. Raises CredentialRefused or ConfigError for a key, certificate or `ca_file` beyond use."""
        address = self._address(route.environment)
        tokens = None if credential.kind is CredentialKind.APNS_CERTIFICATE else self._tokens_of(credential, secret)

        def make(wake_all: Callable[[], None], most: int = self._settings.max_connections) -> Pool:
            settings = PoolSettings(max_connections=most)
            origin = self._origin(address, credential, secret)
            return Pool(origin, wake=wake_all, settings=settings, clock=self._clock.monotonic, farewell=_shuts_down)

        shared = self._pools.join((str(address), credential.id, credential.revision), make, wake)
        return ApnsSender(
            route=route,
            credential=credential,
            address=address,
            shared=shared,
            wake=wake,
            tokens=tokens,
            clock=self._clock,
            request_timeout=self._settings.request_timeout,
            own_pool=lambda: make(lambda: None, 1),
        )

    def preview(
        self, notification: Notification, route: Route, credential: Credential, recipient: Recipient, now: int
    ) -> Preview:
        """See `ports.Provider`."""
        content = notification.content
        rule = apns.rule_for(content.type, recipient.kind)
        topic = apns.topic_with(rule, route.topic, credential)
        prepared = apns.prepare(notification, topic, rule)
        body = prepared.body(recipient.locale)
        headers = [*prepared.stable, *prepared.literal, (b"apns-id", prepared.id_of(recipient.target))]
        if credential.kind is CredentialKind.APNS_KEY:
            headers.append((b"authorization", b"bearer [redacted]"))
        obstacle = obstacle_of(rule, route, credential, topic, now) or unfit(content, recipient)
        return Preview(
            method="POST",
            url=f"{self._address(route.environment)}/3/device/{masked_token(recipient.value)}",
            headers=tuple((name.decode(), value.decode()) for name, value in headers),
            body=body.decode(),
            size=len(body),
            limit=rule.limit,
            warnings=tuple(_warnings(obstacle, rule, content)),
        )

    def size(self, notification: Notification) -> tuple[int, int, str]:
        """See `ports.Provider`."""
        return apns.judge(notification.content)

    def _address(self, environment: Environment) -> Address:
        production = environment is Environment.PRODUCTION
        return read_url(self._settings.production if production else self._settings.sandbox)[0]

    def _tokens_of(self, credential: Credential, secret: CredentialSecret) -> ProviderTokens:
        key = (credential.id, credential.revision)
        tokens = self._tokens.get(key)
        if tokens is None:
            tokens = self._tokens[key] = ProviderTokens(secret, self._clock)
        return tokens

    def _origin(self, address: Address, credential: Credential, secret: CredentialSecret) -> Origin:
        certificate = credential.kind is CredentialKind.APNS_CERTIFICATE
        return Origin(
            host=address.host,
            port=address.port,
            ssl_context=self._presenting(secret) if certificate else shared_context(ca_file=self._settings.ca_file),
            proxy=self._settings.proxy,
            presents_certificate=certificate,
        )

    def _presenting(self, secret: CredentialSecret) -> ssl.SSLContext:
        certificate = ClientCertificate(secret.certificates, secret.private_key)
        return client_context(ca_file=self._settings.ca_file, certificate=certificate)


def _warnings(obstacle: Outcome | None, rule: apns.Rule, content: Content) -> Iterator[str]:
    if obstacle is not None:
        yield obstacle.cause
    if content.priority is Priority.HIGH and rule.priorities[0] < 10:
        yield f"Apple takes pushes of type {rule.name} at priority {rule.priorities[0]} only, so this one is not urgent."
