"""All fake services in one event loop, from Python or from the command line."""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from wakeline.simulator.apns import ApnsService
from wakeline.simulator.control import ControlService
from wakeline.simulator.google_front import GoogleService
from wakeline.simulator.journal import REQUESTS_KEPT
from wakeline.simulator.listener import Conversation, Listener
from wakeline.simulator.portal.control import PortalControl
from wakeline.simulator.portal.courier import Courier
from wakeline.simulator.portal.memory import CLIENT_ID, CLIENT_SECRET, WEBHOOK_CODE
from wakeline.simulator.portal.service import PortalService
from wakeline.simulator.state import Clock, State
from wakeline.simulator.tls import authority, server_context


class Ports(msgspec.Struct, frozen=True):
    """Where everything listens, on 127.0.0.1 and ::1. A port that was not asked for is 0."""

    apns: int
    fcm: int
    control: int
    apns_sandbox: int = 0
    portal: int = 0


class Simulator:
    """Fake push services; an async context manager.

    Port 0 takes a free port. With `apns_sandbox_port` given, that port is APNs's sandbox and `apns_port` its
    production; otherwise `apns_port` is both. With `portal_port` given, a Bitrix24 portal and its OAuth host listen
    there. `state_dir` gets `ca.pem`, which clients must trust, and keeps its CA over restarts; without it
    a temporary directory is used. Entering raises OSError if a port is taken.
    """

    def __init__(
        self,
        *,
        apns_port: int = 0,
        fcm_port: int = 0,
        control_port: int = 0,
        apns_sandbox_port: int | None = None,
        portal_port: int | None = None,
        state_dir: Path | str | None = None,
        clock: Clock = time.time,
        requests_kept: int = REQUESTS_KEPT,
    ) -> None:
        self._wanted = Ports(apns_port, fcm_port, control_port, apns_sandbox_port or 0, portal_port or 0)
        self._has_sandbox = apns_sandbox_port is not None
        self._has_portal = portal_port is not None
        self._temporary = None if state_dir else tempfile.TemporaryDirectory(prefix="wakeline-simulator-")
        self.state_dir = Path(state_dir or (self._temporary.name if self._temporary else "."))
        self.state = State(clock=clock, requests_kept=requests_kept)
        self._listeners: list[Listener] = []
        self._courier = Courier(clock, self.state.portal.deliveries)

    async def __aenter__(self) -> Self:
        """Opens every port."""
        try:
            await self._start()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes every port and connection."""
        await self.close()

    @property
    def ca_file(self) -> Path:
        """The certificate that clients must trust."""
        return self.state_dir / "ca.pem"

    @property
    def web_push_origin(self) -> str:
        """Where the endpoints of Web Push subscriptions are."""
        return f"https://localhost:{self.ports.fcm}"

    def ready(self) -> dict[str, object]:
        """What the command line prints when everything listens."""
        ports = self.ports
        line: dict[str, object] = {
            "ready": True,
            "apns_port": ports.apns,
            "fcm_port": ports.fcm,
            "control_port": ports.control,
            "apns": f"https://localhost:{ports.apns}",
            "fcm": f"https://localhost:{ports.fcm}",
            "token_uri": f"https://localhost:{ports.fcm}/token",
            "webpush": self.web_push_origin,
            "control": f"http://127.0.0.1:{ports.control}",
            "ca_file": str(self.ca_file),
        }
        if self._has_sandbox:
            line |= {
                "apns_sandbox_port": ports.apns_sandbox,
                "apns_sandbox": f"https://localhost:{ports.apns_sandbox}",
            }
        if self._has_portal:
            line |= {
                "portal_port": ports.portal,
                "portal": self.state.portal.origin,
                "portal_oauth": self.state.portal.oauth_origin,
                "portal_webhook": f"{self.state.portal.origin}/rest/1/{WEBHOOK_CODE}/",
                "portal_client_id": CLIENT_ID,
                "portal_client_secret": CLIENT_SECRET,
            }
        return line

    def refresh(self) -> None:
        """Tells live connections that behaviours have changed."""
        for listener in self._listeners:
            listener.each(Conversation.refresh)

    def disconnect(self, provider: str | None, reason: str, *, abort: bool) -> int:
        """Ends every connection of `provider`, or of all: by GOAWAY, or cut. How many there were."""

        def end(conversation: Conversation) -> None:
            if abort:
                conversation.abort()
            else:
                conversation.goaway(reason)

        chosen = [each for each in self._listeners if each.service.provider in (provider, provider or "apns")]
        return sum(listener.each(end) for listener in chosen)

    async def close(self) -> None:
        """Closes every port and connection; may be called again."""
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            await listener.close()
        await self._courier.close()
        await self.state.phones.close()
        if self._temporary is not None:
            self._temporary.cleanup()

    async def _start(self) -> None:
        ca = authority(self.state_dir)
        apns = ApnsService(self.state)
        journal, wanted = self.state.journal, self._wanted
        apns_tls = server_context(ca, protocols=(b"h2",), accepts=self.state.admits)

        def apns_listener(environment: str) -> Listener:
            return Listener(apns, journal, context=apns_tls, environment=environment, http1=False)

        production = await self._open(apns_listener("production" if self._has_sandbox else ""), wanted.apns)
        sandbox = await self._open(apns_listener("sandbox"), wanted.apns_sandbox) if self._has_sandbox else 0
        google_tls = server_context(ca, protocols=(b"h2", b"http/1.1"), accepts=None)
        fcm = await self._open(Listener(GoogleService(self.state), journal, context=google_tls), wanted.fcm)
        portal = await self._open_portal(
            Listener(PortalService(self.state, self._courier), journal, context=google_tls)
        )
        more = PortalControl(self.state, self._courier).routes if self._has_portal else {}
        control = await self._open(Listener(ControlService(self.state, self, more), journal), wanted.control)
        self.ports = Ports(production, fcm, control, sandbox, portal)

    async def _open_portal(self, listener: Listener) -> int:
        """One port by two names: `localhost` is the portal, 127.0.0.1 its OAuth host."""
        if not self._has_portal:
            return 0
        port = await self._open(listener, self._wanted.portal)
        self.state.portal.origin = f"https://localhost:{port}"
        self.state.portal.oauth_origin = f"https://127.0.0.1:{port}"
        return port

    async def _open(self, listener: Listener, port: int) -> int:
        self._listeners.append(listener)
        await listener.open(port)
        return listener.port


async def run(
    *,
    apns_port: int = 0,
    fcm_port: int = 0,
    control_port: int = 0,
    apns_sandbox_port: int | None = None,
    portal_port: int | None = None,
    state_dir: Path | str | None = None,
) -> None:
    """Runs until SIGTERM or SIGINT; prints one JSON line on stdout when ready, and nothing after it.

    Raises OSError if a port is taken.
    """
    simulator = Simulator(
        apns_port=apns_port,
        fcm_port=fcm_port,
        control_port=control_port,
        apns_sandbox_port=apns_sandbox_port,
        portal_port=portal_port,
        state_dir=state_dir,
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with simulator:
        sys.stdout.write(msgspec.json.encode(simulator.ready()).decode() + "\n")
        sys.stdout.flush()
        await stop.wait()
