"""Which app wakes a phone: the one whose credential covers its push parameters. And what of push services we can promise.

Theory: a phone says the bundle id (in `pn-param`, RFC 8599 section 10) or the Firebase project that it was built for; credentials
say what they are for. So nobody has to configure which app a phone has. Two things a credential does not say. A key of Apple's
without topics speaks for all of a team's bundle ids, so one that names the bundle id goes before. And phones say the number of a
Firebase project where its service account says its id: `[sip] senders` names the app of a number; where only one app has a
Firebase credential, it is that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import assert_never

import msgspec

from wakeline.model.app import App
from wakeline.model.credential import Credential, CredentialKind
from wakeline.model.device import TargetClaim, TargetKind
from wakeline.model.errors import InvalidRequest
from wakeline.model.notification import PushType
from wakeline.model.route import Environment, ProviderKind
from wakeline.model.sip.push import PushParams, PushProvider, PushToken
from wakeline.pipeline.coverage import choose, missing, need_of
from wakeline.ports import Apps, Clock, Credentials
from wakeline.wire import apns, webpush
from wakeline.wire.flexisip import external

VOIP = "voip"


class Covered(msgspec.Struct, frozen=True, kw_only=True):
    """The app of a phone, and its tokens as targets."""

    app: App
    targets: tuple[TargetClaim, ...]


class Promise(msgspec.Struct, frozen=True, kw_only=True):
    """A push service that we can send to. `vapid` is the public key that subscribers want (RFC 8292), of Web Push."""

    provider: PushProvider
    vapid: str = ""


class PushApps:
    """Looks apps up. `senders`: Firebase project numbers and the slugs of their apps; `allow_http`: see `[providers.webpush]`."""

    def __init__(
        self,
        apps: Apps,
        credentials: Credentials,
        clock: Clock,
        senders: Callable[[], Mapping[str, str]],
        allow_http: Callable[[], bool] = lambda: False,
        sees: Callable[[str], bool] | None = None,
    ) -> None:
        """Look among all apps, or among those whose slugs `sees` tells."""
        self._apps = apps
        self._credentials = credentials
        self._clock = clock
        self._senders = senders
        self._allow_http = allow_http
        self._sees = sees

    def among(self, sees: Callable[[str], bool]) -> PushApps:
        """Look among some apps only: of two that have credentials for a bundle id, a caller may know of one."""
        return PushApps(self._apps, self._credentials, self._clock, self._senders, self._allow_http, sees)

    def cover(self, push: PushParams) -> Covered | str:
        """Return who wakes a phone with these parameters, or why nobody does.

        An external push URI that names the bundle id or project goes before our own sending, one for all goes last.
        """
        found = self._external(push, named=True) or self._own(push)
        return found if isinstance(found, Covered) else self._external(push, named=False) or found

    def _own(self, push: PushParams) -> Covered | str:
        match push.provider:
            case PushProvider.APNS | PushProvider.APNS_DEV:
                return self._apple(push)
            case PushProvider.FCM:
                return self._firebase(push)
            case PushProvider.WEBPUSH:
                return self._webpush(push)
            case other:
                assert_never(other)

    def promises(self) -> list[Promise]:
        """Return what we can send to, each once."""
        return [self.promise(each) for each in PushProvider if self._serves(each)]

    def promise(self, provider: PushProvider) -> Promise:
        """Return what is promised of a service that is served."""
        key = self._of_browsers() if provider is PushProvider.WEBPUSH else ""
        return Promise(provider=provider, vapid=key if isinstance(key, str) else key.public_key)

    def _serves(self, provider: PushProvider) -> bool:
        if any(each.kind is CredentialKind.EXTERNAL_PUSH for each in self._all()):
            return True
        match provider:
            case PushProvider.APNS | PushProvider.APNS_DEV:
                return any(
                    each.provider is ProviderKind.APNS and environment_of(provider) in each.environments
                    for each in self._all()
                )
            case PushProvider.FCM:
                return any(self._firebase_credentials())
            case PushProvider.WEBPUSH:
                return isinstance(self._of_browsers(), Credential)
            case other:
                assert_never(other)

    def _apple(self, push: PushParams) -> Covered | str:
        environment = environment_of(push.provider)
        try:
            targets = tuple(_apple_target(token, environment) for token in push.tokens)
        except InvalidRequest as error:
            return error.detail
        for target in targets:
            use = PushType.CALL if target.kind is TargetKind.APNS_VOIP else PushType.BACKGROUND
            need = need_of(target.kind.value, environment, target.topic, use)
            choice = choose(self._all(), need, self._clock.now())
            app = self._apps.by_id(choice.credential.app) if choice else None
            if app is not None:
                return Covered(app=app, targets=targets)
        return f"No app has a credential for these pushes. {missing((), need)}" if targets else "There is no token"

    def _firebase(self, push: PushParams) -> Covered | str:
        token = push.tokens[0].value if push.tokens else push.prid
        found = self._project(push.param)
        if isinstance(found, str):
            return found
        app, project = found
        return Covered(app=app, targets=(TargetClaim(kind=TargetKind.FCM, value=token, topic=project),))

    def _external(self, push: PushParams, *, named: bool) -> Covered | None:
        """Return the app that has an external push URI for these parameters."""
        if all(each.provider is not ProviderKind.HTTP for each in self._all()):
            return None
        for topic in (*(token.topic.removesuffix(f".{VOIP}") for token in push.tokens), push.param):
            need = need_of(TargetKind.HTTP.value, Environment.PRODUCTION, topic, PushType.BACKGROUND)
            choice = choose(self._all(), need, self._clock.now())
            app = self._apps.by_id(choice.credential.app) if choice and bool(choice.topic) is named else None
            if app is not None:
                return Covered(
                    app=app, targets=(TargetClaim(kind=TargetKind.HTTP, value=external.phone_of(push), topic=topic),)
                )
        return None

    def _webpush(self, push: PushParams) -> Covered | str:
        """Return the app of a subscription, which says an endpoint and no more (RFC 8599 section 12)."""
        credential = self._of_browsers()
        try:
            subscription = webpush.bare(push.prid, pointer="/pn-prid", allow_http=self._allow_http())
        except InvalidRequest as error:
            return error.detail
        app = self._apps.by_id(credential.app) if isinstance(credential, Credential) else None
        if app is None:
            return str(credential)
        target = TargetClaim(kind=TargetKind.WEBPUSH, value=webpush.written(subscription), topic=subscription.origin)
        return Covered(app=app, targets=(target,))

    def _of_browsers(self) -> Credential | str:
        """Return the VAPID key that phones subscribe with, or why there is none: they do not say for which app."""
        keys = [each for each in self._all() if each.kind is CredentialKind.VAPID_KEY]
        if len({each.app for each in keys}) == 1:
            return keys[-1]
        return (
            "Several apps have a VAPID key, and a phone does not say which is its own"
            if keys
            else "No app has a VAPID key"
        )

    def _project(self, named: str) -> tuple[App, str] | str:
        """Return the app and id of a project that a phone named by id or number, or why there is none."""
        need = need_of(TargetKind.FCM.value, Environment.PRODUCTION, named, PushType.BACKGROUND)
        choice = choose(self._all(), need, self._clock.now()) if named else None
        of_it = [choice.credential] if choice else self._by_number(named)
        apps = {each.app for each in of_it}
        if len(apps) == 1 and (app := self._apps.by_id(apps.pop())) is not None:
            return app, named if choice else of_it[-1].topics[0]
        if not of_it:
            return f"No app has a Firebase service account for the project {named}"
        return f"Several apps have a Firebase service account, and [sip] senders does not say whose project {named} is"

    def _by_number(self, number: str) -> list[Credential]:
        if not number.isdecimal():
            return []
        named = self._apps.get(self._senders().get(number, ""))
        return [each for each in self._firebase_credentials() if named is None or each.app == named.id]

    def _firebase_credentials(self) -> Iterable[Credential]:
        return (each for each in self._all() if each.kind is CredentialKind.FCM_SERVICE_ACCOUNT and each.topics)

    def _all(self) -> list[Credential]:
        if self._sees is None:
            return self._credentials.all()
        seen = {app.id for app in self._apps.all() if self._sees(app.slug)}
        return [each for each in self._credentials.all() if each.app in seen]


def environment_of(provider: PushProvider) -> Environment:
    """Return Apple's world that a provider means: `apns.dev` is the sandbox, for builds that Xcode installed."""
    return Environment.SANDBOX if provider is PushProvider.APNS_DEV else Environment.PRODUCTION


def _apple_target(token: PushToken, environment: Environment) -> TargetClaim:
    """Return a token as a target: its topic is the bundle id, to which the kind adds what it needs. Raises InvalidRequest."""
    return TargetClaim(
        kind=TargetKind.APNS_VOIP if token.service == VOIP else TargetKind.APNS,
        value=apns.spelled(token.value, "/pn-prid"),
        environment=environment,
        topic=token.topic.removesuffix(f".{VOIP}"),
    )
