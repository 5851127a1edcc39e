"""The door of the SIP edge and the registrar behind it, on stores in memory: what is asked over a connection, and answered."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Self

from sip_wire import PATIENCE
from storing import Store, ToldClock
from wakeline.config import Sip
from wakeline.edges.sip.apps import PushApps
from wakeline.edges.sip.authentication import Authenticator, Caller
from wakeline.edges.sip.door import Door
from wakeline.edges.sip.flows import Address, Flow, Transport
from wakeline.edges.sip.passwords import OurUsers
from wakeline.edges.sip.peers import Peers
from wakeline.edges.sip.phones import Phones
from wakeline.edges.sip.registrar import Registrar
from wakeline.edges.sip.server_transactions import ServerTransaction
from wakeline.edges.sip.transaction_layer import TransactionLayer
from wakeline.model.app import App
from wakeline.model.credential import Credential, CredentialKind, CredentialSecret
from wakeline.model.route import Environment
from wakeline.model.sip.binding import Binding, BindingChange
from wakeline.model.sip.user import SipUser
from wakeline.ports import NewCredential
from wakeline.storage.memory import MemoryStore
from wakeline.storage.sealing import Sealer
from wakeline.wire.sip.digest import ALGORITHMS, Nonces, expected, parse_credentials, secret_hash
from wakeline.wire.sip.message import Request, Response, parse

AOR = "sip:bob@example.org"
PHONE = "192.0.2.7"
CONTACT = "<sip:bob@192.0.2.7:5060;transport=tcp>"
INSTANCE = "urn:uuid:7f0a1b2c-0000-4000-8000-000000000001"
PASSWORD = "correct horse"
TOKEN = "a1" * 32
OTHER_TOKEN = "b2" * 32
APNS = f"pn-provider=apns;pn-param=ABCD1234.org.example.phone.voip;pn-prid={TOKEN}"
FCM = "pn-provider=fcm;pn-param=acme-fire;pn-prid=fcm-token-1"


class Wire:
    """A phone's connection. Implements `flows.Flow`: what is sent is kept."""

    def __init__(self, host: str = PHONE, port: int = 40_000) -> None:
        self.name = f"tcp:{host}:{port}#1"
        self.transport = Transport.TCP
        self.remote = Address(host, port)
        self.local = Address("198.51.100.1", 5060)
        self.open = True
        self.sent: asyncio.Queue[Request | Response] = asyncio.Queue()

    def send(self, data: bytes) -> None:
        """Keep a message."""
        self.sent.put_nowait(parse(data))


class Proxy:
    """Whoever would forward. Implements `door.Onward`: what comes is kept, and answered 202."""

    def __init__(self) -> None:
        self.came: list[tuple[Request, Caller]] = []

    def request(self, server: ServerTransaction, caller: Caller) -> None:
        self.came.append((server.request, caller))
        server.answer(202)

    def ack(self, request: Request, flow: Flow) -> None:
        raise AssertionError("no test sends an ACK")

    def alive(self, flow: Flow) -> None:
        raise AssertionError("no test keeps a connection alive")

    def lost(self, flow: Flow) -> None:
        raise AssertionError("no test loses a connection")


