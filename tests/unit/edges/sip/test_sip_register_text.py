"""What phones say in no known encoding: it is refused where it names somebody, and shown as well as it can be elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

from sip_registering import Registering, contact, register

pytestmark = pytest.mark.anyio

LATIN_1 = "T\udce9l\udce9phone"
"""Bytes that are no UTF-8, as they come out of the parser."""


async def test_a_user_agent_in_another_encoding_registers() -> None:
    async with Registering() as sip:
        answer = await sip.register(contact(), user_agent=LATIN_1)

        assert answer.status == 200
        assert [each.user_agent for each in sip.bindings()] == ["T\ufffdl\ufffdphone"]


async def test_a_user_agent_in_utf_8_is_kept_as_it_is() -> None:
    async with Registering() as sip:
        await sip.register(contact(), user_agent="Bob\u2019s phone")

        assert [each.user_agent for each in sip.bindings()] == ["Bob\u2019s phone"]


@pytest.mark.parametrize("where", ["user", "contact", "parameter", "path", "call-id"])
async def test_an_address_in_another_encoding_is_refused(where: str) -> None:
    said: dict[str, Any] = {
        "user": {"user": LATIN_1},
        "path": {"path": f"<sip:{LATIN_1}@192.0.2.1;lr>"},
        "call-id": {"call_id": LATIN_1},
    }.get(where, {})
    contacts = {"contact": f"<sip:{LATIN_1}@192.0.2.7>", "parameter": contact(more=f";note={LATIN_1}")}
    asked = register(contacts.get(where, contact()), **said)
    async with Registering() as sip:
        answer = await sip.ask(asked)

        assert answer.status == 400
        assert sip.bindings() == []


@pytest.mark.parametrize("name", ["pn-provider", "pn-prid", "pn-param", "pn-msg-str"])
async def test_push_parameters_that_hide_another_encoding_are_not_served(name: str) -> None:
    said = {"pn-provider": "fcm", "pn-param": "acme-fire", "pn-prid": "token"} | {name: "%FF%FE"}
    async with Registering() as sip:
        await sip.firebase()
        answer = await sip.register(contact(";".join(map("=".join, said.items()))))

        assert answer.status == 555
        assert sip.bindings() == []


async def test_a_service_asked_for_in_another_encoding_is_not_served() -> None:
    async with Registering() as sip:
        assert (await sip.register(contact("pn-provider=%FF"))).status == 555
