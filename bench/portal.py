"""Figure "portal": an event of a connected Bitrix24 portal, until the push that a rule makes of it is at the push service.

Portal and push service are the shipped simulators, in one process beside the gateway; both write down when they posted the
event and when they had read the push, by one clock. The portal takes its time for every answer, as one across the
internet does. The way holds the event's POST, its commit, one request to the portal for the record and whoever is
responsible, the rule, the notification's commit, and the push.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from statistics import quantiles
from typing import Any

import httpx2

from bench.report import Figure, Goal, Run
from wakeline.cli.demo import material
from wakeline.cli.demo.stack import Stack, running

UNIT = "ms, p99 of a round"
GOAL = Goal(value=300.0)
ANSWERS_IN = 100
"""Milliseconds that the portal takes for each answer."""
_METHOD = """{rounds} rounds of {events} events, one every {pace} s, which is what a portal's limit of two requests a second
lets through without end: a deal changes on the portal, which posts ONCRMDEALUPDATE;
a rule with the record's title and the name of who is responsible sends to one device. The portal takes {answers} ms for
each answer. From the moment at which the portal posts the event until the push service has read the push. Ten
events go before, not counted, so that connections are up."""
_APP, _BUNDLE, _PREFIX = "crm", "com.example.crm", "crm-"
_TOKEN = f"{0xB1:064x}"
_SECONDS = 20.0
_PACE = 0.6
_RULE = {
    "name": "Deal changed",
    "event": "ONCRMDEALUPDATE",
    "recipients": ["record.ASSIGNED_BY_ID"],
    "title": "{{ record.TITLE }}",
    "body": "{{ responsible.NAME }}: {{ record.OPPORTUNITY|money(record.CURRENCY_ID) }}",
}


def measure(directory: Path, *, rounds: int, events: int) -> Figure:
    """Events one after the other. Raises RuntimeError if one of them makes no push, or more than one."""
    runs = asyncio.run(_measure(directory, rounds, events))
    return Figure(
        key="portal",
        name="An event of a connected Bitrix24 portal becomes a push",
        goal=GOAL,
        unit=UNIT,
        payload="ONCRMDEALUPDATE, a form of some 900 bytes; an alert of two lines",
        durability="event and notification are on disk (SQLite WAL, synchronous=FULL) before they are answered or sent",
        method=" ".join(_METHOD.format(rounds=rounds, events=events, pace=_PACE, answers=ANSWERS_IN).split()),
        runs=runs,
    )


async def _measure(directory: Path, rounds: int, events: int) -> list[Run]:
    async with running(directory) as stack, httpx2.AsyncClient(timeout=30, trust_env=False) as http:
        bench = _Bench(stack, http)
        await bench.set_up()
        await bench.round(0, 10)
        return [await bench.round(number, events) for number in range(1, rounds + 1)]


class _Bench:
    """One gateway, connected to one portal."""

    def __init__(self, stack: Stack, http: httpx2.AsyncClient) -> None:
        self._stack = stack
        self._http = http

    async def set_up(self) -> None:
        await self._api("POST", "/v1/apps", json={"id": _APP, "name": _APP})
        await self._api("PATCH", f"/v1/apps/{_APP}", json={"settings": {"limits": False}})
        key = {"key_id": material.KEY_ID, "team_id": material.TEAM_ID, "topics": _BUNDLE}
        files = {"file": (f"AuthKey_{material.KEY_ID}.p8", material.auth_key())}
        await self._api("POST", f"/v1/apps/{_APP}/credentials", files=files, data=key)
        phone = {"user": f"{_PREFIX}1", "targets": [{"kind": "apns", "value": _TOKEN}]}
        await self._api("PUT", f"/v1/apps/{_APP}/devices/phone", json=phone)
        await self._api("POST", "/v1/bitrix24/rules", json=_RULE)
        portal = await self._connect()
        await self._control("/behave", {"provider": "portal", "min_latency_ms": ANSWERS_IN})
        if "ONCRMDEALUPDATE" not in portal["bound"]:
            raise RuntimeError(f"the portal posts {portal['bound']}")

    async def _connect(self) -> dict[str, Any]:
        wanted = {
            "domain": self._stack.portal,
            "client_id": self._stack.client_id,
            "client_secret": self._stack.client_secret,
            "app": _APP,
            "prefix": _PREFIX,
        }
        made = await self._api("POST", "/v1/bitrix24/installations", json=wanted)
        await self._control("/portal/install", {"handler": made["handler"], "client_id": self._stack.client_id})
        path = f"/v1/bitrix24/installations/{made['id']}"
        end = time.monotonic() + _SECONDS
        while (await self._api("GET", path))["state"] != "active":
            if time.monotonic() > end:
                raise RuntimeError("the application was not installed")
            await asyncio.sleep(0.05)
        return await self._api("POST", f"{path}/verify")

    async def round(self, number: int, events: int) -> Run:
        began = time.monotonic()
        took = sorted([await self._event(f"Deal {number}.{event}", 1 + event % 300) for event in range(events)])
        cuts = quantiles(took, n=100, method="inclusive")
        return Run(
            round=number,
            program="wakeline",
            requests=events,
            server_saw=events,
            value=cuts[98],
            server_cpu=0.0,
            wall_seconds=time.monotonic() - began,
            more={"p50, ms": cuts[49], "most, ms": took[-1]},
        )

    async def _event(self, title: str, deal: int) -> float:
        """Change a deal; returns the milliseconds from its event to its push."""
        fields = {"TITLE": title, "OPPORTUNITY": "1250.50", "ASSIGNED_BY_ID": "1"}
        await self._control("/portal/change", {"kind": "deal", "id": deal, "fields": fields})
        began = time.monotonic()
        end = began + _SECONDS
        while not (pushes := await self._pushes(title)):
            if time.monotonic() > end:
                raise RuntimeError(f"{title}: no push")
            await asyncio.sleep(0.02)
        if len(pushes) != 1:
            raise RuntimeError(f"{title}: {len(pushes)} pushes")
        await asyncio.sleep(max(0.0, began + _PACE - time.monotonic()))
        posted = (await self._http.get(f"{self._stack.control}/portal/deliveries")).json()[-1]
        return float(pushes[0]["at"] - posted["at"])

    async def _pushes(self, title: str) -> list[dict[str, Any]]:
        answer = await self._http.get(f"{self._stack.control}/requests", params={"target": _TOKEN, "limit": 5})
        return [push for push in answer.json() if push["body"]["aps"]["alert"]["title"] == title]

    async def _control(self, path: str, body: dict[str, Any]) -> None:
        (await self._http.post(f"{self._stack.control}{path}", json=body)).raise_for_status()

    async def _api(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {self._stack.key}"}
        answer = await self._http.request(method, f"{self._stack.gateway}{path}", headers=headers, **arguments)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found
