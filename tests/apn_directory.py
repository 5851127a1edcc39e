"""A directory of credential files as Flexisip keeps one, and a gateway in memory that takes them."""

from __future__ import annotations

import datetime as dt
import functools
import time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from interop.apple_certificates import topic_list
from unit.edges.rest.gateway import Gateway, inspect_here, opened
from wakeline.edges.rest.credentials import CredentialView
from wakeline.service.credential_directory import Intake, Line, Wishes, look
from wakeline.service.credential_directory.door import LocalDoor
from wakeline.wire.credential_file import Expectation

ACME = "com.acme.chat"
PRODUCTION, SANDBOX = "2", "1"
_APPLE = "1.2.840.113635.100.6.3"


@functools.cache
def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def put(
    path: Path, *topics: str, marks: tuple[str, ...] = (PRODUCTION,), team: str = "", days: int = 300, mode: int = 0o600
) -> Path:
    """Write a certificate with its key, as Apple would have made it for these topics, in one step."""
    draft = path.with_name(f".{path.name}")
    draft.write_bytes(identity(*topics, marks=marks, team=team, days=days))
    draft.chmod(mode)
    return draft.rename(path)


def identity(*topics: str, marks: tuple[str, ...] = (PRODUCTION,), team: str = "", days: int = 300) -> bytes:
    """Return a certificate and its key in PEM; `marks` are Apple's environment extensions."""
    named = [(NameOID.COMMON_NAME, "Apple Push Services"), (NameOID.ORGANIZATIONAL_UNIT_NAME, team)]
    if topics:
        named.append((NameOID.USER_ID, topics[0]))
    subject = x509.Name([x509.NameAttribute(oid, text) for oid, text in named if text])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder(
        subject_name=subject,
        issuer_name=x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Apple Inc.")]),
        public_key=_key().public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - dt.timedelta(days=60),
        not_valid_after=now + dt.timedelta(days=days),
    )
    extensions = {f"{_APPLE}.{mark}": b"\x05\x00" for mark in marks}
    if topics:
        extensions[f"{_APPLE}.6"] = topic_list(topics)
    for oid, value in extensions.items():
        unrecognized = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value)
        builder = builder.add_extension(unrecognized, critical=False)
    key = _key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return builder.sign(_key(), hashes.SHA256()).public_bytes(Encoding.PEM) + key


class Taker:
    """Takes a directory into a gateway in memory."""

    def __init__(self, gateway: Gateway, directory: Path) -> None:
        gateway.clock.milliseconds = time.time_ns() // 1_000_000
        self.gateway = gateway
        self.directory = directory
        self.door = LocalDoor(gateway.app)

    async def take(self, *, dry: bool = False, team_id: str = "", **wishes: object) -> dict[str, Line]:
        """Return what became of each file."""
        expectation = Expectation(now=0, team_id=team_id)
        intake = Intake(self.directory, self.door, inspect_here, expectation, Wishes(**wishes))  # type: ignore[arg-type] # fields by name
        lines = await intake.take(look(self.directory).values(), self.gateway.clock.now(), dry=dry)
        return {line.file: line for line in lines}

    async def stored(self, app: str = ACME) -> list[CredentialView]:
        """Return what the gateway holds."""
        return await self.door.credentials(app)


async def taker(directory: Path) -> Taker:
    """Return a taker with a new gateway."""
    return Taker(await opened(), directory)
