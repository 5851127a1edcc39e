"""Push services under the doctor's eyes: which are asked, what an answer or its absence means, and what they say the time is."""

from __future__ import annotations

import msgspec
import pytest

from stories.world import World
from unit.doctor.clinic import line, ports_in
from unit.edges.rest.gateway import Outlook
from wakeline.doctor import services
from wakeline.doctor.checking import DoctorPorts
from wakeline.model.credential import Credential, CredentialKind, CredentialSecret
from wakeline.model.errors import ConnectFailed
from wakeline.model.route import Environment, ProviderKind
from wakeline.observe.health import Status
from wakeline.ports import NewCredential
from wakeline.storage.sealing import Sealer
from wakeline.wire.flexisip.external import Template

pytestmark = pytest.mark.anyio
APPLE = "api.push.apple.com:443"
CLOCK = "clock against push services"


@pytest.fixture
async def world() -> World:
    return await World().open()


@pytest.fixture
def outlook() -> Outlook:
    return Outlook()


@pytest.fixture
def ports(world: World, outlook: Outlook) -> DoctorPorts:
    return ports_in(world, outlook=outlook)


async def google(world: World) -> None:
    secret = CredentialSecret(
        kind=CredentialKind.FCM_SERVICE_ACCOUNT,
        private_key=b"a key",
        token_uri="https://oauth2.googleapis.com/token?key=s",
    )
    facts = Credential(
        id=0, app=world.app.id, kind=CredentialKind.FCM_SERVICE_ACCOUNT, environments=(), topics=("acme-1",)
    )
    await world.store.credentials.create(NewCredential(facts=facts, secret=secret), world.clock.now())


async def test_without_a_credential_nobody_is_asked(outlook: Outlook) -> None:
    world = World()
    world.app = await world.store.apps.create("acme", "Acme", world.clock.now())
    [found] = await services.look(ports_in(world, outlook=outlook))

    assert (found.status, outlook.services) == (Status.SKIPPED, [])


async def test_apple_is_asked_where_pushes_go_and_nothing_is_said_of_its_clock(
    world: World, ports: DoctorPorts, outlook: Outlook
) -> None:
    status, cause, _ = await line(services.look, ports, f"apns at {APPLE}")
    clock = await line(services.look, ports, CLOCK)
    await world.device("dev-1", "dora", "apns:d1@sandbox")
    await world.send("dora")
    outlook.services.clear()
    await services.look(ports)

    assert (status, cause) == ("ok", f"{APPLE} answers; its certificate is good.")
    assert clock[0] == "skipped"
    assert outlook.services == [(ProviderKind.APNS, "https://api.sandbox.push.apple.com:443")]


async def test_google_and_its_token_endpoint_are_asked_for_nothing_but_their_origin(
    world: World, ports: DoctorPorts, outlook: Outlook
) -> None:
    await google(world)
    names = {check.name for check in await services.look(ports)}

    assert {"fcm at fcm.googleapis.com", "fcm at oauth2.googleapis.com"} <= names
    assert (ProviderKind.FCM, "https://oauth2.googleapis.com") in outlook.services


async def test_an_external_push_uri_is_asked_for_its_origin_and_nothing_of_it_is_shown(
    world: World, ports: DoctorPorts, outlook: Outlook
) -> None:
    template = Template("https://bob:secret@push.example.org:8443/wake?key=hidden&token=$pn-prid")
    secret = CredentialSecret(kind=CredentialKind.EXTERNAL_PUSH, private_key=msgspec.json.encode(template))
    facts = Credential(id=0, app=world.app.id, kind=CredentialKind.EXTERNAL_PUSH, environments=())
    await world.store.credentials.create(NewCredential(facts=facts, secret=secret), world.clock.now())
    found = [check for check in await services.look(ports) if check.name.startswith("http at ")]

    assert [check.name for check in found] == ["http at push.example.org:8443"]
    assert (ProviderKind.HTTP, "https://push.example.org:8443") in outlook.services
    assert not [check for check in found if "secret" in str(check) or "hidden" in str(check)]


async def test_a_credential_that_cannot_be_opened_hides_no_other_line(outlook: Outlook) -> None:
    world = await World().open()
    await google(world)
    world.store.credentials._secrets = Sealer(b"x" * 32)

    names = {check.name for check in await services.look(ports_in(world, outlook=outlook))}

    assert {f"apns at {APPLE}", "fcm at fcm.googleapis.com"} <= names
    assert not [name for name in names if "oauth2" in name]


async def test_browsers_are_asked_where_their_subscriptions_are(
    world: World, ports: DoctorPorts, outlook: Outlook
) -> None:
    await world.vapid()
    await world.store.routes.ensure(
        world.app.id, ProviderKind.WEBPUSH, Environment.PRODUCTION, "https://updates.push.services.mozilla.com"
    )
    await services.look(ports)

    assert (ProviderKind.WEBPUSH, "https://updates.push.services.mozilla.com") in outlook.services


async def test_the_same_service_of_two_apps_is_asked_once(world: World, ports: DoctorPorts, outlook: Outlook) -> None:
    world.app = await world.store.apps.create("other", "Other", world.clock.now())
    await world.credential()
    await services.look(ports)

    assert len(outlook.services) == 1


async def test_a_service_that_cannot_be_reached_fails_with_the_cause_and_the_settings(
    ports: DoctorPorts, outlook: Outlook
) -> None:
    outlook.failures[APPLE] = ConnectFailed("api.push.apple.com has no address")
    status, cause, fix = await line(services.look, ports, f"apns at {APPLE}")

    assert status == "failed"
    assert "what is sent there waits: api.push.apple.com has no address." in cause
    assert ("2197" in fix, "[providers.apns]" in fix) == (True, True)


async def test_a_service_that_is_silent_is_given_up_and_the_others_are_told(
    world: World, ports: DoctorPorts, outlook: Outlook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "PATIENCE", 0.05)
    await google(world)
    outlook.silent.add(APPLE)

    assert (await line(services.look, ports, f"apns at {APPLE}"))[0] == "failed"
    assert (await line(services.look, ports, "fcm at fcm.googleapis.com"))[0] == "ok"


@pytest.mark.parametrize(
    ("ahead", "status", "words"),
    [
        (0, "ok", "within 1 s"),
        (29_000, "ok", "within 29 s"),
        (45_000, "warning", "45 s ahead of"),
        (-45_000, "warning", "45 s behind"),
        (-400_000, "failed", "400 s behind"),
    ],
)
async def test_a_clock_that_differs_from_theirs_is_told_before_signatures_are_refused(
    ports: DoctorPorts, outlook: Outlook, ahead: int, status: str, words: str
) -> None:
    outlook.ahead = ahead
    found, cause, fix = await line(services.look, ports, CLOCK)

    assert (found, words in cause) == (status, True)
    assert ("NTP" in fix) is (status != "ok")
