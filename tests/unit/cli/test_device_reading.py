"""Lists of devices as bytes: rows, line numbers, and what one bad row costs."""

from __future__ import annotations

import io

import pytest

from wakeline.cli.device_list.reading import ROW_LIMIT, Ndjson, Row, rows_of
from wakeline.model.errors import MalformedRequest


def read(data: bytes) -> list[Row]:
    _, rows = rows_of(io.BytesIO(data))
    return list(rows)


def test_rows_know_their_lines_and_where_they_end() -> None:
    data = b'\xef\xbb\xbfdevice, token\r\nd1,aa\r\n\r\n"d\n2",bb\r\nd3,"c""c"'

    rows = read(data)

    assert [(row.line, row.next_line, dict(row.cells)) for row in rows] == [
        (2, 3, {"device": "d1", "token": "aa"}),
        (4, 6, {"device": "d\n2", "token": "bb"}),
        (6, 7, {"device": "d3", "token": 'c"c'}),
    ]
    assert data[rows[0].end :].startswith(b'\r\n"d')
    assert rows[-1].end == len(data)


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_other_delimiters_are_seen_in_the_header(mark: str) -> None:
    (row,) = read(f"device{mark}token\nd1{mark}a,b\n".encode())

    assert row.cells == {"device": "d1", "token": "a,b"}


def test_reading_goes_on_where_a_row_ended() -> None:
    data = b"device,token\n" + b"".join(b"d%d,%d\n" % (number, number) for number in range(50))
    whole = read(data)
    place = whole[20]

    lines, rows = rows_of(io.BytesIO(data))
    lines.go_on(place.end, place.next_line)

    assert list(rows) == whole[21:]


def test_a_bad_row_costs_one_row() -> None:
    data = b'device,token\nd1,aa\nd2\nd\xe93,cc\n"d4"x,dd\nd5,ee\nd6,ff,gg\nd7,hh\n'

    rows = read(data)

    assert [(row.line, row.problem) for row in rows if row.problem] == [
        (3, "1 cells under 2 columns"),
        (4, "not UTF-8: byte 0xe9 at 2"),
        (5, "',' expected after '\"'"),
        (7, "3 cells under 2 columns"),
    ]
    assert [row.cells["device"] for row in rows if not row.problem] == ["d1", "d5", "d7"]
    assert b"".join(row.raw for row in rows) == data.partition(b"\n")[2]


def test_what_is_not_quoted_is_cut_as_the_reader_would() -> None:
    cells = ["", "a", " b ", "ä\u2028\x0b\x1c", "\x00", "'", "x" * 300]
    rows = [(one, other) for one in cells for other in cells]
    plain = "".join(f"{one},{other}\r\n" for one, other in rows)
    quoted = "".join(f'"{one}","{other}"\n' for one, other in rows)
    mixed = "".join(f'{one},"{other}"\n' for one, other in rows)

    found = [[dict(row.cells) for row in read(f"device,token\n{text}".encode())] for text in (plain, quoted, mixed)]

    assert found[0] == [{"device": one.strip(), "token": other.strip()} for one, other in rows]
    assert found[1] == found[2] == found[0]


def test_a_line_end_inside_a_cell_that_is_not_quoted_is_an_error() -> None:
    rows = read(b"device,token\nd1,a\rb\nd2,cc\n")

    assert [bool(row.problem) for row in rows] == [True, False]


@pytest.mark.parametrize("after", [10, 5000])
def test_a_quote_that_is_never_closed_costs_one_row(after: int) -> None:
    data = b'device,token\nd1,aa\n"d2,bb\n' + b"".join(b"e%d,%040d\n" % (number, number) for number in range(after))

    rows = read(data)

    (bad,) = [row for row in rows if row.problem]
    assert (bad.line, bad.raw) == (3, b'"d2,bb\n')
    assert len(rows) == after + 2
    assert rows[-1].line == after + 3


def test_lines_of_json_are_seen_by_their_first_brace() -> None:
    lines, rows = rows_of(io.BytesIO(b'\n {"device": "d1"}\n[1]\n\n{"device": "\xff"}\n{"a'))

    assert isinstance(rows, Ndjson)
    found = list(rows)
    assert [row.line for row in found] == [2, 3, 5, 6]
    assert [bool(row.problem) for row in found] == [False, True, True, True]
    assert found[0].cells == {"device": "d1"}
    assert lines.number == 7


def test_a_line_of_64_kib_is_read_and_a_longer_one_is_passed_over() -> None:
    def of(size: int) -> bytes:
        return b'{"device":"' + b"x" * (size - 13) + b'"}\n'

    data = of(ROW_LIMIT) + of(ROW_LIMIT + 1) + of(ROW_LIMIT * 5) + of(50)
    rows = read(data)

    assert [(row.line, bool(row.problem)) for row in rows] == [(1, False), (2, True), (3, True), (4, False)]
    assert rows[-1].end == len(data)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("device,token\n".encode("utf-16"), "UTF-16"),
        (b"", "no header"),
        (b"token,token\na,b\n", "twice"),
        (b'dev"ice,\xff\n', "no header"),
    ],
)
def test_what_is_no_list_is_said(data: bytes, said: str) -> None:
    with pytest.raises(MalformedRequest, match=said):
        rows_of(io.BytesIO(data))
