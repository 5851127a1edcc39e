"""What `service.hot_connection` and `service.connections` use of uvicorn beyond its documentation is still there.

If this fails after an update of uvicorn, read its `protocols/http/httptools_impl.py` beside `service/hot_connection.py`, and
let `test_hot_route.py` and `test_hot_connection.py` judge before the version range in pyproject.toml is widened.
"""

from __future__ import annotations

import asyncio
import inspect
import re
from pathlib import Path

import httptools
import pytest
import uvicorn
from uvicorn.protocols.http import httptools_impl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from wakeline.service import hot_connection
from wakeline.service.hot_connection import _Exchange

pytestmark = pytest.mark.anyio

METHODS = {
    "connection_made": ["self", "transport"],
    "connection_lost": ["self", "exc"],
    "data_received": ["self", "data"],
    "on_message_begin": ["self"],
    "on_url": ["self", "url"],
    "on_header": ["self", "name", "value"],
    "on_headers_complete": ["self"],
    "on_body": ["self", "body"],
    "on_message_complete": ["self"],
    "on_response_complete": ["self"],
    "shutdown": ["self"],
}
ATTRIBUTES = {
    "access_log",
    "access_logger",
    "client",
    "connections",
    "cycle",
    "flow",
    "loop",
    "parser",
    "pipeline",
    "server_state",
    "timeout_keep_alive",
    "transport",
}


@pytest.mark.parametrize("name", METHODS)
def test_a_method_that_is_called_or_overridden_is_there(name: str) -> None:
    assert list(inspect.signature(getattr(HttpToolsProtocol, name)).parameters) == METHODS[name]


async def test_the_attributes_of_a_connection_are_there() -> None:
    async def app(scope: object, receive: object, send: object) -> None: ...

    protocol = HttpToolsProtocol(uvicorn.Config(app, log_config=None), ServerState(), {}, asyncio.get_running_loop())

    assert vars(protocol).keys() >= ATTRIBUTES
    assert protocol.cycle is None
    assert not protocol.pipeline
    assert protocol.server_state.default_headers == []
    assert protocol.server_state.total_requests == 0
    assert isinstance(protocol.parser, httptools.HttpRequestParser)


def test_a_cycle_is_asked_nothing_that_an_exchange_does_not_have() -> None:
    asked = set(re.findall(r"(?:self\.|existing_)cycle\.(\w+)", inspect.getsource(HttpToolsProtocol)))

    # Its body goes to the cycle alone, which an exchange's does not.
    assert asked - {"body", "more_body"} <= {*_Exchange.__slots__, "message_event"}


def test_answers_begin_with_uvicorns_own_lines() -> None:
    assert httptools_impl.STATUS_LINE[202] == b"HTTP/1.1 202 Accepted\r\n"


def test_the_parser_tells_what_decides() -> None:
    assert {"get_method", "get_http_version", "should_keep_alive"} <= set(dir(httptools.HttpRequestParser))


def test_the_module_says_where_its_uses_are_listed() -> None:
    assert Path(__file__).name in (hot_connection.__doc__ or "")
