"""A rig for providers: the simulator behind them, credentials made for the test, a clock that can be moved."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from wakeline import config
from wakeline.model.credential import Credential, CredentialKind, CredentialSecret
from wakeline.model.device import Recipient
from wakeline.model.ids import key_at
from wakeline.model.notification import Alert, Content, Notification, PushType
from wakeline.model.outcome import Outcome
from wakeline.model.route import Environment, Lane, ProviderKind, Route
from wakeline.ports import Sender, Shipment
from wakeline.providers import ApnsProvider, FcmProvider, WebPushProvider
from wakeline.simulator import Simulator
from wakeline.transport.guard import Guard, system_resolver
from wakeline.transport.http import GuardedClient
from wakeline.wire.credential_file import Expectation, new_vapid_key

TOPIC = "com.example.chat"
PROJECT = "acme-chat"
ACCOUNT = "push@acme-chat.iam.gserviceaccount.com"
KEY_ID, TEAM_ID = "ABC123DEFG", "DEF123GHIJ"
DEADLINE = 15.0
HELLO = Content(type=PushType.ALERT, alert=Alert(title="Hello", body="World"))


class ShiftedClock:
    """The system's clocks, moved: `shift` seconds on our wall, `ahead` on everybody's clocks."""

    def __init__(self) -> None:
        self.shift = 0.0
        self.ahead = 0.0
        self._stopped: float | None = None

    def stop(self) -> None:
        """Have no second pass but by `ahead`."""
        self._stopped = time.monotonic()

    def now(self) -> int:
        return round((time.time() + self.shift + self.ahead) * 1000)

    def monotonic(self) -> float:
        return (time.monotonic() if self._stopped is None else self._stopped) + self.ahead

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.01))


class Results:
    """What became of the recipients of a shipment, by position."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.accepted: list[int] = []
        self.others: dict[int, Outcome] = {}
        self.complete = asyncio.Event()

    def on_results(self, _: Shipment, accepted: Sequence[int], others: list[tuple[int, Outcome]]) -> None:
        for position in [*accepted, *(position for position, _ in others)]:
            assert position not in self.accepted, "told twice"
            assert position not in self.others, "told twice"
        self.accepted += [*accepted, *(position for position, outcome in others if outcome.accepted)]
        self.others |= dict(others)
        if len(self.accepted) + sum(not outcome.accepted for outcome in self.others.values()) == self.size:
            self.complete.set()

    @property
    def only(self) -> Outcome:
        assert len(self.others) == 1, self.others
        return next(iter(self.others.values()))


class Browser(NamedTuple):
    """A subscription: its name at the simulator, and its value as a target has it."""

    name: str
    value: str


