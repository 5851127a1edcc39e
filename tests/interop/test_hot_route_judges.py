"""Clients nobody here wrote send through the route that is served below ASGI, and find an HTTP server like any other."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import httpx2
import pytest

from unit.service.served import Served, key_text, served

pytestmark = [pytest.mark.interop, pytest.mark.anyio]

PATH = "/v1/apps/acme-chat/notifications"
HELLO = {"to": {"users": ["alice"]}, "alert": {"title": "Hi"}}
BEARER = f"Bearer {key_text('send')}"
TIMES = 20


@pytest.fixture
async def hot(anyio_backend: str) -> AsyncIterator[Served]:
    async with served(hot=True) as made:
        made.by_asgi.clear()
        yield made


async def run(*command: str) -> str:
    """Run a program that must succeed, and return what it says."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    return (await anyio.run_process(command, stderr=subprocess.STDOUT)).stdout.decode()


def url(one: Served) -> str:
    return f"http://127.0.0.1:{one.listener.port}{PATH}"


async def test_curl_keeps_its_connection_and_reads_problems(hot: Served) -> None:
    same = ("-sS", "-H", f"Authorization: {BEARER}", "-w", "\n%{http_code} %{num_connects}\n")
    good = (*same, "-d", json.dumps(HELLO), url(hot))

    said = await run("curl", *good, "--next", *good, "--next", *same, "-d", "{", url(hot), "--next", *good)

    codes = re.findall(r"^(\d{3}) (\d)$", said, re.MULTILINE)
    assert codes == [("202", "1"), ("202", "0"), ("400", "0"), ("202", "0")]
    # A form, as curl calls its body, is for the application; three of the four are right all the same.
    assert await hot.gateway.store.queue.pending() == 3


@pytest.mark.parametrize("more", [["--http1.0"], ["-H", "Expect: 100-continue"], ["-H", "Connection: close"]])
async def test_curl_in_its_rarer_manners(hot: Served, tmp_path: Path, more: list[str]) -> None:
    body = tmp_path / "body"
    await anyio.Path(body).write_text(json.dumps(HELLO) + " " * 200_000)
    kind = ["-H", "Content-Type: application/json", "-H", f"Authorization: {BEARER}"]

    said = await run("curl", "-sS", *kind, *more, "-w", "%{http_code}", "--data-binary", f"@{body}", url(hot))

    assert said.endswith("202")
    assert await hot.gateway.store.queue.pending() == 1


async def test_pythons_own_client_which_sends_head_and_body_apart(hot: Served) -> None:
    def talk() -> list[int]:
        connection = http.client.HTTPConnection("127.0.0.1", hot.listener.port, timeout=30)
        seen = []
        for _ in range(TIMES):
            connection.request("POST", PATH, json.dumps(HELLO), {"Authorization": BEARER})
            answer = connection.getresponse()
            assert json.loads(answer.read())["recipients"] == 1
            seen.append(answer.status)
        connection.close()
        return seen

    assert await asyncio.to_thread(talk) == [202] * TIMES
    assert hot.by_asgi == []


async def test_httpx2_with_many_at_once(hot: Served) -> None:
    async with httpx2.AsyncClient(headers={"Authorization": BEARER}, timeout=30) as client:
        answers = await asyncio.gather(*(client.post(url(hot), json=HELLO) for _ in range(TIMES)))
        wrong = await client.post(url(hot), json={"too": {}})

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == TIMES
    assert wrong.status_code == 422
    assert hot.by_asgi == [f"POST {PATH}"]


async def test_aiohttp_with_many_at_once(hot: Served) -> None:
    aiohttp = pytest.importorskip("aiohttp")
    async with aiohttp.ClientSession(headers={"Authorization": BEARER}) as client:

        async def post() -> int:
            async with client.post(url(hot), json=HELLO) as answer:
                assert (await answer.json())["recipients"] == 1
                status: int = answer.status
                return status

        assert await asyncio.gather(*(post() for _ in range(TIMES))) == [202] * TIMES
    assert hot.by_asgi == []


@pytest.mark.parametrize("streams", [1, 4], ids=["one by one", "pipelined"])
async def test_h2load_over_http_1_1(hot: Served, tmp_path: Path, streams: int) -> None:
    body = tmp_path / "body"
    await anyio.Path(body).write_text(json.dumps(HELLO))
    load = ["--h1", "-n", "400", "-c", "8", "-m", str(streams), "-d", str(body)]
    kind = ["-H", "content-type: application/json", "-H", f"authorization: {BEARER}"]

    said = await run("h2load", *load, *kind, url(hot))

    assert "400 succeeded, 0 failed, 0 errored" in said
    assert "status codes: 400 2xx" in said
    assert await hot.gateway.store.queue.pending() == 400
