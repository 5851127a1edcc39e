"""The settings tree; its comments are the reference page, and `wakeline.toml.example` is its commented form.

Process settings live here. Apps, credentials, keys and devices are no settings: they live in the store.
Rule: what a single value cannot be is said by its type; what values cannot be together is said by `rules`.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from wakeline.model.route import ProviderKind

Seconds = Annotated[float, msgspec.Meta(gt=0)]
WholeSeconds = Annotated[int, msgspec.Meta(gt=0)]
Bytes = Annotated[int, msgspec.Meta(ge=0)]
SecondsOrNever = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Unknown keys are errors: a misspelt key is a setting that silently does nothing."""


class Server(_Section, frozen=True):
    """Where we listen and where we keep things."""

    listen: str = "127.0.0.1:8750"
    """Address and port of the HTTP listener; `[::1]:8750` for IPv6, port 0 for any free one."""
    data_dir: str = "./var"
    """Directory of the store, the lock, the socket and the master key; made with mode 0700."""
    public_url: str = ""
    """How the world reaches us, if not by `listen`."""
    tls_certificate: str = ""
    """PEM file: certificate and chain; with `tls_key` the listener speaks TLS. A renewed one counts from the next reload on."""
    tls_key: str = ""
    """PEM file of the private key."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks whose X-Forwarded-For we believe."""
    drain_timeout: Seconds = 20.0
    """Seconds that a stop may take to finish what is in flight."""
    uvloop: bool = False
    """Run on uvloop, if the extra of that name is installed."""


class Storage(_Section, frozen=True):
    """Where facts live."""

    url: str = "sqlite:///{data_dir}/wakeline.db"
    """Store; devices live beside it in a file of their own."""
    ballast: Bytes = 32 * 1024 * 1024
    """Bytes kept in a file that is given up when the disk is full, so that what was sent can still be settled."""
    low_disk: Bytes = 256 * 1024 * 1024
    """Below this many free bytes nothing is accepted or claimed any more."""


class SecretsSection(_Section, frozen=True):
    """Sealing of credentials."""

    master_key_file: str = "{data_dir}/master.key"
    """32 random bytes in base64; made on first start with mode 0600 if absent."""
    master_key: str = ""
    """The key itself in place of the file, better from the environment; NEW,OLD moves the store from one to another."""

    def __repr__(self) -> str:
        """Leave the key out: a repr ends in logs and tracebacks."""
        return f"SecretsSection(master_key_file={self.master_key_file!r})"


class CredentialsSection(_Section, frozen=True):
    """A directory whose credential files are kept as they come and change, such as Flexisip's."""

    directory: str = ""
    """Watched while the gateway runs: <app-id>.prod.pem, .dev.pem, .voip.prod.pem, .voip.dev.pem, AuthKey_....p8, .json."""
    app: str = ""
    """App of the files whose bundle id no app covers yet."""
    team_id: str = ""
    """Team of .p8 keys in it, which say their key id in their name and their team nowhere."""


class Apns(_Section, frozen=True):
    """Apple Push Notification service."""

    production: str = "https://api.push.apple.com:443"
    """Origin of the production environment."""
    sandbox: str = "https://api.sandbox.push.apple.com:443"
    """Origin of the development environment."""
    ca_file: str = ""
    """PEM file of certificate authorities trusted besides the system's."""
    proxy: str = ""
    """HTTP CONNECT proxy, `http://[user:password@]host:port`."""
    max_connections: Positive = 4
    """Connections per origin and credential."""
    request_timeout: Seconds = 30.0
    """Seconds an answer may take; calls are held to their ring time as well."""


class Fcm(_Section, frozen=True):
    """Firebase Cloud Messaging, HTTP v1."""

    base_url: str = "https://fcm.googleapis.com"
    """Origin of the API."""
    ca_file: str = ""
    """PEM file of certificate authorities trusted besides the system's; covers the token endpoint too."""
    proxy: str = ""
    """HTTP CONNECT proxy, `http://[user:password@]host:port`."""
    token_hosts: tuple[str, ...] = ()
    """Hosts besides Google's to which a service account's token_uri may point (names or addresses without port)."""
    max_connections: Positive = 4
    """Connections per project."""
    request_timeout: Seconds = 30.0
    """Seconds an answer may take (Google asks for at least 10)."""