class Rig:
    """Providers in front of a simulator."""

    def __init__(
        self, simulator: Simulator, control: httpx2.AsyncClient, http: GuardedClient, clock: ShiftedClock
    ) -> None:
        ports, ca_file = simulator.ports, str(simulator.ca_file)
        self.simulator = simulator
        self.control = control
        self.clock = clock
        self.wakes = 0
        self.apns = ApnsProvider(
            config.Apns(
                production=f"https://localhost:{ports.apns}",
                sandbox=f"https://localhost:{ports.apns_sandbox}",
                ca_file=ca_file,
                request_timeout=30.0,
            ),
            clock,
        )
        self.fcm = FcmProvider(
            config.Fcm(
                base_url=f"https://localhost:{ports.fcm}",
                ca_file=ca_file,
                token_hosts=("localhost",),
                request_timeout=30.0,
            ),
            clock,
            http,
        )
        self.webpush_settings = config.WebPush(
            ca_file=ca_file, contact="mailto:push@example.com", allow_private=True, request_timeout=30.0
        )
        self.webpush = WebPushProvider(self.webpush_settings, clock)
        self.ec_key = ec.generate_private_key(ec.SECP256R1())
        self.senders: list[Sender] = []

    def key(self, *topics: str, **changes: Any) -> tuple[Credential, CredentialSecret]:
        """Make an APNs key."""
        facts = Credential(
            id=1,
            app=1,
            kind=CredentialKind.APNS_KEY,
            environments=(Environment.PRODUCTION, Environment.SANDBOX),
            topics=topics,
            key_id=KEY_ID,
            team_id=TEAM_ID,
        )
        secret = CredentialSecret(
            kind=CredentialKind.APNS_KEY, private_key=pem_of(self.ec_key), key_id=KEY_ID, team_id=TEAM_ID
        )
        return msgspec.structs.replace(facts, **changes), secret

    def certificate(self, *topics: str, **changes: Any) -> tuple[Credential, CredentialSecret]:
        """Make a client certificate that names its topics as Apple's do."""
        certificate, key = client_certificate(*topics)
        facts = Credential(
            id=2,
            app=1,
            kind=CredentialKind.APNS_CERTIFICATE,
            environments=(Environment.PRODUCTION,),
            topics=topics,
            not_after=round((time.time() + 86_400) * 1000),
        )
        secret = CredentialSecret(
            kind=CredentialKind.APNS_CERTIFICATE,
            private_key=pem_of(key),
            certificates=certificate.public_bytes(serialization.Encoding.PEM),
        )
        return msgspec.structs.replace(facts, **changes), secret

    def account(self, **changes: Any) -> tuple[Credential, CredentialSecret]:
        """Make a service account whose token_uri is the simulator's."""
        facts = Credential(
            id=3,
            app=1,
            kind=CredentialKind.FCM_SERVICE_ACCOUNT,
            environments=(Environment.PRODUCTION,),
            topics=(PROJECT,),
        )
        secret = CredentialSecret(
            kind=CredentialKind.FCM_SERVICE_ACCOUNT,
            private_key=pem_of(RSA_KEY),
            key_id="k1",
            client_email=ACCOUNT,
            project_id=PROJECT,
            token_uri=f"https://localhost:{self.simulator.ports.fcm}/token",
        )
        return facts, msgspec.structs.replace(secret, **changes)

    def open_apns(
        self,
        credential: tuple[Credential, CredentialSecret],
        *,
        environment: Environment = Environment.PRODUCTION,
        topic: str = TOPIC,
    ) -> Sender:
        route = Route(id=1, app=1, provider=ProviderKind.APNS, environment=environment, topic=topic)
        return self._keep(self.apns.open(route, *credential, self._woken))

    def open_fcm(self, credential: tuple[Credential, CredentialSecret], *, topic: str = "") -> Sender:
        route = Route(id=2, app=1, provider=ProviderKind.FCM, environment=Environment.PRODUCTION, topic=topic)
        return self._keep(self.fcm.open(route, *credential, self._woken))

    def vapid_key(self, **changes: Any) -> tuple[Credential, CredentialSecret]:
        """Make a VAPID key."""
        made = new_vapid_key(os.urandom(32), Expectation(now=self.clock.now(), app=1, contact="mailto:it@example.com"))
        assert made.facts is not None
        assert made.secret is not None
        return msgspec.structs.replace(made.facts, id=4, **changes), made.secret

    async def subscribe(self, public_key: str = "", *, host: str = "localhost") -> Browser:
        """Have a browser of the simulator's subscribe, for messages of this VAPID key alone if one is named."""
        answer = await self.control.post("/subscriptions", json={"vapid_public_key": public_key})
        answer.raise_for_status()
        told = answer.json()
        endpoint = told["endpoint"].replace("//localhost:", f"//{host}:")
        return Browser(told["target"], f"{endpoint} {told['keys']['p256dh']} {told['keys']['auth']}")

    def open_webpush(
        self,
        credential: tuple[Credential, CredentialSecret],
        *,
        origin: str | None = None,
        provider: WebPushProvider | None = None,
    ) -> Sender:
        topic = self.simulator.web_push_origin if origin is None else origin
        route = Route(id=3, app=1, provider=ProviderKind.WEBPUSH, environment=Environment.PRODUCTION, topic=topic)
        return self._keep((provider or self.webpush).open(route, *credential, self._woken))

    def _keep(self, sender: Sender) -> Sender:
        self.senders.append(sender)
        return sender

    def _woken(self) -> None:
        self.wakes += 1

    async def send(
        self,
        sender: Sender,
        *values: str,
        content: Content = HELLO,
        kinds: Sequence[str] = (),
        badges: dict[int, int] | None = None,
        bulk: bool = False,
        ttl: int = 3600,
        within: float = 10.0,
    ) -> Results:
        """Send to these tokens and wait for all results."""
        results = Results(len(values))
        shipment = self.shipment(
            *values, results=results, content=content, kinds=kinds, badges=badges, ttl=ttl, within=within
        )
        shipment.notification = msgspec.structs.replace(shipment.notification, bulk=bulk)
        sender.send(shipment)
        assert not results.complete.is_set(), "results must not come from inside send"
        async with asyncio.timeout(DEADLINE):
            await results.complete.wait()
        return results

    def shipment(
        self,
        *values: str,
        results: Results | None = None,
        content: Content = HELLO,
        kinds: Sequence[str] = (),
        badges: dict[int, int] | None = None,
        ttl: int = 3600,
        within: float = 10.0,
    ) -> Shipment:
        now = self.clock.now()
        notification = Notification(
            key=key_at(now, 1),
            app=1,
            content=content,
            lane=Lane.CALL if content.type is PushType.CALL else Lane.ALERT,
            due=now,
            expires=now + ttl * 1000,
            created=now,
        )
        recipients = [
            Recipient(at + 1, value, 1, "active", "", 100 + at, kinds[at] if kinds else "")
            for at, value in enumerate(values)
        ]
        return Shipment(
            route=Route(id=1, app=1, provider=ProviderKind.APNS, environment=Environment.PRODUCTION),
            lane=notification.lane,
            notification=notification,
            recipients=recipients,
            deadline=self.clock.monotonic() + within,
            on_results=(results or Results(len(values))).on_results,
            badges=badges or {},
        )

    async def tell(self, path: str, document: object) -> None:
        """Say something to the simulator's control port."""
        (await self.control.post(path, content=msgspec.json.encode(document))).raise_for_status()

    async def script(self, target: str, *answers: dict[str, Any]) -> None:
        await self.tell("/script", {"target": target, "answers": list(answers)})

    async def requests(self, **query: str) -> list[dict[str, Any]]:
        """What the simulator received."""
        answer = await self.control.get("/requests", params=query)
        received: list[dict[str, Any]] = msgspec.json.decode(answer.content)
        return received

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE):
            while not condition():  # noqa: ASYNC110 - what is waited for tells nobody
                await asyncio.sleep(0.01)


