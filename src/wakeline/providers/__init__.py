"""Ways out, one push service a file: `wire` says what to write and how to read, `transport` carries it.

`PROVIDERS` lists them; `service.wiring` builds one of each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from wakeline import config
from wakeline.model.route import ProviderKind
from wakeline.ports import Clock, HttpClient, Provider
from wakeline.providers.apns import ApnsProvider
from wakeline.providers.fcm import FcmProvider
from wakeline.providers.http import HttpProvider
from wakeline.providers.webpush import WebPushProvider

Build = Callable[[config.Providers, Clock, HttpClient], Provider]

PROVIDERS: Mapping[ProviderKind, Build] = {
    ProviderKind.APNS: lambda settings, clock, _: ApnsProvider(settings.apns, clock),
    ProviderKind.FCM: lambda settings, clock, http: FcmProvider(settings.fcm, clock, http),
    ProviderKind.WEBPUSH: lambda settings, clock, _: WebPushProvider(settings.webpush, clock),
    ProviderKind.HTTP: lambda settings, clock, _: HttpProvider(settings.http, clock),
}

__all__ = ["PROVIDERS", "ApnsProvider", "Build", "FcmProvider", "HttpProvider", "WebPushProvider"]