class WebPush(_Section, frozen=True):
    """Web Push: browsers and UnifiedPush distributors. Each subscription names its own push service."""

    contact: str = ""
    """`mailto:` or `https:` address that push services may write to, for VAPID keys that name none themselves."""
    ca_file: str = ""
    """PEM file of certificate authorities trusted besides the system's."""
    proxy: str = ""
    """HTTP proxy, `http://[user:password@]host:port`."""
    max_connections: Positive = 8
    """Connections per push service and app; each carries one push at a time."""
    max_origins: Positive = 100
    """Push services an app may send to besides those of the browsers: a subscription names its own, so a phone chooses."""
    request_timeout: Seconds = 30.0
    """Seconds an answer may take; calls are held to their ring time as well."""
    allow_private: bool = False
    """True lets pushes go to private addresses, such as a UnifiedPush distributor in your own network."""
    allow_http: bool = False
    """True lets pushes go without TLS."""


class Http(_Section, frozen=True):
    """External push URIs: programs that send pushes on, called as Flexisip calls them. Each app has its own as a credential."""

    ca_file: str = ""
    """PEM file of certificate authorities trusted besides the system's."""
    proxy: str = ""
    """HTTP proxy, `http://[user:password@]host:port`."""
    max_connections: Positive = 8
    """Connections per app; each carries one push at a time."""
    request_timeout: Seconds = 30.0
    """Seconds an answer may take; calls are held to their ring time as well."""
    allow_private: bool = False
    """True lets such URIs name private addresses, such as a program on this machine."""
    allow_http: bool = False
    """True lets pushes go without TLS."""


class Providers(_Section, frozen=True):
    """The push services."""

    apns: Apns = Apns()
    fcm: Fcm = Fcm()
    webpush: WebPush = WebPush()
    http: Http = Http()

    def of(self, provider: ProviderKind) -> Apns | Fcm | WebPush | Http:
        """Return the section of a push service."""
        match provider:
            case ProviderKind.APNS:
                return self.apns
            case ProviderKind.FCM:
                return self.fcm
            case ProviderKind.WEBPUSH:
                return self.webpush
            case ProviderKind.HTTP:
                return self.http


class Limits(_Section, frozen=True):
    """Per user and app, counted per notification (not per device); each app can switch them off."""

    per_user: bool = True
    """False lifts all of these."""
    alert_per_hour: Positive = 60
    """Alerts a user gets in an hour at a steady rate."""
    alert_burst: Positive = 20
    """Alerts that may come at once."""
    background_per_hour: Positive = 3
    """Background pushes an iPhone user gets in an hour (Apple delivers two or three)."""
    call_per_minute: Positive = 6
    """Calls that may ring a user in a minute."""


class Devices(_Section, frozen=True):
    """Devices that keep silent."""

    stale_after: WholeSeconds = 30 * 86400
    """Seconds without a word from its app after which a device's targets are reported as stale (Firebase: a month)."""
    retire_stale_after: SecondsOrNever = 0
    """Seconds after which they are retired, too; 0: never. Google forgets Android tokens after 270 days (23328000)."""


class QueueSection(_Section, frozen=True):
    """The queue's bounds."""

    max_pending: Positive = 5_000_000
    """Deliveries that may wait; beyond that callers get 503 with Retry-After."""


class Retention(_Section, frozen=True):
    """How long things are kept."""

    notifications: WholeSeconds = 30 * 86400
    """Seconds the ledger keeps a notification after it is done, and what was written on a connected Bitrix24 portal."""
    events: WholeSeconds = 30 * 86400
    """Seconds the journal keeps an event, and a connected Bitrix24 portal's event after it came in."""
    idempotency: WholeSeconds = 86400
    """Seconds a repeated Idempotency-Key gets the first answer."""


