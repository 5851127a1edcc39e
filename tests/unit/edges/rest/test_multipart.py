from __future__ import annotations

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from computing import computing_at_most
from wakeline.edges.rest import multipart
from wakeline.model.errors import InvalidRequest, MalformedRequest


@given(file=st.binary(max_size=300), text=st.text(max_size=50))
def test_what_a_client_writes_is_what_we_read(file: bytes, text: str) -> None:
    request = httpx2.Request("POST", "http://x/", files={"file": ("a.p12", file)}, data={"password": text})

    found = multipart.fields(request.headers["content-type"], request.read())

    assert found == {"file": file, "password": text}


def test_a_field_that_comes_twice_is_joined_and_two_files_are_refused() -> None:
    twice = httpx2.Request("POST", "http://x/", files=[("topics", (None, "a")), ("topics", (None, "b"))])
    files = httpx2.Request("POST", "http://x/", files=[("file", ("a", b"1")), ("file", ("b", b"2"))])

    assert multipart.fields(twice.headers["content-type"], twice.read()) == {"topics": "a,b"}
    with pytest.raises(InvalidRequest):
        multipart.fields(files.headers["content-type"], files.read())


def test_forms_with_the_same_fields_have_one_fingerprint() -> None:
    one: dict[str, str | bytes] = {"a": "1", "file": b"2"}
    other: dict[str, str | bytes] = {"file": b"2", "a": "1"}

    assert multipart.fingerprint(one) == multipart.fingerprint(other)
    assert multipart.fingerprint(one) != multipart.fingerprint({"a": "12", "file": b""})


TYPE = "multipart/form-data; boundary=b"
PART = b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n'


def test_a_boundary_may_be_quoted_and_text_around_the_parts_is_skipped() -> None:
    body = b"preamble\r\n" + PART + b"--b--\r\nepilogue"

    assert multipart.fields('multipart/form-data; charset=utf-8; boundary="b"', body) == {"x": "1"}


def test_as_many_parts_as_a_form_may_have_are_read() -> None:
    assert multipart.fields(TYPE, PART * 32 + b"--b--") == {"x": ",".join("1" * 32)}


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (TYPE, PART * 33 + b"--b--"),
        (TYPE, PART * 20_000 + b"--b--"),
        (TYPE, b"--b\r\nContent-Disposition: form-data; name=x; " + b"a*0=b; " * 10_000 + b"\r\n\r\n1\r\n--b--"),
        (TYPE, b"--b\r\n\r\n1\r\n--b--"),
        (TYPE, b"--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n--b--"),
        (TYPE, b"--bc\r\nContent-Disposition: form-data; name=x\r\n\r\n1\r\n--b--"),
        (TYPE, PART),
        (TYPE, PART[:20]),
        (TYPE, b""),
        ("multipart/form-data", PART + b"--b--"),
        ("multipart/form-data; boundary=b; x=" + "(" * 2000, PART + b"--b--"),
    ],
    ids=lambda value: None if isinstance(value, bytes) else value[:40],
)
def test_what_is_no_form_is_refused_whatever_it_costs_to_read(content_type: str, body: bytes) -> None:
    with computing_at_most(2), pytest.raises(MalformedRequest):
        multipart.fields(content_type, body)


def test_parts_inside_parts_are_content() -> None:
    inner = b"--c\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n" * 5000
    body = b"--b\r\nContent-Disposition: form-data; name=file\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n"

    assert multipart.fields(TYPE, body + inner + b"\r\n--b--") == {"file": inner}
