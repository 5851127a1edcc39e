"""A watched directory: what settles is taken, what is refused harms nobody, what goes away stays in force."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from apn_directory import ACME, Taker, identity, put, taker
from unit.edges.rest.gateway import inspect_here
from wakeline.cli.demo import material
from wakeline.config import Settings
from wakeline.config.tree import CredentialsSection
from wakeline.model.credential import CredentialKind
from wakeline.model.event import EventType
from wakeline.model.key import Scope
from wakeline.observe.health import Status
from wakeline.service.credential_directory.watch import AGAIN_LATER, CHECK, LOOK_EVERY, Watch

pytestmark = pytest.mark.anyio
VOIP = f"{ACME}.voip"
_READ = (Scope.READ,)


class Watched(Taker):
    """A directory and the watch on it."""

    settings = Settings()

    def start(self, **section: str) -> None:
        """Watch the directory, as a gateway that starts does."""
        wanted = CredentialsSection(**{"directory": str(self.directory), "app": "chat", **section})
        self.settings = msgspec.structs.replace(self.settings, credentials=wanted)
        gateway = self.gateway
        self.watch = Watch(
            lambda: self.settings,
            self.door,
            inspect_here,
            gateway.store.events,
            gateway.store.settings,
            gateway.health,
            gateway.clock,
        )

    async def look(self, times: int = 2, seconds: float = LOOK_EVERY) -> list[EventDict]:
        """Look and return what was logged; twice is what a file needs to be seen as settled."""
        with capture_logs() as logged:
            for _ in range(times):
                await self.watch.look()
                self.gateway.clock.advance(seconds)
        return [line for line in logged if str(line["event"]).startswith("credential_file")]

    async def topics(self) -> list[tuple[str, ...]]:
        """Return the topics of what is stored."""
        return [one.topics for one in await self.stored("chat")]

    async def events(self) -> list[tuple[EventType, str]]:
        """Return what was said to those who listen."""
        types = frozenset({EventType.CREDENTIAL_FAILED, EventType.CREDENTIAL_RECOVERED})
        return [(one.type, one.data.note) for one in await self.gateway.store.events.read(after=0, types=types)]

    def remark(self) -> str:
        """Return what health says of the directory."""
        check = self.gateway.health.remarks.get(CHECK)
        return "" if check is None else check.cause


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    directory = tmp_path / "apn"
    directory.mkdir()
    plain = await taker(directory)
    made = Watched(plain.gateway, directory)
    await plain.door.close()
    await made.gateway.call("POST", "/v1/apps", json={"id": "chat"})
    made.start()
    yield made
    await made.door.close()
    await made.gateway.client.aclose()
    await made.gateway.store.close()


def said(logged: list[EventDict]) -> list[tuple[str, str]]:
    return [(str(line["event"]), str(line.get("file", ""))) for line in logged if line["event"] != _WATCHED]


_WATCHED = "credential_files.watched"


async def test_what_lies_there_at_the_start_and_what_comes_later_is_stored(watched: Watched) -> None:
    put(watched.directory / f"{ACME}.prod.pem", ACME)
    assert said(await watched.look()) == [("credential_file.kept", f"{ACME}.prod.pem")]
    put(watched.directory / f"{VOIP}.prod.pem", VOIP)
    assert said(await watched.look()) == [("credential_file.kept", f"{VOIP}.prod.pem")]

    assert await watched.topics() == [(ACME,), (VOIP,)]
    assert said(await watched.look(5)) == []


async def test_a_renewed_file_takes_the_place_of_the_old(watched: Watched) -> None:
    file = put(watched.directory / f"{ACME}.prod.pem", ACME)
    await watched.look()
    (before,) = await watched.stored("chat")

    put(file, ACME, days=301)

    (line,) = await watched.look()
    assert (line["result"], line["app"]) == ("renewed", "chat")
    (after,) = await watched.stored("chat")
    assert after.revision == before.revision + 1


async def test_a_file_that_is_being_written_is_left_until_it_settles(watched: Watched) -> None:
    whole = identity(ACME, days=301)
    file = put(watched.directory / f"{ACME}.prod.pem", ACME)
    await watched.look()
    for length in range(len(whole) // 4, len(whole), len(whole) // 4):
        file.write_bytes(whole[:length])
        assert await watched.look(1) == []

    file.write_bytes(whole)

    assert [line["result"] for line in await watched.look()] == ["renewed"]
    assert await watched.events() == []


async def test_half_a_file_is_refused_once_and_the_working_credential_stays(watched: Watched) -> None:
    file = put(watched.directory / f"{ACME}.prod.pem", ACME)
    await watched.look()
    before = await watched.stored("chat")
    whole = identity(ACME, days=301)

    file.write_bytes(whole[: len(whole) // 2])
    assert said(await watched.look()) == [("credential_file.refused", file.name)]
    assert said(await watched.look(5, seconds=AGAIN_LATER)) == []
    assert await watched.stored("chat") == before
    assert watched.remark().startswith(file.name)
    ((event_type, note),) = await watched.events()
    assert event_type is EventType.CREDENTIAL_FAILED
    assert file.name in note

    file.write_bytes(whole)
    assert [line["result"] for line in await watched.look()] == ["renewed"]
    assert watched.remark() == ""
    assert (await watched.events())[-1][0] is EventType.CREDENTIAL_RECOVERED


async def test_a_file_that_is_refused_again_after_a_change_is_told_again(watched: Watched) -> None:
    file = watched.directory / f"{ACME}.prod.pem"
    for text in ("first", "other!"):
        file.write_text(text)
        assert said(await watched.look()) == [("credential_file.refused", file.name)]


async def test_what_was_refused_for_lack_of_an_app_is_taken_once_there_is_one(watched: Watched) -> None:
    watched.start(app="")
    await watched.gateway.call("POST", "/v1/apps", json={"id": "mail"})
    put(watched.directory / f"{ACME}.prod.pem", ACME)
    assert said(await watched.look()) == [("credential_file.refused", f"{ACME}.prod.pem")]

    await watched.gateway.call("POST", "/v1/apps", json={"id": ACME})

    assert [line["app"] for line in await watched.look(1)] == [ACME]


async def test_links_that_are_flipped_at_once_are_seen_as_a_renewal(watched: Watched) -> None:
    """Kubernetes and certbot: the names stay, a link in the middle is exchanged."""
    for version, days in (("..1", 300), ("..2", 301)):
        (watched.directory / version).mkdir()
        put(watched.directory / version / f"{ACME}.prod.pem", ACME, days=days)
    (watched.directory / "..data").symlink_to("..1")
    (watched.directory / f"{ACME}.prod.pem").symlink_to(f"..data/{ACME}.prod.pem")
    assert [line["result"] for line in (await watched.look())[1:]] == ["stored"]

    (watched.directory / "..new").symlink_to("..2")
    (watched.directory / "..new").rename(watched.directory / "..data")

    assert [line["result"] for line in await watched.look()] == ["renewed"]
    assert len(await watched.stored("chat")) == 1


async def test_a_file_that_goes_away_leaves_its_credential(watched: Watched) -> None:
    file = put(watched.directory / f"{ACME}.prod.pem", ACME)
    await watched.look()
    before = await watched.stored("chat")

    file.unlink()

    assert said(await watched.look()) == [("credential_file.gone", file.name)]
    assert await watched.stored("chat") == before
    assert said(await watched.look(3)) == []


async def test_what_the_operator_or_a_trial_took_back_is_not_brought_again(watched: Watched) -> None:
    file = put(watched.directory / f"{ACME}.prod.pem", ACME)
    await watched.look()
    (one,) = await watched.stored("chat")
    await watched.gateway.call("DELETE", f"/v1/apps/chat/credentials/{one.id}")

    put(watched.directory / "com.acme.mail.prod.pem", "com.acme.mail")
    assert said(await watched.look()) == [
        ("credential_file.skipped", file.name),
        ("credential_file.kept", "com.acme.mail.prod.pem"),
    ]

    put(file, ACME, days=301)
    assert said(await watched.look()) == [("credential_file.kept", file.name)]


async def test_a_key_that_was_replaced_by_hand_is_not_brought_back_by_its_file(watched: Watched) -> None:
    file = watched.directory / f"AuthKey_{material.KEY_ID}.p8"
    file.write_bytes(material.auth_key())
    watched.start(team_id=material.TEAM_ID)
    await watched.look()
    watched.start(team_id=material.TEAM_ID)
    await watched.look()
    form = {"key_id": "BYHANDKEY1", "team_id": material.TEAM_ID, "check": "false"}
    answer = await watched.gateway.call(
        "POST", "/v1/apps/chat/credentials", files={"file": ("key.p8", material.auth_key())}, data=form
    )
    assert (answer.status_code, answer.json()["revision"]) == (201, 2)

    put(watched.directory / "com.acme.mail.prod.pem", "com.acme.mail")
    await watched.look()
    watched.start(team_id=material.TEAM_ID)
    await watched.look()

    [key] = [one for one in await watched.stored("chat") if one.kind is CredentialKind.APNS_KEY]
    assert key.key_id == "BYHANDKEY1"

    file.write_bytes(material.auth_key())
    assert ("credential_file.kept", file.name) in said(await watched.look())


async def test_what_a_former_process_stored_and_the_operator_removed_comes_back_with_the_next_start_alone(
    watched: Watched,
) -> None:
    file = put(watched.directory / f"{ACME}.prod.pem", ACME)
    await watched.look()
    watched.start()
    await watched.look()
    (one,) = await watched.stored("chat")
    await watched.gateway.call("DELETE", f"/v1/apps/chat/credentials/{one.id}")

    put(watched.directory / "com.acme.mail.prod.pem", "com.acme.mail")
    assert ("credential_file.skipped", file.name) in said(await watched.look())

    watched.start()
    assert said(await watched.look()) == [("credential_file.kept", file.name)]


async def test_another_name_for_the_same_content_is_no_loss(watched: Watched) -> None:
    file = put(watched.directory / f"{ACME}.prod.pem", ACME, marks=("1", "2"))
    (watched.directory / f"{ACME}.dev.pem").symlink_to(file.name)
    await watched.look()

    (watched.directory / f"{ACME}.dev.pem").unlink()

    assert said(await watched.look()) == []
    assert len(await watched.stored("chat")) == 1


async def test_one_file_that_never_settles_does_not_keep_the_others(watched: Watched) -> None:
    put(watched.directory / f"{ACME}.prod.pem", ACME)
    busy = watched.directory / "com.acme.mail.prod.pem"
    logged = []
    for number in range(20):
        busy.write_text("x" * number)
        logged += await watched.look(1)

    assert said(logged) == [("credential_file.kept", f"{ACME}.prod.pem")]


async def test_a_directory_that_is_not_there_is_told_once_and_found_when_it_comes(watched: Watched) -> None:
    watched.start(directory=str(watched.directory / "later"))
    logged = await watched.look(5)
    assert [line["event"] for line in logged] == [_WATCHED, "credential_files.absent"]
    assert "later" in watched.remark()

    (watched.directory / "later").mkdir()
    put(watched.directory / "later" / f"{ACME}.prod.pem", ACME)

    assert said(await watched.look()) == [("credential_file.kept", f"{ACME}.prod.pem")]
    assert watched.remark() == ""


async def test_new_settings_count_at_the_next_look(watched: Watched) -> None:
    (watched.directory / "bad.prod.pem").write_text("bad")
    await watched.look()
    assert watched.remark()
    watched.settings = msgspec.structs.replace(watched.settings, credentials=CredentialsSection())

    assert await watched.look() == []
    assert watched.remark() == ""


async def test_health_names_the_file_to_who_may_see_the_installation(watched: Watched) -> None:
    (watched.directory / f"{ACME}.prod.pem").write_text("bad")
    await watched.look()

    shown = (await watched.gateway.call("GET", "/v1/health")).json()

    assert shown["status"] == Status.WARNING
    assert next(check["cause"] for check in shown["checks"] if check["name"] == CHECK).startswith(f"{ACME}.prod.pem")
    assert (await watched.gateway.call("GET", "/readyz")).status_code == 200
    bound = await watched.gateway.key(*_READ, apps=("chat",))
    assert ACME not in (await watched.gateway.call("GET", "/v1/health", key=bound)).text