class Logs(_Section, frozen=True):
    """What is logged. Tokens are masked and message text is never written."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """debug, info, warning or error."""
    format: Literal["auto", "json", "console"] = "auto"
    """json, console, or auto: console on a terminal."""
    push: bool = False
    """One line per attempt: `push_on_complete ... code 200`."""
    access: bool = False
    """One line per HTTP request."""


class Webhooks(_Section, frozen=True):
    """Results webhooks: programs of yours that are told of events."""

    allow_private: bool = False
    """True lets webhooks go to private addresses."""
    allow_http: bool = False
    """True lets webhooks go without TLS."""
    ca_file: str = ""
    """PEM file of certificate authorities trusted besides the system's."""
    timeout: Seconds = 15.0
    """Seconds an endpoint may take to answer."""
    retry_for: WholeSeconds = 3 * 86400
    """Seconds for which an event is tried again, from its first try; time in which the gateway stood still does not count."""
    max_connections: Positive = 8
    """Messages that are on their way to one endpoint at the same time; those about one device never are."""
    log_kept: WholeSeconds = 3 * 86400
    """Seconds the delivery log keeps a message after its end."""
    log_messages: Positive = 1_000_000
    """Messages of one endpoint that the delivery log keeps at most, about 150 bytes each; the oldest go first."""


class Debug(_Section, frozen=True):
    """The debug window of an app: requests and answers recorded, of successes too. It costs processor time."""

    window: WholeSeconds = 3 * 3600
    """Seconds after which it closes by itself."""
    every: WholeSeconds = 8 * 3600
    """Seconds of which it may be open for `window`."""
    unlimited: bool = False
    """True leaves it open until somebody closes it."""


class SilenceSection(_Section, frozen=True):
    """Phones that are sent to as ever and confirm less: noticed where the devices of an app send receipts."""

    grace: WholeSeconds = 600
    """Seconds that a phone has to confirm a push; what comes later counts as silence."""


class Bitrix24(_Section, frozen=True):
    """Our own Bitrix24 portal: its users, applications and webhooks live in the store."""

    require_https: bool = True
    """Incoming webhooks answer only over TLS, as on a portal; false for tests and networks you trust."""
    portal_hosts: tuple[str, ...] = ()
    """Host names that are the portal's; empty: every name under which requests come, but for those of `oauth_hosts`."""
    oauth_hosts: tuple[str, ...] = ()
    """Host names that are the OAuth server's: there `/rest/app.info` answers for it, as on oauth.bitrix.info."""
    rate_limit: bool = True
    """False lifts the limit on requests (503 QUERY_LIMIT_EXCEEDED)."""
    rate_limit_burst: Positive = 50
    """Requests that may come at once."""
    rate_limit_per_second: Positive = 2
    """Requests a second at a steady rate."""
    rate_limit_by: Literal["credential", "address"] = "credential"
    """Who shares that limit: the uses of an application or webhook, or whoever comes from one address as on Bitrix24's cloud."""
    failed_authentications: Annotated[int, msgspec.Meta(ge=0)] = 50
    """Wrong codes, tokens and licence keys a minute from one address; more are refused (503) for a while; 0: any number."""
    access_token_lifetime: WholeSeconds = 3600
    """Seconds an access token is good for."""
    refresh_token_lifetime: WholeSeconds = 180 * 86400
    """Seconds a refresh token is good for unless it is used; each use gives a new one (some guides say 30 days: 2592000)."""
    refresh_token_grace: SecondsOrNever = 60
    """Seconds in which the refresh token before is still taken: processes of one client do not tell each other."""
    offline_event_lifetime: WholeSeconds = 2_952_000
    """Seconds an offline event waits for the application that fetches it."""
    call_hook: str = ""
    """URL of a program of yours that makes calls: it gets telephony.call.attachbyqueue and voximplant.infocall.startwithsound."""
    connected_hosts: tuple[str, ...] = ()
    """Hosts of portals you connect, and of their OAuth servers, that may be private or speak plain http (names or addresses)."""
    connected_ca_file: str = ""
    """PEM file of a certificate authority that such hosts have and the system does not know."""
    catch_up_every: WholeSeconds = 300
    """Seconds between two looks for events that a connected portal had and did not get to us."""
    call_ends_after: WholeSeconds = 4 * 3600
    """Seconds after which a call registered on a connected portal is finished there, if nobody told how it ended."""
    operating_limit: SecondsOrNever = 480
    """Seconds a method may run for an application or webhook within ten minutes (429 OPERATION_TIME_LIMIT); 0: no limit."""


