"""`wakeline import`: what another push server left, brought in. One verb a kind of thing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter
from rich.console import Group, RenderableType
from rich.text import Text

from wakeline.cli.choosing import AppOption
from wakeline.cli.client import Client
from wakeline.cli.context import Ctx
from wakeline.cli.credential_files import Password
from wakeline.cli.credential_views import REFUSED, end, now
from wakeline.cli.failures import Refused
from wakeline.cli.importing_bitrix24 import bitrix24
from wakeline.cli.importing_devices import devices
from wakeline.cli.importing_flexisip import flexisip
from wakeline.cli.noun import noun
from wakeline.cli.printing import table
from wakeline.edges.rest.apps import AppList, NewApp
from wakeline.edges.rest.credentials import CredentialList, CredentialView
from wakeline.model.errors import NotFound
from wakeline.service.credential_directory import Intake, Line, Refusal, Result, Wishes, look
from wakeline.service.credential_directory.judged import File
from wakeline.service.credential_directory.listing import Entry
from wakeline.wire.credential_file import Expectation, Inspection, inspect

app = noun("import", "Bring in what another push server left.")
app.command(devices)
app.command(bitrix24)
app.command(flexisip)

_FAILED = 1


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What `import credentials` prints. `dry_run`: nothing was kept, this is what would be."""

    directory: str
    dry_run: bool
    files: tuple[Line, ...]


@app.command
async def credentials(
    directory: Path,
    /,
    *,
    app: AppOption = None,
    create_apps: bool = False,
    team_id: str = "",
    password: Password = "",
    replace: bool = False,
    dry_run: bool = False,
    check: Annotated[bool, Parameter(negative="--no-check")] = True,
    context: Ctx,
) -> int:
    """Keep the credential files of a directory, such as Flexisip's; exit code 4 if one is refused, 1 if a push service says no.

    Flexisip names them <app-id>.prod.pem, .dev.pem, .voip.prod.pem and .voip.dev.pem. A file that several links lead to is
    kept once. An app is found by the bundle id if its credentials cover it already. Doing it again changes nothing.

    Parameters
    ----------
    directory
        Where the files are, such as /etc/flexisip/apn.
    app
        The app of those whose bundle id no app covers yet.
    create_apps
        Make an app for each bundle id that no app covers yet, with the bundle id as its id.
    team_id
        Of .p8 keys: the ten characters beside your name on developer.apple.com.
    password
        Of .p12 files and encrypted keys. Others can read a command line; better set WAKELINE_CREDENTIAL_PASSWORD.
    replace
        Take the place of credentials that are there although the files differ from them.
    dry_run
        Judge everything, keep nothing.
    check
        Ask the push services at once; reaches no device.
    """
    entries = _listed(directory)
    expectation = Expectation(
        now=0,
        team_id=team_id,
        password=password,
        token_hosts=context.load().settings.providers.fcm.token_hosts,
    )
    wishes = Wishes(app=app or "", create_apps=create_apps, replace=replace)
    async with context.gateway() as gateway:
        intake = Intake(directory, _ClientDoor(gateway), _inspect_here, expectation, wishes)
        form = {} if check else {"check": "false"}
        lines = await intake.take(entries.values(), now(), form=form, dry=dry_run)
    imported = Imported(directory=str(directory), dry_run=dry_run, files=tuple(lines))
    context.printer.result(imported, lambda: _drawn(imported))
    return _exit_code(lines)


def _listed(directory: Path) -> dict[str, Entry]:
    try:
        entries = look(directory)
    except OSError as error:
        raise NotFound(f"The directory {directory} cannot be read: {error.strerror}.") from None
    if all(entry.ignored for entry in entries.values()):
        raise NotFound(
            f"The directory {directory} holds no credential file.",
            fix="Credential files end in .pem, .p12, .p8 or .json; hidden files and directories inside are not looked at.",
        )
    return entries


async def _inspect_here(data: bytes, expectation: Expectation) -> Inspection:
    """Judge in this process: it is the caller's own time that a file takes."""
    return inspect(data, expectation)


def _exit_code(lines: list[Line]) -> int:
    if any(line.result is Result.REFUSED for line in lines):
        return REFUSED
    return _FAILED if any(line.doubted for line in lines) else 0


class _ClientDoor:
    """The API as a command reaches it; see `service.credential_directory.Door`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def apps(self) -> list[str]:
        found: AppList = await self._client.call("app.list")
        return [one.id for one in found.apps]

    async def credentials(self, app: str) -> list[CredentialView]:
        found: CredentialList = await self._client.call("credential.list", app=app)
        return list(found.credentials)

    async def make_app(self, slug: str) -> Refusal | None:
        try:
            await self._client.call("app.create", body=NewApp(id=slug))
        except Refused as refused:
            return _refusal(refused)
        return None

    async def upload(self, app: str, file: File, form: Mapping[str, str]) -> CredentialView | Refusal:
        try:
            kept: CredentialView = await self._client.call(
                "credential.upload", app=app, file=(file.names[0], file.data), form=form
            )
        except Refused as refused:
            return _refusal(refused)
        return kept


def _refusal(refused: Refused) -> Refusal:
    return Refusal(detail=refused.failure.cause, fix=refused.failure.fix)


def _drawn(imported: Imported) -> RenderableType:
    columns = ("file", "result", "verdict", "app", "environment", "topics", "ends", "what there is to say")
    title = f"{imported.directory} (nothing is kept: --dry-run)" if imported.dry_run else imported.directory
    counts = {result: sum(line.result is result for line in imported.files) for result in Result}
    total = ", ".join(f"{number} {result}" for result, number in counts.items() if number)
    return Group(table(columns, [_row(line) for line in imported.files], title=title), Text(total))


def _row(line: Line) -> tuple[object, ...]:
    names = "\n".join([line.file, *line.also])
    environments = tuple(environment.value for environment in line.environments)
    return (
        names,
        line.result,
        line.verdict,
        line.app,
        environments,
        line.topics,
        end(line.not_after),
        "\n".join(line.notes),
    )
