"""A directory of credential files, taken once: names, links, doubtful files, and what is there already."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from apn_directory import ACME, PRODUCTION, SANDBOX, Taker, identity, put, taker
from wakeline.cli.demo import material
from wakeline.model.credential import CredentialKind, Grade
from wakeline.model.route import Environment
from wakeline.service.credential_directory import Result, look
from wakeline.service.credential_directory.judged import collect
from wakeline.service.credential_directory.names import Said, said_by

pytestmark = pytest.mark.anyio
VOIP = f"{ACME}.voip"
BOTH = (PRODUCTION, SANDBOX)


@pytest.fixture
async def apn(tmp_path: Path) -> AsyncIterator[Taker]:
    made = await taker(tmp_path)
    yield made
    await made.door.close()
    await made.gateway.client.aclose()
    await made.gateway.store.close()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (f"{ACME}.prod.pem", Said(topic=ACME, environment=Environment.PRODUCTION)),
        (f"{ACME}.dev.pem", Said(topic=ACME, environment=Environment.SANDBOX)),
        (f"{VOIP}.prod.pem", Said(topic=VOIP, environment=Environment.PRODUCTION)),
        (f"{VOIP}.dev.p12", Said(topic=VOIP, environment=Environment.SANDBOX)),
        ("apple.pem", Said()),
        (f"{ACME}.pem", Said()),
        ("AuthKey_ABC1234567.p8", Said()),
    ],
)
def test_a_name_says_topic_and_environment(name: str, said: Said) -> None:
    assert said_by(name) == said


async def test_the_directory_of_the_flexisip_manual_is_taken_whole(apn: Taker) -> None:
    put(apn.directory / f"{ACME}.prod.pem", ACME, marks=BOTH)
    put(apn.directory / f"{VOIP}.prod.pem", VOIP, marks=BOTH)
    (apn.directory / f"{ACME}.dev.pem").symlink_to(f"{ACME}.prod.pem")
    (apn.directory / f"{VOIP}.dev.pem").symlink_to(f"{VOIP}.prod.pem")

    lines = await apn.take(create_apps=True)

    assert {name: (line.result, line.also, line.app) for name, line in lines.items()} == {
        f"{ACME}.prod.pem": (Result.STORED, (f"{ACME}.dev.pem",), ACME),
        f"{VOIP}.prod.pem": (Result.STORED, (f"{VOIP}.dev.pem",), ACME),
    }
    assert [(one.topics, one.environment) for one in await apn.stored()] == [((ACME,), "both"), ((VOIP,), "both")]


async def test_taking_it_again_changes_nothing(apn: Taker) -> None:
    put(apn.directory / f"{ACME}.prod.pem", ACME)
    put(apn.directory / f"{VOIP}.prod.pem", VOIP)
    await apn.take(create_apps=True)
    before = await apn.stored()

    assert {line.result for line in (await apn.take()).values()} == {Result.UNCHANGED}
    assert await apn.stored() == before


async def test_a_dry_run_says_the_same_and_keeps_nothing(apn: Taker) -> None:
    put(apn.directory / f"{ACME}.prod.pem", ACME)
    put(apn.directory / f"{VOIP}.prod.pem", VOIP)

    dry = await apn.take(create_apps=True, dry=True)

    assert await apn.door.apps() == []
    wet = await apn.take(create_apps=True)
    assert {name: line.result for name, line in dry.items()} == {name: line.result for name, line in wet.items()}


async def test_copies_under_two_names_are_one_credential(apn: Taker) -> None:
    put(apn.directory / f"{ACME}.prod.pem", ACME, marks=BOTH)
    copy = apn.directory / f"{ACME}.dev.pem"
    copy.write_bytes((apn.directory / f"{ACME}.prod.pem").read_bytes())

    assert len(await apn.take(create_apps=True)) == 1
    assert len(await apn.stored()) == 1


async def test_the_certificate_wins_over_a_name_that_promises_another_environment(apn: Taker) -> None:
    put(apn.directory / f"{ACME}.prod.pem", ACME, marks=(SANDBOX,))

    line = (await apn.take(create_apps=True))[f"{ACME}.prod.pem"]

    assert line.result is Result.STORED
    assert "promises production" in line.notes[0]
    assert (await apn.stored())[0].environment == "sandbox"


async def test_a_certificate_without_marks_and_topics_is_for_what_its_name_says(apn: Taker) -> None:
    put(apn.directory / f"{VOIP}.dev.pem", marks=())

    assert (await apn.take(create_apps=True))[f"{VOIP}.dev.pem"].result is Result.STORED
    (kept,) = await apn.stored()
    assert (kept.topics, kept.environment) == ((VOIP,), "sandbox")


async def test_a_certificate_under_the_name_of_another_app_is_refused(apn: Taker) -> None:
    put(apn.directory / "com.acme.mail.prod.pem", ACME)

    line = (await apn.take(create_apps=True))["com.acme.mail.prod.pem"]

    assert line.result is Result.REFUSED
    assert ACME in line.notes[0]
    assert await apn.door.apps() == []


async def test_a_link_that_promises_another_topic_is_warned_about(apn: Taker) -> None:
    put(apn.directory / f"{ACME}.prod.pem", ACME)
    (apn.directory / f"{VOIP}.prod.pem").symlink_to(f"{ACME}.prod.pem")

    line = (await apn.take(create_apps=True))[f"{ACME}.prod.pem"]

    assert line.result is Result.STORED
    assert line.notes[0].startswith(f"{VOIP}.prod.pem promises {VOIP}")
    assert line.topics == (ACME,)


async def test_each_file_that_cannot_be_used_gets_its_line_and_harms_no_other(apn: Taker) -> None:
    put(apn.directory / f"{ACME}.prod.pem", ACME)
    (apn.directory / "a.prod.pem").symlink_to("nowhere.pem")
    (apn.directory / "b.prod.pem").symlink_to("b.prod.pem")
    (apn.directory / "c.prod.pem").write_text("no certificate")
    (apn.directory / "d.prod.pem").write_bytes(b"x" * 100_000)
    (apn.directory / "e.prod.pem").write_bytes(b"")
    os.mkfifo(apn.directory / "f.prod.pem")
    (apn.directory / "g.prod.pem").mkdir()
    (apn.directory / "README").write_text("by the administrator")
    (apn.directory / ".hidden.pem").write_text("an editor's copy")
    put(apn.directory / "old.prod.pem", "com.acme.old", days=-1)

    lines = await apn.take(create_apps=True)

    words = {name: line.notes[0] for name, line in lines.items() if line.result is Result.REFUSED}
    for name, word in {
        "a.prod.pem": "no such file",
        "b.prod.pem": "back to itself",
        "c.prod.pem": "no PEM",
        "d.prod.pem": "100000 bytes",
        "e.prod.pem": "empty",
        "f.prod.pem": "no regular file",
        "old.prod.pem": "expired",
    }.items():
        assert word in words.pop(name), name
    assert not words
    assert {name for name, line in lines.items() if line.result is Result.SKIPPED} == {"g.prod.pem", "README"}
    assert lines[f"{ACME}.prod.pem"].result is Result.STORED
    assert await apn.door.apps() == [ACME]


async def test_a_file_that_cannot_be_read_is_named(apn: Taker) -> None:
    """Root may read any file of a disk, so one that no process can read stands for one that ours may not."""
    (apn.directory / f"{ACME}.prod.pem").symlink_to("/proc/self/mem")

    assert "cannot be read" in (await apn.take(create_apps=True))[f"{ACME}.prod.pem"].notes[0]


async def test_a_private_key_that_everybody_may_read_is_warned_about(apn: Taker) -> None:
    put(apn.directory / f"{ACME}.prod.pem", ACME, mode=0o644)

    assert "chmod o-r" in (await apn.take(create_apps=True))[f"{ACME}.prod.pem"].notes[0]


async def test_a_renewed_certificate_takes_the_place_of_its_own_and_not_of_its_sibling(apn: Taker) -> None:
    put(apn.directory / f"{VOIP}.prod.pem", VOIP)
    put(apn.directory / f"{ACME}.prod.pem", ACME, VOIP)
    await apn.take(create_apps=True)
    before = {one.topics: one.id for one in await apn.stored()}
    put(apn.directory / f"{ACME}.prod.pem", ACME, VOIP, days=301)

    lines = await apn.take()

    assert lines[f"{ACME}.prod.pem"].result is Result.RENEWED
    assert lines[f"{VOIP}.prod.pem"].result is Result.UNCHANGED
    assert {one.topics: one.id for one in await apn.stored()} == before


async def test_another_team_or_fewer_topics_is_no_renewal_unless_it_is_said_so(apn: Taker) -> None:
    file = put(apn.directory / f"{ACME}.prod.pem", ACME, VOIP, team="AAAAAAAAAA")
    await apn.take(create_apps=True)
    before = await apn.stored()
    for topics, team in (((ACME, VOIP), "BBBBBBBBBB"), ((ACME,), "AAAAAAAAAA")):
        put(file, *topics, team=team, days=301)
        line = (await apn.take())[file.name]
        assert line.result is Result.REFUSED
        assert "differs from the one it would replace" in line.notes[0]
        assert await apn.stored() == before

    assert (await apn.take(replace=True))[file.name].result is Result.RENEWED
    assert [one.topics for one in await apn.stored()] == [(ACME,)]


async def test_an_older_file_does_not_undo_a_renewal(apn: Taker) -> None:
    file = put(apn.directory / f"{ACME}.prod.pem", ACME, days=301)
    await apn.take(create_apps=True)
    put(file, ACME, days=10)

    assert (await apn.take())[file.name].result is Result.SKIPPED
    assert (await apn.take(replace=True))[file.name].result is Result.RENEWED


async def test_a_link_fewer_takes_nothing_away(apn: Taker) -> None:
    put(apn.directory / f"{ACME}.prod.pem", marks=())
    link = apn.directory / f"{ACME}.dev.pem"
    link.symlink_to(f"{ACME}.prod.pem")
    await apn.take(create_apps=True)
    assert (await apn.stored())[0].environment == "both"
    link.unlink()

    assert (await apn.take())[f"{ACME}.prod.pem"].result is Result.UNCHANGED
    assert (await apn.stored())[0].environment == "both"


async def test_the_app_is_the_one_that_covers_the_bundle_id_or_the_one_that_was_named(apn: Taker) -> None:
    for slug in ("chat", "mail"):
        await apn.gateway.call("POST", "/v1/apps", json={"id": slug})
    put(apn.directory / f"{ACME}.prod.pem", ACME)
    put(apn.directory / "com.acme.mail.prod.pem", "com.acme.mail")
    refused = (await apn.take())[f"{ACME}.prod.pem"]
    assert refused.result is Result.REFUSED
    assert "--app" in refused.notes[1]

    assert {line.app for line in (await apn.take(app="chat")).values()} == {"chat"}
    put(apn.directory / f"{VOIP}.prod.pem", VOIP)
    assert (await apn.take(app="mail"))[f"{VOIP}.prod.pem"].app == "chat"  # chat covers the bundle id already


async def test_an_app_that_was_named_and_is_not_there_is_made_only_if_that_is_wanted(apn: Taker) -> None:
    file = put(apn.directory / f"{ACME}.prod.pem", ACME)

    for dry in (True, False):
        assert "There is no app chat" in (await apn.take(app="chat", dry=dry))[file.name].notes[0]

    assert (await apn.take(app="chat", create_apps=True))[file.name].app == "chat"
    assert await apn.door.apps() == ["chat"]


async def test_a_file_that_changes_between_look_and_read_is_left_for_later(apn: Taker) -> None:
    file = put(apn.directory / f"{ACME}.prod.pem", ACME)
    entries = look(apn.directory)
    file.write_bytes(identity(ACME, days=301)[:500])

    files, unread = collect(apn.directory, entries.values())

    assert files == []
    assert [(one.name, one.passing) for one in unread] == [(file.name, True)]


async def test_the_only_app_is_taken_for_the_only_bundle_id(apn: Taker) -> None:
    await apn.gateway.call("POST", "/v1/apps", json={"id": "chat"})
    put(apn.directory / f"{ACME}.prod.pem", ACME)
    assert (await apn.take(dry=True))[f"{ACME}.prod.pem"].app == "chat"
    put(apn.directory / "com.acme.mail.prod.pem", "com.acme.mail")

    assert {line.result for line in (await apn.take()).values()} == {Result.REFUSED}


async def test_keys_and_service_accounts_in_the_same_directory_go_to_its_app(apn: Taker) -> None:
    put(apn.directory / f"{ACME}.prod.pem", ACME)
    key = apn.directory / f"AuthKey_{material.KEY_ID}.p8"
    key.write_bytes(material.auth_key())
    account = apn.directory / "account.json"
    account.write_bytes(material.service_account("https://oauth2.googleapis.com/token"))

    unknown = (await apn.take(create_apps=True))[key.name]
    assert unknown.result is Result.REFUSED
    assert "team_id" in unknown.notes[0]

    lines = await apn.take(team_id=material.TEAM_ID)
    assert (lines[key.name].result, lines[key.name].app) == (Result.STORED, ACME)
    assert lines[account.name].result is Result.UNCHANGED
    assert {one.kind: one.key_id for one in await apn.stored()}[CredentialKind.APNS_KEY] == material.KEY_ID
    assert lines[key.name].verdict is not Grade.REFUSED


async def test_the_renewal_of_a_sibling_keeps_keys_and_certificates_beside_each_other(apn: Taker) -> None:
    file = put(apn.directory / f"{ACME}.prod.pem", ACME)
    (apn.directory / f"AuthKey_{material.KEY_ID}.p8").write_bytes(material.auth_key())
    await apn.take(create_apps=True, team_id=material.TEAM_ID)
    put(file, ACME, days=301)

    lines = await apn.take(team_id=material.TEAM_ID)

    assert lines[file.name].result is Result.RENEWED
    assert sorted(one.kind for one in await apn.stored()) == [CredentialKind.APNS_CERTIFICATE, CredentialKind.APNS_KEY]
