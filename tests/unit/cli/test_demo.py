"""The demonstration reads what may come twice, and waits for what is written later."""

from __future__ import annotations

import socket
import sys
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from msgspec import structs

from wakeline.cli.demo import stack
from wakeline.cli.demo.listener import listening
from wakeline.cli.demo.play import Play
from wakeline.cli.demo.scenario import CASES
from wakeline.cli.demo.stack import Stack
from wakeline.service import listeners
from wakeline.wire.standard_webhooks import secret_text, signature

pytestmark = pytest.mark.anyio

SECRET = b"s" * 32


@pytest.mark.skipif(sys.platform != "linux", reason="a port is kept so on Linux alone")
def test_the_gateways_port_is_its_own_while_it_starts() -> None:
    with stack._reserved() as port:
        with pytest.raises(OSError, match="in use"), socket.socket() as other:
            other.bind(("127.0.0.1", port))
        with listeners._bind(f"127.0.0.1:{port}") as gateway, socket.create_connection(("127.0.0.1", port)):
            assert gateway.getsockname()[1] == port


async def test_a_message_that_is_told_again_is_one_event() -> None:
    body = b'{"type":"push.sent","data":{"notification":"n1"}}'
    headers = {"webhook-id": "m1", "webhook-timestamp": "1", "webhook-signature": signature(SECRET, "m1", 1, body)}
    async with listening() as listener, httpx2.AsyncClient(trust_env=False) as http:
        listener.secret = secret_text(SECRET)
        answers = [await http.post(listener.url, content=body, headers=headers) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [204, 204]
    assert [event["type"] for event in listener.told("n1")] == ["push.sent"]


async def test_a_token_that_is_retired_a_moment_after_its_delivery_ended_is_as_it_must_be() -> None:
    case = structs.replace(next(case for case in CASES if case.target_state == "retired"), told="")
    states = iter(["active", case.target_state])

    def answer(request: httpx2.Request) -> httpx2.Response:
        path = urlsplit(str(request.url)).path
        shown: Any = {"state": "done", "deliveries": [{"state": case.state, "attempts": []}]}
        if path.endswith("/explain"):
            shown = {"verdict": "so", "cause": "therefore"}
        elif "/devices/" in path:
            shown = {"targets": [{"state": next(states)}]}
        elif path == "/requests":
            shown = [{"provider": case.provider, "body": " ".join(case.texts)}] * case.requests
        return httpx2.Response(200, json=shown)

    at = "http://gateway.test"
    running = Stack(
        gateway=at, control=at, token_uri=at, portal="", client_id="", client_secret="", key="k", directory=""
    )
    async with listening() as listener, httpx2.AsyncClient(transport=httpx2.MockTransport(answer)) as http:
        play = Play(running, http, listener)
        play._targets[case.device] = "t"
        seen = await play._look(case, "n1")

    assert not [what for what in seen.wrong if "token" in what]
    assert next(states, "none left") == "none left"