class Sip(_Section, frozen=True):
    """The SIP edge: a registrar and proxy that wakes phones. Off unless `listen` names an address."""

    listen: tuple[str, ...] = ()
    """Where SIP is spoken: udp:HOST:PORT, tcp:HOST:PORT, tls:HOST:PORT; to web pages: ws:HOST:PORT, wss:HOST:PORT."""
    domains: tuple[str, ...] = ()
    """Domains whose users are registered here; requests to any other are not relayed."""
    public_host: str = ""
    """Name or address by which phones and peers reach this machine, for Via and Record-Route; empty: that of the socket."""
    auth: Literal["digest", "none"] = "digest"
    """none: everybody is believed to be who they say; for tests and networks where nobody else can speak to this port."""
    digest_algorithms: Annotated[tuple[Literal["SHA-256", "MD5"], ...], msgspec.Meta(min_length=1)] = ("SHA-256", "MD5")
    """What passwords are asked for by, the preferred first. Some clients look at the first question alone and know MD5 only."""
    auth_url: str = ""
    """URL of a program that knows passwords: POST {"user", "domain"} gets {"password"} or {"md5", "sha256"}; empty: our users."""
    peers: tuple[str, ...] = ()
    """Addresses or networks of PBXs and proxies that may send requests without a password, and to which foreign requests go."""
    pbx: str = ""
    """tcp:ADDRESS:PORT (or udp:, tls:) of a PBX that has the users: phones register and call through here with it; empty: none."""
    senders: tuple[str, ...] = ()
    """NUMBER:APP: phones name the number of a Firebase project where its service account has the id; needed for several apps."""
    call_fork_timeout: WholeSeconds = 32
    """Seconds that a call waits for a phone to wake (at most 90)."""
    message_accept_timeout: WholeSeconds = 5
    """Seconds that a message waits for an answer of a phone before its sender is told 202 and it is kept."""
    message_delivery_timeout: WholeSeconds = 604_800
    """Seconds that a message is kept for a sleeping phone."""
    max_waiting: Positive = 1000
    """Messages that wait for one address-of-record; more are refused with 480."""
    min_expires: WholeSeconds = 60
    """Shortest registration that is granted, seconds; a shorter wish is answered 423."""
    default_expires: WholeSeconds = 3600
    """Registration that is granted where none was wished for, seconds."""
    max_expires: WholeSeconds = 604_800
    """Longest registration that is granted, seconds."""
    max_contacts: Positive = 12
    """Phones that one address-of-record may have."""
    fork_late: bool = True
    """A phone that registers while it rings elsewhere is called as well."""
    push_sent: bool = True
    """Tell the caller 110 Push sent when a phone is being woken."""
    push_sent_not_to: tuple[str, ...] = (
        "LinphoneiOS/4.0",
        "LinphoneiOS/4.1",
        "LinphoneAndroid/4.0",
        "LinphoneAndroid/4.1",
    )
    """Beginnings of User-Agents that are not told so: they end a call by it."""
    display_from_uri: bool = False
    """Put the caller's name and address into pushes; false: the phone learns them by SIP only."""
    call_after_cancel: bool = True
    """A phone woken by a voip push gets INVITE and CANCEL also if the caller gave up: iOS ends apps that were woken for no call."""
    tls_certificate: str = ""
    """PEM file: certificate and chain for tls: and wss: addresses; a renewed one counts from the next reload on."""
    tls_key: str = ""
    """PEM file: its private key."""

    @property
    def sender_apps(self) -> dict[str, str]:
        """Return the slug of the app of each Firebase project number."""
        return {number: app for number, _, app in (entry.partition(":") for entry in self.senders)}


class Settings(_Section, frozen=True):
    """All settings."""

    server: Server = Server()
    storage: Storage = Storage()
    secrets: SecretsSection = SecretsSection()
    credentials: CredentialsSection = CredentialsSection()
    providers: Providers = Providers()
    limits: Limits = Limits()
    devices: Devices = Devices()
    queue: QueueSection = QueueSection()
    retention: Retention = Retention()
    logs: Logs = Logs()
    webhooks: Webhooks = Webhooks()
    debug: Debug = Debug()
    silence: SilenceSection = SilenceSection()
    bitrix24: Bitrix24 = Bitrix24()
    sip: Sip = Sip()
