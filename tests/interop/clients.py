"""Real clients, as they come, told where the simulator is: what the tests of this directory drive."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

if TYPE_CHECKING:
    from interop.conftest import Services

TOPIC = "com.example.chat"
KEY_ID, TEAM_ID = "ABC123DEFG", "TEAM123456"
PROJECT = "wakeline-test"
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
NODE_DIRECTORY = Path(__file__).parent / "node"
AAPNS_DIRECTORY = Path(__file__).parent / "aapns"


def device_token() -> str:
    return uuid.uuid4().hex * 2


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def public_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


class Aioapns:
    """PyPI aioapns."""

    def __init__(self, services: Services, **credential: str) -> None:
        context = ssl.create_default_context(cafile=str(services.ca_file))
        aioapns = pytest.importorskip("aioapns", reason="the extra `interop` is not installed")
        self._request = aioapns.NotificationRequest
        self._client = aioapns.APNs(**credential, topic=TOPIC, ssl_context=context, err_func=_ignore)
        former = self._client.pool.protocol_class
        place = {"APNS_SERVER": "localhost", "APNS_PORT": services.ready["apns_port"]}
        self._client.pool.protocol_class = type("Local", (former,), place)

    async def push(self, device: str, **more: object) -> Any:
        request = self._request(device_token=device, message={"aps": {"alert": "hello"}}, **more)
        return await self._client.send_notification(request)

    async def close(self) -> None:
        self._client.pool.close()
        await self.disconnected()

    async def disconnected(self) -> None:
        async with asyncio.timeout(30):
            while self._client.pool.connections:  # noqa: ASYNC110 - the client has no event to wait for
                await asyncio.sleep(0.005)


async def _ignore(_request: object, _result: object) -> None:
    """The result is looked at by the test."""


def run_node(
    script: str, modules: Path, document: dict[str, object], ca_file: Path | None = None
) -> list[dict[str, Any]]:
    command = ["node", str(NODE_DIRECTORY / script), str(modules), json.dumps(document)]
    # Proxies and debug settings would come from the environment.
    environment = {"PATH": os.environ["PATH"]}
    if ca_file is not None:
        environment["NODE_EXTRA_CA_CERTS"] = str(ca_file)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    results: list[dict[str, Any]] = json.loads(done.stdout)
    return results


class NodeApn:
    """npm @parse/node-apn, in a process of its own."""

    def __init__(self, services: Services, modules: Path, credential: dict[str, object]) -> None:
        self._modules = modules
        place = {"address": "localhost", "port": services.ready["apns_port"], "production": True}
        self._options = {**place, "ca": services.ca_file.read_text(), **credential}

    def push(self, *devices: str) -> list[dict[str, Any]]:
        """What became of one push to each device, in turn, over one connection."""
        notification = {"topic": TOPIC, "alert": "hello", "pushType": "alert"}
        pushes = [{"device": device, "notification": notification} for device in devices]
        return run_node("push.js", self._modules, {"options": self._options, "pushes": pushes})


def aapns_push(services: Services, site: Path, certificate: Path, devices: list[str]) -> list[dict[str, Any]]:
    """What PyPI aapns makes of one push to each device, in turn: {error, reason, known}."""
    asked = {"host": "localhost", "port": services.ready["apns_port"], "ca": str(services.ca_file), "topic": TOPIC}
    document = json.dumps({**asked, "certificate": str(certificate), "devices": devices})
    command = [sys.executable, str(AAPNS_DIRECTORY / "push.py"), document]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(site)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    results: list[dict[str, Any]] = json.loads(done.stdout)
    return results


def google_send(client: Any, **message: object) -> Any:
    body = {"message": message}
    return client.projects().messages().send(parent=f"projects/{PROJECT}", body=body).execute()
