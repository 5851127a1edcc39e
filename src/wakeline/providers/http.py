"""External push URIs: opens senders, one an app, and says what they would ask for."""

from __future__ import annotations

from collections.abc import Callable

from wakeline import config
from wakeline.model.credential import Credential, CredentialSecret
from wakeline.model.device import Recipient
from wakeline.model.errors import InvalidRequest
from wakeline.model.notification import Notification
from wakeline.model.route import ProviderKind, Route
from wakeline.observe.masking import masked_token
from wakeline.ports import Clock, Preview
from wakeline.providers.http_sender import HttpSender
from wakeline.transport.guard import Guard, Resolve, system_resolver
from wakeline.transport.http import GuardedClient
from wakeline.wire.flexisip import external


class HttpProvider:
    """Implements `ports.Provider`."""

    kind = ProviderKind.HTTP

    def __init__(self, settings: config.Http, clock: Clock, resolve: Resolve = system_resolver) -> None:
        self._settings = settings
        self._clock = clock
        self._guard = Guard(resolve=resolve, allow_private=settings.allow_private, allow_http=settings.allow_http)

    def open(
        self, route: Route, credential: Credential, secret: CredentialSecret, wake: Callable[[], None]
    ) -> HttpSender:
        """See `ports.Provider`. Raises ConfigError for a `ca_file` or `proxy` beyond use."""
        settings = self._settings
        return HttpSender(
            route=route,
            credential=credential,
            template=external.template_of(secret.private_key),
            http=GuardedClient(
                self._guard,
                ca_file=settings.ca_file,
                proxy=settings.proxy,
                max_connections=settings.max_connections,
            ),
            wake=wake,
            clock=self._clock,
            connections=settings.max_connections,
            request_timeout=settings.request_timeout,
        )

    def preview(
        self,
        notification: Notification,
        route: Route,  # noqa: ARG002 - the port's; an external push URI has one
        credential: Credential,
        recipient: Recipient,
        now: int,  # noqa: ARG002 - the port's; nothing that is sent is of this moment
    ) -> Preview:
        """See `ports.Provider`. The URI is a secret, so that what is filled into it is told in its place."""
        warnings: tuple[str, ...] = ()
        try:
            said = external.said(notification.content, external.read_phone(recipient.value))
        except InvalidRequest as error:
            said, warnings = {}, (error.detail,)
        shown = {name: masked_token(value) if name == "token" else value for name, value in said.items()}
        return Preview(
            method="GET or POST",
            url=f"[the external push URI of credential {credential.id}]",
            headers=tuple((f"${name}", value) for name, value in sorted(shown.items())),
            body=external.text_of(notification.content).decode(),
            size=len(external.text_of(notification.content)),
            limit=external.TEXT_LIMIT,
            warnings=warnings,
        )

    def size(self, notification: Notification) -> tuple[int, int, str]:
        """See `ports.Provider`: what goes along is the text of an alert."""
        return len(external.text_of(notification.content)), external.TEXT_LIMIT, "/alert/body"
