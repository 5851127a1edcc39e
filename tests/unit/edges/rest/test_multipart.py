from __future__ import annotations

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wakeline.edges.rest import multipart
from wakeline.model.errors import InvalidRequest


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
