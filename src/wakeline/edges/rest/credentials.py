"""Credentials: upload, list, check, forget. A file is judged before it is kept; its secret is never shown again."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

from wakeline.edges.rest.credential_upload import Step, decide
from wakeline.edges.rest.moments import moment, moment_or_none
from wakeline.edges.rest.operations import Answer, Call, Idempotent, Media, Operation
from wakeline.edges.rest.shapes import Strict, View
from wakeline.edges.rest.silent_calls import silent_calls
from wakeline.model import ids
from wakeline.model.credential import Credential, CredentialKind, CredentialState, Verdict
from wakeline.model.errors import Conflict, CredentialRefused, NotFound, SecretError
from wakeline.model.key import Scope
from wakeline.model.outcome import Outcome, OutcomeClass
from wakeline.model.route import Environment
from wakeline.ports import NewCredential
from wakeline.wire.credential_file import Expectation, Inspection
from wakeline.wire.credential_file.validity import aged
from wakeline.wire.outcomes import Refusal, ours

_READERS = (Scope.CREDENTIALS, Scope.READ)
_SOUND = (OutcomeClass.ACCEPTED, OutcomeClass.TOKEN_DEAD, OutcomeClass.TOKEN_DOUBTFUL)
"""What a provider says of a made-up token once it has taken the credential."""


class CredentialForm(Strict, frozen=True, kw_only=True):
    """The form of an upload. `topics`: bundle ids, separated by commas; `key_id` and `team_id` go with a .p8 key.

    `replace`: take the place of the one that is there although it differs; `add`: stand beside it. `canary`: try it with
    the first pushes before it is trusted, if another one serves them well. `check`: ask the push service about it at once.
    `kind`: what the file is taken for; PEM of a VAPID key looks like an APNs key, and needs it. `subject` goes with a VAPID
    key: `mailto:` or `https:`, how push services reach its owner.
    """

    file: bytes
    kind: CredentialKind | None = None
    subject: Annotated[str, msgspec.Meta(max_length=255)] = ""
    password: str = ""
    key_id: Annotated[str, msgspec.Meta(max_length=64)] = ""
    team_id: Annotated[str, msgspec.Meta(max_length=64)] = ""
    topics: Annotated[str, msgspec.Meta(max_length=4096)] = ""
    environment: Environment | None = None
    replace: bool = False
    add: bool = False
    canary: bool = True
    check: bool = True


class CheckView(View, frozen=True, kw_only=True):
    """What the provider said when asked something that reaches nobody."""

    id: str
    ok: bool
    outcome: Outcome


class CredentialView(View, frozen=True, kw_only=True):
    """A credential without its secret. `environment` is `both` for one that speaks to production and sandbox.

    `topics`: bundle ids, or the FCM project; none means every bundle id of the team. `public_key`: of a VAPID key, what
    browsers subscribe with (`applicationServerKey`). `canary`: it is on trial, and the one before it serves all but its first
    pushes. `check`, after an upload: what the push service said of it.
    """

    id: str
    kind: CredentialKind
    environment: str
    environments: tuple[Environment, ...]
    topics: tuple[str, ...]
    key_id: str
    team_id: str
    subject: str
    not_after: datetime | None
    verdict: Verdict
    state: CredentialState
    state_note: str
    fingerprint: str
    public_key: str
    revision: int
    created: datetime
    canary: bool = False
    check: CheckView | None = None


class CredentialList(View, frozen=True, kw_only=True):
    """An app's credentials, oldest first; `warnings`: what none of them covers although devices need it."""

    credentials: tuple[CredentialView, ...]
    warnings: tuple[str, ...] = ()


def id_of(credential: Credential) -> str:
    """Return the id by which the world knows a credential."""
    return ids.uuid_at(credential.created, credential.id)


def view(credential: Credential, now: int, *, canary: bool = False, check: CheckView | None = None) -> CredentialView:
    """Return a credential as the world sees it at this time (Unix ms)."""
    environments = credential.environments or (Environment.PRODUCTION,)
    return CredentialView(
        id=id_of(credential),
        kind=credential.kind,
        environment="both" if len(environments) > 1 else environments[0],
        environments=environments,
        topics=credential.topics,
        key_id=credential.key_id,
        team_id=credential.team_id,
        subject=credential.subject,
        not_after=moment_or_none(credential.not_after),
        verdict=aged(credential.verdict, credential.not_after, now),
        state=credential.state,
        state_note=credential.state_note,
        fingerprint=credential.fingerprint,
        public_key=credential.public_key,
        revision=credential.revision,
        created=moment(credential.created),
        canary=canary,
        check=check,
    )


async def upload(call: Call) -> Answer:
    """Judge a credential file, keep it, and ask its push service about it."""
    form: CredentialForm = call.body
    return await install(call, form, await inspected(call, form))


async def install(call: Call, form: CredentialForm, new: NewCredential) -> Answer:
    """Keep a credential that was judged, as the form says, and ask its push service about it. Raises Conflict."""
    step, kept = await keep(call, new, replace=form.replace, add=form.add)
    store = call.ports.credentials
    if not form.canary:
        call.ports.pipeline.insist(call.app)
    found = await _checked(call, kept) if form.check else None
    status = 200 if step is Step.KEEP else 201
    return Answer(status=status, body=_shown(call, store.get(kept.id) or kept, found))


