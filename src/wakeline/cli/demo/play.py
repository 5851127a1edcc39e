"""The demonstration itself, over HTTP like any caller: register, send, wait, look at both ends, compare with what must be."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from http import HTTPStatus
from typing import Any

import httpx2
import msgspec

from wakeline.cli.demo import material
from wakeline.cli.demo.listener import Listener
from wakeline.cli.demo.scenario import CASES, CHAT, CHAT_BUNDLE, PORTAL_PREFIX, RULE, VOICE, VOICE_BUNDLE, Case
from wakeline.cli.demo.stack import Stack
from wakeline.cli.failures import Failure, Refused, of_answer
from wakeline.observe.masking import masked_text

_SETTLE = 30.0
_POLL = 0.1


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one case: from the gateway, from the push service, and what differs from what must be."""

    case: Case
    received: str
    state: str
    verdict: str
    wrong: tuple[str, ...]


class Play:
    """One performance on a running stack."""

    def __init__(self, stack: Stack, http: httpx2.AsyncClient, listener: Listener) -> None:
        self._stack = stack
        self._listener = listener
        self._http = http
        self._vapid = ""
        self._token = ""
        self._targets: dict[str, str] = {}
        self._installation = ""

    async def perform(self) -> list[Seen]:
        """Set up, send everything at once, wait until it is settled, and compare."""
        await self._set_up()
        ids = [await self._send(case) for case in CASES]
        return [await self._look(case, notification) for case, notification in zip(CASES, ids, strict=True)]

    async def _set_up(self) -> None:
        for app in (CHAT, VOICE):
            await self._api("POST", "/v1/apps", json={"id": app, "name": app})
        await self._api("PATCH", f"/v1/apps/{CHAT}", json={"settings": {"receipts": True}})
        wanted = {"url": self._listener.url, "events": sorted({case.told for case in CASES if case.told})}
        self._listener.secret = (await self._api("POST", "/v1/webhooks", json=wanted))["secret"]
        await self._credential(CHAT, f"AuthKey_{material.KEY_ID}.p8", material.auth_key(), _key_form(CHAT_BUNDLE))
        account = material.service_account(self._stack.token_uri)
        await self._credential(CHAT, "service-account.json", account, {})
        certificate = material.certificate(VOICE_BUNDLE)
        await self._credential(VOICE, "voice.p12", certificate, {"password": material.PASSWORD})
        contact = {"subject": "mailto:push@example.com"}
        self._vapid = (await self._api("POST", f"/v1/apps/{CHAT}/credentials/vapid", json=contact))["public_key"]
        await self._portal()
        await self._connected_portal()
        for case in CASES:
            targets = [{"kind": case.target.kind, "value": await self._value(case)}]
            body = {"user": case.user, "targets": targets}
            await self._api("PUT", f"/v1/apps/{case.app}/devices/{case.device}", json=body)
            if case.script:
                await self._control("/script", {"target": self._targets[case.device], "answers": case.script})

    async def _portal(self) -> None:
        """Let an application of Bitrix24 send through the app, in the name of the portal's administrator."""
        application = await self._api("POST", "/v1/bitrix24/applications", json={"name": "Demo CRM", "app": CHAT})
        wanted = {"application": application["client_id"], "user": 1, "admin": True}
        self._token = (await self._api("POST", "/v1/bitrix24/tokens", json=wanted))["access_token"]

    async def _connected_portal(self) -> None:
        """Become an application of a portal: known here, installed there, and told of the events that our rule wants."""
        await self._api("POST", "/v1/bitrix24/rules", json=RULE)
        wanted = {
            "domain": self._stack.portal,
            "client_id": self._stack.client_id,
            "client_secret": self._stack.client_secret,
            "app": CHAT,
            "prefix": PORTAL_PREFIX,
        }
        portal = await self._api("POST", "/v1/bitrix24/installations", json=wanted)
        self._installation = f"/v1/bitrix24/installations/{portal['id']}"
        await self._control("/portal/install", {"handler": portal["handler"], "client_id": self._stack.client_id})
        await self._until(self._is_installed, "the application was not installed on the portal")
        bound = (await self._api("POST", f"{self._installation}/verify"))["bound"]
        if RULE["event"] not in bound:
            raise Refused(Failure(code="not-bound", cause=f"the portal posts {bound}, and not {RULE['event']}"))

    async def _is_installed(self) -> bool:
        return bool((await self._api("GET", self._installation))["state"] == "active")

    async def _value(self, case: Case) -> str | dict[str, Any]:
        """Return the token of a case's device; a browser subscribes, with the VAPID key of the app."""
        if case.target.value:
            self._targets[case.device] = case.target.value
            return case.target.value
        made = await self._control("/subscriptions", {"vapid_public_key": self._vapid})
        self._targets[case.device] = made["target"]
        return {"endpoint": made["endpoint"], "keys": made["keys"]}

    async def _control(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await self._http.post(f"{self._stack.control}{path}", json=body)
        found: dict[str, Any] = answer.raise_for_status().json()
        return found

    async def _credential(self, app: str, name: str, content: bytes, form: dict[str, str]) -> None:
        await self._api("POST", f"/v1/apps/{app}/credentials", files={"file": (name, content)}, data=form)

    async def _send(self, case: Case) -> str:
        if case.bitrix24_user:
            return await self._send_by_bitrix24(case)
        if case.deal:
            return await self._send_by_rule(case)
        if case.asked_by == "kamailio":
            return str((await self._api("POST", "/v1/sip/push", json=case.notification))["id"])
        if case.asked_by == "flexisip":
            return str((await self._api("GET", "/flexisip", params=case.notification))["id"])
        if case.asked_by == "mesibo":
            body = {"token": self._stack.key, "app": case.app, **case.notification}
            return str((await self._api("POST", "/mesibo/backend", json=body))["devices"][0]["notification"])
        body = {"to": {"devices": [case.device]}, **case.notification}
        taken = await self._api("POST", f"/v1/apps/{case.app}/notifications", json=body)
        if case.acknowledged:
            await self._acknowledge(case)
        return str(taken["id"])

    async def _acknowledge(self, case: Case) -> None:
        """Say what a phone says that has its push: the token in it is all it needs."""
        await self._until(lambda: self._requests(case), f"{case.name}: the push service received nothing")
        brought = _body((await self._requests(case))[0])["wakeline"]
        said = {"notification": brought["id"], "receipt": brought["receipt"], "device": case.device}
        url = f"{self._stack.gateway}/v1/receipts"
        answer = await self._http.post(url, json={**said, "status": "acknowledged"})
        if answer.status_code != HTTPStatus.OK:
            raise Refused(of_answer(answer.status_code, answer.content))

    async def _send_by_bitrix24(self, case: Case) -> str:
        """Send as a client of Bitrix24, which is told no id; the push service is: a repeat is to replace what was shown."""
        body = {"USER_ID": [case.bitrix24_user], **case.notification, "auth": self._token}
        answer = await self._http.post(f"{self._stack.gateway}/rest/pull.application.push.add.json", json=body)
        if answer.status_code != HTTPStatus.OK or answer.json()["result"] is not True:
            raise Refused(of_answer(answer.status_code, answer.content))
        await self._until(lambda: self._requests(case), f"{case.name}: the push service received nothing")
        return str((await self._requests(case))[0]["headers"]["apns-collapse-id"])

    async def _send_by_rule(self, case: Case) -> str:
        """Change a deal on the portal, which tells us; what became of the event names the notification."""
        await self._control("/portal/change", {"kind": "deal", "id": case.deal, "fields": case.notification})
        await self._until(self._notifications, f"{case.name}: nothing came of the portal's event")
        return (await self._notifications())[0]

    async def _notifications(self) -> list[str]:
        shown = await self._api("GET", f"{self._installation}/events")
        return [notification for event in shown["events"] for notification in event["notifications"]]

    async def _until(self, ready: Callable[[], Awaitable[object]], otherwise: str) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + _SETTLE
        while not await ready():
            if loop.time() >= end:
                raise Refused(Failure(code="nothing-received", cause=otherwise))
            await asyncio.sleep(_POLL)

    async def _requests(self, case: Case) -> list[dict[str, Any]]:
        answer = await self._http.get(f"{self._stack.control}/requests", params={"target": self._targets[case.device]})
        found: list[dict[str, Any]] = answer.json()
        return found

    async def _look(self, case: Case, notification: str) -> Seen:
        path = f"/v1/apps/{case.app}/notifications/{notification}"
        shown = await self._shown(path, lambda one: one["state"] == "done" and _state(one) == case.state)
        explained = await self._api("GET", f"{path}/explain")
        # What an answer says of a token is written after what it says of the delivery.
        device = await self._shown(
            f"/v1/apps/{case.app}/devices/{case.device}", lambda one: one["targets"][0]["state"] == case.target_state
        )
        requests = await self._requests(case)
        if case.told:
            await self._until(lambda: self._is_told(notification), f"{case.name}: the webhook was told nothing")
        told = [event["type"] for event in self._listener.told(notification)]
        return Seen(
            case=case,
            received=_content(requests[-1]) if requests else "nothing",
            state=_state(shown),
            verdict=explained["verdict"],
            wrong=tuple(_differences(case, shown, explained, device, requests)) + _untold(case, told),
        )

    async def _is_told(self, notification: str) -> bool:
        return bool(self._listener.told(notification))

    async def _shown(self, path: str, is_ready: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return what a page of the API shows once it is as it must be, or when the time for that is up."""
        loop = asyncio.get_running_loop()
        end = loop.time() + _SETTLE
        while True:
            shown = await self._api("GET", path)
            if is_ready(shown) or loop.time() >= end:
                return shown
            await asyncio.sleep(_POLL)

    async def _api(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {self._stack.key}"}
        answer = await self._http.request(method, f"{self._stack.gateway}{path}", headers=headers, **arguments)
        if answer.status_code >= 400:
            raise Refused(of_answer(answer.status_code, answer.content))
        found: dict[str, Any] = answer.json()
        return found


def _key_form(bundle: str) -> dict[str, str]:
    return {"key_id": material.KEY_ID, "team_id": material.TEAM_ID, "topics": bundle}


def _state(shown: dict[str, Any]) -> str:
    return str(shown["deliveries"][0]["state"]) if shown["deliveries"] else str(shown["state"])


def _untold(case: Case, told: list[str]) -> tuple[str, ...]:
    """Say what the webhook was told in place of what it had to be."""
    wanted = [case.told] if case.told else []
    return () if told == wanted else (f"the webhook was told {told}, not {wanted}",)


def _differences(
    case: Case,
    shown: dict[str, Any],
    explained: dict[str, Any],
    device: dict[str, Any],
    requests: list[dict[str, Any]],
) -> Iterator[str]:
    """Compare what was seen with what must be, one sentence a difference."""
    if (state := _state(shown)) != case.state:
        yield f"the delivery is {state}, not {case.state}"
    if len(requests) != case.requests:
        yield f"the push service got {len(requests)} requests, not {case.requests}"
    if any(request["provider"] != case.provider for request in requests):
        yield f"it went to another push service than {case.provider}"
    attempts = shown["deliveries"][0]["attempts"] if shown["deliveries"] else []
    if case.app == VOICE and len(attempts) != case.requests:
        yield f"the ledger has {len(attempts)} attempts, not {case.requests}"
    if (target := device["targets"][0]["state"]) != case.target_state:
        yield f"the token is {target}, not {case.target_state}"
    if not (explained["verdict"] and explained["cause"]):
        yield "explain has no verdict or no cause"
    received = [text for request in requests for text in _texts(_body(request))]
    for text in case.texts:
        if not any(text in one for one in received):
            yield f"the text {text!r} did not arrive as it was sent"


def _body(request: dict[str, Any]) -> Any:
    body = request["body"]
    return json.loads(body) if isinstance(body, str) and body else body


def _texts(value: Any) -> Iterator[str]:
    """Yield every text inside a JSON value."""
    match value:
        case str():
            yield value
        case dict():
            for inner in value.values():
                yield from _texts(inner)
        case list():
            for inner in value:
                yield from _texts(inner)


def _content(request: dict[str, Any]) -> str:
    return masked_text(json.dumps(_body(request), ensure_ascii=False))
