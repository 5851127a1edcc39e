"""bitrix24-rest and pybitrix24, unchanged: two small clients that ask in other ways than the large ones.

bitrix24-rest asks by GET with PHP's brackets in the query, all pages at once. pybitrix24 says JSON also where it has no body, and
exchanges codes on the portal's own host.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from interop.bitrix24_portal import CLIENT_ID, CLIENT_SECRET, CODE, DEALS, Portal, served

pytestmark = [
    pytest.mark.interop,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # the clients' own
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # answers that pybitrix24 leaves to the collector
]

_MISSING = "the extra `interop` is not installed: small clients of Bitrix24 did NOT judge our portal"
bitrix24 = pytest.importorskip("bitrix24", reason=_MISSING)
pybitrix24 = pytest.importorskip("pybitrix24", reason=_MISSING)


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    with served(tmp_path_factory.mktemp("portal")) as made:
        yield made


class TestBitrix24Rest:
    def call(self, portal: Portal, method: str, params: dict[str, Any]) -> Any:
        async def asked() -> Any:
            return await bitrix24.Bitrix24(f"{portal.plain}/rest/1/{CODE}/").callMethod(method, params)

        return asyncio.run(asked())

    def test_all_pages_are_asked_for_at_once(self, portal: Portal) -> None:
        rows = self.call(portal, "crm.deal.list", {"select": ["ID", "TITLE"], "order": {"ID": "ASC"}})
        assert [row["ID"] for row in rows] == [str(number) for number in range(1, DEALS + 1)]
        assert set(rows[0]) == {"ID", "TITLE"}

    def test_a_filter_in_brackets(self, portal: Portal) -> None:
        rows = self.call(portal, "crm.deal.list", {"filter": {">ID": 300, "<ID": 303}, "select": ["ID"]})
        assert [row["ID"] for row in rows] == ["301", "302"]

    def test_one_record_and_an_unknown_one(self, portal: Portal) -> None:
        assert self.call(portal, "crm.deal.get", {"ID": 7})["TITLE"] == "Deal 7"
        with pytest.raises(bitrix24.BitrixError, match="400"):
            self.call(portal, "crm.deal.get", {"ID": 99999})


class TestPybitrix24:
    @pytest.fixture
    def client(self, portal: Portal, monkeypatch: pytest.MonkeyPatch) -> Any:
        monkeypatch.setenv("SSL_CERT_FILE", str(portal.ca_file))
        monkeypatch.setenv("NO_PROXY", "*")
        return pybitrix24.Bitrix24(urlsplit(portal.secure).netloc, CLIENT_ID, CLIENT_SECRET)

    def test_a_webhook_is_asked_without_a_body_and_in_a_batch(self, client: Any) -> None:
        assert client.call_webhook(CODE, "profile")["result"]["NAME"] == "Anna"
        calls = {
            "one": ("crm.deal.get", {"ID": 3}),
            "two": ("crm.deal.list", {"filter": {">ID": 320}}),
            "me": "profile",
        }
        found = client.call_batch_webhook(CODE, calls)
        assert found["result"]["result_error"] == []
        assert found["result"]["result"]["one"]["TITLE"] == "Deal 3"
        assert len(found["result"]["result"]["two"]) == 3

    def test_a_code_becomes_tokens_that_call_and_are_refreshed(self, portal: Portal, client: Any) -> None:
        asked = dict(parse_qsl(urlsplit(client.build_authorization_url()).query))
        assert asked == {"client_id": CLIENT_ID, "response_type": "code"}
        first = client.obtain_tokens(portal.code("small-code"))
        assert (first["user_id"], client.call("profile")["result"]["ID"]) == (1, "1")
        second = client.refresh_tokens()
        assert second["access_token"] != first["access_token"]
        push = client.call("pull.application.push.add", {"USER_ID": [1], "TEXT": "Hello"})
        assert push["result"] is True

    def test_a_handler_is_bound_and_unbound(self, portal: Portal, client: Any) -> None:
        client.obtain_tokens(portal.code("binding-code"))
        handler = "https://app.test/event"
        assert client.call_event_bind("ONCRMDEALADD", handler)["result"] is True
        assert client.call_event_unbind("ONCRMDEALADD", handler)["result"] == {"count": 1}

    def test_refusals_are_told_as_they_are(self, client: Any) -> None:
        assert client.call_webhook("wrong0123456789a", "profile")["error"] == "NO_AUTH_FOUND"
        assert client.obtain_tokens("nobodys")["error"] == "invalid_grant"
