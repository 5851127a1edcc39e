"""deploy/opensips and deploy/kamailio ask for a push as the API takes it."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from wakeline.edges.rest import BY_NAME

DEPLOY = Path(__file__).parents[3] / "deploy"


@pytest.mark.parametrize(
    ("file", "field"),
    [
        ("opensips/wakeline.cfg", r"\$json\(wake/(\w+)\)"),
        ("kamailio/wakeline.cfg", r'jansson_set\("string", "(\w+)"'),
    ],
)
def test_a_wake_has_the_fields_and_the_address_of_the_api(file: str, field: str) -> None:
    text = (DEPLOY / file).read_text()
    operation = BY_NAME["sip.push"]
    assert operation.request is not None
    known = {one.encode_name for one in msgspec.structs.fields(operation.request)}

    asked = set(re.findall(field, text))

    assert {"contact", "event", "call_id"} <= asked <= known
    assert f"127.0.0.1:8750{operation.path}" in text
    assert "Authorization: Bearer " in text
