"""Our pool against servers that nobody here wrote: nghttpd (nghttp2, in C) and one on the `h2` library."""

from __future__ import annotations

from pathlib import Path

import pytest

from interop.http2_peers import NGHTTPD, Campaign, Certificate, body_of, h2_server, listening, nghttpd

pytestmark = [pytest.mark.anyio, pytest.mark.interop, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate(tmp_path_factory.mktemp("certificate"))


@pytest.mark.skipif(NGHTTPD is None, reason="NGHTTPD IS MISSING: apt-get install nghttp2-server")
@pytest.mark.parametrize(
    ("options", "connections"),
    [
        pytest.param(("-m", "1000"), 1, id="roomy"),
        pytest.param(("-m", "1000", "-w", "16", "-W", "16", "-b", "255"), 1, id="padding"),
        pytest.param(("-m", "7", "-w", "14", "-W", "15", "-c", "0"), 3, id="narrow, no header table"),
        pytest.param(("-m", "100", "-c", "150", "--encoder-header-table-size=0"), 2, id="small header table"),
    ],
)
async def test_nghttpd_gives_back_every_body_unchanged(
    options: tuple[str, ...], connections: int, certificate: Certificate, tmp_path: Path
) -> None:
    total = 4_000
    campaign = Campaign(total, keep_bodies=True)

    async with listening(lambda port: nghttpd(certificate, tmp_path, *options, port=port)) as port:
        await campaign.run(port, certificate, connections=connections)

    assert sorted(campaign.others) == list(range(total))
    wrong = {
        number: answer
        for number, answer in campaign.others.items()
        if answer.status != 200 or answer.body != body_of(number)
    }
    assert wrong == {}


@pytest.mark.parametrize(
    ("streams", "window", "per_connection"),
    [
        pytest.param(100, 65_535, 10**9, id="one connection"),
        pytest.param(40, 3_000, 700, id="small windows and a GOAWAY every 700 requests"),
    ],
)
async def test_a_server_on_h2_gets_every_request_once_and_unchanged(
    streams: int, window: int, per_connection: int, certificate: Certificate
) -> None:
    total = 2_000
    campaign = Campaign(total, keep_bodies=False)

    with h2_server(certificate, streams, window, per_connection) as (port, books):
        await campaign.run(port, certificate, connections=1)
        seen = books()

    assert campaign.others == {}
    assert sorted(campaign.accepted) == list(range(total))
    assert (seen["wrong"], seen["once"]) == (0, total)
    assert seen["connections"] >= total // per_connection
