"""What values mean beyond their types: addresses, origins, pairs. Pure: no file is opened here.

Each rule yields (dotted key, what is wrong in words).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from wakeline.config.tree import Settings, Sip
from wakeline.model.errors import ConfigError

Problem = tuple[str, str]

_SIP_TRANSPORTS = ("udp", "tcp", "tls", "ws", "wss")
_LONGEST_RING = 90
_HOST_NAME = re.compile(r"[A-Za-z0-9._-]{1,253}")


def problems(settings: Settings) -> list[Problem]:
    """Return everything that is wrong with these settings."""
    return [
        *_server(settings),
        *_storage(settings),
        *_devices(settings),
        *_providers(settings),
        *_bitrix24(settings),
        *_senders(settings),
        *_sip(settings.sip),
    ]


def listen_address(text: str) -> tuple[str, int]:
    """Return (host, port) of `host:port` or `[v6]:port`. Raises ConfigError."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 0xFFFF:
        raise ConfigError(f"{text!r} is not an address and port such as 127.0.0.1:8750")
    return host.removeprefix("[").removesuffix("]"), int(port)


def sqlite_path(url: str) -> str:
    """Return the file of a `sqlite:///path` URL. Raises ConfigError for any other."""
    scheme, separator, path = url.partition(":///")
    if scheme != "sqlite" or not separator or not path:
        raise ConfigError(f"{url!r} is no store of this release: write sqlite:///path/to/wakeline.db")
    return path


def _server(settings: Settings) -> Iterator[Problem]:
    server = settings.server
    try:
        listen_address(server.listen)
    except ConfigError as error:
        yield "server.listen", error.detail
    if bool(server.tls_certificate) != bool(server.tls_key):
        missing = "server.tls_key" if server.tls_certificate else "server.tls_certificate"
        yield missing, "tls_certificate and tls_key are needed together"
    if server.public_url:
        yield from _url("server.public_url", server.public_url, ("http", "https"))
    for address in server.trusted_proxies:
        try:
            ipaddress.ip_network(address)
        except ValueError:
            yield "server.trusted_proxies", f"{address!r} is neither an address nor a network"


def _senders(settings: Settings) -> Iterator[Problem]:
    for entry in settings.sip.senders:
        number, _, app = entry.partition(":")
        if not (number.isascii() and number.isdecimal() and app):
            yield "sip.senders", f"{entry!r} is no project number with its app, such as 8123456789:acme-chat"


def _storage(settings: Settings) -> Iterator[Problem]:
    try:
        sqlite_path(settings.storage.url)
    except ConfigError as error:
        yield "storage.url", error.detail


def _devices(settings: Settings) -> Iterator[Problem]:
    devices = settings.devices
    if 0 < devices.retire_stale_after < devices.stale_after:
        yield (
            "devices.retire_stale_after",
            "nothing can be retired as stale before it is stale: 0, or stale_after and more",
        )


def _providers(settings: Settings) -> Iterator[Problem]:
    apns, fcm = settings.providers.apns, settings.providers.fcm
    yield from _url("providers.apns.production", apns.production, ("https",))
    yield from _url("providers.apns.sandbox", apns.sandbox, ("https",))
    yield from _url("providers.fcm.base_url", fcm.base_url, ("https",))
    webpush = settings.providers.webpush
    proxies = {"apns": apns.proxy, "fcm": fcm.proxy, "webpush": webpush.proxy, "http": settings.providers.http.proxy}
    for section, proxy in proxies.items():
        if proxy:
            yield from _url(f"providers.{section}.proxy", proxy, ("http",))
    if webpush.contact and not webpush.contact.startswith(("mailto:", "https://")):
        yield "providers.webpush.contact", "not of the form mailto:push@example.com or https://example.com/contact"


def _bitrix24(settings: Settings) -> Iterator[Problem]:
    for key, names in (
        ("portal_hosts", settings.bitrix24.portal_hosts),
        ("oauth_hosts", settings.bitrix24.oauth_hosts),
    ):
        if not all(map(_HOST_NAME.fullmatch, names)):
            yield f"bitrix24.{key}", "not names of hosts: they stand without https:// and without a port"
    if settings.bitrix24.call_hook:
        yield from _url("bitrix24.call_hook", settings.bitrix24.call_hook, ("http", "https"))


def _sip(sip: Sip) -> Iterator[Problem]:
    yield from _sip_listen(sip)
    if sip.listen and not sip.domains:
        yield (
            "sip.domains",
            "nobody can register without one: name the domains of your users' addresses, such as example.org",
        )
    if not all(_HOST_NAME.fullmatch(name) and name == name.lower() for name in sip.domains):
        yield "sip.domains", "not names of hosts in lower case, without sip: and without a port"
    if sip.pbx:
        try:
            sip_address(sip.pbx)
        except ConfigError as error:
            yield "sip.pbx", error.detail
    for peer in sip.peers:
        try:
            ipaddress.ip_network(peer, strict=False)
        except ValueError:
            yield "sip.peers", f"{peer!r} is neither an address nor a network"
    if sip.auth_url:
        yield from _url("sip.auth_url", sip.auth_url, ("http", "https"))
    if sip.call_fork_timeout > _LONGEST_RING:
        yield "sip.call_fork_timeout", f"nobody waits longer than {_LONGEST_RING} s for a phone to wake"
    if not sip.min_expires <= sip.default_expires <= sip.max_expires:
        yield "sip.default_expires", "not between min_expires and max_expires"


def _sip_listen(sip: Sip) -> Iterator[Problem]:
    if bool(sip.tls_certificate) != bool(sip.tls_key):
        missing = "sip.tls_key" if sip.tls_certificate else "sip.tls_certificate"
        yield missing, "tls_certificate and tls_key are needed together"
    for text in sip.listen:
        try:
            transport, _, _ = sip_address(text)
        except ConfigError as error:
            yield "sip.listen", error.detail
        else:
            if transport in ("tls", "wss") and not sip.tls_certificate:
                yield "sip.tls_certificate", f"{text} needs a certificate"


def sip_address(text: str) -> tuple[str, str, int]:
    """Return (transport, address, port) of `udp:192.0.2.1:5060` or `tls:[v6]:5061`. Raises ConfigError."""
    transport, _, where = text.partition(":")
    try:
        host, port = listen_address(where)
        ipaddress.ip_address(host)
    except (ConfigError, ValueError):
        transport = ""
    if transport not in _SIP_TRANSPORTS:
        kinds = ", ".join(f"{kind}:" for kind in _SIP_TRANSPORTS)
        raise ConfigError(f"{text!r} is none of {kinds} with an address and port, such as udp:0.0.0.0:5060")
    return transport, host, port


def _url(key: str, text: str, schemes: tuple[str, ...]) -> Iterator[Problem]:
    try:
        parts = urlsplit(text)
        good = parts.scheme in schemes and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good:
        yield key, f"not a URL of the form {' or '.join(schemes)}://host[:port]"
