"""A person with a browser who signs in at the portal's own page, for tests of OAuth."""

from __future__ import annotations

import re
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import msgspec
from argon2 import PasswordHasher

from unit.edges.bitrix24.portal import ADMIN, MEMBER, Portal
from wakeline.edges.bitrix24.oauth import OAuthDoor

PASSWORDS = {ADMIN: "correct horse", MEMBER: "battery staple"}
CLIENT = {"client_id": "local.test", "client_secret": "client-secret"}
_QUICK = PasswordHasher(time_cost=1, memory_cost=64)
HASHES = {number: _QUICK.hash(password) for number, password in PASSWORDS.items()}


async def serve(portal: Portal) -> None:
    """Put the OAuth endpoints behind the portal's client, and give its users passwords."""
    for number, kept in HASHES.items():
        user = await portal.store.portal_access.user(number)
        assert user is not None
        await portal.store.portal_access.put_user(msgspec.structs.replace(user, password=kept))
    portal.serve(OAuthDoor(portal.ports))


async def page(portal: Portal, **query: str) -> httpx2.Response:
    """Open the login page."""
    return await portal.client.get("/oauth/authorize/", params={"client_id": "local.test", **query})


async def submit(portal: Portal, shown: httpx2.Response, login: str, password: str) -> httpx2.Response:
    """Fill in the login page that is shown, and send it."""
    return await portal.client.post(
        "/oauth/authorize/", data={"ticket": ticket(shown), "login": login, "password": password}
    )


def ticket(shown: httpx2.Response) -> str:
    """Return what the login page carries."""
    found = re.search(r'name="ticket" value="([^"]+)"', shown.text)
    assert found, shown.text
    return unescape(found[1])


def landed(answer: httpx2.Response) -> dict[str, str]:
    """Return the query with which the browser is sent back to the application."""
    assert answer.status_code == 302, answer.text
    return dict(parse_qsl(urlsplit(answer.headers["location"]).query, keep_blank_values=True))


async def code(portal: Portal, *, login: str = "anna", password: str = PASSWORDS[ADMIN], **query: str) -> str:
    """Sign in and return the code."""
    return landed(await submit(portal, await page(portal, **query), login, password))["code"]


async def token(portal: Portal, **params: str) -> httpx2.Response:
    """Ask the token endpoint, by GET."""
    return await portal.client.get("/oauth/token/", params={**CLIENT, **params})


async def tokens(portal: Portal, **params: str) -> dict[str, Any]:
    """Sign in and return the reply of the token endpoint."""
    answer = await token(portal, grant_type="authorization_code", code=await code(portal), **params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def refresh(portal: Portal, refresh_token: str, **params: str) -> httpx2.Response:
    """Ask for the next pair."""
    return await token(portal, grant_type="refresh_token", refresh_token=refresh_token, **params)