class Registering:
    """Everything that registers. `changes` are those that were told to whoever waits for phones; `store` is an open one."""

    def __init__(self, *, clock: ToldClock | None = None, store: Store | None = None, **settings: Any) -> None:
        self.settings = Sip(**{"domains": ("example.org",), "auth": "none", **settings})
        self.clock = clock or ToldClock()
        self.store = store or MemoryStore(self.clock, Sealer(b"m" * 32))
        self.wire = Wire()
        self.proxy = Proxy()
        self.changes: list[BindingChange] = []
        self.apps = PushApps(
            self.store.apps,
            self.store.credentials,
            self.clock,
            lambda: self.settings.sender_apps,
            lambda: False,
        )
        registrar = Registrar(
            lambda: self.settings,
            self.store.sip_bindings,
            self.apps,
            Phones(self.store.devices, self.store.sip_bindings, self.store.events, self.clock),
            self.clock,
            self._registered,
        )
        authenticator = Authenticator(
            lambda: self.settings,
            lambda: Peers(self.settings.peers),
            OurUsers(self.store.sip_users),
            Nonces(b"n" * 32),
            self.clock,
        )
        self.door = Door(authenticator, registrar, self.proxy)
        self.layer = TransactionLayer(self.door, clock=self.clock.monotonic)
        self._branch = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.layer.stop()
        await self.door.close()
        await self.store.close()

    async def ask(self, request: Request, wire: Wire | None = None) -> Response:
        """Send a request and return its answer."""
        wire = wire or self.wire
        self._branch += 1
        asked = request.copy()
        asked.prepend("via", f"SIP/2.0/TCP {wire.remote};branch=z9hG4bK{self._branch}")
        self.layer.received(wire, asked.to_bytes(stream=True))
        async with asyncio.timeout(PATIENCE):
            answer = await wire.sent.get()
        assert isinstance(answer, Response)
        return answer

    async def register(self, *contacts: str, **said: Any) -> Response:
        """Register these Contacts and return the answer."""
        return await self.ask(register(*contacts, **said))

    def bindings(self, aor: str = AOR) -> list[Binding]:
        """Return what is registered."""
        return self.store.sip_bindings.of(aor)

    async def app(self, slug: str = "phone-app") -> App:
        """Make an app."""
        return self.store.apps.get(slug) or await self.store.apps.create(slug, slug, self.clock.now())

    async def apple(self, slug: str = "phone-app", *topics: str, sandbox: bool = False) -> App:
        """Make an app with a key of Apple's for these bundle ids, or for the whole team."""
        worlds = (Environment.PRODUCTION, Environment.SANDBOX) if sandbox else (Environment.PRODUCTION,)
        return await self._credential(slug, CredentialKind.APNS_KEY, worlds, topics)

    async def firebase(self, slug: str = "phone-app", project: str = "acme-fire") -> App:
        """Make an app with a service account of this project."""
        return await self._credential(slug, CredentialKind.FCM_SERVICE_ACCOUNT, (Environment.PRODUCTION,), (project,))

    async def vapid(self, slug: str = "phone-app", key: str = "BNcVapidKey") -> App:
        """Make an app with a VAPID key."""
        return await self._credential(slug, CredentialKind.VAPID_KEY, (Environment.PRODUCTION,), (), key)

    async def _credential(
        self, slug: str, kind: CredentialKind, worlds: tuple[Environment, ...], topics: tuple[str, ...], key: str = ""
    ) -> App:
        app = await self.app(slug)
        facts = Credential(id=0, app=app.id, kind=kind, environments=worlds, topics=topics, public_key=key)
        secret = CredentialSecret(kind=kind, private_key=b"a key")
        await self.store.credentials.create(NewCredential(facts=facts, secret=secret), self.clock.now())
        return app

    async def user(self, name: str = "bob", password: str = PASSWORD, domain: str = "example.org") -> None:
        """Make a user."""
        md5, sha256 = (secret_hash(name, domain, password, each) for each in ("MD5", "SHA-256"))
        await self.store.sip_users.put(SipUser(user=name, domain=domain, realm=domain, md5=md5, sha256=sha256))

    def _registered(self, change: BindingChange) -> None:
        # Who waits for a phone hears of it once the phone was answered.
        assert self.wire.sent.qsize() == 1
        self.changes.append(change)


def register(*contacts: str, expires: int | None = 3600, **said: Any) -> Request:
    """Return a REGISTER of these Contacts; `said` are header fields, but for `user`, `call_id`, `cseq`, `domain`."""
    user, domain = said.pop("user", "bob"), said.pop("domain", "example.org")
    fields = [
        ("from", f"<sip:{user}@{domain}>;tag=f1"),
        ("to", f"<sip:{user}@{domain}>"),
        ("call-id", said.pop("call_id", "c1")),
        ("cseq", f"{said.pop('cseq', 1)} REGISTER"),
        *(("contact", contact) for contact in contacts),
        *([] if expires is None else [("expires", str(expires))]),
        *((name.replace("_", "-"), value) for name, value in said.items()),
    ]
    return Request.make("REGISTER", f"sip:{domain}", fields)


def call(method: str = "INVITE", *, user: str = "alice", domain: str = "example.org", **said: str) -> Request:
    """Return a request to Bob."""
    fields = [
        ("from", f"<sip:{user}@{domain}>;tag=f1"),
        ("to", said.pop("to", f"<{AOR}>")),
        ("call-id", "call-1"),
        ("cseq", f"1 {method}"),
        *((name.replace("_", "-"), value) for name, value in said.items()),
    ]
    return Request.make(method, AOR, fields)


def proving(
    request: Request,
    question: Response,
    password: str = PASSWORD,
    *,
    user: str = "bob",
    algorithm: str = "SHA-256",
    count: int = 1,
) -> Request:
    """Return a request once more, with an answer to what was asked for."""
    registrar = question.status == 401
    asked = next(
        one for one in question.all("www-authenticate" if registrar else "proxy-authenticate") if algorithm in one
    )
    realm, nonce = (asked.partition(f'{name}="')[2].partition('"')[0] for name in ("realm", "nonce"))
    said = (
        f'Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{request.uri}", algorithm={algorithm}, '
        f'qop=auth, nc={count:08x}, cnonce="c", response='
    )
    credentials = parse_credentials(f'{said}""')
    assert credentials is not None
    assert algorithm in ALGORITHMS
    response = expected(credentials, secret_hash(user, realm, password, algorithm), request.method)
    repeated = request.copy()
    repeated.set("authorization" if registrar else "proxy-authorization", f'{said}"{response}"')
    repeated.set("cseq", f"{request.cseq.number + 1} {request.method}")
    return repeated


def contact(push: str = "", *, instance: str = INSTANCE, more: str = "", host: str = "192.0.2.7:5060") -> str:
    """Return a Contact with these push parameters."""
    known = f';+sip.instance="<{instance}>"' if instance else ""
    return f"<sip:bob@{host};transport=tcp{push and ';'}{push}>{known}{more}"
