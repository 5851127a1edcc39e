"""The operator's program that knows passwords."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec
import pytest

from storing import ToldClock
from wakeline.edges.sip.passwords import AT_ONCE, TheirProgram
from wakeline.model.errors import StoreUnavailable, TimedOut
from wakeline.ports import HttpAnswer
from wakeline.wire.sip.digest import secret_hash

pytestmark = pytest.mark.anyio

URL = "http://127.0.0.1:9/passwords"
BOB = {
    "MD5": secret_hash("bob", "example.org", "pw", "MD5"),
    "SHA-256": secret_hash("bob", "example.org", "pw", "SHA-256"),
}


class Program:
    """Answers as it is told. Implements `ports.HttpClient`."""

    def __init__(self, status: int = 200, **said: str) -> None:
        self.answer = HttpAnswer(status=status, headers={}, body=msgspec.json.encode(said))
        self.asked: list[object] = []
        self.down = False

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float) -> HttpAnswer:
        assert (url, headers["content-type"]) == (URL, "application/json")
        self.asked.append(msgspec.json.decode(body))
        await asyncio.sleep(0)
        if self.down:
            raise TimedOut(f"no answer within {timeout} s")
        return self.answer


async def test_a_password_becomes_its_digests() -> None:
    program = Program(password="pw")
    assert await TheirProgram(program, URL, ToldClock()).digests("bob", "example.org") == BOB
    assert program.asked == [{"user": "bob", "domain": "example.org"}]


async def test_what_digests_it_keeps_are_used() -> None:
    program = Program(md5=BOB["MD5"].upper(), sha256="not hex")
    assert await TheirProgram(program, URL, ToldClock()).digests("bob", "example.org") == {"MD5": BOB["MD5"]}


async def test_404_says_that_there_is_no_such_user() -> None:
    assert await TheirProgram(Program(404), URL, ToldClock()).digests("bob", "example.org") is None


async def test_what_it_said_is_believed_for_a_minute() -> None:
    clock, program = ToldClock(), Program(password="pw")
    passwords = TheirProgram(program, URL, clock)
    for seconds in (0, 59, 2):
        clock.time += seconds * 1000
        assert await passwords.digests("bob", "example.org") == BOB
    assert len(program.asked) == 2


async def test_who_asks_at_the_same_time_asks_once() -> None:
    program = Program(password="pw")
    passwords = TheirProgram(program, URL, ToldClock())
    answers = await asyncio.gather(*(passwords.digests("bob", "example.org") for _ in range(5)))
    assert answers == [BOB] * 5
    assert len(program.asked) == 1


async def test_only_so_many_questions_wait_for_an_answer() -> None:
    program = Program(password="pw")
    passwords = TheirProgram(program, URL, ToldClock())
    many = (passwords.digests(f"user-{number}", "example.org") for number in range(AT_ONCE + 10))
    answers = await asyncio.gather(*many, return_exceptions=True)
    assert sum(isinstance(answer, StoreUnavailable) for answer in answers) == 10
    assert len(program.asked) == AT_ONCE


@pytest.mark.parametrize("program", [Program(500), Program(), Program(md5="0" * 31), Program(password="pw")])
async def test_a_program_that_fails_is_no_answer_and_is_asked_again(program: Program) -> None:
    program.down = program.answer.body != b"{}" and program.answer.status == 200
    passwords = TheirProgram(program, URL, ToldClock())
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="auth_url"):
            await passwords.digests("bob", "example.org")
    assert len(program.asked) == 2
