"""`wakeline doctor` on a store that no gateway serves, and what it reads in dumps of a portal's database."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzzing import REPEATABLE, examples
from unit.cli.test_root import invoke
from wakeline.cli.portal_dump import queue_in
from wakeline.doctor.portal_queue import judge
from wakeline.model.errors import ConfigError, MalformedRequest, NotFound
from wakeline.observe.health import Status

MYSQL = """-- MySQL dump 10.13
DROP TABLE IF EXISTS `b_pull_push_queue`;
CREATE TABLE `b_pull_push_queue` (
  `ID` int NOT NULL AUTO_INCREMENT,
  `USER_ID` int NOT NULL,
  `MESSAGE` text,
  `PARAMS` text,
  `DATE_CREATE` datetime DEFAULT NULL,
  PRIMARY KEY (`ID`)
);
INSERT INTO `b_pull_push` VALUES (1,7,'x','y','2020-01-01 00:00:00');
INSERT INTO `b_pull_push_queue` VALUES {rows};
-- Dump completed on 2026-11-21  9:05:00
"""
ROW = "({id},7,'Anna''s; (deal)','{{\"a\":1}}','2026-11-21 09:{minute:02}:00')"


def mysql(*rows: tuple[int, int]) -> str:
    return MYSQL.replace("{rows}", ",".join(ROW.format(id=number, minute=minute) for number, minute in rows))


POSTGRES = """--
-- PostgreSQL database dump
--
COPY public.b_pull_push_queue (id, user_id, message, date_create) FROM stdin;
7\t1\tHello\\nyou\t2026-11-21 08:00:00
9\t1\t\\N\t2026-11-21 09:00:00
\\.
-- Completed on 2026-11-21 09:05:00 UTC
"""
EMPTY = """-- MySQL dump 10.13
CREATE TABLE `b_push_queue` (
  `ID` int NOT NULL
);
-- Dump completed on 2026-11-21 19:05:00
"""
AT_NINE = 1_795_251_600_000
MINUTE = 60_000


class Shell:
    """A directory with a store, and the command line in it."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._directory, self._capsys = directory, capsys

    def file(self, name: str, text: str) -> Path:
        path = self._directory / name
        path.write_text(text)
        return path

    def doctor(self, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
        self._capsys.readouterr()
        ended = invoke("doctor", *arguments, "--json")
        said = self._capsys.readouterr()
        assert ended == code, said.err
        document = json.loads(said.out)
        assert set(document) == {"checks"}
        return list(document["checks"])


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wakeline.toml").write_text("[storage]\nballast = 0\nlow_disk = 0\n")
    return Shell(tmp_path, capsys)


def line(checks: list[dict[str, Any]], name: str) -> dict[str, Any]:
    (found,) = [check for check in checks if check["name"] == name]
    return found


def test_an_installation_that_serves_no_portal_is_well(shell: Shell) -> None:
    checks = shell.doctor()

    assert {check["name"]: check["status"] for check in checks} == {
        "store": "ok",
        "queue": "ok",
        "loops": "ok",
        "disk": "ok",
        "write-ahead log": "ok",
        "clock": "skipped",
        "backup": "warning",
        "public_url": "skipped",
        "certificates": "skipped",
        "webhooks": "skipped",
        "apps": "skipped",
        "routes": "skipped",
        "waiting": "ok",
        "credentials": "skipped",
        "push services": "skipped",
        "devices": "skipped",
        "fallen tokens": "skipped",
        "contents": "skipped",
        "answers": "skipped",
        "limits": "skipped",
        "debug windows": "ok",
        "own portal": "skipped",
        "push service": "skipped",
        "connected portal": "skipped",
    }
    assert all(check["cause"] for check in checks)
    assert all(set(check) == {"name", "status", "cause", "fix"} for check in checks)


def test_one_app_or_one_user_can_be_asked_for(shell: Shell) -> None:
    for slug in ("acme-chat", "acme-mail"):
        assert invoke("app", "create", slug) == 0

    of_all, of_one = shell.doctor(), shell.doctor("--app", "acme-chat")
    of_user = shell.doctor("--app", "acme-chat", "--user", "alice", code=1)

    assert {"app acme-chat", "app acme-mail"} <= {check["name"] for check in of_all}
    assert "app acme-mail" not in {check["name"] for check in of_one}
    assert line(of_user, "user alice of acme-chat")["status"] == "failed"
    assert invoke("doctor", "--app", "nothing") == NotFound.exit_code


def test_a_queue_that_is_not_emptied_fails(shell: Shell) -> None:
    dump = shell.file("queue.sql", mysql((5, 0), (6, 1), (7, 30)))
    found = line(shell.doctor("--portal-dump", str(dump), code=1), "portal queue")

    assert found["status"] == "failed"
    assert "30 minutes or more" in found["cause"]
    assert "cron" in found["fix"]


def test_two_dumps_that_move_on_are_well(shell: Shell) -> None:
    first = shell.file("first.sql", mysql((5, 0), (6, 1), (7, 30)))
    second = shell.file("second.sql", mysql((8, 31)))
    found = line(shell.doctor("--portal-dump", str(first), "--portal-dump", str(second)), "portal queue")

    assert (found["status"], "from 3 to 1 rows" in found["cause"]) == ("ok", True)


def test_an_application_that_cannot_send_fails(shell: Shell) -> None:
    assert invoke("app", "create", "acme") == 0
    assert invoke("bitrix24", "application", "create", "--name", "Sales", "--app", "acme") == 0
    checks = shell.doctor(code=1)
    about = [check for check in checks if check["name"].startswith("own portal: application ")]

    assert "failed" in {check["status"] for check in about}
    assert any("has no credential" in check["cause"] for check in about)


def test_people_read_a_table(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    dump = shell.file("queue.sql", EMPTY)
    assert invoke("doctor", "--portal-dump", str(dump)) == 0
    assert "The queue is empty" in " ".join(capsys.readouterr().out.split())


def test_a_dump_of_mysql_says_how_many_rows_and_how_old(shell: Shell) -> None:
    found = queue_in(shell.file("queue.sql", mysql((5, 4), (9, 1), (7, 2))))

    assert (found.known, found.rows, found.unreadable, found.first, found.last) == (True, 3, 0, 5, 9)
    assert (found.oldest, found.newest) == (AT_NINE + MINUTE, AT_NINE + 4 * MINUTE)
    assert found.dumped == AT_NINE + 5 * MINUTE


def test_a_dump_of_postgresql_says_the_same(shell: Shell) -> None:
    found = queue_in(shell.file("queue.sql", POSTGRES))

    assert (found.rows, found.first, found.last) == (2, 7, 9)
    assert (found.oldest, found.newest, found.dumped) == (AT_NINE - 60 * MINUTE, AT_NINE, AT_NINE + 5 * MINUTE)


def test_an_empty_table_is_told_from_one_that_is_not_there(shell: Shell) -> None:
    empty = queue_in(shell.file("empty.sql", EMPTY))
    other = queue_in(shell.file("other.sql", EMPTY.replace("b_push_queue", "b_push_queue_old")))

    assert (empty.known, empty.rows) == (True, 0)
    assert (other.known, other.rows) == (False, 0)


def test_a_table_in_csv_is_read_and_other_tables_are_none(shell: Shell) -> None:
    table = queue_in(shell.file("queue.csv", "ID;MESSAGE;DATE_CREATE\n4;x;2026-11-21 09:00:00\nfour;x;\n5;x;then\n"))
    phones = queue_in(shell.file("phones.csv", "ID,USER_ID\n1,2\n"))

    assert (table.known, table.rows, table.unreadable, table.oldest) == (True, 2, 1, AT_NINE)
    assert not phones.known


_PIECES = st.sampled_from(
    [
        b"INSERT INTO `b_pull_push_queue` VALUES ",
        b"INSERT INTO b_push_queue (ID, DATE_CREATE) VALUES",
        b"CREATE TABLE `b_pull_push_queue` (\n",
        b"  `ID` int,\n  `DATE_CREATE` datetime\n);\n",
        b"COPY public.b_pull_push_queue (id, date_create) FROM stdin;\n",
        b"-- Dump completed on 2026-13-41  9:99:00\n",
        b"-- Dump completed on 2026-11-21  9:05:00\n",
        b"(1,'2026-11-21 09:00:00')",
        b"(99999999999999999999,'9999-99-99')",
        b"7\t2026-11-21 08:00:00\n",
        b"ID,DATE_CREATE\n",
        b'{"id": 7, "DATE_CREATE": 1e300}\n',
        b"('\\",
        b'"',
        b",",
        b";\n",
        b"\\.\n",
        b"NULL",
        b"\xff\xfe\x00",
    ]
)


@settings(max_examples=examples(150), deadline=None, derandomize=REPEATABLE)
@given(pieces=st.lists(_PIECES | st.binary(max_size=12), max_size=30))
def test_whatever_a_file_holds_is_counted_or_refused(pieces: list[bytes]) -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"".join(pieces))
        file.flush()
        try:
            found = queue_in(Path(file.name))
        except MalformedRequest:
            return
    assert judge([found]).status in Status
    assert judge([found, found]).cause


def test_a_file_that_is_not_there_is_named(shell: Shell, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.sql cannot be read"):
        queue_in(tmp_path / "none.sql")
    assert invoke("doctor", "--portal-dump", "none.sql") == ConfigError.exit_code
