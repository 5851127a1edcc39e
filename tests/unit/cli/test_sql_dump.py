"""Dumps of a portal's database as bytes: the rows of its device table, whatever stands around them."""

from __future__ import annotations

import io

import pytest

from wakeline.cli.device_list.reading import ROW_LIMIT, Row
from wakeline.cli.device_list.sql_dump import SqlDump, is_dump

MYSQL = rb"""-- MySQL dump 10.13  Distrib 8.0.36
/*!40101 SET NAMES utf8mb4 */;
CREATE TABLE `b_user` (
  `ID` int NOT NULL
);
INSERT INTO `b_user` VALUES (1),(2);
DROP TABLE IF EXISTS `b_pull_push`;
CREATE TABLE `b_pull_push` (
  `ID` int NOT NULL AUTO_INCREMENT,
  `USER_ID` int NOT NULL,
  `DEVICE_NAME` varchar(50) DEFAULT NULL,
  `DEVICE_TOKEN` varchar(255) NOT NULL,
  PRIMARY KEY (`ID`),
  KEY `IX_PULL_PSH_UID` (`USER_ID`)
) ENGINE=InnoDB;
INSERT INTO `b_pull_push` VALUES (1,7,'Anna\'s; (phone), it''s \"hers\"\n','tok-1'),(2,8,NULL,'tok-2');
INSERT INTO `b_pull_push_queue` VALUES (9,9,'x','y');
INSERT INTO `b_pull_push` VALUES (3,9,_binary 'b','tok-3');
"""

POSTGRES = rb"""\restrict abc
--
-- PostgreSQL database dump
--
COPY public.b_user (id) FROM stdin;
1
\.

COPY public.b_pull_push (id, user_id, device_name, device_token) FROM stdin;
1	7	Anna\tB	tok-1
2	8	\N	tok-2
\.

INSERT INTO public.b_pull_push (id, "user_id", device_name, device_token) VALUES (3, 9, E'x', 'tok-3');
"""


def read(data: bytes, *, after: int = 0) -> list[Row]:
    dump = SqlDump(io.BytesIO(data))
    dump.go_on(after, 0)
    return list(dump)


def test_rows_of_mysqldump_are_read_under_the_columns_of_the_table() -> None:
    rows = read(MYSQL)

    assert [dict(row.cells) for row in rows] == [
        {"ID": "1", "USER_ID": "7", "DEVICE_NAME": "Anna's; (phone), it's \"hers\"\n", "DEVICE_TOKEN": "tok-1"},
        {"ID": "2", "USER_ID": "8", "DEVICE_NAME": None, "DEVICE_TOKEN": "tok-2"},
        {"ID": "3", "USER_ID": "9", "DEVICE_NAME": "b", "DEVICE_TOKEN": "tok-3"},
    ]
    assert [row.line for row in rows] == [16, 16, 18]
    assert MYSQL[: rows[0].end].endswith(b"'tok-1')")


def test_rows_of_pg_dump_are_read_under_the_columns_of_the_statement() -> None:
    rows = read(POSTGRES)

    assert [dict(row.cells) for row in rows] == [
        {"ID": "1", "USER_ID": "7", "DEVICE_NAME": "Anna\tB", "DEVICE_TOKEN": "tok-1"},
        {"ID": "2", "USER_ID": "8", "DEVICE_NAME": None, "DEVICE_TOKEN": "tok-2"},
        {"ID": "3", "USER_ID": "9", "DEVICE_NAME": "x", "DEVICE_TOKEN": "tok-3"},
    ]
    assert [row.line for row in rows] == [10, 11, 14]


def test_rows_may_stand_on_lines_of_their_own() -> None:
    rows = read(
        b"INSERT INTO `b_mobile_device` (`ID`, `TOKEN`) VALUES\n(1, 'a'),\n(2, 'b');\nINSERT INTO x VALUES (1);\n"
    )

    assert [(row.line, dict(row.cells)) for row in rows] == [
        (2, {"ID": "1", "TOKEN": "a"}),
        (3, {"ID": "2", "TOKEN": "b"}),
    ]


@pytest.mark.parametrize("data", [MYSQL, POSTGRES])
def test_going_on_leaves_out_what_was_read(data: bytes) -> None:
    rows = read(data)

    for place, row in enumerate(rows):
        assert read(data, after=row.end) == rows[place + 1 :]


def test_a_statement_may_be_longer_than_what_is_read_at_once() -> None:
    name = "n" * 300
    values = ",".join(f"({number},'{name}','tok-{number}')" for number in range(5000))
    other = "INSERT INTO `b_file` VALUES ('" + "x" * 1_000_000 + "');\n"
    whole = other, "INSERT INTO b_pull_push (ID,DEVICE_NAME,DEVICE_TOKEN) VALUES ", values, ";\n", other
    data = "".join(whole).encode()

    rows = read(data)

    assert [row.cells["DEVICE_TOKEN"] for row in rows] == [f"tok-{number}" for number in range(5000)]
    assert {row.line for row in rows} == {2}


@pytest.mark.parametrize(
    ("data", "problems"),
    [
        (b"INSERT INTO b_pull_push VALUES (1,'a');\n", ["the dump does not say"]),
        (b"INSERT INTO b_pull_push (ID,TOKEN) VALUES (1),(2,'b');\n", ["1 values under 2 columns", ""]),
        (b"INSERT INTO b_pull_push (ID) VALUES (now()),(2);\n", ["no row of values", ""]),
        (
            b"INSERT INTO b_pull_push (ID) VALUES ('open),(2);\nINSERT INTO b_pull_push (ID) VALUES (3);\n",
            ["no row", "", ""],
        ),
        (
            b"COPY b_pull_push (id) FROM stdin;\n" + b"x" * (ROW_LIMIT + 9) + b"\n2\n\\.\n",
            ["longer than", ""],
        ),
        (b"INSERT INTO b_pull_push (ID) VALUES ", []),
        (b"CREATE TABLE b_pull_push (", []),
        (b"", []),
    ],
)
def test_a_bad_row_costs_itself(data: bytes, problems: list[str]) -> None:
    rows = read(data)

    assert len(rows) == len(problems)
    for row, words in zip(rows, problems, strict=True):
        assert words in row.problem
        assert bool(row.problem) == bool(words)


@pytest.mark.parametrize(
    ("beginning", "expected"),
    [
        (MYSQL[:1024], True),
        (POSTGRES[:1024], True),
        (b"\xef\xbb\xbf\n/*!40101 SET", True),
        (b"insert into b_pull_push values", True),
        (b"ID;USER_ID;DEVICE_TOKEN\n", False),
        (b'{"device": "d"}', False),
        (b"SETTINGS,USER_ID", False),
    ],
)
def test_a_dump_is_known_by_its_beginning(beginning: bytes, *, expected: bool) -> None:
    assert is_dump(beginning) is expected
