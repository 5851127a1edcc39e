"""A gateway with a Bitrix24 portal on real sockets, in a thread of its own, so that clients of any kind may block.

It listens twice, on TLS and in plain, behind one gateway; a proxy leads whoever asks for portal.test or a Bitrix24 OAuth host
to the TLS one, so that clients with constants in them need no change.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import trustme

from wakeline.config import Bitrix24, Providers, SecretsSection, Server, Settings, Storage, Webhooks
from wakeline.edges.bitrix24.limits import Buckets
from wakeline.edges.bitrix24.secrets import digest
from wakeline.model.bitrix24.access import AuthorizationCode, Grant, IncomingWebhook, PortalApplication, PortalUser
from wakeline.model.bitrix24.records import Record, RecordKind
from wakeline.service import listeners, wiring
from wakeline.service.wiring import Gateway

NAMES = ("portal.test", "oauth.bitrix24.tech", "oauth.bitrix.info")
CODE = "hook0123456789ab"
CLIENT_ID, CLIENT_SECRET = "local.judge", "client-secret"
SCOPES = ("pull", "crm", "user", "im", "task", "tasks", "telephony")
DEALS = 323
HOUR = 3_600_000
_PATIENCE = 60.0


class Standing(Buckets):
    """Leaky buckets whose time stands still until so many more requests have been refused; then it is a minute later."""

    def __init__(self) -> None:
        super().__init__()
        self.refusals = 0
        """How many there are still to be."""
        self._now = 0.0

    def take(self, key: Hashable, now: float, *, burst: int, per_second: float) -> bool:
        """Count a request; False: one too many. Of `now` nothing depends."""
        del now
        fits = super().take(key, self._now, burst=burst, per_second=per_second)
        if not fits and self.refusals:
            self.refusals -= 1
            self._now += 0 if self.refusals else 60
        return fits


class Portal:
    """What a client needs to know, and what a test may change while it runs."""

    def __init__(self, directory: Path, providers: Providers) -> None:
        self.directory = directory
        self.providers = providers
        self.ca_file = directory / "ca.pem"
        self.secure = self.plain = self.proxy = ""
        self._gateway: Gateway
        self._loop: asyncio.AbstractEventLoop
        self._end: asyncio.Event

    def run(self, work: Callable[[Gateway], Awaitable[Any]]) -> Any:
        """Do something with the gateway in its own loop, and return what comes of it."""

        async def done() -> Any:
            return await work(self._gateway)

        return asyncio.run_coroutine_threadsafe(done(), self._loop).result(_PATIENCE)

    def token(self, name: str, *, seconds: int = 3600, user: int = 1) -> str:
        """Give a user an access token of the application and the refresh token `refresh-<name>`."""

        async def issue(gateway: Gateway) -> None:
            ports = gateway._portal.ports
            now = ports.clock.now()
            await ports.access.issue(
                Grant(
                    id=0,
                    application=ports.access.applications()[0].id,
                    user=user,
                    scopes=SCOPES,
                    access=digest(name),
                    access_expires=now + seconds * 1000,
                    refresh=digest(f"refresh-{name}"),
                    refresh_expires=now + 24 * HOUR,
                )
            )

        self.run(issue)
        return name

    def code(self, name: str) -> str:
        """Keep an authorization code of user 1, as after signing in."""

        async def keep(gateway: Gateway) -> None:
            ports = gateway._portal.ports
            application = ports.access.applications()[0]
            await ports.access.keep_code(
                AuthorizationCode(
                    digest=digest(name),
                    application=application.id,
                    user=1,
                    redirect_uri=application.redirect_uri,
                    scopes=SCOPES,
                    expires=ports.clock.now() + 30_000,
                )
            )

        self.run(keep)
        return name

    def administer(self, method: str, path: str, **more: Any) -> None:
        """Ask the REST API as the operator."""

        async def ask(gateway: Gateway) -> None:
            transport = httpx2.ASGITransport(app=listeners.as_admin(gateway.app))
            async with httpx2.AsyncClient(transport=transport, base_url="http://wakeline") as client:
                answer = await client.request(method, path, **more)
                assert answer.is_success, answer.text

        self.run(ask)

    def set(self, **fields: Any) -> None:
        """Change the portal."""

        async def change(gateway: Gateway) -> None:
            access = gateway._portal.ports.access
            await access.set_portal(msgspec.structs.replace(access.portal(), **fields))

        self.run(change)

    @contextlib.contextmanager
    def limited(self, **fields: Any) -> Iterator[None]:
        """Have other limits of `[bitrix24]` while the block runs."""

        async def settle(gateway: Gateway, new: dict[str, Any]) -> Settings:
            ports = gateway._portal.ports
            was = ports.settings
            ports.settings = msgspec.structs.replace(was, bitrix24=msgspec.structs.replace(was.bitrix24, **new))
            return was

        was = self.run(lambda gateway: settle(gateway, fields)).bitrix24
        try:
            yield
        finally:
            self.run(lambda gateway: settle(gateway, {name: getattr(was, name) for name in fields}))

    @contextlib.contextmanager
    def used_up(self, refusals: int) -> Iterator[Standing]:
        """Have the webhook used up while the block runs, until so many requests have been refused."""

        async def put(gateway: Gateway, buckets: Buckets) -> Buckets:
            door = gateway._portal._door
            was, door._buckets = door._buckets, buckets
            return was

        standing = Standing()
        was = self.run(lambda gateway: put(gateway, standing))
        try:
            with self.limited(rate_limit=True, rate_limit_burst=3):
                asked = f"{self.plain}/rest/1/{CODE}/profile"
                while httpx2.get(asked, timeout=30, trust_env=False).status_code == 200:
                    pass
                standing.refusals = refusals
                yield standing
        finally:
            self.run(lambda gateway: put(gateway, was))

    def worked(self, method: str, seconds: float) -> None:
        """Count so much run time of a method for the webhook."""

        async def count(gateway: Gateway) -> None:
            now = gateway._portal.ports.clock.now()
            gateway._portal._door._performer._operating.add(("webhook 1", method), seconds, now)

        self.run(count)

    async def serve(self, ready: threading.Event) -> None:
        """Serve until told to end."""
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        secure, plain = self._settings()
        async with wiring.opened(secure) as self._gateway, contextlib.AsyncExitStack() as stack:
            await _fill(self._gateway)
            await self._gateway.start()
            stack.push_async_callback(self._gateway.drain, 1.0)
            doors = [listeners.public(self._gateway.app, settings) for settings in (secure, plain)]
            for door in doors:
                door.start()
                stack.push_async_callback(door.stop, at_once=True)
            self.secure, self.plain = f"https://127.0.0.1:{doors[0].port}", f"http://127.0.0.1:{doors[1].port}"
            self.proxy = await stack.enter_async_context(_proxy(doors[0].port))
            ready.set()
            await self._end.wait()

    def end(self) -> None:
        """Have `serve` return."""
        self._loop.call_soon_threadsafe(self._end.set)

    def _settings(self) -> tuple[Settings, Settings]:
        authority = trustme.CA()
        leaf = authority.issue_cert(*NAMES, "127.0.0.1")
        authority.cert_pem.write_to_path(str(self.ca_file))
        leaf.private_key_pem.write_to_path(str(self.directory / "key.pem"))
        for number, blob in enumerate(leaf.cert_chain_pems):
            blob.write_to_path(str(self.directory / "cert.pem"), append=number > 0)
        server = Server(listen="127.0.0.1:0", data_dir=str(self.directory))
        made = Settings(
            server=server,
            providers=self.providers,
            storage=Storage(url=f"sqlite:///{self.directory}/wakeline.db", ballast=0, low_disk=0),
            secrets=SecretsSection(master_key_file=str(self.directory / "master.key")),
            bitrix24=Bitrix24(
                require_https=False, rate_limit=False, portal_hosts=(NAMES[0], "127.0.0.1"), oauth_hosts=NAMES[1:]
            ),
            webhooks=Webhooks(allow_private=True, allow_http=True),
        )
        certificate, key = str(self.directory / "cert.pem"), str(self.directory / "key.pem")
        secure = msgspec.structs.replace(server, tls_certificate=certificate, tls_key=key)
        return msgspec.structs.replace(made, server=secure), made


async def _fill(gateway: Gateway) -> None:
    ports = gateway._portal.ports
    app = await ports.apps.create("acme-chat", "Acme", ports.clock.now())
    await ports.access.put_user(PortalUser(id=1, name="Anna", last_name="Adler", admin=True, gender="F"))
    await ports.access.create_application(
        PortalApplication(
            id=0,
            client_id=CLIENT_ID,
            secret=digest(CLIENT_SECRET),
            name="Judge",
            app=app.id,
            redirect_uri="https://app.test/back",
            scopes=SCOPES,
            application_token="t" * 32,
        )
    )
    await ports.access.create_webhook(IncomingWebhook(id=0, user=1, digest=digest(CODE), scopes=SCOPES))
    await ports.records.put(
        [
            Record(kind=RecordKind.DEAL, id=number, fields={"ID": str(number), "TITLE": f"Deal {number}"})
            for number in range(1, DEALS + 1)
        ]
    )


@contextlib.asynccontextmanager
async def _proxy(port: int) -> AsyncIterator[str]:
    """An HTTP proxy that leads every CONNECT to this port."""

    under_way: set[asyncio.Task[None]] = set()

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):  # whoever is gone wants no end said
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
            writer.write_eof()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        await reader.readuntil(b"\r\n\r\n")
        there, back = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await asyncio.gather(pipe(reader, back), pipe(there, writer))
        finally:
            for one in (writer, back):
                one.close()
                with contextlib.suppress(ConnectionError):
                    await one.wait_closed()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await asyncio.wait([asyncio.ensure_future(asyncio.sleep(0)), *under_way], timeout=1)
        for task in under_way.copy():
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


@contextlib.contextmanager
def served(directory: Path, providers: Providers | None = None) -> Iterator[Portal]:
    """Serve a portal in a thread while the block runs."""
    portal, ready = Portal(directory, providers or Providers()), threading.Event()
    failed: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(portal.serve(ready))
        except BaseException as error:
            failed.append(error)
            ready.set()
            raise

    thread = threading.Thread(target=run, name="portal")
    thread.start()
    assert ready.wait(_PATIENCE)
    if failed:
        raise failed[0]
    try:
        yield portal
    finally:
        portal.end()
        thread.join(_PATIENCE)
