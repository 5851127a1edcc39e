"""With which credentials a push goes out, and by whom.

--key or --prefix                what they name, and nothing else
a gateway runs                   it sends, if an app of it can
a store that no gateway serves   its credentials, lent to this process
/etc/flexisip                    what Flexisip left there
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from wakeline.cli.client import Client, connect
from wakeline.cli.pusher.plans import Plan
from wakeline.cli.pusher.report import Report
from wakeline.cli.pusher.through_gateway import ThroughGateway
from wakeline.config import Settings
from wakeline.config.rules import sqlite_path
from wakeline.model.errors import StoreBusy
from wakeline.model.route import ProviderKind
from wakeline.model.sip.push import PushParams
from wakeline.service import admin_socket
from wakeline.service.lending import Looked, of_directories, of_key
from wakeline.service.lone_push import Lent, LonePushes, Said
from wakeline.service.wiring import lent
from wakeline.wire.credential_file import Expectation

FLEXISIP = Path("/etc/flexisip")
_CERTIFICATES = "apn"
_TEAM = re.compile(r"([A-Z0-9]{10})\.").match


class Sources(msgspec.Struct, frozen=True, kw_only=True):
    """Where credentials are, as the flags name it."""

    key: str = ""
    prefix: Path | None = None


class Way(Protocol):
    """Somebody who sends."""

    async def send(self, plan: Plan) -> Said:
        """Send a push and wait for its answer."""
        ...

    def serves(self, provider: ProviderKind) -> bool:
        """Tell whether there is any credential for a push service."""
        ...


class FromHere:
    """This process sends."""

    def __init__(self, pushes: LonePushes) -> None:
        self._pushes = pushes

    async def send(self, plan: Plan) -> Said:
        """See `Way`."""
        return await self._pushes.send(plan.lone())

    def serves(self, provider: ProviderKind) -> bool:
        """See `Way`."""
        return self._pushes.serves(provider)


@contextlib.asynccontextmanager
async def way(
    settings: Settings, sources: Sources, plans: Sequence[Plan], expectation: Expectation, report: Report
) -> AsyncIterator[Way]:
    """Give somebody who sends. Raises WakelineError."""
    left = _left_by_flexisip()
    async with contextlib.AsyncExitStack() as opened:
        if sources.key or sources.prefix is not None:
            looked = await _named(sources, expectation)
        else:
            gateway, looked = await _stored(opened, settings)
            if gateway is not None:
                through = await ThroughGateway.of(gateway, settings.sip.sender_apps, preview=report.debug)
                if any(map(through.covers, plans)) or not left:
                    yield through
                    return
            looked += await of_directories(left, expectation)
        for note in looked.notes:
            report.remark(note)
        pushes = LonePushes(settings, looked.lent)
        opened.push_async_callback(pushes.close)
        yield FromHere(pushes)


def expectation_of(settings: Settings, params: Iterable[PushParams], now: int) -> Expectation:
    """Return what is known about files: a .p8 key is of the team that push parameters name. `now` in Unix ms."""
    teams = (match[1] for one in params if (match := _TEAM(one.param)))
    return Expectation(now=now, team_id=next(teams, ""), token_hosts=tuple(settings.providers.fcm.token_hosts))


async def _named(sources: Sources, expectation: Expectation) -> Looked:
    found = Looked(lent=(await of_key(sources.key, expectation),)) if sources.key else Looked()
    if sources.prefix is None:
        return found
    certificates = sources.prefix / _CERTIFICATES
    inside = [directory for directory in (certificates, sources.prefix) if directory.is_dir()]
    return found + await of_directories(inside or [certificates], expectation)


def _left_by_flexisip() -> list[Path]:
    return [directory for directory in (FLEXISIP / _CERTIFICATES,) if directory.is_dir()]


async def _stored(opened: contextlib.AsyncExitStack, settings: Settings) -> tuple[Client | None, Looked]:
    """Return the gateway, or what the store holds that it does not own; nothing is made where nothing is."""
    store = _existing_store(settings)
    if not await admin_socket.answers(Path(settings.server.data_dir)):
        try:
            found = await lent(settings) if store else []
        except StoreBusy:
            pass  # a gateway that was starting when we looked answers by now
        else:
            where = f"a credential of the store {store}"
            return None, Looked(
                lent=tuple(Lent(app=app.slug, credential=one, secret=secret, where=where) for app, one, secret in found)
            )
    return await opened.enter_async_context(connect(settings)), Looked()


def _existing_store(settings: Settings) -> Path | None:
    path = Path(sqlite_path(settings.storage.url))
    return path if path.exists() else None
