"""100,000 requests each through our pool to nghttpd, nginx, node's http2 and the `h2` library (REQUESTS says how many).

A receiver that can tell checks every request: nghttpd gives back each body; nginx logs path, apns-id and body; node and h2
compare the digest that each request carries. All must come once.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from interop.http2_peers import (
    NGHTTPD,
    NGINX,
    Campaign,
    Certificate,
    body_of,
    h2_server,
    listening,
    nghttpd,
    nginx,
    nginx_books,
    node_server,
)

pytestmark = [pytest.mark.anyio, pytest.mark.interop, pytest.mark.slow, pytest.mark.timeout(900)]

TOTAL = int(os.environ.get("REQUESTS", "100000"))
_SECONDS = 800.0


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate(tmp_path_factory.mktemp("certificate"))


@pytest.mark.skipif(NGHTTPD is None, reason="NGHTTPD IS MISSING: apt-get install nghttp2-server")
async def test_nghttpd_gives_back_every_body(certificate: Certificate, tmp_path: Path) -> None:
    campaign = Campaign(TOTAL, keep_bodies=True, seconds=_SECONDS)

    async with listening(lambda port: nghttpd(certificate, tmp_path, "-m", "1000", port=port)) as port:
        await campaign.run(port, certificate, connections=2)

    assert sorted(campaign.others) == list(range(TOTAL))
    assert [n for n, answer in campaign.others.items() if (answer.status, answer.body) != (200, body_of(n))] == []


@pytest.mark.skipif(NGINX is None, reason="NGINX IS MISSING: apt-get install nginx-light")
async def test_nginx_gets_every_request_once_and_unchanged_over_connections_of_a_thousand(
    certificate: Certificate, tmp_path: Path
) -> None:
    campaign = Campaign(TOTAL, keep_bodies=False, seconds=_SECONDS)

    async with listening(lambda port: nginx(certificate, tmp_path, port=port)) as port:
        await campaign.run(port, certificate, connections=2)

    assert campaign.others == {}
    assert sorted(campaign.accepted) == list(range(TOTAL))
    assert nginx_books(tmp_path) == {"once": TOTAL, "wrong": 0}


@pytest.mark.skipif(shutil.which("node") is None, reason="NODE IS MISSING: apt-get install nodejs")
async def test_node_gets_every_request_once_and_unchanged(certificate: Certificate) -> None:
    campaign = Campaign(TOTAL, keep_bodies=False, seconds=_SECONDS)

    with node_server(certificate) as (port, books):
        await campaign.run(port, certificate, connections=2)
        seen = books()

    assert campaign.others == {}
    assert sorted(campaign.accepted) == list(range(TOTAL))
    assert (seen["wrong"], seen["once"]) == (0, TOTAL)


async def test_h2_gets_every_request_once_and_unchanged_with_a_goodbye_every_20_000(certificate: Certificate) -> None:
    campaign = Campaign(TOTAL, keep_bodies=False, seconds=_SECONDS)

    with h2_server(certificate, 250, 65_535, 20_000) as (port, books):
        await campaign.run(port, certificate, connections=2)
        seen = books()

    assert campaign.others == {}
    assert sorted(campaign.accepted) == list(range(TOTAL))
    assert (seen["wrong"], seen["once"]) == (0, TOTAL)
