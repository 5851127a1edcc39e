"""Every answer of Apple's in our table, given by the simulator to clients that others wrote: what each takes it for must
be what our table says. Where a client and our table part, the reason stands beside the name.

What a client's own words mean is said once, above its test; the table is `wakeline.wire.outcomes`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from interop.clients import KEY_ID, TEAM_ID, Aioapns, NodeApn, aapns_push, device_token, pem
from wakeline.model.outcome import Action, OutcomeClass
from wakeline.wire import outcomes
from wakeline.wire.outcomes.apns import APNS
from wakeline.wire.outcomes.entry import Entry

if TYPE_CHECKING:
    from interop.conftest import Services

pytestmark = [pytest.mark.interop, pytest.mark.anyio]

ANSWERS = [entry for entry in APNS.entries if entry.status >= 400 and entry.reason]
"""All lines that Apple says with a reason; the others are fallbacks for what Apple has never said."""

TIMESTAMP = 1_700_000_000_000


def scripted(services: Services) -> dict[str, Entry]:
    """A device for each answer, which says nothing else for ever."""
    devices = {device_token(): entry for entry in ANSWERS}
    services.post_list(
        "/script",
        [
            {
                "target": device,
                "answers": [
                    {"status": entry.status, "reason": entry.reason, "timestamp": _timestamp(entry), "times": None}
                ],
            }
            for device, entry in devices.items()
        ],
    )
    return devices


def _timestamp(entry: Entry) -> int | None:
    return TIMESTAMP if entry.status == 410 else None


def test_the_table_holds_every_reason_that_apple_documents() -> None:
    assert len(ANSWERS) == 35
    assert len({entry.reason for entry in ANSWERS}) == len(ANSWERS)


# aioapns: `APNS_RESPONSE_CODE` has a word for each status that it knows. A bad request is anything but an accepted push,
# a dead token or a matter of pace.

DELIVERY = {OutcomeClass.PAYLOAD, OutcomeClass.BUG, OutcomeClass.MISMATCH, OutcomeClass.TOKEN_DOUBTFUL}
AIOAPNS: dict[str, set[OutcomeClass]] = {
    "BAD_REQUEST": DELIVERY,
    "FORBIDDEN": {OutcomeClass.CREDENTIAL},
    "METHOD_NOT_ALLOWED": {OutcomeClass.BUG},
    "GONE": {OutcomeClass.TOKEN_DEAD},
    "PAYLOAD_TOO_LARGE": {OutcomeClass.PAYLOAD},
    "TOO_MANY_REQUESTS": {OutcomeClass.THROTTLED},
    "INTERNAL_SERVER_ERROR": {OutcomeClass.TRANSIENT},
    "SERVICE_UNAVAILABLE": {OutcomeClass.TRANSIENT},
}
AIOAPNS_PARTS = {
    "IdleTimeout": "a 400 by number, and yet about the connection: Apple closed it, the push is good",
    "TopicMismatch": "a 403 by number, and yet only this pair of token and credential does not fit",
    "TooManyProviderTokenUpdates": "a 429 by number, and yet about our signed tokens, not about how much is sent",
    "BadPath": "a 404, for which it has no word",
}


async def test_aioapns_reports_what_the_table_says(services: Services, apns_key: ec.EllipticCurvePrivateKey) -> None:
    codes = pytest.importorskip("aioapns.common").APNS_RESPONSE_CODE
    words = {value: name for name, value in vars(codes).items() if not name.startswith("_")}
    devices = scripted(services)
    client = Aioapns(services, key=pem(apns_key), key_id=KEY_ID, team_id=TEAM_ID)
    parted = set()
    for device, entry in devices.items():
        result = await client.push(device)
        assert (result.is_successful, result.status, result.description) == (False, str(entry.status), entry.reason)
        assert result.timestamp == _timestamp(entry)
        assert outcomes.apns(int(result.status), result.description).outcome_class is entry.outcome_class
        if entry.outcome_class not in AIOAPNS.get(words.get(result.status, ""), set()):
            parted.add(entry.reason)
    await client.close()
    assert parted == set(AIOAPNS_PARTS)


# aapns: an exception for each reason that it knew in 2023, so one for each meaning.

AAPNS_PARTS = {
    "BadRequestPayload": "not in its list",
    "BadEnvironmentKeyIdInToken": "came with keys scoped to an environment, in 2025",
    "BadEnvironmentKeyInToken": "came with keys scoped to an environment, in 2025",
    "UnrelatedKeyIdInToken": "came with keys scoped to a topic, in 2025",
    "ExpiredToken": "not in its list",
    "InvalidPushType": "not in its list",
    "TopicDisallowed": "not in its list",
    "TopicMismatch": "not in its list",
}


def test_aapns_raises_what_the_table_says(services: Services, aapns_site: Path, certificate: Path) -> None:
    devices = scripted(services)
    reports = aapns_push(services, aapns_site, certificate, list(devices))
    parted = set()
    for (device, entry), report in zip(devices.items(), reports, strict=True):
        assert report["reason"] == entry.reason, device
        if report["known"]:
            assert report["error"] == entry.reason
        else:
            parted.add(entry.reason)
    assert parted == set(AAPNS_PARTS)


# @parse/node-apn: it sends again what it takes for passing (408, 429, 5xx, an expired provider token), and nothing else.

PASSING = {Action.RETRY, Action.REPLAY, Action.RENEW, Action.RECONNECT}
NODE_APN_PARTS = {
    "IdleTimeout": "sent again by us alone: the connection ended before the push was read",
    "UnrelatedKeyIdInToken": "sent again by us alone, over a connection of that key's own",
    "TooManyProviderTokenUpdates": "sent again by it alone: at once, which makes it worse",
}


def test_node_apn_does_what_the_table_says(
    services: Services, node_modules: Path, apns_key: ec.EllipticCurvePrivateKey
) -> None:
    # Last, because what it does then spoils the connection: it signs a new token at once, which Apple refuses in turn.
    devices = dict(sorted(scripted(services).items(), key=lambda pair: pair[1].reason == "ExpiredProviderToken"))
    token = {"key": pem(apns_key), "keyId": KEY_ID, "teamId": TEAM_ID}
    reports = NodeApn(services, node_modules, {"token": token}).push(*devices)
    parted = set()
    for (device, entry), report in zip(devices.items(), reports, strict=True):
        [failure] = report["failed"]
        assert report["sent"] == []
        assert (failure["status"], failure.get("response")) == _as_node_says(entry), entry.reason
        sent_again = len(services.requests(device)) > 1
        if sent_again != (entry.action in PASSING):
            parted.add(entry.reason)
    assert parted == set(NODE_APN_PARTS)


def _as_node_says(entry: Entry) -> tuple[int, dict[str, Any] | None]:
    if entry.status == 500:  # it gives the status alone, and the connection up
        return 500, None
    if entry.reason == "ExpiredProviderToken":
        return 429, {"reason": "TooManyProviderTokenUpdates"}
    body: dict[str, Any] = {"reason": entry.reason}
    return entry.status, body | ({"timestamp": TIMESTAMP} if entry.status == 410 else {})
