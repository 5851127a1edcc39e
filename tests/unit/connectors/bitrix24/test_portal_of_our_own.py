"""Our client at the portal that we play ourselves: what other clients of Bitrix24 need of it is what ours needs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import httpx2
import msgspec
import pytest
from starlette.types import ASGIApp

from unit.edges.bitrix24.portal import ADMIN, ADMIN_TOKEN, CODE, SCOPES, Portal, opened
from unit.edges.bitrix24.signing import CLIENT, code, serve
from wakeline.config import Bitrix24, Server, Settings
from wakeline.connectors.bitrix24.binding import bind
from wakeline.connectors.bitrix24.connections import Connections
from wakeline.connectors.bitrix24.installing import redeem, verify
from wakeline.connectors.bitrix24.paging import id_of
from wakeline.connectors.bitrix24.standing import ClientPorts
from wakeline.edges.bitrix24.addresses import is_oauth_host
from wakeline.edges.bitrix24.oauth import OAuthDoor
from wakeline.model.bitrix24.installation import ApplicationAccess, Installation, Tokens, WebhookAccess
from wakeline.model.bitrix24.records import Fields, Record, RecordKind
from wakeline.model.bitrix24.rule import Rule
from wakeline.model.errors import PortalClosed, PortalRefused
from wakeline.ports import HttpAnswer
from wakeline.service.mount import Door as Doors
from wakeline.service.mount import Mount

pytestmark = pytest.mark.anyio

OAUTH = "oauth.bitrix.info"
SECTION = Bitrix24(oauth_hosts=(OAUTH,), portal_hosts=("portal.test",))
SETTINGS = Settings(server=Server(public_url="https://portal.test"), bitrix24=SECTION)


class Near:
    """An HTTP client whose network is this process."""

    def __init__(self, portal: Portal) -> None:
        doors: dict[Doors, ASGIApp] = {Doors.PORTAL: portal.door, Doors.OAUTH: OAuthDoor(portal.ports)}
        app = Mount(doors, lambda host: is_oauth_host(host, SECTION))
        self.client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app, raise_app_exceptions=False))

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float) -> HttpAnswer:
        answer = await self.client.post(url, content=body, headers=dict(headers))
        return HttpAnswer(status=answer.status_code, headers=dict(answer.headers), body=answer.content)


@pytest.fixture
async def portal(anyio_backend: str) -> AsyncIterator[Portal]:
    made = await opened(SETTINGS)
    yield made
    await made.client.aclose()
    await made.gateway.client.aclose()
    await made.store.close()


@pytest.fixture
async def connections(portal: Portal) -> AsyncIterator[Connections]:
    store, near = portal.store, Near(portal)
    yield Connections(
        ClientPorts(
            clock=portal.clock,
            installations=store.installations,
            apps=store.apps,
            events=store.events,
            http=near,
            settings=lambda: SETTINGS,
        )
    )
    await near.client.aclose()


def described(access: ApplicationAccess | WebhookAccess) -> Installation:
    return Installation(id=0, name="n", app=1, access=access, client_endpoint="https://portal.test/rest/")


def application(tokens: Tokens | None, secret: str = CLIENT["client_secret"]) -> ApplicationAccess:
    return ApplicationAccess(client_id="local.test", client_secret=secret, tokens=tokens)


async def connected(portal: Portal, connections: Connections) -> Installation:
    """The application of the portal, installed and kept."""
    tokens = Tokens(access=ADMIN_TOKEN, refresh=f"refresh-{ADMIN_TOKEN}", access_expires=portal.clock.now() + 3_600_000)
    found = await verify(connections, described(application(tokens)))
    return await portal.store.installations.create(found)


async def test_it_says_who_it_is(portal: Portal, connections: Connections) -> None:
    installation = await connected(portal, connections)

    assert installation.member_id == portal.store.portal_access.portal().member_id
    assert installation.client_endpoint == "https://portal.test/rest/"
    assert installation.server_endpoint == f"https://{OAUTH}/rest/"
    assert isinstance(installation.access, ApplicationAccess)
    assert installation.access.tokens is not None
    assert (installation.access.tokens.user, set(installation.access.tokens.scopes)) == (ADMIN, set(SCOPES))


async def test_a_code_is_redeemed_once(portal: Portal, connections: Connections) -> None:
    await serve(portal)
    granted = await code(portal)

    found = await redeem(connections, described(application(None)), granted)

    assert found.member_id
    with pytest.raises(PortalRefused, match="invalid_grant"):
        await redeem(connections, described(application(None)), granted)


async def test_a_wrong_secret_and_a_wrong_code_of_a_webhook_are_refused(
    portal: Portal, connections: Connections
) -> None:
    with pytest.raises(PortalRefused, match="invalid_client"):
        await redeem(connections, described(application(None, "guess")), "x" * 32)
    with pytest.raises(PortalRefused, match="401 NO_AUTH_FOUND"):
        await verify(connections, described(WebhookAccess(url="https://portal.test/rest/1/wrong00000000000/")))


async def test_tokens_are_renewed_while_it_lasts_and_closed_when_it_is_over(
    portal: Portal, connections: Connections
) -> None:
    installation = await connected(portal, connections)
    for _ in range(3):
        portal.clock.advance(3700)
        assert (await connections.of(installation.id).call("profile")).result["ID"] == "1"  # type: ignore[index] # a map

    portal.clock.advance(365 * 86_400)
    with pytest.raises(PortalClosed, match="invalid_grant"):
        await connections.of(installation.id).call("profile")


async def test_batches_references_and_long_lists(portal: Portal, connections: Connections) -> None:
    fields: Fields = {"TITLE": "Deal", "ASSIGNED_BY_ID": "7"}
    await portal.store.portal_records.put(
        [Record(kind=RecordKind.DEAL, id=number, fields=fields) for number in range(1, 1324)]
    )
    await connected(portal, connections)
    webhook = await verify(connections, described(WebhookAccess(url=f"https://portal.test/rest/{ADMIN}/{CODE}/")))
    kept = await portal.store.installations.create(msgspec.structs.replace(webhook, name="hook"))

    for client in (connections.of(1), connections.of(kept.id)):
        found = [id_of(row) async for page in client.rows("crm.deal.list", {"select": ["ID"]}) for row in page]
        answered = await client.batch(
            {
                "d": ("crm.deal.get", {"ID": 7}),
                "u": ("user.get", {"ID": "$result[d][ASSIGNED_BY_ID]"}),
                "x": ("no.such", {}),
            }
        )

        assert found == list(range(1, 1324))
        assert answered.results["u"][0]["ID"] == "7"  # type: ignore[index] # a list of users
        assert answered.errors["x"].code == "ERROR_METHOD_NOT_FOUND"


async def test_events_are_bound_and_taken_back(portal: Portal, connections: Connections) -> None:
    installation = await connected(portal, connections)
    rules = portal.store.portal_rules
    rule = await rules.create(Rule(id=0, name="r", event="ONCRMDEALUPDATE", recipients=("1",)))

    assert "ONCRMDEALUPDATE" in (await bind(connections, rules, installation)).events
    assert "ONCRMDEALUPDATE" in (await bind(connections, rules, installation)).events
    handlers = (await connections.of(installation.id).call("event.get")).result
    assert isinstance(handlers, list)
    assert sorted(row["offline"] for row in handlers if row["event"] == "ONCRMDEALUPDATE") == [0, 1]
    assert portal.store.installations.all()[0].offline

    await rules.delete(rule.id)
    assert "ONCRMDEALUPDATE" not in (await bind(connections, rules, installation)).events
    assert not portal.store.installations.all()[0].offline
