"""Getting into a portal: what is believed, what is learnt, what is refused."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest

from connected_portal import Connected
from wakeline.connectors.bitrix24.connections import Connections
from wakeline.connectors.bitrix24.installing import redeem, verify
from wakeline.model.bitrix24.installation import (
    Access,
    ApplicationAccess,
    Installation,
    InstallationState,
    Tokens,
    WebhookAccess,
)
from wakeline.model.errors import (
    AddressRefused,
    PortalClosed,
    PortalRefused,
    PortalUnreachable,
    TimedOut,
    TransportError,
    WakelineError,
)
from wakeline.ports import HttpAnswer
from wakeline.simulator.portal.memory import CLIENT_ID, CLIENT_SECRET, SCOPES, WEBHOOK_CODE
from wakeline.simulator.script import ScriptedAnswer

pytestmark = pytest.mark.anyio

NEW: dict[str, object] = {"member_id": "", "state": InstallationState.WAITING, "client_endpoint": ""}


def application(tokens: Tokens | None, client_id: str = CLIENT_ID, secret: str = CLIENT_SECRET) -> ApplicationAccess:
    return ApplicationAccess(client_id=client_id, client_secret=secret, tokens=tokens)


def tokens_of(installation: Installation) -> Tokens:
    assert isinstance(installation.access, ApplicationAccess)
    assert installation.access.tokens is not None
    return installation.access.tokens


async def test_a_code_makes_an_installation_with_all_that_is_to_be_known(world: Connected) -> None:
    waiting = world.described(application(None), **NEW)

    got = await redeem(world.connections, waiting, world.code())

    assert (got.state, got.member_id) == (InstallationState.ACTIVE, world.portal.member_id)
    assert (got.client_endpoint, got.prefix) == (f"{world.portal.origin}/rest/", f"{world.portal.member_id}:")
    tokens = tokens_of(got)
    assert (tokens.user, tokens.scopes) == (1, SCOPES)
    assert tokens.access_expires == world.clock.now() + 3_600_000
    assert tokens.access in world.portal.access


async def test_a_code_is_good_once(world: Connected) -> None:
    waiting, code = world.described(application(None), **NEW), world.code()
    await redeem(world.connections, waiting, code)

    with pytest.raises(PortalRefused, match="invalid_grant"):
        await redeem(world.connections, waiting, code)


async def test_a_wrong_secret_is_said_so(world: Connected) -> None:
    waiting = world.described(application(None, secret="guess"), **NEW)

    with pytest.raises(PortalRefused, match="invalid_client") as refused:
        await redeem(world.connections, waiting, world.code())

    assert "client_secret" in refused.value.fix


async def test_an_application_that_was_not_installed_has_nothing_to_verify(world: Connected) -> None:
    with pytest.raises(PortalClosed, match="no tokens"):
        await verify(world.connections, world.described(application(None)))


async def test_tokens_of_another_application_are_refused(world: Connected) -> None:
    claimed = world.described(application(world.tokens(), client_id="local.other"))

    with pytest.raises(PortalRefused, match="another application"):
        await verify(world.connections, claimed)


async def test_tokens_of_another_portal_are_refused(world: Connected) -> None:
    claimed = world.described(application(world.tokens()), member_id="f" * 32)

    with pytest.raises(PortalRefused, match="another portal"):
        await verify(world.connections, claimed)


async def test_made_up_tokens_are_refused(world: Connected) -> None:
    forged = msgspec.structs.replace(world.tokens(), access="a" * 70)

    with pytest.raises(PortalRefused, match="invalid_token"):
        await verify(world.connections, world.described(application(forged)))


@pytest.mark.parametrize(
    "server",
    [
        "https://evil.test/rest/",
        "http://oauth.bitrix.info/rest/",
        "https://oauth.bitrix.info@evil.test/rest/",
        "https://oauth.bitrix.info.evil.test/rest/",
        "https://oauth.bitrix.info:8443/rest/",
        "file:///etc/passwd",
    ],
)
async def test_nobody_else_than_an_oauth_host_is_asked(world: Connected, server: str) -> None:
    claimed = world.described(application(world.tokens()), server_endpoint=server)

    with pytest.raises(AddressRefused, match="OAuth host"):
        await verify(world.connections, claimed)


@pytest.mark.parametrize(
    "place", ["http://portal.test/rest/", "https://169.254.169.254/rest/", "https://portal.test/x/"]
)
async def test_a_portal_that_says_to_be_at_a_wrong_place_is_refused(world: Connected, place: str) -> None:
    claimed = world.described(application(world.tokens()))
    world.switch(client_endpoint=place)

    with pytest.raises((AddressRefused, PortalUnreachable)):
        await verify(world.connections, claimed)


async def test_expired_tokens_of_a_kept_installation_are_renewed_and_kept(world: Connected) -> None:
    installation = await world.application(state=InstallationState.WAITING)
    world.expire()

    got = await verify(world.connections, installation)

    assert got.state is InstallationState.ACTIVE
    assert world.access(installation).refresh == tokens_of(got).refresh != tokens_of(installation).refresh


async def test_expired_tokens_that_are_not_kept_are_renewed_too(world: Connected) -> None:
    claimed = world.described(application(world.tokens()))
    world.expire()

    got = await verify(world.connections, claimed)

    assert tokens_of(got).refresh in world.portal.refresh
    assert tokens_of(got).refresh != tokens_of(claimed).refresh


async def test_an_expired_token_of_an_event_spends_nothing(world: Connected) -> None:
    installation = await world.application()
    alone = Tokens(access=world.tokens().access, refresh="", access_expires=0)
    world.expire()

    with pytest.raises(PortalRefused, match="expired"):
        await verify(world.connections, msgspec.structs.replace(installation, access=application(alone)))

    assert world.requests("oauth/token") == []


async def test_a_webhook_that_lets_us_in_is_active_at_its_own_address(world: Connected) -> None:
    access = WebhookAccess(url=f"{world.portal.origin}/rest/1/{WEBHOOK_CODE}")

    got = await verify(world.connections, world.described(access, **NEW))

    assert (got.state, got.client_endpoint) == (InstallationState.ACTIVE, f"{world.portal.origin}/rest/")
    assert got.access == WebhookAccess(url=f"{access.url}/")


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("{portal}/rest/1/wrong/", PortalRefused),
        ("{portal}/rest/1/", AddressRefused),
        ("{portal}/rest/1/simulatorwebhook/profile.json", AddressRefused),
        ("http://portal.test/rest/1/simulatorwebhook/", AddressRefused),
        ("https://127.0.0.1:1/rest/1/simulatorwebhook/", PortalUnreachable),
        ("https://10.0.0.1/rest/1/simulatorwebhook/", PortalUnreachable),
        ("https://user:word@portal.test/rest/1/simulatorwebhook/", AddressRefused),
    ],
)
async def test_a_webhook_that_leads_nowhere_is_refused_without_its_code(
    world: Connected, address: str, kind: type[WakelineError]
) -> None:
    access: Access = WebhookAccess(url=address.format(portal=world.portal.origin))

    with pytest.raises(kind) as refused:
        await verify(world.connections, world.described(access, **NEW))

    assert WEBHOOK_CODE not in f"{refused.value.detail} {refused.value.fix}"


class Oddly:
    """An HTTP client that answers in place of the OAuth host."""

    def __init__(self, world: Connected, answer: HttpAnswer | TransportError) -> None:
        self._inner = world.ports.http
        self._oauth = world.portal.oauth_origin
        self._answer = answer

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float) -> HttpAnswer:
        if not url.startswith(self._oauth):
            return await self._inner.post(url, body, headers, timeout=timeout)
        if isinstance(self._answer, TransportError):
            raise self._answer
        return self._answer


def said(status: int, body: bytes, **headers: str) -> HttpAnswer:
    return HttpAnswer(status=status, headers=headers, body=body)


@pytest.mark.parametrize(
    "answer",
    [
        TimedOut("no answer within 30 s"),
        said(502, b"<html>"),
        said(503, b'{"error":"OVERLOAD_LIMIT"}'),
        said(302, b"", location="https://evil.test/rest/app.info"),
        said(200, b'{"result":{"ID":"1","CODE":"local.x"}}'),
        said(200, b"{}"),
    ],
)
async def test_an_oauth_host_that_does_not_say_whose_the_tokens_are_is_asked_again_later(
    world: Connected, answer: HttpAnswer | TransportError
) -> None:
    connections = Connections(msgspec.structs.replace(world.ports, http=Oddly(world, answer)))

    with pytest.raises(PortalUnreachable, match="OAuth host") as unreachable:
        await verify(connections, world.described(application(world.tokens())))

    assert unreachable.value.retry_after


async def test_an_oauth_host_that_names_an_unknown_one_stays_itself(world: Connected) -> None:
    tokens = world.tokens()
    grant = {
        "access_token": tokens.access,
        "refresh_token": tokens.refresh,
        "server_endpoint": "https://evil.test/rest/",
    }
    world.script("oauth/token", ScriptedAnswer(body=msgspec.json.encode(grant).decode()))

    got = await redeem(world.connections, world.described(application(None), **NEW), world.code())

    assert got.server_endpoint == f"{world.portal.oauth_origin}/rest/"
    assert tokens_of(got).access == tokens.access


async def test_tokens_that_can_be_renewed_no_more_are_refused(world: Connected) -> None:
    claimed = world.described(application(world.tokens()))
    world.expire()
    world.portal.refresh.clear()

    with pytest.raises(PortalRefused, match="invalid_grant"):
        await verify(world.connections, claimed)


async def test_a_webhook_of_a_portal_that_has_moved_is_to_be_given_anew(world: Connected) -> None:
    access = WebhookAccess(url=f"{world.portal.origin}/rest/1/{WEBHOOK_CODE}/")
    world.switch(moved_to=world.portal.origin.replace("localhost", "127.0.0.1"))

    with pytest.raises(PortalUnreachable, match="not at localhost") as moved:
        await verify(world.connections, world.described(access, **NEW))

    assert "present address" in moved.value.fix


async def test_a_portal_that_is_down_is_unreachable_with_a_time_to_try_again(world: Connected) -> None:
    world.script("app.info", ScriptedAnswer(status=500, times=None))

    with pytest.raises(PortalUnreachable) as unreachable:
        await verify(world.connections, world.described(application(world.tokens())))

    assert unreachable.value.retry_after