async def keep(call: Call, new: NewCredential, *, replace: bool, add: bool = False) -> tuple[Step, Credential]:
    """Keep a credential in its place among those of the app. Raises Conflict if it would replace one that differs."""
    store = call.ports.credentials
    decision = decide(new.facts, store.of_app(call.app.id), replace=replace, add=add)
    old = decision.credential
    if old is None:
        return decision.step, await store.create(new, call.now)
    if decision.step is Step.KEEP:
        return decision.step, old
    kept = await store.replace(old.id, new, call.now)
    if kept.kind is CredentialKind.VAPID_KEY:
        # Whoever subscribed with the former key is lost to the new one: a trial would always bring the former back.
        await store.forget_former(kept.id)
    return decision.step, kept


async def _checked(call: Call, credential: Credential) -> CheckView:
    """Ask the push service at once."""
    try:
        outcome = await call.ports.pipeline.check(credential.id)
    except SecretError as error:
        outcome = ours(Refusal.CREDENTIAL_ERROR, detail=error.detail)
    return CheckView(id=id_of(credential), ok=outcome.outcome_class in _SOUND, outcome=outcome)


def _shown(call: Call, credential: Credential, check: CheckView | None = None) -> CredentialView:
    return view(credential, call.now, canary=call.ports.pipeline.on_trial(credential), check=check)


async def list_all(call: Call) -> Answer:
    """List an app's credentials."""
    found = call.ports.credentials.of_app(call.app.id)
    warnings = await silent_calls(call, call.app)
    return Answer(body=CredentialList(credentials=tuple(_shown(call, one) for one in found), warnings=warnings))


async def check(call: Call) -> Answer:
    """Ask the provider whether it takes the credential."""
    credential = _existing(call)
    outcome = await call.ports.pipeline.check(credential.id)
    return Answer(body=CheckView(id=id_of(credential), ok=outcome.outcome_class in _SOUND, outcome=outcome))


async def delete(call: Call) -> Answer:
    """Forget a credential."""
    await call.ports.credentials.delete(_existing(call).id)
    return Answer(status=204)


async def inspected(call: Call, form: CredentialForm) -> NewCredential:
    """Judge the file of a form. Raises CredentialRefused."""
    found = await call.ports.inspect(
        form.file,
        Expectation(
            now=call.now,
            app=call.app.id,
            password=form.password,
            key_id=form.key_id.strip(),
            team_id=form.team_id.strip(),
            topics=tuple(dict.fromkeys(name.strip() for name in form.topics.split(",") if name.strip())),
            environment=form.environment,
            kind=form.kind,
            contact=form.subject.strip() or call.ports.settings.providers.webpush.contact,
            token_hosts=call.ports.settings.providers.fcm.token_hosts,
        ),
    )
    return usable(found, "/file")


def usable(found: Inspection, pointer: str) -> NewCredential:
    """Return a credential that was judged usable. Raises CredentialRefused, pointing there, for one that was not."""
    if found.facts is None or found.secret is None:
        first, *more = found.verdict.notes
        raise CredentialRefused(first, pointer=pointer, fix=" ".join(more))
    return NewCredential(facts=found.facts, secret=found.secret)


def _existing(call: Call) -> Credential:
    wanted = call.path["credential"]
    for credential in call.ports.credentials.of_app(call.app.id):
        if wanted.lower() in (id_of(credential), str(credential.id)):
            return credential
    raise NotFound(
        f"the app {call.app.slug} has no credential {wanted[:64]!r}", fix="`wakeline credential list` shows them."
    )


_ALL = "/v1/apps/{app}/credentials"

OPERATIONS = (
    Operation(
        name="credential.upload",
        method="POST",
        path=_ALL,
        handler=upload,
        summary="Upload a credential: an APNs key or certificate, an FCM service account, a VAPID key",
        scopes=(Scope.CREDENTIALS,),
        request=CredentialForm,
        response=CredentialView,
        status=(201, 200),
        idempotent=Idempotent.STORED,
        problems=(CredentialRefused, Conflict),
        accepts=(Media.MULTIPART,),
    ),
    Operation(
        name="credential.list",
        method="GET",
        path=_ALL,
        handler=list_all,
        summary="List an app's credentials",
        scopes=_READERS,
        response=CredentialList,
    ),
    Operation(
        name="credential.check",
        method="POST",
        path=f"{_ALL}/{{credential}}/check",
        handler=check,
        summary="Ask the provider whether it takes a credential",
        scopes=(Scope.CREDENTIALS,),
        response=CheckView,
        idempotent=Idempotent.STORED,
    ),
    Operation(
        name="credential.delete",
        method="DELETE",
        path=f"{_ALL}/{{credential}}",
        handler=delete,
        summary="Forget a credential",
        scopes=(Scope.CREDENTIALS,),
        status=(204,),
    ),
)