def pem_of(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def client_certificate(*topics: str) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Make a self-signed certificate as Apple issues them: UID and extension .6.3.6 name topics, .6.3.2 is production."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.USER_ID, topics[0]), x509.NameAttribute(NameOID.COMMON_NAME, "Push")])
    now = dt.datetime.now(dt.UTC)
    strings = b"".join(
        _der(0x0C, topic.encode()) + _der(0x30, _der(0x0C, b"app" if at == 0 else b"voip"))
        for at, topic in enumerate(topics)
    )
    apple = "1.2.840.113635.100.6.3."
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier(f"{apple}2"), b"\x05\x00"), critical=False)
        .add_extension(
            x509.UnrecognizedExtension(x509.ObjectIdentifier(f"{apple}6"), _der(0x30, strings)), critical=False
        )
    )
    return builder.sign(key, hashes.SHA256()), key


def _der(tag: int, content: bytes) -> bytes:
    assert len(content) < 128
    return bytes((tag, len(content))) + content


RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    clock = ShiftedClock()
    simulator = Simulator(state_dir=tmp_path / "state", apns_sandbox_port=0, clock=lambda: time.time() + clock.ahead)
    async with simulator:
        guard = Guard(resolve=system_resolver, configured=frozenset({"localhost"}))
        async with (
            httpx2.AsyncClient(base_url=f"http://127.0.0.1:{simulator.ports.control}") as control,
            GuardedClient(guard, ca_file=str(simulator.ca_file)) as http,
        ):
            made = Rig(simulator, control, http, clock)
            yield made
            for sender in made.senders:
                await sender.close(drain=1.0)
