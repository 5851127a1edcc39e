"""Every answer of Google's in our table, given by the simulator to firebase-admin and google-api-python-client: what each
takes it for must be what our table says. Where a client and our table part, the reason stands beside the name.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from interop.clients import google_send
from wakeline.model.outcome import OutcomeClass
from wakeline.wire import fcm
from wakeline.wire.outcomes.entry import Entry
from wakeline.wire.outcomes.fcm import API_DISABLED, BAD_TOKEN, FCM, NO_PERMISSION

if TYPE_CHECKING:
    from interop.conftest import Services

pytest.importorskip("firebase_admin", reason="the extra `interop` is not installed")
pytest.importorskip("googleapiclient", reason="the extra `interop` is not installed")

from firebase_admin import exceptions, messaging
from googleapiclient.errors import HttpError

pytestmark = [
    pytest.mark.interop,
    pytest.mark.anyio,
    # What is being replaced by installation ids is still what most servers send.
    pytest.mark.filterwarnings("ignore:Message.token is deprecated:DeprecationWarning"),
]

Answer = dict[str, object]
Line = tuple[int, str]

ANSWERS = [entry for entry in FCM.entries if entry.status >= 400]

# How Google gives these lines of the table, where status and errorCode are not the whole of it.
_DISABLED = {
    "error": {
        "code": 403,
        "message": "Firebase Cloud Messaging API has not been used in project 1 before or it is disabled.",
        "status": "PERMISSION_DENIED",
        "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED"}],
    }
}
FORMS: dict[Line, Answer] = {
    (400, "INVALID_ARGUMENT"): {"error": "INVALID_ARGUMENT", "field": "message.data"},
    (400, BAD_TOKEN): {"error": "INVALID_ARGUMENT", "field": "message.token"},
    (403, NO_PERMISSION): {},
    (403, API_DISABLED): {"body": json.dumps(_DISABLED)},
    (401, "UNAUTHENTICATED"): {},
}


def scripted(services: Services) -> dict[str, Entry]:
    """A phone for each answer, which says nothing else for ever. What has no reason comes as a page of the front end's."""
    phones = {f"phone-{number}": entry for number, entry in enumerate(ANSWERS)}
    services.post_list("/script", [{"target": phone, "answers": [_form(entry)]} for phone, entry in phones.items()])
    return phones


def _form(entry: Entry) -> Answer:
    usual: Answer = {"error": entry.reason} if entry.reason else {"html": True}
    return {"status": entry.status, "times": None, **FORMS.get((entry.status, entry.reason), usual)}


# firebase-admin: an exception for what it knows of FCM, else one for Google's status. What it does not find, and is no
# registration, is the project.

FIREBASE: dict[type[Exception], OutcomeClass] = {
    messaging.UnregisteredError: OutcomeClass.TOKEN_DEAD,
    messaging.SenderIdMismatchError: OutcomeClass.MISMATCH,
    messaging.QuotaExceededError: OutcomeClass.THROTTLED,
    messaging.ThirdPartyAuthError: OutcomeClass.CREDENTIAL,
    exceptions.InvalidArgumentError: OutcomeClass.PAYLOAD,
    exceptions.UnauthenticatedError: OutcomeClass.CREDENTIAL,
    exceptions.PermissionDeniedError: OutcomeClass.CREDENTIAL,
    exceptions.NotFoundError: OutcomeClass.CREDENTIAL,
    exceptions.ResourceExhaustedError: OutcomeClass.THROTTLED,
    exceptions.InternalError: OutcomeClass.TRANSIENT,
    exceptions.UnavailableError: OutcomeClass.TRANSIENT,
    exceptions.UnknownError: OutcomeClass.TRANSIENT,
}
FIREBASE_PARTS = {
    (400, BAD_TOKEN): "one word for a message and for a token that FCM does not take; the field tells them apart",
    (413, ""): "no word for this status",
}


async def test_firebase_admin_raises_what_the_table_says(services: Services, firebase: Any) -> None:
    phones = scripted(services)
    # Together, because it waits 7.5 seconds over each 500 and 503.
    batch = await messaging.send_each_async([messaging.Message(token=phone) for phone in phones], app=firebase)
    await messaging._get_messaging_service(firebase)._async_client.aclose()
    parted = set()
    for entry, response in zip(phones.values(), batch.responses, strict=True):
        assert not response.success
        if FIREBASE[type(response.exception)] is not entry.outcome_class:
            parted.add((entry.status, entry.reason))
    assert parted == set(FIREBASE_PARTS)


# google-api-python-client hands on status, body and details as they came: what it hands on is read as our table says.

BY_STATUS = {
    BAD_TOKEN,
    NO_PERMISSION,
    API_DISABLED,
    "UNAUTHENTICATED",
    "ACCESS_TOKEN_EXPIRED",
    "RESOURCE_EXHAUSTED",
    "",
}
"""Lines without an FcmError, or with one that is not their name."""


def test_google_api_client_hands_on_what_the_table_says(services: Services, google_client: Any) -> None:
    for phone, entry in scripted(services).items():
        with pytest.raises(HttpError) as raised:
            google_send(google_client, token=phone)
        error = raised.value
        read = fcm.read(error.resp.status, (), error.content)
        assert (error.resp.status, read.outcome_class) == (entry.status, entry.outcome_class), entry.reason
        assert (read.action, read.code) == (entry.action, entry.code), entry.reason
        if entry.reason not in BY_STATUS and (entry.status, entry.reason) not in FORMS:
            assert error.error_details[0]["errorCode"] == entry.reason
