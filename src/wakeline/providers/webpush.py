"""Web Push: opens senders, one a push service and credential, and says what they would write."""

from __future__ import annotations

from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric import ec

from wakeline import config
from wakeline.model.credential import Credential, CredentialSecret
from wakeline.model.device import Recipient
from wakeline.model.errors import InvalidRequest
from wakeline.model.notification import Notification
from wakeline.model.outcome import Outcome
from wakeline.model.route import ProviderKind, Route
from wakeline.observe.masking import masked_token
from wakeline.ports import Clock, Preview
from wakeline.providers.webpush_sender import WebPushSender
from wakeline.transport.guard import Guard, Resolve, system_resolver
from wakeline.transport.http import GuardedClient
from wakeline.wire import jwt, outcomes, webpush
from wakeline.wire.outcomes import Refusal


class WebPushProvider:
    """Implements `ports.Provider`."""

    kind = ProviderKind.WEBPUSH

    def __init__(self, settings: config.WebPush, clock: Clock, resolve: Resolve = system_resolver) -> None:
        self._settings = settings
        self._clock = clock
        self._guard = Guard(resolve=resolve, allow_private=settings.allow_private, allow_http=settings.allow_http)

    def open(
        self, route: Route, credential: Credential, secret: CredentialSecret, wake: Callable[[], None]
    ) -> WebPushSender:
        """See `ports.Provider`. Raises CredentialRefused or ConfigError for a key or `ca_file` beyond use."""
        vapid = _Vapid(
            jwt.load_ec_key(secret.private_key), route.topic, credential.subject or self._settings.contact, self._clock
        )
        return WebPushSender(
            route=route,
            credential=credential,
            authorize=vapid.authorization,
            http=GuardedClient(
                self._guard,
                ca_file=self._settings.ca_file,
                proxy=self._settings.proxy,
                max_connections=self._settings.max_connections,
            ),
            wake=wake,
            clock=self._clock,
            connections=self._settings.max_connections,
            request_timeout=self._settings.request_timeout,
        )

    def preview(
        self, notification: Notification, route: Route, credential: Credential, recipient: Recipient, now: int
    ) -> Preview:
        """See `ports.Provider`. The body is what is encrypted: what is sent no two times alike says nothing."""
        prepared = webpush.prepare(notification, now)
        plaintext = prepared.plaintext(recipient.locale)
        obstacle = _obstacle(recipient)
        return Preview(
            method="POST",
            url=f"{route.topic}/{masked_token(recipient.value)}",
            headers=(
                *((name.decode(), value.decode()) for name, value in prepared.headers()),
                ("authorization", f"vapid t=[redacted], k={credential.public_key}"),
            ),
            body=plaintext.decode(),
            size=len(plaintext),
            limit=webpush.LIMIT,
            warnings=(obstacle.cause,) if obstacle is not None else (),
        )

    def size(self, notification: Notification) -> tuple[int, int, str]:
        """See `ports.Provider`."""
        return webpush.judge(notification.content)


class _Vapid:
    """The authorization for one push service, made anew when its window is over."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, origin: str, subject: str, clock: Clock) -> None:
        self._key = key
        self._origin = origin
        self._subject = subject
        self._clock = clock
        self._expires = 0
        self._value = ""

    def authorization(self) -> str:
        now = self._clock.now() // 1000
        expires = webpush.expiry(self._origin, now)
        if expires != self._expires:
            self._value = webpush.vapid(self._key, self._origin, self._subject, now)
            self._expires = expires
        return self._value


def _obstacle(recipient: Recipient) -> Outcome | None:
    try:
        webpush.read_subscription(recipient.value)
    except InvalidRequest:
        return outcomes.ours(Refusal.BAD_TOKEN)
    return None
