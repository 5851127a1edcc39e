"""`wakeline credential`: what lets us speak to a push service for an app."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.console import Group

from wakeline.cli.choosing import AppOption, chosen
from wakeline.cli.client import Upload
from wakeline.cli.context import Ctx
from wakeline.cli.credential_files import Password, convert, csr, read
from wakeline.cli.credential_views import drawn, end, inspected, now
from wakeline.cli.noun import noun
from wakeline.cli.printing import facts, table
from wakeline.cli.vapid import vapid
from wakeline.edges.rest.credentials import CheckView, CredentialList, CredentialView
from wakeline.model.credential import CredentialKind, CredentialState
from wakeline.model.errors import CredentialRefused, NotFound
from wakeline.wire.credential_file import Expectation, inspect
from wakeline.wire.credential_file.apns_key import key_id_in, without_push

app = noun("credential", "APNs keys and certificates, FCM service accounts, VAPID keys.")
app.command(csr)
app.command(convert)
app.command(vapid)

_FAILED = 1


@app.command
async def add(
    *files: Path,
    app: AppOption = None,
    password: Password = "",
    key_id: str = "",
    team_id: str = "",
    topics: str = "",
    environment: Literal["production", "sandbox"] | None = None,
    kind: CredentialKind | None = None,
    subject: str = "",
    replace: bool = False,
    beside: bool = False,
    canary: Annotated[bool, Parameter(negative="--no-canary")] = True,
    check: Annotated[bool, Parameter(negative="--no-check")] = True,
    context: Ctx,
) -> None:
    """Judge credential files, keep those that can work, and say what their push services think of them.

    Parameters
    ----------
    files
        AuthKey_....p8, a .p12 or .pem certificate with its key, a service account .json, or a VAPID key pair.
    password
        Of a .p12 or an encrypted key. Others can read a command line; better set WAKELINE_CREDENTIAL_PASSWORD.
    key_id
        Of a .p8 key: the ten characters in its file name.
    team_id
        Of a .p8 key: the ten characters beside your name on developer.apple.com.
    topics
        Bundle ids, separated by commas.
    environment
        The only one it is for; both if the file allows both.
    kind
        What the file is taken for; a VAPID key in PEM looks like an APNs key, and needs it.
    subject
        Of a VAPID key: whom push services may write to, such as mailto:push@example.com.
    replace
        Take the place of the one that is there although it differs.
    beside
        Stand beside the one that is there although it differs.
    canary
        Have the first pushes try it while the one before it serves all others, and go back if it is worse.
    check
        Ask the push service at once; reaches no device.
    """
    if not files:
        raise NotFound("No file was named.", fix="Name a .p8, .p12, .pem or .json file.")
    form = {"password": password, "key_id": key_id, "team_id": team_id, "topics": topics}
    form |= {"environment": environment} if environment else {}
    form |= {"kind": kind.value} if kind else {}
    form |= {"subject": subject} if subject else {}
    form |= {name: "true" for name, wanted in (("replace", replace), ("add", beside)) if wanted}
    form |= {name: "false" for name, wanted in (("canary", canary), ("check", check)) if not wanted}
    async with context.gateway() as gateway:
        slug = await chosen(gateway, app)
        kept: list[CredentialView] = [
            await gateway.call("credential.upload", app=slug, file=_upload(file), form=_of_file(file, form))
            for file in files
        ]
    _tell(context, kept)


def _tell(context: Ctx, kept: list[CredentialView]) -> None:
    """Print what was kept, and what push services said of it."""
    value = kept[0] if len(kept) == 1 else CredentialList(credentials=tuple(kept))
    context.printer.result(value, lambda: Group(*(drawn(one) for one in kept)))
    for one in kept:
        if one.check is not None and not one.check.ok:
            outcome = one.check.outcome
            context.printer.remark(f"The push service was asked about it: {outcome.cause} {outcome.fix}")
            if one.state is CredentialState.WORKING and one.state_note:
                context.printer.remark(one.state_note)  # taken back, or good in one environment alone


def _upload(file: Path) -> Upload:
    """Return a file to be sent. Raises NotFound, CredentialRefused for what already its name says."""
    other = without_push(file.name)
    if other:
        raise CredentialRefused(other)
    return file.name, read(file)


def _of_file(file: Path, form: dict[str, str]) -> dict[str, str]:
    """Fill in what Apple writes into the file's name: AuthKey_<key id>.p8."""
    given = {name: value for name, value in form.items() if value}
    named = key_id_in(file.name)
    return {"key_id": named, **given} if named else given


