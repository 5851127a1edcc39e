from __future__ import annotations

import pytest

from wakeline.config import Webhooks
from wakeline.model.errors import AddressRefused
from wakeline.transport.webhook_urls import judge

PRIVATE = ("10.0.0.7", "192.168.1.9", "127.0.0.1", "[::1]", "[fd00::7]", "localhost", "hooks.localhost")
NOWHERE = ("169.254.169.254", "[fe80::1]", "0.0.0.0", "203.0.113.9", "224.0.0.1")  # noqa: S104 - to be refused


@pytest.mark.parametrize("host", [*PRIVATE, *NOWHERE])
def test_an_address_that_is_not_public_is_refused(host: str) -> None:
    with pytest.raises(AddressRefused):
        judge(f"https://{host}/hook", Webhooks())


@pytest.mark.parametrize("host", PRIVATE)
def test_a_setting_lifts_what_it_can_and_is_named_where_it_would(host: str) -> None:
    judge(f"https://{host}/hook", Webhooks(allow_private=True))
    with pytest.raises(AddressRefused) as refused:
        judge(f"https://{host}/hook", Webhooks())
    assert "allow_private" in refused.value.fix


@pytest.mark.parametrize("host", NOWHERE)
def test_no_setting_lifts_the_rest_and_none_is_named(host: str) -> None:
    with pytest.raises(AddressRefused) as refused:
        judge(f"https://{host}/hook", Webhooks(allow_private=True))
    assert "allow_private" not in refused.value.fix


def test_plain_http_needs_its_setting() -> None:
    judge("http://hooks.example/in", Webhooks(allow_http=True))
    with pytest.raises(AddressRefused) as refused:
        judge("http://hooks.example/in", Webhooks(allow_private=True))
    assert "allow_http" in refused.value.fix


@pytest.mark.parametrize("url", ["https://hooks.example/in?key=1", "https://93.184.216.34:8443/", "https://x.test"])
def test_a_name_is_looked_up_only_when_it_is_connected_to(url: str) -> None:
    judge(url, Webhooks())


@pytest.mark.parametrize("url", ["", "ftp://x.test/", "https://user:pw@x.test/", "https://2130706433/", "https://x y/"])
def test_what_is_no_url_to_post_to_is_refused_and_one_is_shown(url: str) -> None:
    with pytest.raises(AddressRefused) as refused:
        judge(url, Webhooks(allow_private=True, allow_http=True))
    assert "https://backend.example" in refused.value.fix
