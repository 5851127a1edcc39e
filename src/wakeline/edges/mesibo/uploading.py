"""pushupload: a file of Apple's or Google's becomes a credential of the app.

Rule: mesibo lets an app have several APNs credentials, one for each iPhone app under it. So a certificate for bundle ids that no
other credential names stands beside those that are there; any other that differs from the one it would replace is refused until
`replace` is said, as everywhere here. What is in a file is told by its bytes, never by its name.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from wakeline.edges.mesibo.answers import Uploaded
from wakeline.edges.rest import credentials, multipart
from wakeline.edges.rest.credentials import CredentialForm
from wakeline.edges.rest.operations import Call
from wakeline.model.credential import Credential
from wakeline.model.errors import CredentialRefused, InvalidRequest
from wakeline.model.route import ProviderKind
from wakeline.wire.mesibo.backend import Asked, Op, Params, text

_FIELDS = ("file", "password", "key_id", "team_id", "topics", "environment", "replace")
_TYPES = {"fcm": ProviderKind.FCM, "apn": ProviderKind.APNS, "apns": ProviderKind.APNS}


async def upload(call: Call, asked: Asked) -> Uploaded:
    """Judge the file, keep it, and ask its push service about it. Raises InvalidRequest, CredentialRefused, Conflict."""
    wanted, form = _type(asked.params), _form(asked.params)
    new = await credentials.inspected(call, form)
    if wanted is not None and new.facts.provider is not wanted:
        raise CredentialRefused(
            f"the file is for {new.facts.provider.value}, and `type` says {text(asked.params, 'type')}",
            pointer="/type",
            fix="Leave `type` out: what a file is shows in the file.",
        )
    beside = _is_of_another_app(new.facts, call.ports.credentials.of_app(call.app.id))
    answer = await credentials.install(call, msgspec.structs.replace(form, add=beside), new)
    return Uploaded(op=Op.UPLOAD, result=True, code=answer.status, id=asked.id, credential=answer.body)


def _type(params: Params) -> ProviderKind | None:
    """Return whose file it is said to be. Raises InvalidRequest."""
    said = text(params, "type").lower()
    if said and said not in _TYPES:
        raise InvalidRequest("`type` is fcm or apn", pointer="/type", fix="Leave it out: the file says what it is.")
    return _TYPES.get(said)


def _form(params: Params) -> CredentialForm:
    """Return what the upload says, as the form of the REST API. Raises InvalidRequest."""
    if not isinstance(params.get("file"), bytes):
        raise InvalidRequest(
            "there is no file",
            pointer="/file",
            fix="Send a form: curl -F op=pushupload -F token=wk_... -F file=@certificate.p12",
        )
    form: CredentialForm = multipart.form(
        CredentialForm, {name: value for name in _FIELDS if isinstance(value := params.get(name), str | bytes)}
    )
    return form


def _is_of_another_app(new: Credential, there: Sequence[Credential]) -> bool:
    """Tell whether this is for bundle ids of Apple's of which no credential that is there knows."""
    if new.provider is not ProviderKind.APNS or not new.topics:
        return False
    return all(old.topics and set(old.topics).isdisjoint(new.topics) for old in there if old.provider is new.provider)