def _row(one: CredentialView) -> tuple[object, ...]:
    file = (
        one.id,
        one.kind,
        one.environment,
        one.topics,
        one.key_id or one.public_key,
        one.team_id,
        end(one.not_after),
    )
    return (*file, one.verdict.grade, one.state, one.state_note)


@app.command(name="list")
async def list_(*, app: AppOption = None, context: Ctx) -> None:
    """List an app's credentials, and what their push service last thought of them."""
    async with context.gateway() as gateway:
        found: CredentialList = await gateway.call("credential.list", app=await chosen(gateway, app))
    columns = ("id", "kind", "environment", "topics", "key", "team id", "ends", "verdict", "state", "note")
    context.printer.result(found, lambda: table(columns, [_row(one) for one in found.credentials]))
    for warning in found.warnings:
        context.printer.remark(warning)


@app.command(name="inspect")
def inspect_(
    file: Path,
    /,
    *,
    password: Password = "",
    key_id: str = "",
    team_id: str = "",
    topics: str = "",
    context: Ctx,
) -> int:
    """Judge a credential file without keeping anything; exit code 4 if it cannot work.

    Parameters
    ----------
    file
        AuthKey_....p8, a .p12 or .pem certificate with its key, or a service account .json.
    password
        Of a .p12 or an encrypted key. Others can read a command line; better set WAKELINE_CREDENTIAL_PASSWORD.
    key_id
        Of a .p8 key.
    team_id
        Of a .p8 key.
    topics
        Bundle ids it should cover, separated by commas.
    """
    form = _of_file(file, {"key_id": key_id})
    found = inspect(
        read(file),
        Expectation(
            now=now(),
            password=password,
            key_id=form.get("key_id", ""),
            team_id=team_id,
            topics=tuple(name.strip() for name in topics.split(",") if name.strip()),
            token_hosts=context.load().settings.providers.fcm.token_hosts,
            file_name=file.name,
            alone=True,
        ),
    )
    shown = inspected(file, found)
    context.printer.result(shown, lambda: drawn(shown))
    return shown.exit_code


@app.command
async def check(credential: str, /, *, app: AppOption = None, context: Ctx) -> int:
    """Ask the push service whether it takes a credential; reaches no device. Exit code 1 if it does not.

    Parameters
    ----------
    credential
        Its id, from `wakeline credential list`.
    """
    async with context.gateway() as gateway:
        slug = await chosen(gateway, app)
        said: CheckView = await gateway.call("credential.check", app=slug, credential=credential)
    outcome = said.outcome
    context.printer.result(
        said,
        lambda: facts(
            (
                ("works", said.ok),
                ("status", outcome.status),
                ("reason", outcome.reason),
                ("cause", outcome.cause),
                ("fix", outcome.fix),
            )
        ),
    )
    return 0 if said.ok else _FAILED


@app.command
async def remove(credential: str, /, *, app: AppOption = None, context: Ctx) -> None:
    """Forget a credential.

    Parameters
    ----------
    credential
        Its id, from `wakeline credential list`.
    """
    async with context.gateway() as gateway:
        await gateway.call("credential.delete", app=await chosen(gateway, app), credential=credential)
    context.printer.result({"removed": credential}, lambda: f"The credential {credential} is forgotten.")
